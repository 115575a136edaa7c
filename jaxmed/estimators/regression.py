"""Effects that ordinary least squares identifies without optimising anything: total and direct."""

import jax.numpy as jnp

from jaxmed.distributions.tails import t_quantile, t_two_sided
from jaxmed.geometry.paths import Paths
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, Interval, pytree


@pytree
class LinearEffect:
    """One regression coefficient with its t interval; scalars."""

    estimate: Array  # outcome per unit of exposure
    standard_error: Array
    interval: Interval
    p_value: Array  # two-sided
    df: Array


def total_effect(result: Paths, *, level: float = 0.95) -> LinearEffect:
    """Effect of the exposure given the covariates, m = n - 2 - q degrees of freedom; both regimes."""
    m = result.quadratics.residual_df
    left = result.outcome_ss - result.total_effect * result.exposure_outcome
    variance = divide(jnp.maximum(left, 0), m * result.exposure_ss, jnp.nan)
    return _effect(result.total_effect, variance, m, level)


def direct_effect(result: Paths, *, level: float = 0.95) -> LinearEffect:
    """Effect of the exposure given covariates and all mediators, m - p degrees of freedom.

    NaN in the dual, where the mediators leave no residual.
    """
    q = result.quadratics
    estimate = result.total_effect - q.total_indirect
    variance = divide(q.residual_variance * (1 + q.exposure_exposure), q.exposure_ss, jnp.nan)
    estimate = jnp.where(jnp.isnan(q.residual_variance), jnp.nan, estimate)
    return _effect(estimate, variance, q.residual_df - q.dimension, level)


def _effect(estimate: Array, variance: Array, df: Array, level: float) -> LinearEffect:
    error = jnp.where(jnp.isnan(variance), jnp.nan, sqrt(variance))
    half = t_quantile((1 + level) / 2, jnp.maximum(df, 1)) * error
    interval = Interval(estimate - half, estimate + half, level, "t")
    p_value = t_two_sided(divide(estimate, error, jnp.inf), jnp.maximum(df, 1))
    return LinearEffect(
        estimate, error, interval, jnp.where(jnp.isnan(error), jnp.nan, p_value), df
    )
