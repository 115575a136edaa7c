"""MaxIE: the weights that maximise the indirect effect bisect the two paths."""

from jaxmed.door import at_the_door
from jaxmed.geometry.composite import CompositeMediator, plane_composite
from jaxmed.geometry.paths import Paths
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array


@at_the_door("sign")
def maxie(paths: Paths, *, sign: int = 1) -> CompositeMediator:
    """The composite of largest indirect effect (sign=+1) or most negative one (sign=-1).

    Args:
      paths: the two paths.
      sign: +1 concordant, -1 suppression.
    Returns:
      CompositeMediator with indirect h+ = |a||y|(1 + cos)/(2 tau), or h- = -|a||y|(1 - cos)/(2
      tau);
      h+ + h- is the total indirect effect a'y/tau.
    Raises:
      ValueError: sign other than +1 or -1.
    Source: He (2026) Prop. 1, eqs. 10-12, and 23 in the dual. Exact global optimum of the
      in-sample effect; in the dual among weights in the row space of the residualised mediators.
    """
    return plane_composite(paths, *bisecting(paths, sign))


def bisecting(paths: Paths, sign: int) -> tuple[Array, Array]:
    """The direction of `maxie`, as multiples of exposure path and outcome path."""
    check_sign(sign)
    return divide(1.0, paths.exposure_norm), divide(float(sign), paths.outcome_norm)


def check_sign(sign: int) -> None:
    """Raises ValueError unless sign is +1 or -1."""
    if sign not in (1, -1):
        raise ValueError(f"sign must be +1 (concordant) or -1 (suppression), not {sign!r}")
