"""Sparse path vectors whose supports overlap by a chosen share."""

import jax
import jax.numpy as jnp

from jaxmed.budget import check_count
from jaxmed.keys import as_key
from jaxmed.linalg.safe import unit
from jaxmed.typing import Array, ArrayLike, Key

__all__ = ["sparse_paths"]


def sparse_paths(
    key: Key, num_mediators: int, nonzero: ArrayLike, shared: ArrayLike
) -> tuple[Array, Array]:
    """Two sparse vectors of unit length; the key is consumed.

    Mediators are put in random order. Both vectors are non-zero on the first `shared` of them,
    with the same standard normal values, and each on `nonzero - shared` further ones of its own,
    with independent values; then each is scaled to length 1.

    Args:
      key: PRNG key.
      num_mediators: p, static.
      nonzero: s, non-zero entries of each vector; 2 s - shared <= p. May be traced.
      shared: entries they have in common, 0 to s. May be traced: designs that differ only here
        are one compiled program.

    Returns:
      alpha [p] and beta [p], float64 where x64 is enabled.

    Source: He (2026), section 7.1.
    """
    key = as_key(key)
    check_count("num_mediators", num_mediators)
    order_key, both_key, alpha_key, beta_key = jax.random.split(key, 4)
    place = jax.random.permutation(order_key, num_mediators)
    both, for_alpha, for_beta = (
        jax.random.normal(k, (num_mediators,)) for k in (both_key, alpha_key, beta_key)
    )
    alone = jnp.asarray(nonzero) - shared
    only_alpha = (place >= shared) & (place < nonzero)
    only_beta = (place >= nonzero) & (place < nonzero + alone)
    alpha = jnp.where(place < shared, both, jnp.where(only_alpha, for_alpha, 0.0))
    beta = jnp.where(place < shared, both, jnp.where(only_beta, for_beta, 0.0))
    return unit(alpha)[0], unit(beta)[0]
