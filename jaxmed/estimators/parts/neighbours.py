"""Which mediators predict each mediator, and its coefficient in the outcome model given those."""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.parts.exact import no_residual, unless_rounding
from jaxmed.estimators.parts.legs import Legs
from jaxmed.estimators.parts.partially_linear import (
    exposure_given_outcome_base,
    half_squares,
    over_slack,
)
from jaxmed.estimators.parts.span import factor, singular
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.linalg.triangular import solve_lower
from jaxmed.sparse.descent import optimality_violation
from jaxmed.sparse.homotopy import TOLERANCE, GramPath, code_of, gram_path, held_out_loss
from jaxmed.sparse.path import penalty_grid
from jaxmed.sparse.penalties import L1
from jaxmed.typing import Array, pytree

# Columns that one nodewise path works on at a time; optimality is checked on all of them.
PLACES = 128
ROUNDS = 6
# Mediators and folds that show how far the common path need go; how far beyond it then goes.
PILOTS, PILOT_FOLDS = 8, 2
BEYOND = 2
SMALL_MODEL = 64


@pytree
class NodewiseSupports:
    """Supports of the lassos of every mediator on all others, one penalty for all."""

    selected: Array  # [p, p] bool, row k: the mediators that predict mediator k
    penalty: Array  # [] on unit columns
    criterion: Array  # [L] mean held-out loss over mediators; infinite where not reached
    violation: Array  # [p] of the optimality conditions, relative to the penalty
    status: Array  # [p] NOT_CONVERGED where more than PLACES columns would be needed


def neighbour_supports(
    gram: Array, held: Array, share: Array, *, num_penalties: int, ratio: float
) -> NodewiseSupports:
    """Lassos of every column on all others at the common minimum of their cross-validated loss.

    Args:
      gram: of unit columns [p, p], 0 rows for constant ones.
      held: its parts by fold [K, p, p].
      share: of the case weights in each fold [K].
      num_penalties: of the grid, from the largest off-diagonal entry.
      ratio: smallest over largest penalty.
    Returns:
      NodewiseSupports. The grid is searched until the minimum of the summed loss is interior.
    """
    p = gram.shape[0]
    largest = jnp.max(jnp.where(jnp.eye(p, dtype=bool), 0, jnp.abs(gram)))
    penalties = penalty_grid(largest, num_penalties, ratio)

    final, pilots = num_penalties - 1, jnp.round(jnp.linspace(0, p - 1, PILOTS)).astype(int)

    def losses(trial: Array, last: Array) -> Array:
        """Held-out losses down to `last`: of all columns, or in the trial of a few in few folds."""
        folds = jnp.where(trial, min(PILOT_FOLDS, held.shape[0]), held.shape[0])
        columns, rounds = jnp.where(trial, PILOTS, p), jnp.where(trial, 1, ROUNDS)

        def of_fold(f: Array, total: Array) -> Array:
            out = held[f]
            train = divide(gram - out, 1 - share[f])

            def of_column(i: Array, total: Array) -> Array:
                j = jnp.where(trial, pilots[i], i)  # an index beyond the end is clamped
                places, path, _ = _column_path(train, j, penalties, last, rounds)
                parts = out[places][:, places], out[places, j], out[j, j]
                return total + held_out_loss(path.coefficients, *parts)

            summed: Array = jax.lax.fori_loop(0, columns, of_column, total)
            return summed

        none = jnp.zeros(num_penalties, gram.dtype)
        total: Array = jax.lax.fori_loop(0, folds, of_fold, none)
        return jnp.where(jnp.arange(num_penalties) <= last, total, jnp.inf)

    def extend(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        trial, last, _, _ = carry
        total = losses(trial, last)
        ahead = jnp.where(trial, jnp.argmin(total) + BEYOND, last + 2 * BEYOND)
        # The trial says how far to go and no more.
        total = jnp.where(trial, jnp.inf, total)
        return jnp.asarray(False), jnp.minimum(ahead, final), last, total

    def open_end(carry: tuple[Array, ...]) -> Array:
        _, _, last, total = carry
        return (jnp.argmin(total) == last) & (last < final) | jnp.all(jnp.isinf(total))

    # Trial, first pass and extensions are one body, so that it is compiled once.
    none = jnp.full(num_penalties, jnp.inf, gram.dtype)
    start = (jnp.asarray(p > 4 * PILOTS), jnp.asarray(final), jnp.asarray(final), none)
    total = jax.lax.while_loop(open_end, extend, start)[-1]
    best = penalties[jnp.argmin(total)]

    def support(j: Array) -> tuple[Array, Array]:
        places, path, violation = _column_path(gram, j, best[None], jnp.asarray(0), ROUNDS)
        chosen = jnp.zeros(p, bool).at[places].set(path.coefficients[0] != 0)
        return chosen, violation

    selected, violation = jax.lax.map(support, jnp.arange(p))
    return NodewiseSupports(selected, best, total / p, violation, code_of(violation))


def _column_path(
    gram: Array, j: Array, penalties: Array, last: Array, rounds: Array | int
) -> tuple[Array, GramPath, Array]:
    """Lasso path of column j on the others, over a working set that grows until it is optimal.

    Returns:
      places [k], path over them, and the violation over all columns.
    """
    p = gram.shape[0]
    size = min(p, PLACES)
    others = jnp.arange(p) != j
    score = jnp.where(others, gram[j], 0)

    def solve(priority: Array) -> tuple[Array, GramPath, Array, Array]:
        places = jnp.arange(p) if size == p else jax.lax.top_k(priority, size)[1]
        mine = places == j
        columns = gram[places]
        inner = jnp.where(mine[:, None] | mine[None, :], 0, columns[:, places])
        path = gram_path(inner, score[places], penalties, last)
        left = jnp.where(others[None, :], score[None, :] - matmul(path.coefficients, columns), 0)
        b = jnp.zeros((penalties.shape[0], p), gram.dtype).at[:, places].set(path.coefficients)
        reached = jnp.arange(penalties.shape[0]) <= last
        breach = optimality_violation(left, b, L1(penalties[:, None]), jnp.diagonal(gram))
        violation = jnp.max(jnp.where(reached, breach, 0)) / penalties[0]
        excess = jnp.where(reached[:, None], divide(jnp.abs(left), penalties[:, None]), 0)
        wanted = jnp.where(jnp.any(b != 0, axis=0), jnp.inf, jnp.max(excess, axis=0))
        return places, path, violation, wanted

    start = jnp.abs(score)
    if size == p:
        return solve(start)[:3]
    # The first pass is the body's too, so that it is compiled once.
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(solve, start))
    unknown = (*nothing[:2], jnp.asarray(jnp.inf, gram.dtype), start)

    def again(carry: tuple) -> tuple:
        return carry[0] + 1, solve(carry[1][3])

    _, (places, path, violation, _) = jax.lax.while_loop(
        lambda carry: (carry[1][2] > TOLERANCE) & (carry[0] < rounds), again, (0, unknown)
    )
    return places, path, violation


