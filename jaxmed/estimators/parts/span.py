"""The span of mediators that may depend on each other, given covariates and exposure."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.dependent import gram_factor, null_free
from jaxmed.linalg.products import matmul
from jaxmed.typing import Array, pytree

SURE = 32  # root eps: pivots below are nothing to rely on, coefficients below are none


@pytree
class Span:
    """A factor of the columns that count, and what the dependent ones are part of; leaves [d]."""

    lower: Array  # [d, d] Cholesky factor; solves leave out a column that is not kept
    kept: Array  # bool: in the model, and no combination of those before it
    tied: Array  # bool: takes part in a dependency, so that its own coefficient is not determined
    status: Array  # []

    @property
    def notes(self) -> Array:
        """SPAN_ONLY where there is a dependency; uint32 scalar."""
        return st.note_when(jnp.any(self.tied), st.Note.SPAN_ONLY)


def span_of(inner: Array, inside: Array, paths: Array) -> Span:
    """Factor of a Gram matrix of unit columns, the dependent ones left out.

    Args:
      inner: [d, d] of the columns given covariates and exposure.
      inside: [d] bool, which of them are in the model.
      paths: [k, d] coefficients of the exposure for these columns, in units of their lengths
        over the exposure's. A combination of columns that vanishes given the exposure must not
        move with it either: the exposure's own coefficient is then not determined.
    Returns:
      Span; RANK_DEFICIENT where a dependency involves the exposure, or where a column is so close
      to one that normal equations cannot tell.
    Source: dependent is what `statistics.joint_factor` calls so.
    """
    d, eps = inner.shape[0], float(jnp.finfo(inner.dtype).eps)
    limit = jnp.asarray(4 * max(d, 8) * eps, inner.dtype)
    upper, kept, _ = gram_factor(_padded(inner, inside), limit)
    free = null_free(upper, kept)
    tied = (1 - jnp.diagonal(free) > SURE**2 * eps) & inside
    paths = jnp.where(inside, paths, 0)
    moved = jnp.max(jnp.abs(paths - matmul(paths, free)), axis=1)
    scale = jnp.maximum(1, jnp.max(jnp.abs(paths), axis=1))
    with_exposure = jnp.any(moved > SURE * eps**0.5 * scale)
    code = st.when(with_exposure | singular(upper), st.RANK_DEFICIENT)
    return Span(upper.T, kept & inside, tied, code)


def factor(inner: Array, inside: Array) -> Array:
    """Cholesky factor of a Gram matrix with the identity where `inside` [d] does not hold."""
    return jnp.linalg.cholesky(_padded(inner, inside))


def singular(triangle: Array) -> Array:
    """True where a triangular factor of unit columns says that they are dependent."""
    pivot = jnp.min(jnp.diagonal(triangle))
    return ~(pivot > SURE * jnp.finfo(triangle.dtype).eps ** 0.5)


def _padded(inner: Array, inside: Array) -> Array:
    both = inside[:, None] & inside[None, :]
    return jnp.where(both, inner, jnp.eye(inside.shape[0], dtype=inner.dtype))
