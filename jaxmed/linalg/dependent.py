"""Triangular factors that leave out columns which depend linearly on earlier ones.

The plain factorisation comes first, and its result is returned untouched wherever no pivot is at
the level of rounding. Only where one is, the columns are taken once more: a `while_loop` that
otherwise does not run, so that a batch without dependent columns pays nothing and in a mixed one
the others keep every bit.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.linalg.products import matmul
from jaxmed.linalg.triangular import solve_upper, solve_upper_transposed
from jaxmed.typing import Array

__all__ = ["column_factor", "gram_factor", "null_free"]


@jax.custom_jvp
def gram_factor(gram: Array, limit: Array) -> tuple[Array, Array, Array]:
    """Cholesky factor of a Gram matrix of unit columns, without dependent columns.

    Args:
      gram: [d, d], columns of length 1 (or 0).
      limit: [d] or []: a column whose squared distance from the span of the kept columns before
        it is not above this depends on them; negative for a column that is always kept.
    Returns:
      upper [d, d]: U'U = gram on the kept columns. A dependent column has its coefficients on the
        kept ones above the diagonal, 1 on it, and zeros to its right, so that solves with U leave
        it out;
      kept [d] bool;
      least []: the most negative pivot met, 0 where none is; far below 0 (against the limit) the
        matrix is no Gram matrix, which no dropping repairs.
    """
    plain = jax.scipy.linalg.cholesky(gram, lower=False)
    bounds = jnp.broadcast_to(limit, gram.shape[:1])
    fine = jnp.all(jnp.diagonal(plain) ** 2 > jnp.maximum(bounds, 0))  # False for NaN
    everything = jnp.ones(gram.shape[0], bool)
    start = (fine, plain, everything, jnp.zeros((), gram.dtype))
    return _until_fine(lambda _: (jnp.ones((), bool), *_eliminated(gram, bounds)), start)


@gram_factor.defjvp
def _gram_factor_jvp(primals: tuple, tangents: tuple) -> tuple:
    found = gram_factor(*primals)
    return found, (_tangent(found[0], found[1], tangents[0]), _no_tangent(found[1]), 0 * found[2])


@jax.custom_jvp
def column_factor(triangle: Array, limit: Array) -> tuple[Array, Array]:
    """R of a QR decomposition without dependent columns.

    Args:
      triangle: R [d, d] of columns of length 1 (or 0), diagonal >= 0.
      limit: [d] or []: distance from the span of the kept columns before it at which a column
        counts as dependent; negative for a column that is always kept.
    Returns:
      (upper, kept) as from `gram_factor`; its error grows with the condition of the columns and
      not with its square.
    """
    triangle = jnp.asarray(triangle)
    bounds = jnp.broadcast_to(limit, triangle.shape[:1])
    found = jnp.diagonal(triangle) > bounds

    def again(state: tuple) -> tuple:
        # Dependent columns behind all others: the direction that rounding gave them is gone.
        kept = state[2]
        order = jnp.argsort(~kept, stable=True)
        upper = jnp.linalg.qr(triangle[:, order], mode="r")
        upper = jnp.where(jnp.diagonal(upper) < 0, -1, 1)[:, None].astype(upper.dtype) * upper
        upper = _finished(jnp.zeros_like(upper).at[order[:, None], order].set(upper), kept)
        left = kept & (jnp.diagonal(upper) > bounds)
        return jnp.all(left == kept), upper, left

    return _until_fine(again, (jnp.all(found), triangle, found))


@column_factor.defjvp
def _column_factor_jvp(primals: tuple, tangents: tuple) -> tuple:
    triangle, change = jnp.asarray(primals[0]), tangents[0]
    upper, kept = column_factor(*primals)
    half = matmul(triangle.T, change)
    moved = jnp.where(jnp.all(kept), change, _tangent(upper, kept, half + half.T))
    return (upper, kept), (moved, _no_tangent(kept))


def null_free(upper: Array, kept: Array) -> Array:
    """The projection [p, p] that takes weights to those of smallest norm with the same composite.

    Args:
      upper: [p, p] of `gram_factor` or `column_factor`.
      kept: [p].
    Returns:
      I - N (N'N)^-1 N', the columns of N the combinations of the p columns that vanish; I where
      all are kept.
    Source: one basis vector a dependent column j: itself less its coefficients on the kept ones.
    """
    upper, kept = (jax.lax.stop_gradient(value) for value in (upper, kept))
    identity = jnp.eye(upper.shape[0], dtype=upper.dtype)

    def project(_: tuple) -> tuple:
        own = jnp.where(kept[None, :], upper, identity)
        null = identity - solve_upper(own, upper - identity)
        # Those of dependent columns first, as a basis of their span.
        order = jnp.argsort(kept, stable=True)
        basis = jnp.where(~kept[order], jnp.linalg.qr(null[:, order])[0], 0)
        return jnp.ones((), bool), identity - matmul(basis, basis.T)

    return _until_fine(project, (jnp.all(kept), identity))[0]


def _until_fine(again: Callable[[tuple], tuple], start: tuple) -> tuple:
    """`start[1:]` where `start[0]` holds; elsewhere `again` until it does."""
    return jax.lax.while_loop(lambda state: ~state[0], again, start)[1:]


def _eliminated(gram: Array, limit: Array) -> tuple[Array, Array, Array]:
    """Cholesky row by row; a row whose pivot is not above its limit stays zero."""
    d = gram.shape[0]
    place = jnp.arange(d)

    def row(j: Array, state: tuple) -> tuple:
        upper, kept, least = state
        line = gram[j] - matmul(upper[:, j][None, :], upper)[0]
        pivot = line[j]
        keep = pivot > limit[j]
        usable = keep & (pivot > 0)
        line = jnp.where(usable & (place >= j), line / jnp.sqrt(jnp.where(usable, pivot, 1)), 0)
        return upper.at[j].set(line), kept.at[j].set(keep), jnp.minimum(least, pivot)

    start = (jnp.zeros_like(gram), jnp.zeros(d, bool), jnp.zeros((), gram.dtype))
    upper, kept, least = jax.lax.fori_loop(0, d, row, start)
    return _finished(upper, kept), kept, least


def _finished(rows: Array, kept: Array) -> Array:
    upper = jnp.triu(jnp.where(kept[:, None], rows, 0))
    return upper + jnp.diag((~kept).astype(rows.dtype))


def _tangent(upper: Array, kept: Array, change: Array) -> Array:
    """Change of U where U'U changes by `change` [d, d] and dependent columns stay dependent."""
    both = (change + change.T) / 2
    inner = solve_upper_transposed(upper, solve_upper_transposed(upper, both).T)
    inner = jnp.triu(inner, 1) + 0.5 * jnp.diag(jnp.diagonal(inner))
    return matmul(jnp.where(kept[:, None], inner, 0), upper)


def _no_tangent(kept: Array) -> np.ndarray:
    """The tangent of booleans."""
    return np.zeros(kept.shape, jax.dtypes.float0)
