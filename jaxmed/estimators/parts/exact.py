"""What an exact fit leaves: an error of exactly 0, no interval, and a status that says so."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.typing import Array, Interval


def no_residual(residual_ss: Array, outcome_ss: Array) -> Array:
    """True where a residual sum of squares is rounding, so that the fit is exact.

    The limit is 1e-10 (10 eps in float32) of the outcome's sum of squares given exposure and
    covariates. What the differences of sums of squares leave of an
    exact fit is 1e-15 to 1e-12 of it, 1e-7 in float32.

    Args:
      residual_ss: of the outcome on everything in the model.
      outcome_ss: of the outcome given exposure and covariates, same shape and units.
    """
    limit = max(1e-10, 10 * float(jnp.finfo(outcome_ss.dtype).eps))
    return residual_ss <= limit * outcome_ss


def unless_rounding(value: Array, exact: Array, score: Array, outcome: Array) -> Array:
    """A coefficient of an exact fit, 0 where it is rounding; others as they are.

    Without this a coefficient of 1e-17 with an error of 0 would be beyond any doubt.

    Args:
      value: coefficients.
      exact: whether the fit is exact.
      score: length of what the outcome is multiplied by to get each of them.
      outcome: length of the outcome.
    """
    noise = 1e3 * float(jnp.finfo(value.dtype).eps) * score * outcome
    return jnp.where(exact & (jnp.abs(value) <= noise), 0, value)


def interval_with_width(
    estimate: Array, error: Array, quantile: Array, level: float, method: str
) -> Interval:
    """Estimate -+ quantile times error; NaN limits where that has no width.

    An interval of width 0 reads as certainty and covers nothing but the exact number.
    """
    lower, upper = estimate - quantile * error, estimate + quantile * error
    width = upper > lower
    return Interval(
        jnp.where(width, lower, jnp.nan), jnp.where(width, upper, jnp.nan), level, method
    )


def without_width(errors: Array, limits: Array) -> Array:
    """ZERO_RESIDUAL where any of the errors exists and its limit does not; int32 scalar.

    Args:
      errors: [k] standard errors.
      limits: [k] one limit of each interval.
    """
    lost = jnp.isfinite(errors) & jnp.isnan(limits)
    return st.when(jnp.any(lost, axis=-1), st.ZERO_RESIDUAL)
