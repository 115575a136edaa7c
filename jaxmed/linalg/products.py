"""Matrix products of statistics; the only module that names a precision.

Accelerators multiply float32 in reduced precision unless told otherwise, which is far too
coarse for moments; CPUs ignore the setting.
"""

import jax
import jax.numpy as jnp

from jaxmed.typing import Array

PRECISION = jax.lax.Precision.HIGHEST
# XLA computes x'x as a general product. Column blocks of the upper triangle save up to half of
# the work; below this width the extra kernels cost more than they save.
BLOCKED_FROM = 384
BLOCKS = 4


def matmul(a: Array, b: Array) -> Array:
    """a @ b at full precision of its dtype."""
    return jnp.matmul(a, b, precision=PRECISION)


def gram(x: Array) -> Array:
    """x'x [p, p] of x [n, p], exactly symmetric."""
    p = x.shape[1]
    if p < BLOCKED_FROM:
        return matmul(x.T, x)
    edges = [p * i // BLOCKS for i in range(BLOCKS + 1)]
    result = jnp.zeros((p, p), x.dtype)
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        block = matmul(x[:, start:stop].T, x[:, start:])
        # The diagonal block is made symmetric to the last bit, as one product would be.
        square = block[:, : stop - start]
        upper = jnp.triu(square)
        block = block.at[:, : stop - start].set(upper + jnp.triu(square, 1).T)
        result = result.at[start:stop, start:].set(block)
        result = result.at[stop:, start:stop].set(block[:, stop - start :].T)
    # Without the barrier XLA's CPU compiler fuses the assembly into every consumer: minutes of compile.
    return jax.lax.optimization_barrier(result)


def cross(x: Array, y: Array) -> Array:
    """x'y [p, k] of x [n, p] and y [n, k]."""
    return matmul(x.T, y)
