"""Cholesky factors of the usual covariances of mediators, in closed form."""

import jax.numpy as jnp
import numpy as np

from jaxmed.budget import check_at_least, check_fits
from jaxmed.data.validation import is_traced
from jaxmed.linalg.safe import sqrt
from jaxmed.typing import Array, ArrayLike

__all__ = ["ar1_factor", "equicorrelated_factor"]


def ar1_factor(p: int, correlation: ArrayLike) -> Array:
    """Lower L [p, p] with (LL')_ij = correlation^|i-j|.

    Row i of x = L z is the recursion x_i = correlation x_(i-1) + sqrt(1 - correlation^2) z_i.
    """
    _check_size(p)
    rho = jnp.asarray(correlation, jnp.result_type(float, correlation))
    lag = jnp.arange(p)[:, None] - jnp.arange(p)
    power = jnp.where(lag >= 0, rho ** jnp.maximum(lag, 0), 0.0)
    scale = jnp.where(jnp.arange(p) == 0, jnp.ones_like(rho), sqrt(1 - rho * rho))
    return power * scale


def equicorrelated_factor(p: int, correlation: ArrayLike) -> Array:
    """Lower L [p, p] with LL' = (1 - correlation) I + correlation 11', which is positive definite.

    Args:
      p: size, static.
      correlation: in [0, 1). A traced one outside is not refused; 1 gives NaN.

    Raises:
      ValueError: a concrete correlation outside [0, 1).
    """
    _check_size(p)
    if not is_traced(correlation) and not np.all(
        (np.asarray(correlation) >= 0) & (np.asarray(correlation) < 1)
    ):
        raise ValueError(f"correlation must lie in [0, 1), not {correlation}")
    rho = jnp.asarray(correlation, jnp.result_type(float, correlation))
    # Given the columns before it, column j keeps variance d_j, and all later rows share the
    # same covariance c_j with it.
    j = jnp.arange(p)
    kept = (1 - rho) * (1 + j * rho) / (1 + jnp.maximum(j - 1, 0) * rho)
    kept = jnp.where(j == 0, 1.0, kept)
    shared = jnp.where(j == 0, rho, rho * (1 - rho) / (1 + jnp.maximum(j - 1, 0) * rho))
    below = jnp.where(j[:, None] > j, shared / sqrt(kept), 0.0)
    return below + jnp.diag(sqrt(kept))


def _check_size(p: int) -> None:
    check_at_least("p", p, 1)
    check_fits("p", p, 8, power=2)
