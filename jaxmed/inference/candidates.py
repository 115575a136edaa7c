"""The limits of an interval by inversion of a test: candidates tried from the estimate outwards."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from jaxmed.typing import Array

__all__ = ["outermost"]

# Each step halves a bracket that is at first a few standard errors wide.
STEPS = 16


def outermost(
    accepts: Callable[[Array], Array],
    start: Array,
    first: Array,
    step: Array,
    least: float = -jnp.inf,
) -> Array:
    """The candidate farthest from `start` that a test accepts, by doubling and bisection.

    Args:
      accepts: candidates [k] -> [k] bool, one search each.
      start: [k] accepted candidates, which are not tried.
      first: [k] the first to try.
      step: [k] signed; from an accepted candidate the next one is this far away, then twice as far.
      least: possible value, where a search downwards ends if it is accepted.

    Returns:
      [k] the last accepted ones; -inf or inf where none was rejected.
    """

    def trial(i: int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        inner, outer, found = state
        candidate = jnp.where(found, (inner + outer) / 2, outer)
        accepted = accepts(candidate)
        farther = jnp.maximum(candidate + step * 2.0**i, least)
        outer = jnp.where(accepted, jnp.where(found, outer, farther), candidate)
        return jnp.where(accepted, candidate, inner), outer, found | ~accepted

    state = (start, first, jnp.zeros(start.shape, bool))
    inner: Array
    inner, _, found = lax.fori_loop(0, STEPS, trial, state)
    return jnp.where(found | (inner <= least), inner, jnp.sign(step) * jnp.inf)
