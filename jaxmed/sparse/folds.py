"""Folds of the rows: drawn, given, and their second moments in one pass."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.budget import said
from jaxmed.data.validation import is_traced
from jaxmed.linalg.products import gram
from jaxmed.typing import Array, ArrayLike, Key

BLOCKS_PER_FOLD = 4


def assign_folds(key: Key, num_rows: int, num_folds: int) -> Array:
    """Balanced random fold of every row, int32 [n]; `key` is consumed.

    Raises:
      ValueError: more folds than rows.
    """
    if num_folds > num_rows:
        raise ValueError(f"folds must be at most the {num_rows} rows, not {said(num_folds)}")
    return jax.random.permutation(key, jnp.arange(num_rows, dtype=jnp.int32) % num_folds)


def given_folds(ids: ArrayLike, num_folds: int) -> Array:
    """Fold ids as an array; rows of another fold would silently be left out.

    Raises:
      ValueError: concrete ids outside 0..num_folds-1.
    """
    if not is_traced(ids):
        values = np.asarray(ids)
        if values.size and (values.min() < 0 or values.max() >= num_folds):
            raise ValueError(
                f"fold_ids must be in 0..{num_folds - 1} (folds - 1), not "
                f"{values.min()}..{values.max()}"
            )
    return jnp.asarray(ids)


def fold_moments(rows: Array, folds: Array, num_folds: int) -> Array:
    """Second moments rows'rows of every fold, [K, d, d], in one pass over the rows.

    Rows are sorted by fold and each fold is padded to whole blocks, so that a block belongs to
    one fold: the work is that of one Gram matrix, not of one per fold.
    """
    n, d = rows.shape
    block = max(1, -(-n // (BLOCKS_PER_FOLD * num_folds)))
    num_blocks = -(-n // block) + num_folds
    sizes = jnp.zeros(num_folds, int).at[folds].add(1)
    blocks_before = jnp.cumsum(-(-sizes // block)) - (-(-sizes // block))
    order = jnp.argsort(folds, stable=True)
    owner = folds[order]
    position = jnp.arange(n) - (jnp.cumsum(sizes) - sizes)[owner]
    slot = blocks_before[owner] * block + position
    table = jnp.full(num_blocks * block, n).at[slot].set(order).reshape(num_blocks, block)
    fold_of = jnp.zeros(num_blocks, owner.dtype).at[slot // block].set(owner)

    def add(total: Array, item: tuple[Array, Array]) -> tuple[Array, None]:
        index, fold = item
        chunk = jnp.where((index < n)[:, None], rows[jnp.minimum(index, n - 1)], 0)
        return total.at[fold].add(gram(chunk)), None

    start = jnp.zeros((num_folds, d, d), rows.dtype)
    return jax.lax.scan(add, start, (table, fold_of))[0]
