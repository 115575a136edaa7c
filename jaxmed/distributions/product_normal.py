"""Quantiles of the product of two independent normals, the law of an estimated alpha * beta."""

import jax
import jax.numpy as jnp

from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, ArrayLike

NODES = 128
BISECTIONS = 48


def product_normal_quantile(
    probability: ArrayLike, mean_a: Array, sd_a: Array, mean_b: Array, sd_b: Array
) -> Array:
    """Quantile of (mean_a + sd_a Z1)(mean_b + sd_b Z2).

    Args:
      probability: in (0, 1); scalar, or with leading axes that broadcast against the others.
      mean_a, sd_a, mean_b, sd_b: arrays of one shape, sds >= 0.
    Returns:
      Quantiles of that shape, in units of a times b; relative error about 1e-3 of the product's
      standard deviation (midpoint rule over `NODES` equally likely slices of the first factor).
    Source: interval of MacKinnon et al. for a product of coefficients; no closed form exists.
    """
    slices = jax.scipy.special.ndtri((jnp.arange(NODES, dtype=mean_a.dtype) + 0.5) / NODES)
    a = mean_a[..., None] + sd_a[..., None] * slices

    def distribution(x: Array) -> Array:
        # P(a b <= x | a): b <= x/a for positive a, b >= x/a for negative a.
        z = divide(divide(x[..., None], a) - mean_b[..., None], sd_b[..., None])
        return jnp.mean(jax.scipy.special.ndtr(jnp.sign(a) * z), axis=-1)

    probability = jnp.asarray(probability, mean_a.dtype)
    mean = jnp.broadcast_to(mean_a * mean_b, jnp.broadcast_shapes(probability.shape, mean_a.shape))
    spread = jnp.sqrt((mean_a * sd_b) ** 2 + (mean_b * sd_a) ** 2 + (sd_a * sd_b) ** 2)

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        below = distribution(middle) < probability
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    # A product of normals is within 12 standard deviations of its mean at any usual level.
    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (mean - 12 * spread, mean + 12 * spread))
    return 0.5 * (low + high)
