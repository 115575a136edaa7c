"""Many columns off a basis of their rows, made block by block: they are never written as a whole.

With p in the tens of thousands the residualised mediators are the largest array of an analysis,
and all that the dual needs of them is their kernel and their products with a few rows.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.linalg import products
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree

# Columns worked on at a time on a CPU: a block, its residual and the sums stay in the cache.
BLOCK_COLUMNS = 512


@pytree
class WrittenColumns:
    """Residual columns Z [n, p] that exist as one array, NumPy's where it made them."""

    residual: Array | np.ndarray  # [n, p]

    def array(self) -> Any:
        """Z itself."""
        return self.residual

    def kernel(self) -> Any:
        """ZZ' [n, n]."""
        if isinstance(self.residual, np.ndarray):
            return self.residual @ self.residual.T  # BLAS sees that it is symmetric
        return products.gram(self.residual.T)

    def cross(self, rows: Array) -> Array:
        """Z'V [p, k] for rows V [n, k]."""
        return products.cross(jnp.asarray(self.residual), rows)

    def times(self, weights: Array) -> Array:
        """Z w [n] for weights [p]."""
        return products.matmul(jnp.asarray(self.residual), weights)


@pytree
class ResidualColumns:
    """Columns times the root of their rows' weights, off an orthonormal basis of the rows."""

    source: Array  # [n, p]
    mean: Array  # [p] weighted
    root: Array  # [n] root of the rows' weights, within the span of the basis
    basis: Array  # [n, k]

    def array(self) -> Array:
        """The residuals Z [n, p], written as a whole."""
        return _residual(self.source, self.mean, self.root, self.basis)

    def kernel(self) -> Array:
        """ZZ' [n, n]; exactly symmetric."""
        return _kernel(self.source, self.mean, self.root, self.basis)

    def cross(self, rows: Array) -> Array:
        """Z'V [p, k] for rows V [n, k]."""
        # The rows are few: projected, they stand for projected columns.
        return _cross(self.source, self.mean, self.root, _off(self.basis, rows))

    def times(self, weights: Array) -> Array:
        """Z w [n] for weights [p]."""
        score = products.matmul(_centred(self.source, self.mean, self.root), weights)
        return _off(self.basis, score)


def residual_columns(source: Array, weights: Array, basis: Array) -> ResidualColumns:
    """Columns [n, p] of weighted rows [n] off a basis [n, k], whose span holds the root weights."""
    mean = divide(products.matmul(weights[None, :], source), jnp.sum(weights))[0]
    return ResidualColumns(source, mean, jnp.sqrt(weights), basis)


def _centred(source: Array, mean: Array, root: Array) -> Array:
    # Before any product: the intercept's share of a column may be 1e6 times its spread.
    return root[:, None] * (source - mean[None, :])


def _residual(source: Array, mean: Array, root: Array, basis: Array) -> Array:
    centred = _centred(source, mean, root)
    if basis.shape[1] == 1 and source.dtype == jnp.float64:
        return centred  # what is left of the mean is rounding of the columns themselves
    return _off(basis, centred)


def _off(basis: Array, columns: Array) -> Array:
    return columns - products.matmul(basis, products.cross(basis, columns))


def _blocks(p: int) -> tuple[int, int]:
    """Blocks that a loop takes, and the columns that are left for a last one."""
    count = p // BLOCK_COLUMNS
    return (count, p - count * BLOCK_COLUMNS) if count > 1 else (0, p)


def _block(source: Array, mean: Array, number: Array) -> tuple[Array, Array]:
    start = number * BLOCK_COLUMNS
    return (
        jax.lax.dynamic_slice_in_dim(source, start, BLOCK_COLUMNS, axis=1),
        jax.lax.dynamic_slice_in_dim(mean, start, BLOCK_COLUMNS),
    )


def _kernel_at_once(source: Array, mean: Array, root: Array, basis: Array) -> Array:
    return products.gram(_residual(source, mean, root, basis).T)


def _kernel_by_blocks(source: Array, mean: Array, root: Array, basis: Array) -> Array:
    count, left = _blocks(source.shape[1])
    whole = source.shape[1] - left

    def add(number: Array, total: tuple[Array, ...]) -> tuple[Array, ...]:
        block = _residual(*_block(source, mean, number), root, basis)
        return tuple(t + x for t, x in zip(total, _lower(block), strict=True))

    last = _lower(_residual(source[:, whole:], mean[whole:], root, basis))
    return products.from_lower_products(jax.lax.fori_loop(0, count, add, last))


def _lower(residual: Array) -> tuple[Array, ...]:
    rows = products.column_blocks(residual.shape[0])
    return products.lower_products([residual[part].T for part in rows])


def _cross_at_once(source: Array, mean: Array, root: Array, rows: Array) -> Array:
    return products.cross(_centred(source, mean, root), rows)


def _cross_by_blocks(source: Array, mean: Array, root: Array, rows: Array) -> Array:
    count, left = _blocks(source.shape[1])
    whole = source.shape[1] - left

    def product(number: Array) -> Array:
        block, middle = _block(source, mean, number)
        # Row by row of V: a sum that XLA takes with the centring, without writing the block.
        middle = middle[None, :]
        columns = [
            jnp.sum((block - middle) * row[:, None], axis=0) for row in root[None, :] * rows.T
        ]
        return jnp.stack(columns, axis=1)

    found = jax.lax.map(product, jnp.arange(count)).reshape(whole, rows.shape[1])
    return jnp.concatenate([found, _cross_at_once(source[:, whole:], mean[whole:], root, rows)])


def _by_platform(at_once: Callable[..., Array], by_blocks: Callable[..., Array]) -> Any:
    """Blocks on a CPU, one product elsewhere and for derivatives.

    Derivatives of a loop over blocks would write all columns again for each of them.
    """

    @jax.custom_jvp
    def function(source: Array, *others: Array) -> Array:
        if _blocks(source.shape[1])[0] == 0:
            return at_once(source, *others)
        return jax.lax.platform_dependent(source, *others, cpu=by_blocks, default=at_once)

    @function.defjvp
    def derivative(primals: Any, tangents: Any) -> Any:
        return function(*primals), jax.jvp(at_once, primals, tangents)[1]

    return function


_cross = _by_platform(_cross_at_once, _cross_by_blocks)
_kernel = _by_platform(_kernel_at_once, _kernel_by_blocks)
