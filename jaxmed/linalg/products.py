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
    rows = []
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        block = matmul(x[:, start:stop].T, x[:, start:])
        rows.append(jnp.pad(block, ((0, 0), (start, 0))))
    upper = jnp.concatenate(rows)
    # The padded part is the strictly lower block triangle; inside diagonal blocks both halves exist.
    index = jnp.arange(p)
    return jnp.where(index[:, None] <= index[None, :], upper, upper.T)


def cross(x: Array, y: Array) -> Array:
    """x'y [p, k] of x [n, p] and y [n, k]."""
    return matmul(x.T, y)
