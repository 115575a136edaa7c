"""Effects that ordinary least squares identifies without optimising anything: total and direct."""

import jax.numpy as jnp

from jaxmed.distributions.tails import t_quantile
from jaxmed.geometry.paths import Paths
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, Interval, pytree


@pytree
class LinearEffect:
    """One regression coefficient with its t interval; scalars."""

    estimate: Array  # outcome per unit of exposure
    standard_error: Array
    interval: Interval


def total_and_direct(result: Paths, *, level: float = 0.95) -> tuple[LinearEffect, LinearEffect]:
    """Effect of the exposure given the covariates, and given covariates and all mediators.

    Returns:
      (total, direct) with m = n-2-q and m-p degrees of freedom; the direct effect is NaN in the
      dual, where the mediators leave no residual.
    """
    q = result.quadratics
    m, tau = q.residual_df, result.exposure_ss
    left = result.outcome_ss - result.total_effect * result.exposure_outcome
    total_variance = divide(jnp.maximum(left, 0), m * tau, jnp.nan)
    direct_variance = divide(q.residual_variance * (1 + q.exposure_exposure), tau, jnp.nan)
    no_residual = jnp.isnan(q.residual_variance)
    direct = jnp.where(no_residual, jnp.nan, result.total_effect - q.total_indirect)
    # One evaluation for both: the quantile dominates the compile time.
    estimate = jnp.stack([result.total_effect, direct])
    variance = jnp.stack([total_variance, direct_variance])
    df = jnp.maximum(jnp.stack([m, m - q.dimension]), 1)
    error = jnp.where(jnp.isnan(variance) | jnp.isnan(estimate), jnp.nan, sqrt(variance))
    half = t_quantile((1 + level) / 2, df) * error
    lower, upper = estimate - half, estimate + half
    first, second = (
        LinearEffect(estimate[i], error[i], Interval(lower[i], upper[i], level, "t"))
        for i in (0, 1)
    )
    return first, second
