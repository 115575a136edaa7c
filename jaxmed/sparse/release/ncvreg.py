"""One penalty of the field's standard package for concave penalties, update by update."""

import jax
import jax.numpy as jnp

from jaxmed.sparse.penalties import Penalty, at
from jaxmed.sparse.shapes import Shape
from jaxmed.typing import Array, pytree


@pytree
class State:
    """Where the walk stands."""

    b: Array  # [d]
    score: Array  # [d] X'(y - Xb)/n
    seen: Array  # [d] score + b when column j was last touched
    active: Array  # [d] bool, ever non-zero
    strong: Array  # [d] bool, ever expected to enter


def begin(score: Array, factors: Array) -> State:
    """Before the first penalty; the free columns are active."""
    free = factors == 0
    return State(jnp.zeros_like(score), score, score, free, free)


def advance(
    state: State,
    gram: Array,
    factors: Array,
    penalty: Array,
    before: Array,
    shape: Shape,
    sweeps: Array,
    *,
    enough: Array,
    max_sweeps: int,
) -> tuple[State, Array, Array]:
    """Ever-active columns until they settle, then the strong set, then all others.

    A column once in the strong set stays there for all later penalties.

    Args:
      state: at the last penalty.
      gram: [d, d], diagonal 1 or 0.
      factors: [d].
      penalty: lambda, scalar.
      before: the last lambda.
      shape: of the penalty.
      sweeps: over the active columns so far, of the whole path.
      enough: a sweep whose largest change is below this ends the penalty.
      max_sweeps: of the whole path.
    Returns:
      State, sweeps, and whether the penalty was solved.
    Source: Breheny and Huang (2011); ncvreg 3.
    """
    usable = jnp.diagonal(gram) > 0
    own = shape.at(penalty * factors)
    cut = factors * (penalty + shape.screening * (penalty - before))
    strong = (state.strong | (jnp.abs(state.seen) > cut)) & usable

    def body(carry: tuple) -> tuple:
        state, stage, sweeps = carry
        active, strong = state.active, state.strong
        mask = jnp.where(stage == 0, active, ~active & jnp.where(stage == 1, strong, ~strong))
        mask &= usable
        # Columns outside the active set are at zero: where none of them would move, the pass over
        # them is one vector operation.
        still = jnp.where(mask, own.minimiser(state.score, jnp.ones_like(state.b)), 0) == 0
        quiet = (stage > 0) & jnp.all(still)
        b, score, seen, change = jax.lax.cond(
            quiet,
            lambda: (
                state.b,
                state.score,
                jnp.where(mask, state.score, state.seen),
                jnp.zeros((), state.b.dtype),
            ),
            lambda: _sweep(gram, own, state, mask),
        )
        entered = mask & (b != 0)
        found = jnp.any(entered) & (stage > 0)
        settled = (stage == 0) & (change < enough)
        active = active | (entered & (stage > 0))
        onward = jnp.where(stage == 0, settled.astype(jnp.int32), stage + 1)
        sweeps = sweeps + (stage == 0).astype(jnp.int32)
        new = State(b, score, seen, active, strong | active)
        return new, jnp.where(found, 0, onward), sweeps

    start = State(state.b, state.score, state.seen, state.active & usable, strong)
    state, stage, sweeps = jax.lax.while_loop(
        lambda c: (c[1] < 3) & (c[2] < max_sweeps), body, (start, jnp.zeros((), jnp.int32), sweeps)
    )
    return state, sweeps, stage == 3


def _sweep(
    gram: Array, penalty: Penalty, state: State, mask: Array
) -> tuple[Array, Array, Array, Array]:
    """One pass over the columns of `mask` in their order: b, score, seen, largest change."""
    order = jnp.nonzero(mask, size=mask.size, fill_value=0)[0]
    one = jnp.ones((), state.b.dtype)

    def update(k: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        b, score, seen, largest = carry
        j = order[k]
        old = b[j]
        z = score[j] + old
        new = at(penalty, j).minimiser(z, one)
        change = new - old
        return (
            b.at[j].set(new),
            score - change * gram[j],
            seen.at[j].set(z),
            jnp.maximum(largest, jnp.abs(change)),
        )

    start = (state.b, state.score, state.seen, jnp.zeros((), state.b.dtype))
    return jax.lax.fori_loop(0, jnp.sum(mask), update, start)
