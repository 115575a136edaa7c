"""Which rows a fold holds out and which ones its composite is learned from, in fixed shapes."""

import jax.numpy as jnp

from jaxmed.data.mediation_data import MediationData
from jaxmed.typing import Array, pytree


@pytree
class FoldRows:
    """Row numbers of K folds; sizes differ by one where K does not divide n, hence the masks."""

    test: Array  # [K, ceil(n/K)] rows held out
    present: Array  # [K, ceil(n/K)] bool: held out indeed, not padding
    train: Array  # [K, n - floor(n/K)] the other rows with weight
    learned: Array  # [K, n - floor(n/K)] bool


def fold_rows(order: Array, count: int | Array, folds: int) -> FoldRows:
    """K contiguous parts of the first `count` rows of `order`, each held out once.

    Args:
      order: row numbers [n], those with weight in front.
      count: how many have weight.
      folds: K.
    Returns:
      FoldRows; every row with weight is in one test set and in all other training sets.
    """
    n = order.shape[0]
    edges = count * jnp.arange(folds + 1)[:, None] // folds
    start, stop = edges[:-1], edges[1:]
    test = start + jnp.arange(-(-n // folds))[None, :]
    train = jnp.arange(n - n // folds)[None, :]
    train = jnp.where(train < start, train, train + stop - start)
    return FoldRows(
        order[jnp.minimum(test, n - 1)],
        test < stop,
        order[jnp.minimum(train, n - 1)],
        train < count,
    )


def take(data: MediationData, rows: Array, present: Array | None = None) -> MediationData:
    """The data of some rows; rows that are not present get weight zero."""

    def part(x: Array) -> Array:
        return jnp.asarray(x)[rows]

    weights = None if data.weights is None else part(data.weights)
    if present is not None:
        mask = present.astype(jnp.asarray(data.exposure).dtype)
        weights = mask if weights is None else mask * weights
    return MediationData(
        part(data.exposure),
        part(data.mediators),
        part(data.outcome),
        part(data.covariates),
        weights,
    )
