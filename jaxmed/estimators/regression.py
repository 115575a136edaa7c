"""Effects that ordinary least squares identifies without optimising anything: total and direct."""

import jax.numpy as jnp

from jaxmed.distributions.tails import t_quantile
from jaxmed.estimators.parts.exact import interval_with_width, no_residual, unless_rounding
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
      dual, where the mediators leave no residual. Where the outcome is fitted exactly the error
      is 0 and there is no interval (NaN limits).
    """
    q = result.quadratics
    m, tau = q.residual_df, result.exposure_ss
    left = jnp.maximum(result.outcome_ss - result.total_effect * result.exposure_outcome, 0)
    left = jnp.where(no_residual(left, result.outcome_ss), 0, left)
    total_variance = divide(left, m * tau, jnp.nan)
    exact = no_residual(q.residual_ss, q.outcome_outcome + q.residual_ss)
    residual_variance = jnp.where(exact, 0, q.residual_variance)
    direct_variance = divide(residual_variance * (1 + q.exposure_exposure), tau, jnp.nan)
    missing = jnp.isnan(q.residual_variance)
    direct = jnp.where(missing, jnp.nan, result.total_effect - q.total_indirect)
    score = sqrt(divide(1 + q.exposure_exposure, tau))
    direct = unless_rounding(direct, exact, score, sqrt(result.outcome_ss))
    # One evaluation for both: the quantile dominates the compile time.
    estimate = jnp.stack([result.total_effect, direct])
    variance = jnp.stack([total_variance, direct_variance])
    df = jnp.maximum(jnp.stack([m, m - q.dimension]), 1)
    error = jnp.where(jnp.isnan(variance) | jnp.isnan(estimate), jnp.nan, sqrt(variance))
    quantile = t_quantile((1 + level) / 2, df)
    first, second = (
        LinearEffect(
            estimate[i],
            error[i],
            interval_with_width(estimate[i], error[i], quantile[i], level, "t"),
        )
        for i in (0, 1)
    )
    return first, second
