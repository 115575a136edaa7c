"""From the coefficients of folds to the estimate of a split, and from splits to one answer."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.linalg.safe import norm, sqrt
from jaxmed.typing import Array, Interval, pytree

METHOD = "cross-fit, median of splits, normal"


@pytree
class SplitEstimate:
    """One split, or [S] of them."""

    effect: Array  # mean over folds of alpha_f beta_f
    standard_error: Array
    status: Array  # int32, the worst of its folds


@pytree
class SplitMedian:
    """What S splits say together."""

    effect: Array  # [] median
    standard_error: Array  # []
    interval: Interval
    spread: Array  # [] standard deviation of the estimates over splits; NaN for one split
    lowest: Array  # [] smallest estimate of a split
    highest: Array  # []
    used: Array  # [] int32, splits that have an estimate
    status: Array  # [] int32


def mean_of_products(
    alpha: Array, alpha_se: Array, beta: Array, beta_se: Array
) -> tuple[Array, Array]:
    """Mean of K independent products [..., K] and its standard error, both [...].

    Source: variance of a product, Goodman (1960), with estimates for parameters and a plus sign
      before the last term, which is above the unbiased estimate.
    """
    variance = (alpha * beta_se) ** 2 + (beta * alpha_se) ** 2 + (alpha_se * beta_se) ** 2
    return jnp.mean(alpha * beta, axis=-1), norm(jnp.sqrt(variance)) / alpha.shape[-1]


def median_of_draws(estimates: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median over draws and its standard error, on the host: what `median_of_splits` has.

    Args:
      estimates: [..., S], of draws that have one.
      errors: [..., S] standard errors.
    Returns:
      Median [...] and the root of the median of se_k^2 + (theta_k - median)^2 [...].
    Source: Chernozhukov et al. (2018), The Econometrics Journal 21, definition 3.3.
    """
    middle = np.median(estimates, axis=-1, keepdims=True)
    variance = np.median(errors**2 + (estimates - middle) ** 2, axis=-1)
    return middle[..., 0], np.sqrt(variance)


def median_of_splits(splits: SplitEstimate, level: float) -> SplitMedian:
    """Median over splits, with what the choice of the split adds to its uncertainty.

    The variance is the median over splits of se_k^2 + (theta_k - median)^2. It does not count that
    a median of several splits errs less than one split, so that its normal interval is wide enough
    without the heavier tails of products.

    Args:
      splits: [S].
      level: of the interval.
    Returns:
      SplitMedian of the splits that have an estimate; NaN with their status where these are not
      more than half.
    Source: Chernozhukov et al. (2018), The Econometrics Journal 21, definition 3.3.
    """
    exists = jnp.isfinite(splits.effect) & ~st.is_fatal(splits.status)
    used = jnp.sum(exists, dtype=jnp.int32)
    enough = 2 * used > exists.shape[0]

    def known(values: Array) -> Array:
        return jnp.where(exists & enough, values, jnp.nan)

    effect = known(splits.effect)
    middle = jnp.nanmedian(effect)
    error = sqrt(jnp.nanmedian(known(splits.standard_error) ** 2 + (effect - middle) ** 2))
    # Held-out outcomes that are fitted exactly leave no error, and no interval.
    exact = error == 0
    error = jnp.where(exact, jnp.nan, error)
    half = jax.scipy.special.ndtri(jnp.asarray((1 + level) / 2, effect.dtype)) * error
    degrees = jnp.maximum(used - 1, 1).astype(effect.dtype)
    squares = jnp.nansum((effect - jnp.nanmean(effect)) ** 2)
    return SplitMedian(
        middle,
        error,
        Interval(middle - half, middle + half, level, METHOD),
        jnp.where(enough & (used > 1), sqrt(squares / degrees), jnp.nan),
        jnp.nanmin(effect),
        jnp.nanmax(effect),
        used,
        # What a lost split died of says nothing about an estimate without it.
        st.combine(
            jnp.max(jnp.where(exists | ~enough, splits.status, st.OK)),
            st.when(exact, st.ZERO_RESIDUAL),
        ),
    )
