"""The polygenic indirect effect p E[alpha beta] from the random-effects regression."""

import dataclasses

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.distributions.tails import t_quantile
from jaxmed.inference.random_effects import RandomEffectsFit
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, Interval, pytree

__all__ = [
    "LARGEST_RATIO",
    "PolygenicEffect",
    "extrapolation_ratio",
    "not_asked",
    "polygenic_effect",
    "refused",
]

METHOD = "polygenic, Student"

# From this ratio on the estimate is refused: 1 where mediators are independent, 1.7 where they
# form an AR(.75), 3.5 for AR(.95), 5.7 on a proteome whose estimate was 6 times the total effect.
LARGEST_RATIO = 2.0


@pytree
class PolygenicEffect:
    """Estimate of p E[alpha_j beta_j], outcome per unit of exposure."""

    indirect: Array
    standard_error: Array
    interval: Interval
    status: Array  # int32


def extrapolation_ratio(fit: RandomEffectsFit, num_mediators: int) -> Array:
    """The factor [B] between row space and all p coordinates: u'Pu / (|alpha-hat|^2 trace KP).

    Both forms of the effect, u'Py / trace KP (polygenic) and gamma |alpha-hat|^2 with gamma =
    u'Py / u'Pu (what the rows show), differ by this factor.
    """
    return divide(num_mediators * fit.score_score, fit.share * fit.trace, jnp.inf)


def polygenic_effect(
    fit: RandomEffectsFit,
    num_mediators: int,
    residual_df: Array,
    exposure_norm: Array,
    outcome_norm: Array,
    level: float,
) -> PolygenicEffect:
    """Estimate u'Py / trace KP, its standard error and Student interval (m - 1 df).

    Unbiased for any covariance of the mediators where E alpha_k beta_j = 0 for j != k. The variance
    adds the noise of the outcome, s2 u'Pu / (trace KP)^2, and that of alpha-hat,
    nie^2 (p/m) om / (tau a2) with om = trace K / m and a2 the larger of |alpha-hat|^2 - p om / tau
    and p om / tau. It says nothing about the ratio: `refused` does.

    Args:
      fit: of one exposure (B = 1).
      num_mediators: p.
      residual_df: m.
      exposure_norm: root of tau.
      outcome_norm: length of the outcome that was fitted.
      level: of the interval.
    Source: composite inference specification, section 5. Asymptotic.
    """
    share, trace, df = fit.share[0], fit.trace[0], residual_df
    unit = divide(num_mediators * outcome_norm, exposure_norm)
    indirect = unit * divide(fit.score_outcome[0], trace, jnp.nan)
    mean = divide(df + 1 - share, df)  # om, in units of the mean eigenvalue
    signal = jnp.maximum(share - mean, mean)
    variance = (unit * divide(1.0, trace)) ** 2 * fit.error_variance[0] * fit.score_score[0]
    variance = variance + indirect**2 * divide(mean, df * signal)
    error = sqrt(variance)
    half = t_quantile(jnp.asarray(0.5 + level / 2, error.dtype), jnp.maximum(df - 1, 1)) * error
    limits = Interval(indirect - half, indirect + half, level, METHOD)
    return PolygenicEffect(indirect, error, limits, jnp.int32(st.OK))


def refused(effect: PolygenicEffect, ratio: Array) -> PolygenicEffect:
    """The effect, and NaN with EXTRAPOLATED where the ratio is LARGEST_RATIO or more."""
    code = st.when(~(ratio < LARGEST_RATIO), st.EXTRAPOLATED)

    def known(value: Array) -> Array:
        return jnp.where(st.is_fatal(code), jnp.nan, value)

    limits = effect.interval
    limits = dataclasses.replace(limits, lower=known(limits.lower), upper=known(limits.upper))
    return PolygenicEffect(known(effect.indirect), known(effect.standard_error), limits, code)


def not_asked(like: Array, level: float) -> PolygenicEffect:
    """NaN with NOT_ESTIMATED, of the precision of `like`."""
    nothing = jnp.full_like(like, jnp.nan)
    limits = Interval(nothing, nothing, level, METHOD)
    return PolygenicEffect(nothing, nothing, limits, jnp.int32(st.NOT_ESTIMATED))
