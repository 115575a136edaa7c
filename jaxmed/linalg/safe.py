"""Divisions and norms that may meet zero, safe under `grad` (double `where`), and safe units."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmed.typing import Array, ArrayLike

# Exponents of two: products of squares of two columns, summed over rows, stay in range.
SAFE = {"float64": 240, "float32": 24}
NORMAL = {"float64": (-1000, 1000), "float32": (-120, 120)}  # of the units themselves


def divide(numerator: ArrayLike, denominator: ArrayLike, otherwise: ArrayLike = 0.0) -> Array:
    """Numerator / denominator, and `otherwise` where the denominator is exactly zero.

    The axes of the one with fewer are the last of the other's, also where JAX is told to refuse
    such a difference (`jax_numpy_rank_promotion`).
    """
    numerator, denominator = _same_rank(jnp.asarray(numerator), jnp.asarray(denominator))
    zero = denominator == 0
    # `lax.select`: equal shapes, and called too often for a nested trace of `jnp.where`.
    quotient = numerator / lax.select(zero, jnp.ones_like(denominator), denominator)
    return jnp.where(zero, jnp.asarray(otherwise, quotient.dtype), quotient)


def _same_rank(first: Array, second: Array) -> tuple[Array, Array]:
    """Both with as many axes, but for scalars, which have none to compare."""
    if first.ndim and second.ndim:
        first, second = (
            v[(None,) * (max(first.ndim, second.ndim) - v.ndim)] for v in (first, second)
        )
    return first, second


def sqrt(x: ArrayLike) -> Array:
    """Square root of max(x, 0) with gradient 0 (not infinite) at and below 0; NaN stays NaN."""
    x = jnp.asarray(x)
    below = x <= 0
    root = jnp.sqrt(lax.select(below, jnp.ones_like(x), x))
    return lax.select(below, jnp.zeros_like(root), root)


def norm(x: Array) -> Array:
    """Euclidean norm over the last axis, with gradient 0 at 0."""
    return sqrt(jnp.sum(x * x, axis=-1))


def unit(x: Array) -> tuple[Array, Array]:
    """(x / |x|, |x|) over the last axis; the zero vector stays zero."""
    length = norm(x)
    return divide(x, length[..., None]), length


def power_of_two(xp: Any, largest: Any) -> Any:
    """What columns of these largest magnitudes are divided by: 1 within a wide safe range.

    Args:
      xp: the module of the array, `numpy` or `jax.numpy`.
      largest: magnitudes; 1 for those that are 0 or no numbers.
    """
    name = np.dtype(largest.dtype).name
    one = xp.ones_like(largest)
    known = (largest > 0) & xp.isfinite(largest)
    _, exponent = xp.frexp(xp.where(known, largest, one))
    exponent = xp.clip(exponent, *NORMAL[name])
    return xp.where(known & (xp.abs(exponent) > SAFE[name]), xp.ldexp(one, exponent), one)
