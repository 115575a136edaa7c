"""From the coefficients of folds to the interval of a split, and from splits to one answer."""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.safe import norm, sqrt
from jaxmed.typing import Array, Interval, Key, pytree

DRAWS = 4000
METHOD = "cross-fit, product of t, median of splits"


@pytree
class SplitEstimate:
    """One split, or [S] of them."""

    effect: Array  # mean over folds of alpha_f beta_f
    standard_error: Array
    lower: Array
    upper: Array
    status: Array  # int32, the worst of its folds


@pytree
class SplitSummary:
    """What S splits say together."""

    effect: Array  # [] median
    standard_error: Array  # []
    interval: Interval
    spread: Array  # [] standard deviation of the estimates over splits; NaN for one split
    lowest: Array  # [] smallest estimate of a split
    highest: Array  # []
    used: Array  # [] int32, splits that have an estimate
    status: Array  # [] int32


def split_estimate(
    key: Key, alpha: Array, alpha_se: Array, beta: Array, beta_se: Array, df: Array, level: float
) -> tuple[Array, Array, Array, Array]:
    """(effect, standard error, lower, upper) of the mean of K products.

    Limits are percentiles of the mean with each factor drawn from its t distribution.

    Args:
      key: consumed.
      alpha: [K] exposure effects of held-out scores, with their standard errors.
      alpha_se: [K].
      beta: [K] outcome effects.
      beta_se: [K].
      df: [K] of alpha; beta has one fewer.
      level: of the interval.
    """
    first, second = jax.random.split(key)
    shape = (DRAWS, alpha.shape[0])
    a = alpha + alpha_se * _student(first, df, shape)
    b = beta + beta_se * _student(second, df - 1, shape)
    tails = jnp.asarray([(1 - level) / 2, (1 + level) / 2], alpha.dtype)
    lower, upper = jnp.quantile(jnp.mean(a * b, axis=1), tails)
    variance = (alpha * beta_se) ** 2 + (beta * alpha_se) ** 2 + (alpha_se * beta_se) ** 2
    error = norm(jnp.sqrt(variance)) / alpha.shape[0]
    return jnp.mean(alpha * beta), error, lower, upper


def median_of_splits(splits: SplitEstimate, level: float) -> SplitSummary:
    """Median over splits, with what the choice of the split adds to its uncertainty.

    The variance is the median over splits of se_k^2 + (theta_k - median)^2. The interval treats
    either side of a split's own interval the same way: its length d_k below (above) the estimate
    becomes the root of the median of d_k^2 + z^2 (theta_k - median)^2, which keeps the skewness of
    products and is the interval of that variance where d_k = z se_k.

    Args:
      splits: [S].
      level: of their intervals.
    Returns:
      SplitSummary from the splits that have an estimate; NaN with their status where these are
      not more than half.
    Source: Chernozhukov et al. (2018), The Econometrics Journal 21, definition 3.3; the two sides
      are ours.
    """
    exists = jnp.isfinite(splits.effect) & ~st.is_fatal(splits.status)
    used = jnp.sum(exists, dtype=jnp.int32)
    enough = 2 * used > exists.shape[0]

    def known(values: Array) -> Array:
        return jnp.where(exists & enough, values, jnp.nan)

    effect = known(splits.effect)
    middle = jnp.nanmedian(effect)
    apart = effect - middle
    z = jax.scipy.special.ndtri(jnp.asarray((1 + level) / 2, effect.dtype))

    def side(length: Array) -> Array:
        return sqrt(jnp.nanmedian(known(length) ** 2 + (z * apart) ** 2))

    below, above = side(splits.effect - splits.lower), side(splits.upper - splits.effect)
    mean = jnp.nanmean(effect)
    spread = sqrt(jnp.nansum((effect - mean) ** 2) / jnp.maximum(used - 1, 1))
    return SplitSummary(
        middle,
        sqrt(jnp.nanmedian(known(splits.standard_error) ** 2 + apart**2)),
        Interval(middle - below, middle + above, level, METHOD),
        jnp.where(enough & (used > 1), spread, jnp.nan),
        jnp.nanmin(effect),
        jnp.nanmax(effect),
        used,
        # What a lost split died of says nothing about an estimate without it.
        jnp.max(jnp.where(exists | ~enough, splits.status, st.OK)),
    )


def _student(key: Key, df: Array, shape: tuple[int, ...]) -> Array:
    """Approximate t variates as a transform of normal ones, within 0.5% for 3 or more df.

    A gamma sampler would be exact and take longer to compile than the rest of the cross-fit.
    Source: Gaver and Kafadar (1984), The American Statistician 38.
    """
    normal = jax.random.normal(key, shape, df.dtype)
    rate = (df - 1.5) / (df - 1) ** 2
    return jnp.sign(normal) * jnp.sqrt(df * jnp.expm1(normal**2 * rate))
