"""Reg Y~X and Reg A~X: composites that optimise one path and ignore the other."""

import jax.numpy as jnp

from jaxmed.door import at_the_door
from jaxmed.geometry.composite import CompositeMediator, plane_composite
from jaxmed.geometry.paths import Paths
from jaxmed.linalg.safe import divide


@at_the_door()
def regress_exposure(paths: Paths) -> CompositeMediator:
    """The composite that best predicts the exposure (an ageing clock): w = (X'X)^-1 X'A.

    Returns:
      CompositeMediator; its indirect effect is exactly the total indirect effect a'y/tau (primal).
    Source: He (2026) section 6, method [4]. Minimum-norm within the row space in the dual.
    """
    zero = jnp.zeros_like(paths.exposure_norm)
    return plane_composite(paths, divide(1.0, paths.exposure_norm, 0.0), zero)


@at_the_door()
def regress_outcome(paths: Paths) -> CompositeMediator:
    """The composite that best predicts the outcome without the exposure: w = (X'X)^-1 X'Y.

    Source: He (2026) section 6, method [3]. With G = S + ss'/tau, G^-1 X'Y lies in the plane of the
      paths: y + k a with k = A'Y/tau - a'(y + a A'Y/tau) / (tau + |a|^2).
    """
    ratio = paths.total_effect
    a, y = paths.exposure_path, paths.outcome_path
    inner = jnp.sum(a * (y + a * ratio))
    k = ratio - divide(inner, paths.exposure_ss + jnp.sum(a * a))
    return plane_composite(paths, k, jnp.ones_like(k))
