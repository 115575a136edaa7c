"""Lasso paths from second moments alone, exact to rounding: at given penalties, or all kinks.

Minimised over b: 1/2 b'Gb - s'b + penalty |b|_1, where G [p, p] and s [p] are weighted means of
products. The path is followed from kink to kink: with A the support and z its signs, b_A and the
score s - Gb of the others are linear in the penalty until a coefficient reaches zero or a score
reaches the penalty. One Gauss-Jordan exchange of a p x p tableau a kink keeps both lines; there
is no inner iteration, and least squares on every support of the path comes with it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.sparse.descent import optimality_violation
from jaxmed.sparse.path import largest_penalty, penalty_grid
from jaxmed.sparse.penalties import L1
from jaxmed.sparse.walk import walk
from jaxmed.typing import Array, pytree

# Allowed breach of the optimality conditions, relative to the largest penalty.
TOLERANCE = 1e-8
KINKS_PER_COLUMN = 8
# A large tableau does not stay in the cache: exchanges wait and are applied so many at a time.
WAITING, WAIT_FROM = 16, 192
SMALL_TABLE = 65_536  # numbers
END = 1e-10  # smallest penalty of `kinks`, relative to the first


@pytree
class GramPath:
    """Solutions along decreasing penalties, and least squares on their supports."""

    penalties: Array  # [L]
    coefficients: Array  # [L, p]
    explained: Array  # [L] s'b of least squares on the support: what it takes off y'y
    violation: Array  # [L] optimality violation relative to the largest penalty
    status: Array  # [L] int32

    @property
    def support(self) -> Array:
        """[L, p] bool."""
        return self.coefficients != 0

    @property
    def size(self) -> Array:
        """[L] number of selected columns, floating."""
        return jnp.sum(self.support, axis=1).astype(self.penalties.dtype)


@pytree
class _Tableau:
    """Dependent_i = constant_i - sum_j matrix_ij independent_j.

    For i in the support the dependent is b_i and the independent the score of i, penalty times
    sign; for the others the two change places.
    """

    matrix: Array  # [p, p], less left @ right
    left: Array  # [p, r] exchanges that wait
    right: Array  # [r, p]
    constant: Array  # [p]
    slope: Array  # [p] matrix @ signs: the dependents are constant - penalty slope
    signs: Array  # [p] of the support, 0 elsewhere
    dependent: Array  # [p] bool: columns in the span of the support, which may not join it
    kinks: Array  # [] int: passed so far
    column: Array  # [] int: of the next kink
    at: Array  # [] penalty of the next kink, 0 if there is none


def default_grid(score: Array, count: int, ratio: float) -> Array:
    """`count` penalties, log-equispaced from the smallest that selects nothing, [count]."""
    return penalty_grid(largest_penalty(score, jnp.ones_like(score)), count, ratio)


def gram_path(
    gram: Array, score: Array, penalties: Array, last: Array | int | None = None
) -> GramPath:
    """The lasso at each of some penalties.

    Args:
      gram: G [p, p], columns scaled as they are to be penalised; zero rows are never selected.
      score: s [p].
      penalties: [L], not increasing.
      last: the path ends at this position, beyond it all is 0; L - 1 if None.
    Returns:
      Path; NOT_CONVERGED where the optimality conditions are not met to `TOLERANCE`, or to what
      the dtype can reach.
    Source: Osborne, Presnell and Turlach (2000); Efron et al. (2004), lasso modification.
    """

    def follow(state: _Tableau, penalty: Array) -> tuple:
        return _follow(gram, score, penalties[0], state, penalty)

    return path_by(follow, _start(gram, score), penalties, last)


def path_by(
    follow: Callable[[Any, Array], tuple[Any, tuple[Array, Array, Array]]],
    state: Any,
    penalties: Array,
    last: Array | int | None,
) -> GramPath:
    """`gram_path` by any way to follow a path.

    Args:
      follow: (state, penalty) -> state, (coefficients [p], explained [], violation []).
      state: to begin with; `signs` is [p].
      penalties: [L], not increasing.
      last: as `gram_path`.
    """
    length, dtype = penalties.shape[0], state.signs.dtype

    def step(i: Array, carry: tuple) -> tuple:
        state, path, explained, violation = carry
        state, (b, gain, breach) = follow(state, penalties[i])
        return state, path.at[i].set(b), explained.at[i].set(gain), violation.at[i].set(breach)

    none = jnp.zeros(length, dtype)
    start = (state, jnp.zeros((length, *state.signs.shape), dtype), none, none)
    end = length if last is None else last + 1
    _, path, explained, violation = jax.lax.fori_loop(0, end, step, start)
    return GramPath(penalties, path, explained, violation, code_of(violation))


@pytree
class Search:
    """Paths of K problems followed together until a criterion has passed its minimum."""

    criterion: Array  # [L] infinite where not reached
    coefficients: Array  # [L, K, p]
    violation: Array  # [] largest, relative to the largest penalty
    status: Array  # []

    @property
    def best(self) -> Array:
        """Position of the largest penalty of least criterion."""
        return jnp.argmin(self.criterion)


def search(
    grams: Array,
    scores: Array,
    penalties: Array,
    criterion: Callable[[Array, Array], Array],
    patience: int,
) -> Search:
    """Follow K lasso paths with common penalties and stop where it no longer pays.

    Args:
      grams: [K, p, p].
      scores: [K, p].
      penalties: [L], not increasing.
      criterion: (coefficients [K, p], explained [K]) -> scalar.
      patience: the paths end after so many penalties without a new minimum of the criterion,
        0: never. Most kinks lie at the small penalties that it saves.
    """

    def follow(state: _Tableau, problem: tuple[Array, Array], penalty: Array) -> tuple:
        return _follow(*problem, penalties[0], state, penalty)

    states = jax.vmap(_start)(grams, scores)
    return search_by(follow, states, (grams, scores), penalties, criterion, patience)


def search_by(
    follow: Callable[[Any, Any, Array], tuple[Any, tuple[Array, Array, Array]]],
    states: Any,
    problems: Any,
    penalties: Array,
    criterion: Callable[[Array, Array], Array],
    patience: int,
) -> Search:
    """`search` by any way to follow a path.

    Args:
      follow: (state, problem, penalty) -> state, (coefficients [p], explained [], violation []).
      states: to begin with, leaves [K, ...]; `signs` is [K, p].
      problems: leaves [K, ...].
      penalties: [L], not increasing.
      criterion: as `search`.
      patience: as `search`.
    """
    length, size = penalties.shape[0], penalties.dtype

    def visit(at: Array, state: tuple[Any, Array]) -> tuple:
        def one(item: tuple) -> tuple:
            return follow(item[0], item[1], penalties[at])

        states, (b, explained, violation) = jax.lax.map(one, (state[0], problems))
        value = criterion(b, explained)
        value = jnp.where(jnp.isnan(value), jnp.inf, value)
        return (states, jnp.maximum(state[1], jnp.max(violation))), value, b

    found = walk(
        visit,
        (states, jnp.zeros((), size)),
        jnp.zeros((length, *states.signs.shape), size),
        jnp.full(length, jnp.inf, size),
        patience,
    )
    worst = found.state[1]
    return Search(found.criterion, found.kept, worst, code_of(worst))


@pytree
class Kinks:
    """The path at its kinks, the first all zero; places beyond `count` repeat the last."""

    penalties: Array  # [L] decreasing
    coefficients: Array  # [L, p]
    count: Array  # [] int32
    status: Array  # [] NOT_CONVERGED where L kinks did not reach the end


def kinks(gram: Array, score: Array, *, most: int, free: int | None = None) -> Kinks:
    """Kinks of the path as the penalty falls to END of its largest.

    Args:
      gram: G [p, p], positive semidefinite.
      score: s [p].
      most: L.
      free: position of one coefficient that is not penalised.
    Source: as `gram_path`. A column that depends on active ones never enters.
    """
    p, dtype = score.shape[0], gram.dtype
    if p == 0:
        none = jnp.zeros((most, 0), dtype)
        return Kinks(none.sum(axis=1), none, jnp.int32(1), jnp.int32(st.OK))
    # What rounding leaves of scores that the free column takes away is no signal.
    small = 1e2 * jnp.finfo(dtype).eps * jnp.max(jnp.abs(score))
    own = jnp.zeros(p, dtype)
    inner, rest = gram, score
    if free is not None:
        # The others see what it leaves of them, and it follows from theirs.
        own = divide(gram[free], gram[free, free])
        inner = gram - own[:, None] * gram[free][None, :]
        inner = inner.at[free].set(0).at[:, free].set(0)
        rest = (score - own * score[free]).at[free].set(0)

    def with_free(b: Array) -> Array:
        if free is None:
            return b
        return b.at[free].set(divide(score[free], gram[free, free]) - jnp.sum(own * b))

    # Exchanges are exact to rounding where pivots are at most 1.
    unit = jnp.max(jnp.diagonal(inner))
    unit = jnp.where(unit > 0, unit, 1)
    inner, rest, small = inner / unit, rest / unit, small / unit
    begin = _start(inner, rest, 1)
    start = begin.at
    floor = jnp.maximum(END * start, small)
    curvature, resolution = jnp.diagonal(inner), float(jnp.finfo(dtype).eps ** 0.75)
    first = Kinks(
        jnp.full(most, start * unit, dtype),
        jnp.broadcast_to(with_free(jnp.zeros(p, dtype)), (most, p)),
        jnp.int32(1),
        jnp.int32(st.OK),
    )

    def advance(carry: tuple[_Tableau, Kinks]) -> tuple[_Tableau, Kinks]:
        state, found = carry
        penalty = state.at
        b = jnp.where(state.signs != 0, state.constant - penalty * state.slope, 0)
        moved = _pass_kink(state, jnp.asarray(0), curvature, resolution)
        # As a product of a column and a row, not a matrix product: no p^2 numbers are kept of it.
        matrix = moved.matrix - moved.left * moved.right
        moved = replace(moved, matrix=matrix, left=0 * moved.left, right=0 * moved.right)
        # A column that depends on the support is passed over, and the first kink is there already.
        is_kink = jnp.any(moved.signs != state.signs) & (penalty < start)
        place = found.count
        return moved, Kinks(
            _written(found.penalties, place, penalty * unit, is_kink),
            _written(found.coefficients, place, with_free(b), is_kink),
            place + is_kink.astype(jnp.int32),
            found.status,
        )

    state, found = jax.lax.while_loop(
        lambda carry: (carry[0].at > floor) & (carry[1].count < most), advance, (begin, first)
    )
    code = st.when(~(state.at <= floor), st.NOT_CONVERGED)
    filled = jnp.minimum(jnp.arange(most, dtype=found.count.dtype), found.count - 1)
    return Kinks(found.penalties[filled], found.coefficients[filled], found.count, code)


def _written(table: Array, place: Array, row: Array, wanted: Array) -> Array:
    """The table with another row, where it is wanted."""
    if table.size > SMALL_TABLE:
        return table.at[place].set(jnp.where(wanted, row, table[place]))
    # In a batch a write to one place each is dearer than all of a small table.
    here = (jnp.arange(table.shape[0], dtype=place.dtype) == place) & wanted
    return jnp.where(here.reshape(-1, *[1] * (table.ndim - 1)), row, table)


def held_out_loss(coefficients: Array, gram: Array, score: Array, square: Array) -> Array:
    """Sum of squared errors of b [..., p] on held-out rows, from their sums of products."""
    half = matmul(coefficients, gram)
    return square - 2 * matmul(coefficients, score) + jnp.sum(half * coefficients, axis=-1)


def code_of(violation: Array) -> Array:
    """NOT_CONVERGED where a relative violation is above what these paths reach."""
    limit = jnp.maximum(TOLERANCE, 100 * jnp.finfo(violation.dtype).eps)
    return st.when(~(violation <= limit), st.NOT_CONVERGED)


def _start(gram: Array, score: Array, waiting: int | None = None) -> _Tableau:
    zero = jnp.zeros_like(score)
    if waiting is None:
        waiting = WAITING if score.shape[0] >= WAIT_FROM else 1
    wait = jnp.zeros((score.shape[0], waiting), score.dtype)
    # With no support a score is constant: the first kink is at the largest.
    when = jnp.where(jnp.diagonal(gram) > 0, jnp.abs(score), 0)
    column = jnp.argmax(when) if when.size else jnp.asarray(0)
    at = jnp.max(when, initial=0)
    return _Tableau(gram, wait, wait.T, score, zero, zero, zero != 0, jnp.asarray(0), column, at)


def _follow(
    gram: Array, score: Array, largest: Array, state: _Tableau, penalty: Array
) -> tuple[_Tableau, tuple[Array, Array, Array]]:
    """Pass all kinks above a penalty; coefficients [p], explained [], relative violation []."""
    curvature = jnp.diagonal(gram)
    resolution = float(jnp.finfo(score.dtype).eps ** 0.75)
    budget = KINKS_PER_COLUMN * score.shape[0] + 16

    def pending(state: _Tableau) -> Array:
        return (state.at > penalty) & (state.kinks < budget)

    def advance(item: tuple[Array, _Tableau]) -> tuple[Array, _Tableau]:
        waiting, before = item
        return waiting + 1, _pass_kink(before, waiting, curvature, resolution)

    def block(state: _Tableau) -> _Tableau:
        moved = jax.lax.while_loop(
            lambda item: pending(item[1]) & (item[0] < state.left.shape[1]),
            advance,
            (jnp.asarray(0), state),
        )[1]
        matrix = moved.matrix - matmul(moved.left, moved.right)
        none = jnp.zeros_like(moved.left)
        return replace(moved, matrix=matrix, left=none, right=none.T)

    if score.size:  # without columns there is no kink
        state = jax.lax.while_loop(pending, block, state)
    inside = state.signs != 0
    b = jnp.where(inside, state.constant - penalty * state.slope, 0)

    def residual(b: Array) -> Array:
        return score - matmul(gram, b)

    # Pivots of nearly dependent columns leave rounding behind; one step takes it away.
    def polished(pair: tuple[Array, Array]) -> tuple[Array, Array]:
        pull = jnp.where(inside, pair[1] - penalty * state.signs, 0)
        b = pair[0] + jnp.where(inside, matmul(state.matrix, pull), 0)
        return b, residual(b)

    def breach(pair: tuple[Array, Array]) -> Array:
        return optimality_violation(pair[1], pair[0], L1(penalty), curvature) / largest

    pair = (b, residual(b))
    pair = jax.lax.cond(breach(pair) > 1e-3 * TOLERANCE, polished, lambda pair: pair, pair)
    explained = jnp.sum(jnp.where(inside, state.constant * score, 0))
    return state, (pair[0], explained, breach(pair))


def next_kink(
    constant: Array, slope: Array, signs: Array, able: Array, last: Array, penalty: Array
) -> tuple[Array, Array]:
    """Column and penalty of the next change of the support; penalty 0 if there is none.

    Args:
      constant: as in `_Tableau`, after the last kink, like the next two.
      slope: [p].
      signs: [p].
      able: [p] bool, columns that may join.
      last: column of the last kink.
      penalty: of the last kink.
    """
    inside = signs != 0
    just = jnp.arange(signs.shape[0]) == last
    shrinks = inside & ~just & (signs * slope < 0) & (signs * constant < 0)
    leaves = jnp.where(shrinks, divide(constant, slope), 0)

    # A score of sign u meets the penalty at u constant / (1 + u slope), if it ever does.
    def meets(u: float) -> Array:
        barred = just & (u * constant > 0) & (jnp.sign(penalty * slope - constant) != u)
        meeting = able & ~inside & ~barred & (u * constant > 0) & (1 + u * slope > 0)
        return jnp.where(meeting, divide(u * constant, 1 + u * slope), 0)

    plus, minus = meets(1.0), meets(-1.0)
    when = jnp.maximum(leaves, jnp.maximum(plus, minus))
    column = jnp.argmax(when)
    return column, jnp.minimum(when[column], penalty)


def _pass_kink(state: _Tableau, waiting: Array, curvature: Array, resolution: float) -> _Tableau:
    """Exchange the column of the next kink between support and rest, and find the kink after it.

    Args:
      state: before; the change of its matrix waits.
      waiting: number of changes that do so already.
      curvature: [p] diagonal of G.
      resolution: a pivot below this share of the curvature is rounding.
    """
    k, penalty = state.column, state.at
    old = state.signs[k]
    joins = old == 0
    new = jnp.where(joins, jnp.sign(state.constant[k] - penalty * state.slope[k]), 0)
    row = state.matrix[k] - matmul(state.left[k], state.right)
    # The matrix is symmetric but for the sign between support and rest.
    column = jnp.where((state.signs != 0) == joins, -row, row)
    here = jnp.arange(row.shape[0]) == k
    pivot = row[k]
    column = jnp.where(here, pivot, column)
    usable = ~joins | (pivot > resolution * curvature[k])
    # With these two entries one rank-one update does the row and the column of the pivot as well.
    factor = jnp.where(usable, jnp.where(here, pivot - 1, column) / pivot, 0)
    constant = state.constant - factor * state.constant[k]
    without = state.slope - old * column
    slope = without - factor * without[k] + new * jnp.where(here, 1.0, -column) / pivot
    slope = jnp.where(usable, slope, state.slope)
    signs = jnp.where(here & usable, new, state.signs)
    dependent = jnp.where(joins, state.dependent | (here & ~usable), False)
    able = ~dependent & (curvature > 0)
    return _Tableau(
        state.matrix,
        state.left.at[:, waiting].set(factor),
        state.right.at[waiting].set(jnp.where(here, pivot + 1, row)),
        constant,
        slope,
        signs,
        dependent,
        state.kinks + 1,
        *next_kink(constant, slope, signs, able, k, penalty),
    )
