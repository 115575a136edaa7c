"""A walk along decreasing penalties that ends where a criterion no longer improves."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmed.typing import Array, pytree


@pytree
class Walk:
    """Where the walk is, and what it has left behind."""

    state: Any  # of the solver
    step: Array  # [] int32 penalties visited
    best: Array  # [] int32 position of the least criterion, the first of equals
    criterion: Array  # [L] infinite where not visited
    kept: Any  # leaves [L, ...] of every visit


def walk(
    visit: Callable[[Array, Any], tuple[Any, Array, Any]],
    state: Any,
    kept: Any,
    criterion: Array,
    patience: int,
    more: Callable[[Any], Array | bool] = lambda state: True,
) -> Walk:
    """Visits one penalty after the other, each from the state that the last has left.

    Args:
      visit: (position [], state) -> state, criterion [], what is kept.
      state: to begin with.
      kept: leaves [L, ...], their values where nothing is visited.
      criterion: [L] infinite.
      patience: the walk ends after so many penalties without a new least criterion, since most of
        the work lies at the small ones; 0: never.
      more: of the state: False ends the walk.
    """

    def one(now: Walk) -> Walk:
        at = now.step
        state, value, left = visit(at, now.state)
        return Walk(
            state,
            at + 1,
            jnp.where(value < now.criterion[now.best], at, now.best),
            now.criterion.at[at].set(value),
            jax.tree.map(lambda table, row: table.at[at].set(row), now.kept, left),
        )

    def going(now: Walk) -> Array:
        inside = (now.step < criterion.shape[0]) & more(now.state)
        return inside & (now.step - now.best <= patience) if patience else inside

    zero = jnp.zeros((), jnp.int32)
    return jax.lax.while_loop(going, one, Walk(state, zero, zero, criterion, kept))
