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
    """X'x of x = [block, block, ...], each [n, p_i]; exactly symmetric.

    Blocks that are computed from slices (centred columns, say) are written once, each as one
    contiguous array; slices of a whole array would be written a second time.
    """
    if len(blocks) == 1:
        return matmul(blocks[0].T, blocks[0])
    count = len(blocks)
    products: list[list[Array]] = [[jnp.zeros(())] * count for _ in range(count)]
    for i in range(count):
        square = matmul(blocks[i].T, blocks[i])
        # Symmetric to the last bit on every backend.
        products[i][i] = jnp.triu(square) + jnp.triu(square, 1).T
        for j in range(i + 1, count):
            products[i][j] = matmul(blocks[i].T, blocks[j])
            products[j][i] = products[i][j].T
    # Without the barrier XLA's CPU compiler fuses the assembly into every consumer, which
    # takes minutes to compile.
    return jax.lax.optimization_barrier(jnp.block(products))


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


def lower_blocks(z: Array) -> tuple[Array, ...]:
    """Blocks on and below the diagonal of ZZ' [n, n] of z [n, k], row by row.

    A sum of such blocks over pieces of the columns is put together by `from_lower_blocks`.
    """
    parts = [z[rows] for rows in column_blocks(z.shape[0])]
    return tuple(matmul(a, b.T) for i, a in enumerate(parts) for b in parts[: i + 1])


def from_lower_blocks(lower: Sequence[Array], n: int) -> Array:
    """The matrix [n, n] of its `lower_blocks`; exactly symmetric."""
    count = len(column_blocks(n))
    if count == 1:
        return lower[0]
    products = [[jnp.zeros(())] * count for _ in range(count)]
    for (i, j), block in zip(
        ((i, j) for i in range(count) for j in range(i + 1)), lower, strict=True
    ):
        if i == j:
            products[i][i] = jnp.tril(block) + jnp.tril(block, -1).T
        else:
            products[i][j], products[j][i] = block, block.T
    return jax.lax.optimization_barrier(jnp.block(products))


def cross(x: Array, y: Array) -> Array:
    """X'y [p, k] of x [n, p] and y [n, k]."""
    return matmul(x.T, y)
