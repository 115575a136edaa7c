"""Logistic lasso: proximal Newton steps whose weighted least squares run by coordinate descent.

Minimises  -sum_i v_i log P(y_i | eta_i) + sum_j penalty_j |b_j|,  eta = Xb, with case weights v
that sum to 1. The curvature of a Newton step may lag several steps behind: weights
pi (1 - pi) shrink along the path, so an older curvature is an upper bound more often than not, and
a backtracking line search on the true objective makes every step safe.
"""

import jax
import jax.numpy as jnp

from jaxmed import status
from jaxmed.linalg.coordinate_descent import (
    GramQuadratic,
    PathFit,
    Quadratic,
    descend,
    optimality_violation,
    row_quadratic,
)
from jaxmed.linalg.products import matmul
from jaxmed.typing import Array, pytree

RENEW_EVERY = 4  # Newton steps at one penalty before the curvature is renewed
RENEW_PENALTIES = 10  # and penalties along a path
HALVINGS = 30
# Newton steps at one penalty; warm starts need a handful, separated data any number.
MAX_NEWTON = 50
# pi (1 - pi) below this is a point that no longer informs the fit, but must not divide by zero.
LEAST_WEIGHT = 1e-5


@pytree
class LogisticState:
    """One point of the Newton iteration."""

    coefficients: Array  # [p]
    predictor: Array  # [n] eta
    curvature: Array  # [p, p] X'WX, or [n] W: whichever the form of the problem needs
    violation: Array  # []


@pytree
class LogisticProblem:
    """Data of one logistic lasso."""

    columns: Array  # [p, n]
    outcome: Array  # [n] in {0, 1}
    weights: Array  # [n] v, sums to 1; 0 leaves a row out

    @property
    def uses_gram(self) -> bool:
        """Whether the quadratic is kept as a p x p matrix; it pays when p < n."""
        return self.columns.shape[0] < self.columns.shape[1]

    def residual(self, predictor: Array) -> Array:
        """Weighted residual v (y - pi), [n]."""
        return self.weights * (self.outcome - jax.nn.sigmoid(predictor))

    def deviance(self, predictor: Array) -> Array:
        """-sum v log likelihood (half the mean deviance), scalar."""
        losses = jax.nn.softplus(predictor) - self.outcome * predictor
        return jnp.sum(self.weights * losses)

    def curvature_at(self, predictor: Array) -> Array:
        """Second-order information at a predictor, for `quadratic`."""
        pi = jax.nn.sigmoid(predictor)
        w = self.weights * jnp.maximum(pi * (1 - pi), LEAST_WEIGHT)
        return matmul(self.columns * w, self.columns.T) if self.uses_gram else w

    def quadratic(self, curvature: Array) -> Quadratic:
        """The quadratic that `curvature_at` describes."""
        return (
            GramQuadratic(curvature) if self.uses_gram else row_quadratic(self.columns, curvature)
        )


def null_state(problem: LogisticProblem) -> LogisticState:
    """All coefficients zero."""
    p, n = problem.columns.shape
    dtype = problem.columns.dtype
    predictor = jnp.zeros(n, dtype)
    infinite = jnp.full((), jnp.inf, dtype)
    return LogisticState(jnp.zeros(p, dtype), predictor, problem.curvature_at(predictor), infinite)


def _step_length(
    problem: LogisticProblem, state: LogisticState, proposal: Array, change: Array, penalties: Array
) -> Array:
    """Largest of 1, 1/2, 1/4, ... that lowers the objective; 0 if none does."""

    def objective(t: Array) -> Array:
        b = state.coefficients + t * (proposal - state.coefficients)
        return problem.deviance(state.predictor + t * change) + jnp.sum(penalties * jnp.abs(b))

    zero = jnp.zeros((), change.dtype)
    before = objective(zero)
    # Near the optimum the true decrease is below rounding of the objective.
    slack = 4 * jnp.finfo(before.dtype).eps * jnp.abs(before)
    final = jax.lax.while_loop(
        lambda c: ~(objective(c[0]) <= before + slack) & (c[1] < HALVINGS),
        lambda c: (c[0] / 2, c[1] + 1),
        (zero + 1, jnp.zeros((), jnp.int32)),
    )
    return jnp.where(final[1] < HALVINGS, final[0], 0)


