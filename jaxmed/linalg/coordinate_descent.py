"""Cyclic coordinate descent for the lasso: gaussian from moments or rows, logistic by Newton.

Gaussian problem: minimise over b  1/2 sum_i v_i (y_i - x_i'b)^2 + sum_j penalty_j |b_j|, with
case weights v that sum to 1. A `quadratic` carries the curvature and a `residual` the data:
the score X'V(y - Xb) of all columns where moments are at hand (`GramQuadratic`), the weighted
residual V(y - Xb) of the rows otherwise (`RowQuadratic`, cheaper when p > n).

Sweeps run over an active list that only grows, as columns violate their optimality condition.
Correlated columns make plain descent crawl, so a round of sweeps that did not converge ends with
a Newton step on the current signs, cut where the first coefficient would change sign: it cannot
raise the objective and is exact once the signs are right.
"""

import jax
import jax.numpy as jnp

from jaxmed import status
from jaxmed.linalg.products import matmul
from jaxmed.linalg.prox import soft_threshold
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree

SWEEPS = 4  # per round
FEW = 128  # active columns that get a small linear system


@pytree
class GramQuadratic:
    """Curvature X'VX; the residual is the score [p]."""

    gram: Array  # [p, p]

    @property
    def curvature(self) -> Array:
        """Second derivative along each coordinate, [p]."""
        return jnp.diagonal(self.gram)

    def partial(self, residual: Array, j: Array) -> Array:
        """Score of column j."""
        return residual[j]

    def move(self, residual: Array, j: Array, step: Array) -> Array:
        """Residual after coefficient j grew by `step`."""
        return residual - step * self.gram[j]

    def score(self, residual: Array) -> Array:
        """Negative gradient of the smooth part, [p]."""
        return residual

    def residual_at(self, residual: Array, coefficients: Array) -> Array:
        """Residual at `coefficients`, given the residual at zero."""
        return residual - matmul(self.gram, coefficients)

    @property
    def rank_bound(self) -> int:
        """Most columns that can be linearly independent."""
        return self.gram.shape[0]

    def restricted(self, columns: Array, residual: Array) -> tuple[Array, Array]:
        """X'VX [k, k] and score [k] of some columns."""
        return self.gram[columns][:, columns], residual[columns]

    def shift(self, residual: Array, columns: Array, step: Array) -> Array:
        """Residual after the coefficients of `columns` grew by step [k]."""
        return residual - matmul(step, self.gram[columns])


@pytree
class RowQuadratic:
    """Curvature X'VX kept as rows; the residual is V(y - Xb) [n]."""

    columns: Array  # [p, n], one mediator per contiguous row
    weights: Array  # [n], v >= 0
    curvature: Array  # [p], diagonal of X'VX

    def partial(self, residual: Array, j: Array) -> Array:
        """Score of column j."""
        return matmul(self.columns[j], residual)

    def move(self, residual: Array, j: Array, step: Array) -> Array:
        """Residual after coefficient j grew by `step`."""
        return residual - step * self.weights * self.columns[j]

    def score(self, residual: Array) -> Array:
        """Negative gradient of the smooth part, [p]."""
        return matmul(self.columns, residual)

    def residual_at(self, residual: Array, coefficients: Array) -> Array:
        """Residual at `coefficients`, given the residual at zero."""
        return residual - self.weights * matmul(coefficients, self.columns)

    @property
    def rank_bound(self) -> int:
        """Most columns that can be linearly independent."""
        return min(self.columns.shape)

    def restricted(self, columns: Array, residual: Array) -> tuple[Array, Array]:
        """X'VX [k, k] and score [k] of some columns."""
        x = self.columns[columns]
        return matmul(x * self.weights[None, :], x.T), matmul(x, residual)

    def shift(self, residual: Array, columns: Array, step: Array) -> Array:
        """Residual after the coefficients of `columns` grew by step [k]."""
        return residual - self.weights * matmul(step, self.columns[columns])


def row_quadratic(columns: Array, weights: Array) -> RowQuadratic:
    """`RowQuadratic` of columns [p, n] under weights [n]."""
    return RowQuadratic(columns, weights, matmul(columns * columns, weights))


Quadratic = GramQuadratic | RowQuadratic


@pytree
class LassoState:
    """One point of the descent and how far it is from optimal."""

    coefficients: Array  # [p]
    residual: Array  # [p] or [n], see the quadratic
    violation: Array  # [] largest breach of the optimality conditions, units of the penalty


