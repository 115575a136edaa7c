"""Penalised likelihoods: Newton steps whose penalised quadratics run by the descent.

Minimises loss(X'b) + sum_j P_j(|b_j|). The curvature of a Newton step may lag several steps behind
where the likelihood says so; a backtracking line search on the true objective makes every step
safe. Penalties that are rescaled by the curvature (`Rescaled`) have no objective: their fixed
point is approached by steps that shorten, should full ones run in a circle.
"""

from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.products import matmul
from jaxmed.sparse.descent import descend, optimality_violation
from jaxmed.sparse.likelihoods import Diagonal, Joint, Likelihood
from jaxmed.sparse.path import PathFit
from jaxmed.sparse.penalties import L1, Penalty, Rescaled
from jaxmed.sparse.quadratic import GramQuadratic, Quadratic, RowQuadratic, row_quadratic
from jaxmed.typing import Array, pytree

RENEW_PENALTIES = 10  # penalties along a path before the curvature is renewed
HALVINGS = 80  # a first step from a mean of 1 to counts of 1e15 is 1e15 times too long
# Newton steps at one penalty; warm starts need a handful, separated data any number.
MAX_NEWTON = 50
ROUNDS = 100  # of the descent in each of them
# Newton steps shorten at once near an optimum; where the likelihood grows for ever each changes a
# predictor by about 1, until the gradient is below any tolerance.
FAR = 0.5
# Rescaled penalties: steps halve after every such number of them, to leave a cycle.
FULL_STEPS = 12
MAX_FIXED_POINT = 300


@pytree
class Problem:
    """Data of one penalised likelihood; include a row of ones for an intercept."""

    columns: Array  # [p, n]
    likelihood: Likelihood

    @property
    def uses_gram(self) -> bool:
        """Whether the quadratic is kept as a p x p matrix; it pays when p < n."""
        return self.columns.shape[0] < self.columns.shape[1]

    def score(self, predictor: Array) -> Array:
        """Minus the gradient of the loss in the coefficients, [p]."""
        return matmul(self.columns, self.likelihood.residual(predictor))

    def curvature_at(self, predictor: Array) -> Array:
        """Second-order information at a predictor, for `quadratic`: [p, p], [n] or [p, n]."""
        if not self.likelihood.is_diagonal:
            images = cast(Joint, self.likelihood).images(predictor, self.columns)
            return matmul(images, self.columns.T) if self.uses_gram else images
        weights = cast(Diagonal, self.likelihood).curvature(predictor)
        if self.uses_gram:
            return matmul(self.columns * weights[None, :], self.columns.T)
        return weights

    def quadratic(self, curvature: Array) -> Quadratic:
        """The quadratic that `curvature_at` describes."""
        if self.uses_gram:
            return GramQuadratic(curvature)
        if self.likelihood.is_diagonal:
            return row_quadratic(self.columns, curvature)
        diagonal = jnp.sum(self.columns * curvature, axis=1)
        none = jnp.ones(self.columns.shape[1], self.columns.dtype)
        return RowQuadratic(self.columns, none, diagonal, curvature)


@pytree
class Point:
    """One point of the Newton iteration."""

    coefficients: Array  # [p]
    predictor: Array  # [n] eta
    curvature: Array  # of `Problem.curvature_at`, at this predictor or an earlier one
    violation: Array  # []
    status: Array  # [] of the fit that ends here: NOT_CONVERGED, or SEPARATED where no maximum is


def null_point(problem: Problem) -> Point:
    """All coefficients zero."""
    p, n = problem.columns.shape
    dtype = problem.columns.dtype
    predictor = jnp.zeros(n, dtype)
    infinite = jnp.full((), jnp.inf, dtype)
    curvature, ok = problem.curvature_at(predictor), jnp.asarray(st.OK, jnp.int32)
    return Point(jnp.zeros(p, dtype), predictor, curvature, infinite, ok)


def _step_length(
    problem: Problem, penalty: Penalty, state: Point, proposal: Array, change: Array
) -> Array:
    """Largest of 1, 1/2, 1/4, ... that lowers the objective; 0 if none does."""

    def objective(t: Array) -> Array:
        b = state.coefficients + t * (proposal - state.coefficients)
        loss = problem.likelihood.loss(state.predictor + t * change)
        return loss + jnp.sum(penalty.value(jnp.abs(b)))

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


