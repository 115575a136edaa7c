"""One minimiser of a quadratic plus separable penalties: sweeps over an active list, and Newton.

Sweeps of coordinate descent run over an active list that only grows, as columns violate their
optimality condition. Correlated columns make plain descent crawl, so a round of sweeps that did not
converge ends with a Newton step on the pieces of the penalties at hand, cut where the first
coefficient would leave its piece: on convex pieces it cannot raise the objective, and it is exact
once signs and pieces are right.
"""

import jax
import jax.numpy as jnp

from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.sparse.penalties import Penalty, at
from jaxmed.sparse.quadratic import Quadratic
from jaxmed.typing import Array, pytree

SWEEPS = 4  # per round
FEW = 128  # active columns that get a small linear system
LENGTHS = (1.0, 0.5, 0.25, 0.0625)  # of Newton steps beyond the first kink of a convex penalty


@pytree
class Descent:
    """One point of the descent and how far it is from optimal."""

    coefficients: Array  # [p]
    residual: Array  # [p] or [n], see the quadratic
    violation: Array  # [] largest breach of the optimality conditions, units of the penalty
    rounds: Array  # [] int32, of SWEEPS sweeps each

    @property
    def sweeps(self) -> Array:
        """Passes over the active columns, [] int32."""
        return SWEEPS * self.rounds


@pytree
class _Rounds:
    state: Descent
    score: Array  # [p]
    active: Array  # [p] bool
    order: Array  # [p] active columns first
    count: Array  # [] number of active columns


def optimality_violation(
    score: Array, coefficients: Array, penalty: Penalty, curvature: Array
) -> Array:
    """Largest breach of the optimality conditions over the last axis.

    Zero where score_j = P_j'(|b_j|) sign(b_j) for b_j != 0 and |score_j| <= P_j'(0) elsewhere: at
    the minimum of a convex problem, at a stationary point of any. Columns without curvature
    (constant ones) keep coefficient 0 and do not count.
    """
    size = jnp.abs(coefficients)
    nonzero = jnp.abs(score - penalty.slope(size) * jnp.sign(coefficients))
    zero = jnp.maximum(jnp.abs(score) - penalty.slope(jnp.zeros_like(size)), 0)
    breach = jnp.where(coefficients != 0, nonzero, zero)
    # A curvature that is no number counts: nothing is known to be optimal then.
    return jnp.max(jnp.where(curvature <= 0, 0, breach), axis=-1, initial=0)


