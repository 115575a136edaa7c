"""Permuted exposures in batches: what tests by permutation of the exposure share."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmed.inference.rows import project_off, weighted_first
from jaxmed.typing import Array, Key

__all__ = ["over_permutations", "shuffle"]

# Permutations per step: the [n, BATCH] block of permuted exposures stays in cache.
BATCH = 64


def over_permutations(
    key: Key,
    statistic: Callable[[Array], Array],
    exposure: Array,
    basis: Array,
    weights: Array | None,
    count: int,
) -> Array:
    """A statistic [count] of permuted exposures, each projected off the basis again.

    Args:
      key: consumed; permutation i depends on the key and i only.
      statistic: of permuted exposures [n, BATCH]; returns [BATCH].
      exposure: [n] residual on the basis.
      basis: [n, 1+q] orthonormal, of intercept and covariates.
      weights: [n] case weights; rows of weight zero exchange nothing.
      count: number of permutations.
    """
    batches = -(-count // BATCH)

    def step(first: Array) -> Array:
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(first + jnp.arange(BATCH))
        shuffled = jax.vmap(shuffle, in_axes=(0, None, None), out_axes=1)(keys, exposure, weights)
        return statistic(project_off(basis, shuffled))

    return jax.lax.map(step, BATCH * jnp.arange(batches)).reshape(-1)[:count]


def shuffle(key: Key, values: Array, weights: Array | None) -> Array:
    """Values [n] in random order; rows with weight exchange theirs with each other only."""
    if weights is None:
        return jax.random.permutation(key, values)
    rows = jnp.arange(values.shape[0])
    order = weighted_first(jax.random.permutation(key, rows), weights)
    return values[order][jnp.argsort(weighted_first(rows, weights))]
