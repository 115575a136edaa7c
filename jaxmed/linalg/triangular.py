"""Solves with one triangular factor, and what its diagonal says about rank and condition."""

import jax
import jax.numpy as jnp

from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array


def solve_upper_transposed(upper: Array, b: Array) -> Array:
    """R^-T b for upper triangular R [p, p] and b [p, k]."""
    return jax.scipy.linalg.solve_triangular(upper, b, trans=1, lower=False)


def solve_upper(upper: Array, b: Array) -> Array:
    """R^-1 b for upper triangular R [p, p] and b [p, k]."""
    return jax.scipy.linalg.solve_triangular(upper, b, lower=False)


def solve_lower(lower: Array, b: Array) -> Array:
    """L^-1 b for lower triangular L [p, p] and b [p] or [p, k]."""
    return jax.scipy.linalg.solve_triangular(lower, b, lower=True)


def signs(p: int, dtype: jnp.dtype) -> Array:
    """A fixed vector of +-1 without a regular pattern, [p]; a probe, not a random number."""
    # Integer hash of the index: any fixed pattern would be blind to some matrix of that pattern.
    index = jnp.arange(p, dtype=jnp.uint32)
    mixed = (index * jnp.uint32(2654435761)) ^ ((index * jnp.uint32(40503)) >> 7)
    return jnp.where((mixed >> 13) & 1 == 1, 1, -1).astype(dtype)


def pivot_ratio(upper: Array) -> Array:
    """Smallest over largest |diagonal| of R; 0 or tiny where columns are dependent."""
    diagonal = jnp.abs(jnp.diagonal(upper, axis1=-2, axis2=-1))
    return divide(jnp.min(diagonal, axis=-1), jnp.max(diagonal, axis=-1))


def condition_estimate(upper: Array, forward: Array, backward: Array) -> Array:
    """Condition number of R'R from below, by one step of power iteration from each end.

    Args:
      upper: R [p, p].
      forward: R^-T z for a probe z [p].
      backward: R^-1 R^-T z.
    Returns:
      Scalar, usually within a factor 3 of the 2-norm condition of R'R, never above it.
    """
    inverse_smallest = divide(jnp.sum(backward * backward), jnp.sum(forward * forward))
    probe = signs(upper.shape[0], upper.dtype)[:, None]
    image = matmul(upper.T, matmul(upper, probe))
    image = divide(image, jnp.sqrt(jnp.sum(image * image)))
    stretched = matmul(upper, image)
    largest = jnp.sum(stretched * stretched)
    from_pivots = divide(1.0, pivot_ratio(upper) ** 2, jnp.inf)
    return jnp.maximum(largest * inverse_smallest, from_pivots)