def _sweep(
    quadratic: Quadratic, penalty: Penalty, rounds: _Rounds, coefficients: Array, residual: Array
) -> tuple[Array, Array]:
    curvature, last = quadratic.curvature, rounds.order.shape[0] - 1

    def update(k: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        coefficients, residual, old = carry
        j = rounds.order[k]
        own = curvature[j]
        new = at(penalty, j).minimiser(quadratic.partial(residual, j) + own * old, own)
        coefficients = coefficients.at[j].set(new)
        # The next column's coefficient is read here: XLA:CPU copies all of them in every update
        # where one is read before another is written in the same step (benchmarks/loop_updates).
        following = coefficients[rounds.order[jnp.minimum(k + 1, last)]]
        return coefficients, quadratic.move(residual, j, new - old), following

    start = (coefficients, residual, coefficients[rounds.order[0]])
    return jax.lax.fori_loop(0, rounds.count, update, start)[:2]


def _newton(
    quadratic: Quadratic,
    penalty: Penalty,
    order: Array,
    count: Array,
    coefficients: Array,
    residual: Array,
    size: int,
) -> tuple[Array, Array]:
    """Minimise over the support within its pieces, up to the first change of a piece.

    Args:
      quadratic: curvature.
      penalty: of the coefficients.
      order: [p] active columns first; those at coefficient 0 stay there, and those beyond `size`
        are left to the sweeps.
      count: number of active columns.
      coefficients: [p].
      residual: [p] or [n].
      size: columns of the linear system.
    Returns:
      Coefficients and residual; unchanged where the restricted system is not positive definite.
    """
    columns = order[:size]
    b, own = coefficients[columns], at(penalty, columns)
    magnitude, sign = jnp.abs(b), jnp.sign(b)
    free = (b != 0) & (jnp.arange(columns.shape[0]) < count)
    moments, score = quadratic.restricted(columns, residual)
    pull = jnp.where(free, score - sign * own.slope(magnitude), 0)
    both = free[:, None] & free[None, :]
    identity = jnp.eye(columns.shape[0], dtype=b.dtype)
    # The ridge keeps (nearly) dependent columns solvable; the step remains one of descent.
    ridge = 8 * jnp.finfo(b.dtype).eps * jnp.max(free.astype(b.dtype) * jnp.diagonal(moments))
    inner = moments + identity * own.bend(magnitude)[None, :]
    factor = jnp.linalg.cholesky(jnp.where(both, inner, identity) + ridge * identity)
    full = jax.scipy.linalg.cho_solve((factor, True), pull[:, None])[:, 0]
    full = jnp.where(jnp.all(jnp.isfinite(full)), full, 0)
    penalised = own.slope(jnp.zeros_like(b)) > 0
    zero = jnp.where((b * (b + full) < 0) & penalised, divide(-b, full), jnp.inf)
    first = jnp.min(zero)
    for kink in own.kinks():
        reach = divide(sign * kink - b, full, jnp.inf)
        first = jnp.minimum(first, jnp.min(jnp.where((reach > 0) & penalised, reach, jnp.inf)))
    cut = jnp.minimum(first, 1)

    def ended(length: Array) -> Array:
        # A coefficient that changes sign stops at 0.
        return jnp.where(zero <= length, -b, length * full)

    step = ended(cut)
    if own.is_convex and own.kinks():
        # Beyond a kink the objective is still known: the best of some longer steps.
        lengths = jnp.concatenate([cut[None], jnp.asarray(LENGTHS, b.dtype)])
        steps = jax.vmap(ended)(lengths)
        change = jnp.sum(steps * (matmul(steps, moments) / 2 - score[None, :]), axis=1)
        values = jax.vmap(own.value)(jnp.abs(b[None, :] + steps))
        change = change + jnp.sum(values - own.value(magnitude)[None, :], axis=1)
        step = steps[jnp.where(first >= 1, 0, jnp.argmin(change))]
    return coefficients.at[columns].add(step), quadratic.shift(residual, columns, step)


def _widen(rounds: _Rounds, wanted: Array) -> _Rounds:
    """Add the wanted columns to the active list; the costly list is rebuilt only if it grew."""
    active = rounds.active | wanted
    count = jnp.sum(active)
    order = jax.lax.cond(
        count > rounds.count,
        lambda: jnp.nonzero(active, size=active.size, fill_value=0)[0],
        lambda: rounds.order,
    )
    return _Rounds(rounds.state, rounds.score, active, order, count)


def descend(
    quadratic: Quadratic,
    penalty: Penalty,
    coefficients: Array,
    residual: Array,
    *,
    tolerance: Array,
    max_rounds: int,
) -> Descent:
    """Minimise one problem from a warm start.

    Args:
      quadratic: the smooth part.
      penalty: of every coefficient, leaves [p].
      coefficients: start, [p].
      residual: residual at the start, [p] or [n].
      tolerance: stop when the violation is at most this, in units of the penalty's slope.
      max_rounds: budget of rounds of SWEEPS sweeps over the active columns and a Newton step.
    Returns:
      The state; it converged exactly if its violation is at most `tolerance`.
    """
    curvature = quadratic.curvature
    entry = penalty.slope(jnp.zeros_like(coefficients))

    def measured(b: Array, r: Array, rounds: Array) -> tuple[Descent, Array]:
        score = quadratic.score(r)
        return Descent(b, r, optimality_violation(score, b, penalty, curvature), rounds), score

    def newton(rounds: _Rounds, b: Array, r: Array) -> tuple[Array, Array]:
        def step(size: int) -> tuple[Array, Array]:
            return _newton(quadratic, penalty, rounds.order, rounds.count, b, r, size)

        most = quadratic.rank_bound
        if most < 2 * FEW:
            return step(most)
        # A factorisation of all columns for the few that are active would be most of the time.
        return jax.lax.cond(rounds.count <= FEW, lambda: step(FEW), lambda: step(most))

    def one_round(rounds: _Rounds) -> _Rounds:
        held = (rounds.state.coefficients != 0) | (entry == 0)
        wanted = (held | (jnp.abs(rounds.score) > entry)) & (curvature > 0)
        rounds = _widen(rounds, wanted)

        b, r = jax.lax.fori_loop(
            0,
            SWEEPS,
            lambda _, pair: _sweep(quadratic, penalty, rounds, *pair),
            (rounds.state.coefficients, rounds.state.residual),
        )
        count = rounds.state.rounds + 1
        swept = measured(b, r, count)
        # Sweeps alone often do; LAPACK is not called for nothing.
        state, score = jax.lax.cond(
            swept[0].violation > tolerance,
            lambda: measured(*newton(rounds, b, r), count),
            lambda: swept,
        )
        return _Rounds(state, score, rounds.active, rounds.order, rounds.count)

    state, score = measured(coefficients, residual, jnp.zeros((), jnp.int32))
    none = jnp.zeros(score.shape, bool)
    order = jnp.zeros(score.shape, int)
    start = _Rounds(state, score, none, order, jnp.sum(none))
    return jax.lax.while_loop(
        lambda r: (r.state.violation > tolerance) & (r.state.rounds < max_rounds), one_round, start
    ).state