def proximal_newton(
    problem: Problem,
    penalty: Penalty,
    start: Point,
    *,
    tolerance: Array,
    renew_first: Array | bool = True,
    rescale: bool = False,
) -> Point:
    """Minimise one penalised likelihood from a warm start.

    Args:
      problem: columns and likelihood.
      penalty: of every coefficient, leaves [p].
      start: of `null_point` or a neighbour.
      tolerance: allowed optimality violation, units of the penalty's slope.
      renew_first: compute the curvature at the start instead of using the one in `start`.
      rescale: the penalty is meant for columns of unit curvature, see `Rescaled`.
    Returns:
      The point; converged exactly if its violation is at most `tolerance`. Where free columns
      separate the outcome (counts that are all 0, say) there is no optimum: the budget ends the
      iteration, or the tolerance, with SEPARATED.
    Source: Lee, Sun and Saunders (2014), proximal Newton; Friedman et al. (2010), section 3.
    """
    # Every column that is not identically zero has curvature.
    present = jnp.max(jnp.abs(problem.columns), axis=1)
    every = 1 if rescale else problem.likelihood.renew_every

    def penalty_with(curvature: Array) -> Penalty:
        return Rescaled(penalty, problem.quadratic(curvature).curvature) if rescale else penalty

    def measured(b: Array, predictor: Array, curvature: Array, far: Array) -> Point:
        if rescale:
            curvature = problem.curvature_at(predictor)
        own = penalty_with(curvature)
        breach = optimality_violation(problem.score(predictor), b, own, present)
        code = jnp.where(
            breach <= tolerance, st.when(far, st.SEPARATED), st.when(True, st.NOT_CONVERGED)
        )
        return Point(b, predictor, curvature, breach, code)

    def newton(carry: tuple[Point, Array]) -> tuple[Point, Array]:
        state, count = carry
        curvature = state.curvature
        if not rescale:
            renew = jnp.where(count == 0, renew_first, count % every == every - 1)
            curvature = jax.lax.cond(
                renew, lambda: problem.curvature_at(state.predictor), lambda: state.curvature
            )
        own = penalty_with(curvature)
        residual = problem.likelihood.residual(state.predictor)
        if problem.uses_gram:
            residual = matmul(problem.columns, residual)
        inner = descend(
            problem.quadratic(curvature),
            own,
            state.coefficients,
            residual,
            tolerance=jnp.maximum(0.02 * state.violation, 0.2 * tolerance),
            max_rounds=ROUNDS,
        )
        change = matmul(inner.coefficients - state.coefficients, problem.columns)
        if rescale:
            t = 0.5 ** jnp.minimum(count // FULL_STEPS, 4).astype(change.dtype)
        else:
            t = _step_length(problem, own, state, inner.coefficients, change)
        b = state.coefficients + t * (inner.coefficients - state.coefficients)
        predictor = state.predictor + t * change
        if rescale:  # a coefficient that is to be 0 does not get there by halves
            b = jnp.where(inner.coefficients == 0, 0, b)
            predictor = matmul(b, problem.columns)
        moved = jnp.max(jnp.abs(predictor - state.predictor))
        return measured(b, predictor, curvature, (not rescale) & (moved > FAR)), count + 1

    far = start.status == st.SEPARATED
    begin = measured(start.coefficients, start.predictor, start.curvature, far)
    budget = MAX_FIXED_POINT if rescale else MAX_NEWTON
    return jax.lax.while_loop(
        lambda c: (c[0].violation > tolerance) & (c[1] < budget),
        newton,
        (begin, jnp.zeros((), jnp.int32)),
    )[0]


def free_fit(problem: Problem, factors: Array, *, tolerance: float) -> tuple[Point, Array]:
    """Fit of the free columns alone.

    Args:
      problem: columns and likelihood.
      factors: penalty factors [p]; 0 for free columns.
      tolerance: relative to the largest score at b = 0.
    Returns:
      The point with its status, and the score [p] there.
    """
    state = null_point(problem)
    score = problem.score(state.predictor)
    # Far above any score, yet finite: infinity times factor 0 would be NaN.
    levels = jnp.where(factors > 0, 1e3 * (1 + jnp.max(jnp.abs(score))), 0)
    target = tolerance * jnp.max(jnp.abs(score))
    state = proximal_newton(problem, L1(levels), state, tolerance=target)
    return state, problem.score(state.predictor)


def likelihood_path(
    problem: Problem,
    state: Point,
    penalties: Array,
    penalty_at: Callable[[Array], Penalty],
    *,
    tolerance: Array,
) -> PathFit:
    """Path with warm starts.

    Args:
      problem: columns and likelihood.
      state: start, of `free_fit`.
      penalties: lambda, decreasing, [L].
      penalty_at: the penalty at one lambda.
      tolerance: allowed optimality violation, units of lambda.
    Returns:
      Path; status NOT_CONVERGED where the budget ran out, SEPARATED where there is no maximum.
    """

    def step(state: Point, item: tuple[Array, Array]) -> tuple[Point, tuple]:
        index, level = item
        state = proximal_newton(
            problem,
            penalty_at(level),
            state,
            tolerance=tolerance,
            renew_first=(index % RENEW_PENALTIES == 0) | (problem.likelihood.renew_every == 1),
        )
        return state, (state.coefficients, state.violation, state.status)

    items = (jnp.arange(penalties.shape[0]), penalties)
    return PathFit(*jax.lax.scan(step, state, items)[1])
