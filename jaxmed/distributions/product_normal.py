"""Quantiles of the product of two independent normals, the law of an estimated alpha * beta."""

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, ArrayLike

NODES = 128
STEPS = 10
# Zelen and Severo's rational approximation of the normal tail (Abramowitz and Stegun 26.2.17):
# error below
# 7.5e-8, far below that of the nodes, from one exponential.
TAIL = (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429)
TAIL_SCALE = 0.2316419


def product_normal_quantile(
    probability: ArrayLike, mean_a: Array, sd_a: Array, mean_b: Array, sd_b: Array
) -> Array:
    """Quantile of (mean_a + sd_a Z1)(mean_b + sd_b Z2).

    Args:
      probability: in (0, 1); scalar, or with leading axes that broadcast against the others.
      mean_a: mean of the first factor; it and the next three are arrays of one shape.
      sd_a: its standard deviation, >= 0.
      mean_b: mean of the second factor.
      sd_b: its standard deviation, >= 0.
    Returns:
      Quantiles of the broadcast shape, in units of a times b; error about 1e-3 of the product's
      standard deviation (midpoint rule over `NODES` equally likely slices of the first factor). A
      factor without spread leaves the other's normal, in closed form.
    Source: interval of MacKinnon et al. for a product of coefficients; no closed form exists.
    """
    probability = jnp.asarray(probability, mean_a.dtype)
    shape = jnp.broadcast_shapes(probability.shape, mean_a.shape)
    axes = (None,) * (len(shape) - mean_a.ndim)
    mean_a, sd_a, mean_b, sd_b = (v[axes] for v in (mean_a, sd_a, mean_b, sd_b))
    nodes = ndtri((jnp.arange(NODES, dtype=mean_a.dtype) + 0.5) / NODES)
    nodes = nodes.reshape((1,) * len(shape) + (NODES,))
    a = mean_a[..., None] + sd_a[..., None] * nodes
    # P(a b <= x | a): b <= x/a for positive a, b >= x/a for negative a.
    rate, offset, sign = (
        divide(1.0, a * sd_b[..., None]),
        divide(mean_b, sd_b)[..., None],
        jnp.sign(a),
    )
    mean, spread = _moments(mean_a, sd_a, mean_b, sd_b)
    mean = jnp.broadcast_to(mean, shape)
    target = jnp.broadcast_to(ndtri(probability), shape)
    odds = jnp.sqrt(probability / (1 - probability))

    def excess(x: Array) -> Array:
        """Normal score of the cdf minus its target: nearly linear in x."""
        cdf = jnp.mean(_normal_cdf(sign * (x[..., None] * rate - offset)), axis=-1)
        return ndtri(jnp.clip(cdf, 1e-9, 1 - 1e-7)) - target

    def step(_: int, state: tuple[Array, ...]) -> tuple[Array, ...]:
        low, high, at_low, at_high, x = state
        value = excess(x)
        below = value < 0
        # Illinois: an end that stays twice counts half, or it would stay for good.
        at_low, at_high = (
            jnp.where(below, value, 0.5 * at_low),
            jnp.where(below, 0.5 * at_high, value),
        )
        low, high = jnp.where(below, x, low), jnp.where(below, high, x)
        return low, high, at_low, at_high, low - at_low * divide(high - low, at_high - at_low)

    # Cantelli's inequality brackets the quantile of any law with this mean and sd.
    low, high = mean - spread / odds, mean + spread * odds
    start = jnp.clip(mean + spread * target, low, high)
    ends = (-1.0 / odds - 1e-3, odds + 1e-3)
    at_low, at_high = (jnp.broadcast_to(end, shape) for end in ends)
    state = (low, high, at_low, at_high, start)
    found: Array = jax.lax.fori_loop(0, STEPS, step, state)[4]
    # With one factor exact the start is the quantile already.
    return jnp.where((sd_a == 0) | (sd_b == 0), mean + spread * target, found)


def product_normal_interval(
    level: float, mean_a: Array, sd_a: Array, mean_b: Array, sd_b: Array
) -> tuple[Array, Array]:
    """Equal-tailed limits of the product; NaN where they have no width.

    Whether they have one is known without them, see `product_has_width`.

    Args:
      level: coverage.
      mean_a: as in `product_normal_quantile`, like the next three.
      sd_a: >= 0.
      mean_b: of one shape with the others.
      sd_b: >= 0.
    """
    both = jnp.asarray([(1 - level) / 2, (1 + level) / 2], mean_a.dtype)
    tails = both.reshape(2, *(1,) * mean_a.ndim)
    found: Array = product_normal_quantile(tails, mean_a, sd_a, mean_b, sd_b)
    lower: Array = found[0]
    upper: Array = found[1]
    width = upper > lower
    return jnp.where(width, lower, jnp.nan), jnp.where(width, upper, jnp.nan)


def product_has_width(mean_a: Array, sd_a: Array, mean_b: Array, sd_b: Array) -> Array:
    """Whether limits of the product exist: not where a number is missing or spread is rounding.

    Arguments as of `product_normal_quantile`.
    """
    mean, spread = _moments(mean_a, sd_a, mean_b, sd_b)
    return jnp.isfinite(spread) & (mean + spread > mean - spread)


def _moments(mean_a: Array, sd_a: Array, mean_b: Array, sd_b: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of the product."""
    square = (mean_a * sd_b) ** 2 + (mean_b * sd_a) ** 2 + (sd_a * sd_b) ** 2
    return mean_a * mean_b, jnp.sqrt(square)


def _normal_cdf(z: Array) -> Array:
    size = jnp.abs(z)
    t = 1 / (1 + TAIL_SCALE * size)
    polynomial = jnp.zeros_like(t)
    for coefficient in reversed(TAIL):
        polynomial = t * (polynomial + coefficient)
    tail = jnp.exp(-0.5 * z * z) * (2 * jnp.pi) ** -0.5 * polynomial
    return jnp.where(z > 0, 1 - tail, tail)
