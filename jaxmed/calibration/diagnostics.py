"""Is a calibration right? Observed p-values against what the null would give."""

from typing import Literal

import jax.numpy as jnp

from jaxmed.calibration.dact import Correction, DactResult, dact
from jaxmed.calibration.hdmt import HdmtResult, Rule, hdmt
from jaxmed.door import at_the_door
from jaxmed.typing import Array, ArrayLike, pytree


@pytree
class QuantilePairs:
    """One calibration's QQ plot; leaves [m] in increasing order, NaN from the last test on."""

    expected: Array  # -log10 of the p-value of this rank were all tests null
    observed: Array  # -log10 of the p-value


@pytree
class CalibrationDiagnostics:
    """QQ coordinates of three calibrations of the same tests, with their fits."""

    max_p: QuantilePairs  # p_max against uniform: below the line under a composite null
    mixture: QuantilePairs  # p_max against the mixture null of HDMT
    dact: QuantilePairs  # DACT p-values against uniform
    hdmt_fit: HdmtResult
    dact_fit: DactResult


def quantile_pairs(log_p: Array, expected: Array | None = None) -> QuantilePairs:
    """Coordinates of a QQ plot.

    Args:
      log_p: [m] natural log of p-values; NaN entries are left out.
      expected: [m] p-values expected of rank 1, 2, ...; uniform ranks i/(count + 1) if None.
    Returns:
      QuantilePairs, largest p-value first.
    """
    present = ~jnp.isnan(log_p)
    count = jnp.sum(present).astype(log_p.dtype)
    ordered = jnp.sort(jnp.where(present, log_p, jnp.inf))
    rank = jnp.arange(1, log_p.shape[0] + 1, dtype=log_p.dtype)
    if expected is None:
        expected = rank / (count + 1)
    ten = jnp.log(jnp.asarray(10.0, log_p.dtype))
    inside = rank <= count
    # Largest first: reversed, with the absent ones moved to the end.
    order = jnp.argsort(jnp.where(inside, -rank, jnp.inf))
    pairs = (-jnp.log10(expected), -ordered / ten)
    return QuantilePairs(*(jnp.where(inside, x, jnp.nan)[order] for x in pairs))


@at_the_door("correction", "rule", "exact", optimised=True)
def calibration_diagnostics(
    p_exposure: ArrayLike,
    p_outcome: ArrayLike,
    *,
    correction: Correction = "jc",
    rule: Rule = "correct",
    exact: Literal[0, 1] = 0,
) -> CalibrationDiagnostics:
    """QQ coordinates of p_max, its mixture null and DACT.

    Args:
      p_exposure: [m] exposure -> mediator.
      p_outcome: [m] mediator -> outcome.
      correction: of `dact`.
      rule: of `hdmt`.
      exact: of `hdmt`.
    """
    mixture = hdmt(p_exposure, p_outcome, rule=rule, exact=exact)
    divided = dact(p_exposure, p_outcome, correction=correction)
    tiny = jnp.finfo(mixture.p_max.dtype).tiny
    log_max = jnp.log(jnp.where(mixture.p_max < tiny, tiny, mixture.p_max))
    return CalibrationDiagnostics(
        quantile_pairs(log_max),
        quantile_pairs(log_max, mixture.expected),
        quantile_pairs(divided.log_p),
        mixture,
        divided,
    )
