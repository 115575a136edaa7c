"""Matrix products of statistics; the only module that names a precision.

Accelerators multiply float32 in reduced precision unless told otherwise, which is far too
coarse for moments; CPUs ignore the setting.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxmed.typing import Array

PRECISION = jax.lax.Precision.HIGHEST
# XLA computes x'x as a general product; column blocks of the upper triangle save up to half of
# that work. Measured on one core: two blocks pay from about 64 columns, four from about 256.
TWO_BLOCKS_FROM = 64
FOUR_BLOCKS_FROM = 256
# With variables along the rows three blocks pay earlier.
ROW_BLOCKS_FROM = 48


def matmul(a: Array, b: Array) -> Array:
    """A @ b at full precision of its dtype."""
    return jnp.matmul(a, b, precision=PRECISION)


def gram(x: Array) -> Array:
    """X'x [p, p] of x [n, p], exactly symmetric."""
    return gram_of_blocks([x[:, columns] for columns in column_blocks(x.shape[1])])


def column_blocks(p: int) -> list[slice]:
    """Column ranges by which the Gram matrix of p columns is computed fastest."""
    count = 4 if p >= FOUR_BLOCKS_FROM else 2 if p >= TWO_BLOCKS_FROM else 1
    return [slice(p * i // count, p * (i + 1) // count) for i in range(count)]


def gram_of_blocks(blocks: Sequence[Array]) -> Array:
    """X'X of x = [block, block, ...], each [n, p_i]; exactly symmetric.

    Blocks that are computed from slices (centred columns, say) are written once, each as one
    contiguous array; slices of a whole array would be written a second time.
    """
    return from_lower_products(lower_products(blocks))


def lower_products(blocks: Sequence[Array]) -> tuple[Array, ...]:
    """The products of `gram_of_blocks` on and below the diagonal, row by row.

    They add up over pieces of the rows; `from_lower_products` puts the sum together.
    """
    return tuple(matmul(a.T, b) for i, a in enumerate(blocks) for b in blocks[: i + 1])


def from_lower_products(lower: Sequence[Array]) -> Array:
    """The matrix of its `lower_products`; exactly symmetric."""
    if len(lower) == 1:
        return _symmetric(lower[0])
    count = int((2 * len(lower)) ** 0.5)
    products: list[list[Array]] = [[jnp.zeros(())] * count for _ in range(count)]
    places = [(row, column) for row in range(count) for column in range(row + 1)]
    for (row, column), block in zip(places, lower, strict=True):
        if row == column:
            block = _symmetric(block)
        products[row][column], products[column][row] = block, block.T
    # Without the barrier XLA's CPU compiler fuses the assembly into every consumer, which
    # takes minutes to compile.
    return jax.lax.optimization_barrier(jnp.block(products))


def _symmetric(square: Array) -> Array:
    """Symmetric to the last bit on every backend."""
    return jnp.tril(square) + jnp.tril(square, -1).T


def row_gram(z: Array) -> Array:
    """ZZ' [d, d] of z [d, n]: the Gram matrix of variables that lie along the rows.

    Symmetric up to rounding within each of the diagonal blocks.
    """
    d = z.shape[0]
    count = 3 if d >= ROW_BLOCKS_FROM else 1
    parts = [z[d * i // count : d * (i + 1) // count] for i in range(count)]
    upper = {(i, j): matmul(parts[i], parts[j].T) for i in range(count) for j in range(i, count)}
    rows = [[upper[i, j] if i <= j else upper[j, i].T for j in range(count)] for i in range(count)]
    return jax.lax.optimization_barrier(jnp.block(rows)) if count > 1 else upper[0, 0]


def cross(x: Array, y: Array) -> Array:
    """X'y [p, k] of x [n, p] and y [n, k]."""
    return matmul(x.T, y)
