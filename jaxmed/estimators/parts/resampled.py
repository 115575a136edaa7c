"""Bootstrap draws to standard errors, intervals and p-values; row counts of resamples."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from jaxmed.budget import check_count
from jaxmed.distributions.tails import normal_quantile, normal_two_sided
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, Key, pytree

BootstrapInterval = Literal["bca", "percentile"]
DRAWS = 512  # at a time, so that equal rows and case weights see the same random numbers


@pytree
class Resampled:
    """What the draws say about each quantity; leaves [...] as one draw."""

    standard_error: Array
    lower: Array
    upper: Array
    p_value: Array


def check_interval(interval: str, replicates: int) -> None:
    """Raises ValueError for an unknown interval, too few replicates or more than memory holds."""
    if interval not in get_args(BootstrapInterval):
        raise ValueError(f"interval must be one of {get_args(BootstrapInterval)}, not {interval!r}")
    check_count("replicates", replicates, least=2)


def resample_counts(key: Key, weights: Array) -> Array:
    """How often each row is drawn, [n]: sum(weights) draws, proportional to the weights.

    A row of weight 2 is drawn as two adjacent equal rows are, with the same random numbers.
    """
    edges = jnp.cumsum(weights)
    total, last = edges[-1], weights.shape[0] - 1
    blocks = jnp.ceil(total / DRAWS).astype(jnp.int32)

    def block(i: Array, counts: Array) -> Array:
        at = jax.random.uniform(jax.random.fold_in(key, i), (DRAWS,), edges.dtype) * total
        row = jnp.minimum(jnp.searchsorted(edges, at, side="right"), last)
        drawn = (i * DRAWS + jnp.arange(DRAWS, dtype=i.dtype)).astype(total.dtype) < total
        return counts.at[row].add(drawn.astype(counts.dtype))

    return jax.lax.fori_loop(0, blocks, block, jnp.zeros_like(weights))


def acceleration(values: Array, weights: Array) -> Array:
    """Third moment over the second to 3/2, divided by 6: of jackknife values [m, ...]."""
    shape = (-1,) + (1,) * (values.ndim - 1)
    w = jnp.reshape(weights, shape)
    mean = jnp.sum(w * values, axis=0, keepdims=True) / jnp.sum(w)
    u = mean - values
    second = jnp.sum(w * u * u, axis=0)
    return divide(jnp.sum(w * u**3, axis=0), 6 * second * sqrt(second))


def summarise(
    estimate: Array,
    draws: Array,
    accelerations: Array,
    *,
    interval: str,
    level: float,
    release: bool,
) -> Resampled:
    """Standard error, interval and p-value of each quantity.

    Args:
      estimate: at the data, [...].
      draws: [B, ...].
      accelerations: [...], of BCa.
      interval: "bca" or "percentile".
      level: of the interval.
      release: z0 against the mean of the draws instead of the estimate, and
        p = 2 min(#{>0}, #{<0}) / B; else p is the smallest 1 - level whose interval excludes 0,
        not below 2/(B+1).
    Source: Efron and Tibshirani (1993), 14.3; type-7 quantiles.
    """
    count = draws.shape[0]
    centre = jnp.mean(draws, axis=0)
    error = sqrt(jnp.sum((draws - centre[None]) ** 2, axis=0) / (count - 1))
    ordered = jnp.sort(draws, axis=0)
    against = centre if release else estimate
    edge = jnp.asarray(1 / (count + 1), draws.dtype)
    below = jnp.mean(draws < against[None], axis=0, dtype=draws.dtype)
    if not release:
        # Half of the ties: a discrete or constant quantity has no bias to correct.
        below = below + jnp.mean(draws == against[None], axis=0, dtype=draws.dtype) / 2
        below = jnp.clip(below, edge, 1 - edge)
    bca = interval == "bca"
    shift = normal_quantile(below) if bca else jnp.zeros_like(estimate)
    curve = accelerations if bca else jnp.zeros_like(estimate)

    def bound(tail: float) -> Array:
        z = shift + normal_quantile(jnp.asarray(tail, draws.dtype))
        adjusted = shift + z / (1 - curve * z)
        return _quantile(ordered, normal_two_sided(adjusted), adjusted)

    lower, upper = bound((1 - level) / 2), bound((1 + level) / 2)
    positive, negative = (jnp.mean(d, axis=0, dtype=draws.dtype) for d in (draws > 0, draws < 0))
    if release:
        p = jnp.where(estimate == 0, 1, jnp.minimum(2 * jnp.minimum(positive, negative), 1))
    else:
        at_zero = normal_quantile(jnp.clip(_position_of_zero(ordered), edge, 1 - edge))
        moved = at_zero - shift
        p = normal_two_sided(moved / (1 + curve * moved) - shift)
        p = jnp.where(error > 0, jnp.maximum(p, 2 * edge), jnp.where(estimate == 0, 1, 2 * edge))
    missing = ~jnp.isfinite(centre)
    return Resampled(error, lower, upper, jnp.where(missing, jnp.nan, p))


def _quantile(ordered: Array, two_sided: Array, z: Array) -> Array:
    """Type-7 quantile at Phi(z) of draws sorted along axis 0."""
    probability = jnp.where(z < 0, two_sided / 2, 1 - two_sided / 2)
    place = probability * (ordered.shape[0] - 1)
    low = jnp.clip(jnp.floor(place), 0, ordered.shape[0] - 2)
    index = jnp.nan_to_num(low).astype(int)[None]
    first = jnp.take_along_axis(ordered, index, axis=0)[0]
    second = jnp.take_along_axis(ordered, index + 1, axis=0)[0]
    return first + (place - low) * (second - first)


def _position_of_zero(ordered: Array) -> Array:
    """The probability whose type-7 quantile is 0; 0 or 1 where all draws are on one side."""
    count = ordered.shape[0]
    below = jnp.sum(ordered < 0, axis=0)
    index = jnp.clip(below - 1, 0, count - 2)[None]
    first = jnp.take_along_axis(ordered, index, axis=0)[0]
    second = jnp.take_along_axis(ordered, index + 1, axis=0)[0]
    place = (index[0].astype(ordered.dtype) + divide(-first, second - first)) / (count - 1)
    place = jnp.where(below == 0, 0, jnp.where(below == count, 1, place))
    return place.astype(ordered.dtype)