def own_coefficients(
    legs: Legs, gram: Array, scale: Array, selected: Array
) -> tuple[Array, Array, Array]:
    """Coefficient of every mediator in an outcome model of its own.

    Args:
      legs: of the rows.
      gram: of the mediators given basis and exposure, over `scale`, mean products [p, p].
      scale: [p], 0 for constant mediators.
      selected: [p, p] bool, row k: the other mediators of the model of mediator k.
    Returns:
      Coefficients, HC2 standard errors and status, [p]; NaN where TOO_FEW_ROWS.
    """
    rows = legs.rows
    w, (n, p) = rows.weights, legs.mediators.shape
    columns = divide(legs.mediators, scale).T
    alone = legs.outcome_span.leverages
    exposure = exposure_given_outcome_base(legs)
    alone = alone + divide(exposure**2, legs.outcome_exposure_ss)
    free = 1 + legs.outcome_rank
    usable = scale > 0
    whole = jnp.sum(w * legs.outcome**2)

    def model(size: int, k: Array, others: Array) -> tuple[Array, Array, Array]:
        # Mediator k comes last: the last row of the factor is all that its coefficient needs.
        index = jnp.append(jnp.argsort(~others, stable=True)[: size - 1], k)
        inside = jnp.append(others[index[:-1]], usable[k])
        x = jnp.where(inside[:, None], columns[index], 0)
        lower = factor(gram[index][:, index] * rows.count, inside)
        half = solve_lower(lower, x)
        fitted = matmul(half, w * legs.outcome)
        residual = legs.outcome - matmul(fitted, half)
        exact = no_residual(jnp.sum(w * residual**2), whole)
        residual = jnp.where(exact, 0, residual)
        noise = over_slack(w * residual**2, alone + half_squares(half))
        pivot = lower[-1, -1] * scale[k]
        error = sqrt(jnp.sum(half[-1] ** 2 * noise))
        own = unless_rounding(fitted[-1], exact, jnp.ones_like(whole), sqrt(whole))
        dependent = singular(lower / jnp.sqrt(rows.count))
        return divide(own, pivot), divide(error, pivot), dependent

    sizes = sorted({min(n, p, SMALL_MODEL), min(n, p)})

    def one(item: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        k, row = item
        others = row & usable & (jnp.arange(p) != k)
        count = jnp.sum(others) + 1
        beta, error, dependent = jax.lax.switch(
            (count > sizes[0]).astype(int) if len(sizes) == 2 else 0,
            [lambda k, others, size=size: model(size, k, others) for size in sizes],
            k,
            others,
        )
        df = rows.count - free - count.astype(rows.count.dtype)
        few = (df < 2) | (count > sizes[-1])
        code = jnp.where(few, st.TOO_FEW_ROWS, st.when(dependent & usable[k], st.RANK_DEFICIENT))
        return beta, error, code

    beta, error, code = jax.lax.map(one, (jnp.arange(p), selected))
    absent = st.is_fatal(code) | ~usable

    def kept(values: Array) -> Array:
        return jnp.where(absent, jnp.nan, values)

    return kept(beta), kept(error), code
