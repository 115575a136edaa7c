"""Divisions and norms that may meet zero, safe under `grad` (double `where`)."""

import jax.numpy as jnp

from jaxmed.typing import Array, ArrayLike


def divide(numerator: ArrayLike, denominator: ArrayLike, otherwise: ArrayLike = 0.0) -> Array:
    """Numerator / denominator, and `otherwise` where the denominator is exactly zero.

    The axes of the one with fewer are the last of the other's, also where JAX is told to refuse
    such a difference (`jax_numpy_rank_promotion`).
    """
    numerator, denominator = _same_rank(jnp.asarray(numerator), jnp.asarray(denominator))
    zero = denominator == 0
    quotient = numerator / jnp.where(zero, jnp.ones_like(denominator), denominator)
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
    return jnp.where(below, jnp.zeros_like(x), jnp.sqrt(jnp.where(below, jnp.ones_like(x), x)))


def norm(x: Array) -> Array:
    """Euclidean norm over the last axis, with gradient 0 at 0."""
    return sqrt(jnp.sum(x * x, axis=-1))


def unit(x: Array) -> tuple[Array, Array]:
    """(x / |x|, |x|) over the last axis; the zero vector stays zero."""
    length = norm(x)
    return divide(x, length[..., None]), length