@pytree
class _Rounds:
    state: LassoState
    score: Array  # [p]
    active: Array  # [p] bool
    order: Array  # [p] active columns first
    count: Array  # [] number of active columns
    round: Array  # []


def optimality_violation(
    score: Array, coefficients: Array, penalties: Array, curvature: Array
) -> Array:
    """Largest breach of the lasso's KKT conditions over the last axis.

    Zero at the optimum: score_j = penalty_j sign(b_j) where b_j != 0, |score_j| <= penalty_j
    elsewhere. Columns without curvature (constant ones) keep coefficient 0 and do not count.
    """
    nonzero = jnp.abs(score - penalties * jnp.sign(coefficients))
    zero = jnp.maximum(jnp.abs(score) - penalties, 0)
    breach = jnp.where(coefficients != 0, nonzero, zero)
    return jnp.max(jnp.where(curvature > 0, breach, 0), axis=-1)


def _sweep(
    quadratic: Quadratic, penalties: Array, rounds: _Rounds, coefficients: Array, residual: Array
) -> tuple[Array, Array]:
    curvature, last = quadratic.curvature, rounds.order.shape[0] - 1

    def update(k: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        coefficients, residual, old = carry
        j = rounds.order[k]
        step = 1 / curvature[j]
        target = old + step * quadratic.partial(residual, j)
        new = soft_threshold(target, penalties[j], step)
        coefficients = coefficients.at[j].set(new)
        # The next column's coefficient is read here: XLA:CPU copies all of them in every update
        # where one is read before another is written in the same step (benchmarks/loop_updates).
        following = coefficients[rounds.order[jnp.minimum(k + 1, last)]]
        return coefficients, quadratic.move(residual, j, new - old), following

    start = (coefficients, residual, coefficients[rounds.order[0]])
    return jax.lax.fori_loop(0, rounds.count, update, start)[:2]


def _newton(
    quadratic: Quadratic,
    penalties: Array,
    order: Array,
    count: Array,
    coefficients: Array,
    residual: Array,
    size: int,
) -> tuple[Array, Array]:
    """Minimise over the support at its current signs, up to the first change of sign.

    Args:
      quadratic: curvature.
      penalties: [p].
      order: [p] active columns first; those at coefficient 0 stay there, and those beyond `size`
        are left to the sweeps.
      count: number of active columns.
      coefficients: [p].
      residual: [p] or [n].
      size: columns of the linear system.
    Returns:
      Coefficients and residual; unchanged where the restricted system is singular.
    """
    columns = order[:size]
    b, penalty = coefficients[columns], penalties[columns]
    free = (b != 0) & (jnp.arange(columns.shape[0]) < count)
    inner, score = quadratic.restricted(columns, residual)
    pull = jnp.where(free, score - penalty * jnp.sign(b), 0)
    both = free[:, None] & free[None, :]
    identity = jnp.eye(columns.shape[0], dtype=b.dtype)
    # The ridge keeps (nearly) dependent columns solvable; the step remains one of descent.
    ridge = 8 * jnp.finfo(b.dtype).eps * jnp.max(free.astype(b.dtype) * jnp.diagonal(inner))
    factor = jnp.linalg.cholesky(jnp.where(both, inner, identity) + ridge * identity)
    step = jax.scipy.linalg.cho_solve((factor, True), pull[:, None])[:, 0]
    step = jnp.where(jnp.all(jnp.isfinite(step)), step, 0)
    crosses = (b * (b + step) < 0) & (penalty > 0)
    reach = jnp.where(crosses, divide(-b, step), 1)
    length = jnp.min(reach)
    step = jnp.where(crosses & (reach <= length), -b, length * step)
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
    return _Rounds(rounds.state, rounds.score, active, order, count, rounds.round)


def descend(
    quadratic: Quadratic,
    coefficients: Array,
    residual: Array,
    penalties: Array,
    *,
    tolerance: Array,
    max_rounds: int,
) -> LassoState:
    """Minimise one lasso problem from a warm start.

    Args:
      quadratic: curvature of the smooth part.
      coefficients: start, [p].
      residual: residual at the start, [p] or [n].
      penalties: penalty of each coefficient, [p]; 0 leaves it free.
      tolerance: stop when the optimality violation is at most this, in units of the penalty.
      max_rounds: budget of rounds of SWEEPS sweeps over the active columns.
    Returns:
      The state; it converged exactly if its violation is at most `tolerance`.
    """
    curvature = quadratic.curvature

    def measured(b: Array, r: Array) -> tuple[LassoState, Array]:
        score = quadratic.score(r)
        return LassoState(b, r, optimality_violation(score, b, penalties, curvature)), score

    def newton(rounds: _Rounds, b: Array, r: Array) -> tuple[Array, Array]:
        def step(size: int) -> tuple[Array, Array]:
            return _newton(quadratic, penalties, rounds.order, rounds.count, b, r, size)

        most = quadratic.rank_bound
        if most < 2 * FEW:
            return step(most)
        # A factorisation of all columns for the few that are active would be most of the time.
        return jax.lax.cond(rounds.count <= FEW, lambda: step(FEW), lambda: step(most))

    def one_round(rounds: _Rounds) -> _Rounds:
        held = (rounds.state.coefficients != 0) | (penalties == 0)
        wanted = (held | (jnp.abs(rounds.score) > penalties)) & (curvature > 0)
        rounds = _widen(rounds, wanted)

        b, r = jax.lax.fori_loop(
            0,
            SWEEPS,
            lambda _, pair: _sweep(quadratic, penalties, rounds, *pair),
            (rounds.state.coefficients, rounds.state.residual),
        )
        swept = measured(b, r)
        # Sweeps alone often do; LAPACK is not called for nothing.
        state, score = jax.lax.cond(
            swept[0].violation > tolerance,
            lambda: measured(*newton(rounds, b, r)),
            lambda: swept,
        )
        return _Rounds(state, score, rounds.active, rounds.order, rounds.count, rounds.round + 1)

    state, score = measured(coefficients, residual)
    none = jnp.zeros(score.shape, bool)
    order = jnp.zeros(score.shape, int)
    start = _Rounds(state, score, none, order, jnp.sum(none), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(
        lambda r: (r.state.violation > tolerance) & (r.round < max_rounds), one_round, start
    ).state


@pytree
class PathFit:
    """Solutions along a grid of penalties."""

    coefficients: Array  # [L, p]
    violation: Array  # [L] optimality violation, recomputed from the data
    status: Array  # [L] int32


def penalty_grid(largest: Array, count: int, ratio: float) -> Array:
    """`count` values, log-equispaced from `largest` to ratio * largest, [count]."""
    # An outcome without signal has largest = 0; any positive grid then selects nothing.
    tiny = jnp.finfo(largest.dtype).tiny ** 0.5
    exponents = jnp.linspace(0.0, 1.0, count, dtype=largest.dtype)
    return jnp.maximum(largest, tiny) * ratio**exponents


def largest_penalty(score: Array, factors: Array) -> Array:
    """Smallest lambda at which every penalised coefficient is zero; score at the null model."""
    return jnp.max(divide(jnp.abs(score), factors))


def gaussian_path(
    quadratic: Quadratic,
    residual: Array,
    penalties: Array,
    factors: Array,
    *,
    tolerance: Array,
    max_rounds: int = 1000,
) -> PathFit:
    """Lasso path with warm starts.

    Args:
      quadratic: curvature; columns centred and scaled as the caller wants them penalised.
      residual: residual at b = 0: X'Vy [p] for a `GramQuadratic`, Vy [n] for a `RowQuadratic`.
      penalties: lambda, decreasing, [L].
      factors: penalty factors, [p]; 0 leaves a column free.
      tolerance: allowed optimality violation, units of lambda.
      max_rounds: budget per lambda.
    Returns:
      Path; status NOT_CONVERGED where the budget ran out.
    Source: Friedman, Hastie and Tibshirani (2010), covariance and naive updates.
    """
    start = (jnp.zeros(factors.shape, residual.dtype), residual)

    def step(carry: tuple[Array, Array], penalty: Array) -> tuple[tuple[Array, Array], tuple]:
        state = descend(
            quadratic, *carry, penalty * factors, tolerance=tolerance, max_rounds=max_rounds
        )
        code = status.when(~(state.violation <= tolerance), status.NOT_CONVERGED)
        return (state.coefficients, state.residual), (state.coefficients, code)

    _, (path, codes) = jax.lax.scan(step, start, penalties)

    def certificate(b: Array, penalty: Array) -> Array:
        score = quadratic.score(quadratic.residual_at(residual, b))
        return optimality_violation(score, b, penalty * factors, quadratic.curvature)

    return PathFit(path, jax.vmap(certificate)(path, penalties), codes)
