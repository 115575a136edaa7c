"""Reg Y~X and Reg A~X: composites that optimise one path and ignore the other."""

import jax.numpy as jnp

from jaxmed.door import at_the_door
from jaxmed.geometry.composite import CompositeMediator, plane_composite
from jaxmed.geometry.paths import Paths
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array


@at_the_door()
def regress_exposure(paths: Paths) -> CompositeMediator:
    """The composite that best predicts the exposure (an ageing clock): w = (X'X)^-1 X'A.

    Returns:
      CompositeMediator; its indirect effect is exactly the total indirect effect a'y/tau (primal).
    Source: He (2026) section 6, method [4]. Minimum-norm within the row space in the dual.
    """
    return plane_composite(paths, *towards_exposure(paths))


def towards_exposure(paths: Paths) -> tuple[Array, Array]:
    """The direction of `regress_exposure`, as multiples of exposure path and outcome path."""
    return divide(1.0, paths.exposure_norm, 0.0), jnp.zeros_like(paths.exposure_norm)


@at_the_door()
def regress_outcome(paths: Paths) -> CompositeMediator:
    """The composite that best predicts the outcome without the exposure: w = (X'X)^-1 X'Y.

    Source: He (2026) section 6, method [3]. With G = S + ss'/tau, G^-1 X'Y lies in the plane of the
      paths: y + k a with k = A'Y/tau - a'(y + a A'Y/tau) / (tau + |a|^2).
    """
    return plane_composite(paths, *towards_outcome(paths))


def towards_outcome(paths: Paths) -> tuple[Array, Array]:
    """The direction of `regress_outcome`, as multiples of exposure path and outcome path."""
    ratio = paths.total_effect
    a, y = paths.exposure_path, paths.outcome_path
    inner = jnp.sum(a * (y + a * ratio))
    k = ratio - divide(inner, paths.exposure_ss + jnp.sum(a * a))
    return k, jnp.ones_like(k)
