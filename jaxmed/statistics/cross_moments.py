"""Mergeable means and co-moments of covariates, exposure, outcome and mediators.

All methods with n - 2 - q >= p need the data only through these numbers, so that rows may
arrive in blocks, from several machines, or from sites that do not share their rows.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.budget import check_at_least, check_fits
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.door import at_the_door
from jaxmed.linalg import products
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree, static

# Rows per block when host moments are accumulated: large enough for full BLAS speed, small
# enough that the centred copy of a block stays far below the size of the data.
HOST_BLOCK_BYTES = 64 * 2**20
HOST_BLOCK_ROWS = 1024
# Rows per float32 sum of a mean; the sums are added in float64.
HOST_MEAN_ROWS = 256

UNNAMED = Names()


@pytree
class CrossMoments:
    """Count, means and centred co-moments of [covariates, exposure, outcome, mediators]."""

    count: Array  # [] rows with non-zero weight
    weight: Array  # [] total weight; equals count for a whole data set
    weight_square: Array  # [] sum of squared weights; equals count if all weights are 1
    mean: Array  # [d], d = q + 2 + p
    comoment: Array  # [d, d] sum of w (x - mean)(x - mean)'
    num_covariates: int = static(default=0)
    names: Names = static(default=Names())

    @property
    def num_mediators(self) -> int:
        """P, from the shape."""
        return self.mean.shape[-1] - 2 - self.num_covariates


def is_host(data: MediationData) -> bool:
    """True where every leaf is a NumPy array."""
    leaves = (data.exposure, data.mediators, data.outcome, data.covariates, data.weights)
    return all(isinstance(leaf, np.ndarray) for leaf in leaves if leaf is not None)


def cross_moments(data: MediationData) -> CrossMoments:
    """Two-pass moments of one data set, in the dtype of the data.

    Host (NumPy) arrays are accumulated by NumPy's BLAS, float32 ones block by block into
    float64; arrays of JAX are accumulated where they live. Works under jit, vmap and grad.

    Args:
      data: exposure [n], mediators [n, p], outcome [n], covariates [n, q], weights [n] or None.
    Returns:
      CrossMoments with d = q + 2 + p columns; NumPy leaves for NumPy data.
    """
    if is_host(data):
        return _host_moments(data)
    found = _moments(dataclasses.replace(data, names=UNNAMED))  # new names are no new program
    return dataclasses.replace(found, names=data.names)


@at_the_door()
def _moments(data: MediationData) -> CrossMoments:
    others = jnp.concatenate(
        [data.covariates, data.exposure[:, None], data.outcome[:, None]], axis=1
    )
    n, p = data.mediators.shape
    if data.weights is None:
        total = count = squares = jnp.asarray(n, others.dtype)
        means = [jnp.mean(block, axis=0) for block in (others, data.mediators)]
    else:
        w = data.weights
        count = jnp.sum(w > 0).astype(others.dtype)
        total, squares = jnp.sum(w), jnp.sum(w * w)
        means = [divide(jnp.sum(w[:, None] * b, axis=0), total) for b in (others, data.mediators)]

    def centred(columns: Array, mean: Array) -> Array:
        return (
            columns - mean[None, :]
            if data.weights is None
            else jnp.sqrt(data.weights)[:, None] * (columns - mean[None, :])
        )

    # Each block is centred on its own, as one contiguous array: no copy of all mediators.
    blocks = [centred(data.mediators[:, b], means[1][b]) for b in products.column_blocks(p)]
    blocks[0] = jnp.concatenate([centred(others, means[0]), blocks[0]], axis=1)
    comoment = products.gram_of_blocks(blocks)
    return CrossMoments(
        count,
        total,
        squares,
        jnp.concatenate(means),
        comoment,
        data.covariates.shape[1],
        data.names,
    )


def merge(first: CrossMoments, second: CrossMoments) -> CrossMoments:
    """Moments of the union of two disjoint sets of rows.

    Associative; `zero_moments` is the identity. Moments of NumPy arrays give NumPy arrays of their
    own precision, also where JAX has none of 64 bits.

    Raises:
      ValueError: the two sides have different columns.
    """
    same = first.num_covariates == second.num_covariates and first.mean.shape == second.mean.shape
    if not same or first.names != second.names:
        raise ValueError(
            "moments of different columns cannot be merged: "
            f"{_describe(first)} against {_describe(second)}"
        )
    names = first.names
    first, second = (dataclasses.replace(part, names=UNNAMED) for part in (first, second))
    on_host = all(isinstance(x, np.ndarray | np.generic) for x in jax.tree.leaves((first, second)))
    merged = _merged_on_host(first, second) if on_host else _merged(first, second)
    return dataclasses.replace(merged, names=names)


@at_the_door()
def _merged(first: CrossMoments, second: CrossMoments) -> CrossMoments:
    weight = first.weight + second.weight
    return _union(first, second, weight, divide(second.weight, weight))


def _merged_on_host(first: CrossMoments, second: CrossMoments) -> CrossMoments:
    weight = first.weight + second.weight
    share = second.weight / weight if weight else np.zeros_like(weight)
    return _union(first, second, weight, share)


def _union(first: CrossMoments, second: CrossMoments, weight: Any, share: Any) -> CrossMoments:
    """Both sets of rows, with the share of the second in the weight."""
    step = second.mean - first.mean
    between = step[:, None] * step[None, :] * (first.weight * share)
    return CrossMoments(
        first.count + second.count,
        weight,
        first.weight_square + second.weight_square,
        first.mean + share * step,
        first.comoment + second.comoment + between,
        first.num_covariates,
        first.names,
    )


def zero_moments(
    num_mediators: int,
    num_covariates: int = 0,
    *,
    dtype: jnp.dtype | None = None,
    names: Names = UNNAMED,
) -> CrossMoments:
    """Moments of no rows, the identity of `merge`."""
    check_at_least("num_mediators", num_mediators, 0)
    d = num_mediators + num_covariates + 2
    check_fits("the number of columns of the moments", d, 8, power=2)
    zero = jnp.zeros((), dtype)
    return CrossMoments(
        zero, zero, zero, jnp.zeros(d, dtype), jnp.zeros((d, d), dtype), num_covariates, names
    )


def _describe(moments: CrossMoments) -> str:
    return f"{moments.num_mediators} mediators and {moments.num_covariates} covariates"


def _host_moments(data: Any) -> CrossMoments:
    """The same two passes in NumPy, whose BLAS computes x'x at half the cost of a product."""
    n, p = data.mediators.shape
    q = data.covariates.shape[1]
    dtype = data.mediators.dtype
    w = data.weights
    columns = [data.covariates, data.exposure[:, None], data.outcome[:, None], data.mediators]
    total = float(n) if w is None else float(w.sum(dtype=np.float64))
    rows = max(HOST_BLOCK_ROWS, HOST_BLOCK_BYTES // (dtype.itemsize * (p + q + 2)))
    mean: Any = np.concatenate([_host_mean(c, w, total) for c in columns])
    working_mean = mean.astype(dtype)
    # Both buffers are used again by every block: fresh ones would be paged in each time.
    buffer = np.empty((min(rows, n), p + q + 2), dtype)
    part = np.empty((p + q + 2, p + q + 2), dtype)
    comoment: Any = part
    for start in range(0, n, rows):
        block = buffer[: min(rows, n - start)]
        first = 0
        for source in columns:
            stop = first + source.shape[1]
            np.subtract(
                source[start : start + rows], working_mean[first:stop], out=block[:, first:stop]
            )
            first = stop
        if w is not None:
            block *= np.sqrt(w[start : start + rows, None])
        np.matmul(block.T, block, out=part)
        # float32 blocks are summed in float64: one block is short, the sum over blocks may not be.
        if n > rows:
            comoment = (
                part.astype(np.float64) if start == 0 else np.add(comoment, part, out=comoment)
            )
    # Rounding of the mean to the data's dtype leaves a shift; its effect is removed where it shows.
    shift = (mean - working_mean) * np.sqrt(total)
    if np.any(shift**2 > np.finfo(dtype).eps / 16 * np.diagonal(comoment)):
        comoment = comoment - np.outer(shift, shift)
    count = float(n) if w is None else float(np.count_nonzero(w))
    squares = float(n) if w is None else float((w.astype(np.float64) ** 2).sum())
    scalars: Any = np.asarray([count, total, squares], dtype)
    return CrossMoments(
        scalars[0],
        scalars[1],
        scalars[2],
        mean.astype(dtype),
        comoment.astype(dtype, copy=False),
        q,
        data.names,
    )


def _host_mean(columns: Any, w: Any, total: float) -> Any:
    """Mean in float64; float32 columns by one product with the weights per short block of rows.

    NumPy's mean with a float64 sum converts float32 values one by one, at a quarter of the speed.
    """
    if w is None and columns.dtype == np.float64:
        return columns.mean(axis=0)
    weights = np.ones(len(columns), columns.dtype) if w is None else w
    sums = np.zeros(columns.shape[1])
    for start in range(0, len(columns), HOST_MEAN_ROWS):
        part = slice(start, start + HOST_MEAN_ROWS)
        sums += weights[part] @ columns[part]
    return sums / total