def logistic_descend(
    problem: LogisticProblem,
    state: LogisticState,
    penalties: Array,
    *,
    tolerance: Array,
    renew_first: Array | bool = True,
    max_rounds: int = 100,
) -> LogisticState:
    """Minimise one logistic lasso problem from a warm start.

    Args:
      problem: columns, outcome and case weights.
      state: start.
      penalties: [p]; 0 leaves a coefficient free.
      tolerance: allowed optimality violation, units of the penalty.
      renew_first: compute the curvature at the start instead of using the one in `state`.
      max_rounds: budget of coordinate-descent rounds in each Newton step.
    Returns:
      The state; converged exactly if its violation is at most `tolerance`. With separated
      data and free columns there is no optimum and the budget ends the iteration.
    Source: Lee, Sun and Saunders (2014), proximal Newton; Friedman et al. (2010), section 3.
    """
    # Every column that is not identically zero has curvature.
    present = jnp.max(jnp.abs(problem.columns), axis=1)

    def measure(b: Array, predictor: Array) -> Array:
        score = matmul(problem.columns, problem.residual(predictor))
        return optimality_violation(score, b, penalties, present)

    def newton(carry: tuple[LogisticState, Array]) -> tuple[LogisticState, Array]:
        state, count = carry
        renew = jnp.where(count == 0, renew_first, count % RENEW_EVERY == RENEW_EVERY - 1)
        curvature = jax.lax.cond(
            renew, lambda: problem.curvature_at(state.predictor), lambda: state.curvature
        )
        residual = problem.residual(state.predictor)
        if problem.uses_gram:
            residual = matmul(problem.columns, residual)
        inner = descend(
            problem.quadratic(curvature),
            state.coefficients,
            residual,
            penalties,
            tolerance=jnp.maximum(0.02 * state.violation, 0.2 * tolerance),
            max_rounds=max_rounds,
        )
        change = matmul(inner.coefficients - state.coefficients, problem.columns)
        t = _step_length(problem, state, inner.coefficients, change, penalties)
        b = state.coefficients + t * (inner.coefficients - state.coefficients)
        predictor = state.predictor + t * change
        return LogisticState(b, predictor, curvature, measure(b, predictor)), count + 1

    violation = measure(state.coefficients, state.predictor)
    start = LogisticState(state.coefficients, state.predictor, state.curvature, violation)
    return jax.lax.while_loop(
        lambda c: (c[0].violation > tolerance) & (c[1] < MAX_NEWTON),
        newton,
        (start, jnp.zeros((), jnp.int32)),
    )[0]


def logistic_null(
    problem: LogisticProblem, factors: Array, *, tolerance: float
) -> tuple[LogisticState, Array]:
    """Fit of the free columns alone.

    Args:
      problem: columns, outcome and case weights.
      factors: penalty factors [p]; at least one 0 (the intercept).
      tolerance: relative to the largest score at b = 0.
    Returns:
      The state and the score [p] there.
    """
    state = null_state(problem)
    score = matmul(problem.columns, problem.residual(state.predictor))
    # Far above any score, yet finite: infinity times factor 0 would be NaN.
    penalties = jnp.where(factors > 0, 1e3 * (1 + jnp.max(jnp.abs(score))), 0)
    target = tolerance * jnp.max(jnp.abs(score))
    state = logistic_descend(problem, state, penalties, tolerance=target)
    return state, matmul(problem.columns, problem.residual(state.predictor))


def logistic_path(
    problem: LogisticProblem,
    state: LogisticState,
    penalties: Array,
    factors: Array,
    *,
    tolerance: Array,
) -> PathFit:
    """Logistic lasso path with warm starts.

    Args:
      problem: columns, outcome and case weights; include a column of ones for an intercept.
      state: start, e.g. of `logistic_null`.
      penalties: lambda, decreasing, [L].
      factors: penalty factors, [p].
      tolerance: allowed optimality violation, units of lambda.
    Returns:
      Path; status NOT_CONVERGED where the budget ran out.
    """

    def step(state: LogisticState, item: tuple[Array, Array]) -> tuple[LogisticState, tuple]:
        index, penalty = item
        state = logistic_descend(
            problem,
            state,
            penalty * factors,
            tolerance=tolerance,
            renew_first=index % RENEW_PENALTIES == 0,
        )
        code = status.when(~(state.violation <= tolerance), status.NOT_CONVERGED)
        return state, (state.coefficients, state.violation, code)

    items = (jnp.arange(penalties.shape[0]), penalties)
    return PathFit(*jax.lax.scan(step, state, items)[1])
