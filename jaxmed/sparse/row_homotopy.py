"""Lasso paths from rows, exact to rounding: the paths of `homotopy` where columns outnumber rows.

With G = Z'Z and s = Z'y of rows Z [n, p] no p x p matrix is needed. The inverse of the Gram matrix
of the support, which has at most min(n, p) columns, is kept; a column that joins or leaves is a
rank-one change of it. A kink costs the product of Z with two vectors.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.sparse.descent import optimality_violation
from jaxmed.sparse.homotopy import (
    KINKS_PER_COLUMN,
    TOLERANCE,
    GramPath,
    Search,
    next_kink,
    path_by,
    search_by,
)
from jaxmed.sparse.penalties import L1
from jaxmed.typing import Array, pytree

__all__ = ["RowProblem", "row_path", "row_problem", "row_search"]


@pytree
class RowProblem:
    """One set of rows: Z weighted by a root per row, 0 for those that are left out."""

    root: Array  # [n]
    score: Array  # [p] Z'y
    curvature: Array  # [p] diagonal of Z'Z


@pytree
class _Active:
    """Dependents constant - penalty slope, as in `homotopy`, and the inverse of the support's Gram.

    The support lies in r slots; rows and columns of an empty one are 0.
    """

    inverse: Array  # [r, r]
    slots: Array  # [r] int32 column, -1 where empty
    columns: Array  # [n, r] weighted
    constant: Array  # [p]
    slope: Array  # [p]
    signs: Array  # [p] of the support, 0 elsewhere
    dependent: Array  # [p] bool: columns in the span of the support, which may not join it
    kinks: Array  # [] int: passed so far
    column: Array  # [] int: of the next kink
    at: Array  # [] penalty of the next kink, 0 if there is none


def row_problem(columns: Array, target: Array, root: Array) -> RowProblem:
    """The lasso of a target [n] on columns [n, p] under roots [n] of weights."""
    square = root * root
    return RowProblem(root, matmul(square * target, columns), matmul(square, columns * columns))


def row_search(
    columns: Array,
    problems: RowProblem,
    penalties: Array,
    criterion: Callable[[Array, Array], Array],
    patience: int,
) -> Search:
    """`homotopy.search` of K problems on the same columns [n, p].

    Args:
      columns: Z.
      problems: leaves [K, ...].
      penalties: [L], not increasing.
      criterion: as `search`.
      patience: as `search`.
    """

    def follow(state: _Active, problem: RowProblem, penalty: Array) -> tuple:
        return _follow(columns, problem, penalties[0], state, penalty)

    states = jax.vmap(lambda problem: _start(columns, problem))(problems)
    return search_by(follow, states, problems, penalties, criterion, patience)


def row_path(
    columns: Array, problem: RowProblem, penalties: Array, last: Array | int | None = None
) -> GramPath:
    """`homotopy.gram_path` of one problem; arguments as there."""

    def follow(state: _Active, penalty: Array) -> tuple:
        return _follow(columns, problem, penalties[0], state, penalty)

    return path_by(follow, _start(columns, problem), penalties, last)


def _start(columns: Array, problem: RowProblem) -> _Active:
    n, p = columns.shape
    r, dtype = min(n, p), columns.dtype
    zero = jnp.zeros(p, dtype)
    when = jnp.where(problem.curvature > 0, jnp.abs(problem.score), 0)
    return _Active(
        jnp.zeros((r, r), dtype),
        jnp.full(r, -1, jnp.int32),
        jnp.zeros((n, r), dtype),
        problem.score,
        zero,
        zero,
        zero != 0,
        jnp.asarray(0),
        jnp.argmax(when),
        jnp.max(when),
    )


def _in_slots(values: Array, slots: Array) -> Array:
    """Entries [r] of a vector [p], 0 for empty slots."""
    return jnp.where(slots >= 0, values[slots], 0)


def _of_columns(values: Array, slots: Array, p: int) -> Array:
    """A vector [p] with the values [r] of the slots, 0 elsewhere."""
    places = jnp.where(slots >= 0, slots, p)
    return jnp.zeros(p, values.dtype).at[places].set(values, mode="drop")


def _follow(
    columns: Array, problem: RowProblem, largest: Array, state: _Active, penalty: Array
) -> tuple[_Active, tuple[Array, Array, Array]]:
    """Pass all kinks above a penalty; coefficients [p], explained [], relative violation []."""
    n, p = columns.shape
    resolution = float(jnp.finfo(columns.dtype).eps ** 0.75)
    budget = KINKS_PER_COLUMN * min(n, p) + 16
    state = jax.lax.while_loop(
        lambda now: (now.at > penalty) & (now.kinks < budget),
        lambda now: _pass_kink(columns, problem, now, resolution),
        state,
    )
    inside = state.signs != 0
    square = problem.root * problem.root

    def residual(b: Array) -> Array:
        return problem.score - matmul(square * matmul(columns, b), columns)

    # Changes of the inverse leave rounding behind; one step takes it away.
    def polished(pair: tuple[Array, Array]) -> tuple[Array, Array]:
        pull = _in_slots(pair[1] - penalty * state.signs, state.slots)
        b = pair[0] + _of_columns(matmul(state.inverse, pull), state.slots, p)
        return b, residual(b)

    def breach(pair: tuple[Array, Array]) -> Array:
        found = optimality_violation(pair[1], pair[0], L1(penalty), problem.curvature)
        return found / largest

    b = jnp.where(inside, state.constant - penalty * state.slope, 0)
    pair = (b, residual(b))
    pair = jax.lax.cond(breach(pair) > 1e-3 * TOLERANCE, polished, lambda pair: pair, pair)
    explained = jnp.sum(jnp.where(inside, state.constant * problem.score, 0))
    return state, (pair[0], explained, breach(pair))


def _pass_kink(columns: Array, problem: RowProblem, state: _Active, resolution: float) -> _Active:
    """Exchange the column of the next kink between support and rest, and find the kink after it.

    Args:
      columns: Z [n, p].
      problem: whose path it is.
      state: before.
      resolution: a pivot below this share of the curvature is rounding.
    """
    k, penalty, slots = state.column, state.at, state.slots
    joins = state.signs[k] == 0
    new = jnp.where(joins, jnp.sign(state.constant[k] - penalty * state.slope[k]), 0)
    place = jnp.argmax(jnp.where(joins, slots < 0, slots == k))
    here = jnp.arange(slots.shape[0]) == place
    own = problem.root * columns[:, k]
    onto = matmul(state.inverse, matmul(own, state.columns))
    pivot = problem.curvature[k] - jnp.sum(matmul(own, state.columns) * onto)
    room = jnp.any(slots < 0)
    usable = ~joins | (room & (pivot > resolution * problem.curvature[k]))
    # Bordering: [H + hh'/d, -h/d; -h'/d, 1/d]; and what it leaves when a column goes.
    along = jnp.where(joins, onto - here, state.inverse[:, place])
    size = jnp.where(joins, pivot, -state.inverse[place, place])
    inverse = state.inverse + divide(jnp.where(usable, 1.0, 0.0), size) * (
        along[:, None] * along[None, :]
    )
    # Of a column that goes rounding is left: its row and column are 0 from here on.
    inverse = inverse.at[place].set(jnp.where(joins, inverse[place], 0))
    inverse = inverse.at[:, place].set(jnp.where(joins, inverse[:, place], 0))
    changes = here & usable
    slots = jnp.where(changes, jnp.where(joins, k, -1), slots).astype(slots.dtype)
    column = jnp.where(usable, jnp.where(joins, own, 0), state.columns[:, place])
    kept = state.columns.at[:, place].set(column)
    at_k = jnp.arange(state.signs.shape[0]) == k
    signs = jnp.where(at_k & usable, new, state.signs)
    dependent = jnp.where(joins, state.dependent | (at_k & ~usable), False)
    both = jnp.stack([_in_slots(problem.score, slots), _in_slots(signs, slots)])
    solved = matmul(both, inverse)  # [2, r]
    pulled = matmul(problem.root * matmul(solved, kept.T), columns)  # [2, p]
    inside, p = signs != 0, signs.shape[0]
    constant = jnp.where(inside, _of_columns(solved[0], slots, p), problem.score - pulled[0])
    slope = jnp.where(inside, _of_columns(solved[1], slots, p), -pulled[1])
    able = ~dependent & (problem.curvature > 0)
    return _Active(
        inverse,
        slots,
        kept,
        constant,
        slope,
        signs,
        dependent,
        state.kinks + 1,
        *next_kink(constant, slope, signs, able, k, penalty),
    )
