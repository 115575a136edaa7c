"""Triangular factors that leave out columns which depend linearly on earlier ones.

The plain factorisation comes first, and its result is returned untouched wherever no pivot is at
the level of rounding. Only where one is, the columns are eliminated once more in order: a
`while_loop` that runs at most once, so that a batch without dependent columns pays nothing and
in a mixed one the others keep every bit.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.linalg.triangular import solve_upper, solve_upper_transposed
from jaxmed.typing import Array

__all__ = ["column_factor", "gram_factor", "null_free"]

BLOCK = 64  # columns eliminated one by one between products of matrices


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
    return _where_needed(start, lambda: _eliminated(gram, bounds))


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
    bounds = jnp.broadcast_to(limit, triangle.shape[:1])
    fine = jnp.all(jnp.diagonal(triangle) > bounds)
    everything = jnp.ones(triangle.shape[0], bool)
    return _where_needed((fine, triangle, everything), lambda: _orthogonalised(triangle, bounds))


@column_factor.defjvp
def _column_factor_jvp(primals: tuple, tangents: tuple) -> tuple:
    triangle, change = primals[0], tangents[0]
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
    identity = jnp.eye(upper.shape[0], dtype=upper.dtype)

    def project() -> tuple[Array]:
        lost = ~kept
        above = jnp.where(lost[None, :], upper - identity, 0)
        own = jnp.where(kept[None, :], upper, identity)
        null = jnp.where(lost[None, :], identity - solve_upper(own, above), 0)
        both = lost[:, None] & lost[None, :]
        lower = jnp.linalg.cholesky(jnp.where(both, matmul(null.T, null), identity))
        half = jax.scipy.linalg.solve_triangular(lower, null.T, lower=True)
        return (identity - matmul(half.T, half),)

    fixed = jax.lax.stop_gradient((upper, kept))
    upper, kept = fixed
    return _where_needed((jnp.all(kept), identity), project)[0]


def _where_needed(start: tuple, other: Callable[[], tuple]) -> tuple:
    """`start[1:]` where `start[0]` holds, `other()` elsewhere; nothing is paid where it holds."""

    def once(_: tuple) -> tuple:
        return (jnp.ones((), bool), *other())

    return jax.lax.while_loop(lambda state: ~state[0], once, start)[1:]


def _eliminated(gram: Array, limit: Array) -> tuple[Array, Array, Array]:
    """Cholesky by blocks of rows; a row whose pivot is not above the limit is left at zero."""
    d = gram.shape[0]
    size = min(BLOCK, d)
    blocks = -(-d // size)
    more = blocks * size - d
    padded = jnp.pad(gram, (0, more))
    bounds = jnp.pad(limit, (0, more))
    place = jnp.arange(size)

    def block(b: Array, state: tuple) -> tuple:
        upper, kept, least = state
        first = b * size
        before = jax.lax.dynamic_slice(upper, (0, first), (d + more, size))
        panel = jax.lax.dynamic_slice(padded, (first, 0), (size, d + more))
        panel = panel - matmul(before.T, upper)

        def row(i: Array, inner: tuple) -> tuple:
            panel, kept, least = inner
            line = panel[i]
            pivot = line[first + i]
            keep = pivot > bounds[first + i]
            root = jnp.sqrt(jnp.where(keep & (pivot > 0), pivot, 1))
            line = jnp.where(keep & (pivot > 0), line / root, 0)
            own = jax.lax.dynamic_slice(line, (first,), (size,))
            panel = panel - jnp.where(place > i, own, 0)[:, None] * line
            panel = panel.at[i].set(line)
            return panel, kept.at[first + i].set(keep), jnp.minimum(least, pivot)

        panel, kept, least = jax.lax.fori_loop(0, size, row, (panel, kept, least))
        return jax.lax.dynamic_update_slice(upper, panel, (first, 0)), kept, least

    start = (jnp.zeros_like(padded), jnp.zeros(d + more, bool), jnp.zeros((), gram.dtype))
    upper, kept, least = jax.lax.fori_loop(0, blocks, block, start)
    return _finished(upper[:d, :d], kept[:d]), kept[:d], least


def _orthogonalised(triangle: Array, limit: Array) -> tuple[Array, Array]:
    """Gram-Schmidt by blocks, every column twice; a column within the limit adds no direction."""
    d = triangle.shape[0]
    size = min(BLOCK, d)
    blocks = -(-d // size)
    more = blocks * size - d
    columns = jnp.pad(triangle, ((0, 0), (0, more)))
    bounds = jnp.pad(limit, (0, more))

    def block(b: Array, state: tuple) -> tuple:
        basis, kept = state
        first = b * size
        own = jax.lax.dynamic_slice(columns, (0, first), (d, size))
        for _ in range(2):
            own = own - matmul(basis, matmul(basis.T, own))

        def column(i: Array, inner: tuple) -> tuple:
            part, kept = inner
            left = own[:, i]
            for _ in range(2):
                left = left - matmul(part, matmul(part.T, left[:, None]))[:, 0]
            length = jnp.sqrt(jnp.sum(left * left))
            keep = length > bounds[first + i]
            left = jnp.where(keep, divide(left, length), 0)
            return part.at[:, i].set(left), kept.at[first + i].set(keep)

        part, kept = jax.lax.fori_loop(0, size, column, (jnp.zeros_like(own), kept))
        return jax.lax.dynamic_update_slice(basis, part, (0, first)), kept

    start = (jnp.zeros_like(columns), jnp.zeros(d + more, bool))
    basis, kept = jax.lax.fori_loop(0, blocks, block, start)
    return _finished(matmul(basis.T, triangle)[:d], kept[:d]), kept[:d]


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
