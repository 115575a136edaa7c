"""Adaptive lasso of the outcome on the mediators, covariates and exposure projected out.

Minimised over b: 1/2n |y - Zb|^2 + penalty sum_j |b_j| / |b_j initial|^power, columns Z of unit
variance. A mediator with initial coefficient 0 stays out.
"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.parts.legs import Legs
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.sparse.descent import descend, optimality_violation
from jaxmed.sparse.path import largest_penalty, penalty_grid
from jaxmed.sparse.penalties import L1
from jaxmed.sparse.quadratic import least_squares
from jaxmed.typing import Array, pytree

Initial = Literal["ols", "ridge", "lasso"]
# Optimality of the solutions relative to the largest score, where the dtype can reach it.
TOLERANCE = 1e-9
RIDGE_PENALTIES = 50
RIDGE_RATIO = 1e-6


def check_initial(init: str) -> None:
    """Raises ValueError for an unknown initial estimate."""
    if init not in get_args(Initial):
        raise ValueError(f"init must be one of {get_args(Initial)}, not {init!r}")


@pytree
class Problem:
    """Columns ready for the descent."""

    columns: Array  # [p, n] of unit variance, constant ones 0
    outcome: Array  # [n]
    weights: Array  # [n], summing to 1
    count: Array  # [] n, the rows that the weights stand for
    num_fixed: Array  # [] coefficients already taken from the rows


@pytree
class AdaptivePath:
    """Solutions along decreasing penalties; coefficients per standard deviation of a mediator."""

    penalties: Array  # [L]
    factors: Array  # [p] 1 / |initial|^power, infinite where the initial coefficient is 0
    coefficients: Array  # [L, p]
    mean_square: Array  # [L] of the residual
    reached: Array  # [L] bool: before the path ended for its size
    violation: Array  # [L] of the optimality conditions
    status: Array  # [L]

    @property
    def size(self) -> Array:
        """[L] number of selected mediators, floating."""
        return jnp.sum(self.coefficients != 0, axis=1).astype(self.penalties.dtype)


def problem_of(legs: Legs) -> tuple[Problem, Array]:
    """The problem of a data set, and the standard deviations [p] of its columns."""
    w, count = legs.rows.weights, legs.rows.count
    scale = sqrt(matmul(w, legs.mediators**2) / count)
    columns = divide(legs.mediators, scale).T
    fixed = jnp.asarray(1 + legs.outcome_rank, scale.dtype)
    return Problem(columns, legs.outcome, w / count, count, fixed), scale


def on_rows(problem: Problem, keep: Array) -> Problem:
    """The same problem on some of the rows, `keep` [n] 0/1."""
    weights = problem.weights * keep
    total = jnp.sum(weights)
    return Problem(
        problem.columns, problem.outcome, weights / total, problem.count * total, problem.num_fixed
    )


def initial_coefficients(
    problem: Problem, init: Initial, *, num_penalties: int, ratio: float, limit: int
) -> tuple[Array, Array]:
    """First-stage coefficients [p] and their status.

    "ols"; "ridge" with the penalty of least generalised cross-validation; "lasso" with that of
    least BIC. The sizes of path and grid are those of the lasso.
    """
    if init == "lasso":
        path = adaptive_path(
            problem, jnp.ones_like(problem.columns[:, 0]), num_penalties, ratio, limit
        )
        best = jnp.argmin(information(problem, path))
        return path.coefficients[best], path.status[best]
    if init == "ols":
        return _least_squares(problem)
    return _ridge(problem), jnp.asarray(st.OK, jnp.int32)


def _least_squares(problem: Problem) -> tuple[Array, Array]:
    root = jnp.sqrt(problem.weights)
    inner = gram((problem.columns * root[None, :]).T)
    inner = inner + jnp.diag(jnp.where(jnp.diagonal(inner) > 0, 0, 1).astype(inner.dtype))
    lower = jnp.linalg.cholesky(inner)
    pivot = jnp.min(jnp.diagonal(lower))
    bad = ~(pivot > 32 * jnp.finfo(inner.dtype).eps ** 0.5)
    score = matmul(problem.columns, problem.weights * problem.outcome)
    b = jax.scipy.linalg.cho_solve((lower, True), score[:, None])[:, 0]
    return jnp.where(bad, jnp.nan, b), st.when(bad, st.RANK_DEFICIENT)


def _ridge(problem: Problem) -> Array:
    """Ridge regression at the penalty of least generalised cross-validation."""
    root = jnp.sqrt(problem.weights)
    z, y = problem.columns * root[None, :], problem.outcome * root
    p, n = z.shape
    values, vectors = jnp.linalg.eigh(gram(z.T) if p <= n else gram(z))
    values = jnp.maximum(values, 0)
    floor = 10 * max(p, n) * jnp.finfo(values.dtype).eps * values[-1]
    kept = values > floor
    # Coordinates of y along the directions that the columns span.
    along = matmul(vectors.T, matmul(z, y)) if p <= n else matmul(vectors.T, y)
    along = jnp.where(kept, divide(along, sqrt(values)) if p <= n else along, 0)
    penalties = penalty_grid(jnp.maximum(values[-1], floor), RIDGE_PENALTIES, RIDGE_RATIO)
    column = penalties[:, None]
    shrink = jnp.where(kept[None, :], divide(column, values[None, :] + column), 1)
    rest = jnp.maximum(jnp.sum(y * y) - jnp.sum(along**2), 0)
    left = rest + jnp.sum((shrink * along[None, :]) ** 2, axis=1)
    df = problem.count - problem.num_fixed - jnp.sum(1 - shrink, axis=1)
    loss = jnp.where(df > 0, divide(left, df * df), jnp.inf)
    penalty = penalties[jnp.argmin(loss)]
    if p <= n:
        return matmul(vectors, along * sqrt(values) / (values + penalty))
    return matmul(z, matmul(vectors, along / (values + penalty)))


def adaptive_path(
    problem: Problem,
    factors: Array,
    num_penalties: int,
    ratio: float,
    limit: int,
    penalties: Array | None = None,
) -> AdaptivePath:
    """The path from the smallest penalty that selects nothing.

    Args:
      problem: one data set.
      factors: [p], infinite for mediators that stay out.
      num_penalties: L.
      ratio: of the smallest to the largest penalty.
      limit: the path ends once more mediators than this are selected.
      penalties: [L], instead of the grid.
    """
    allowed = jnp.isfinite(factors)
    columns = jnp.where(allowed[:, None], problem.columns, 0)
    factors = jnp.where(allowed, factors, 1)
    v = problem.weights
    quadratic, residual = least_squares(columns, v, problem.outcome)
    score = quadratic.score(residual)
    if penalties is None:
        penalties = penalty_grid(largest_penalty(score, factors), num_penalties, ratio)
    relative = max(TOLERANCE, 40 * float(jnp.finfo(score.dtype).eps))
    tolerance = relative * jnp.max(jnp.abs(score))
    start = (jnp.zeros_like(score), residual, jnp.asarray(False))

    def step(carry: tuple[Array, Array, Array], penalty: Array) -> tuple[tuple, tuple]:
        b, r, ended = carry
        # Without a tolerance to reach, the descent returns at once: this holds under vmap too.
        goal = jnp.where(ended, jnp.inf, tolerance)
        state = descend(quadratic, L1(penalty * factors), b, r, tolerance=goal, max_rounds=1000)
        ended = ended | (jnp.sum(state.coefficients != 0) > limit)
        return (state.coefficients, state.residual, ended), (state.coefficients, ~ended)

    _, (path, reached) = jax.lax.scan(step, start, penalties)

    def measure(b: Array, penalty: Array) -> tuple[Array, Array]:
        rest = quadratic.score(quadratic.residual_at(residual, b))
        breach = optimality_violation(rest, b, L1(penalty * factors), quadratic.curvature)
        error = problem.outcome - matmul(b, columns)
        return breach, jnp.sum(v * error * error)

    violation, mean_square = jax.vmap(measure)(path, penalties)
    code = st.when(reached & ~(violation <= 2 * tolerance), st.NOT_CONVERGED)
    shown = jnp.where(allowed, factors, jnp.inf)
    return AdaptivePath(penalties, shown, path, mean_square, reached, violation, code)


def information(problem: Problem, path: AdaptivePath, extra: float = 0.0) -> Array:
    """BIC [L], or extended BIC with `extra` > 0; infinite where the path was not followed.

    n log(RSS / n) + k (log n + 2 extra log p), k mediators selected.
    Source: Schwarz (1978); Chen and Chen (2008).
    """
    n, p = problem.count, problem.columns.shape[0]
    price = jnp.log(n) + 2 * extra * jnp.log(jnp.asarray(p, n.dtype))
    total = jnp.sum(problem.weights * problem.outcome**2)
    tiny = jnp.finfo(n.dtype).tiny
    # An outcome that is fitted exactly has no information to compare beyond rounding.
    floor = jnp.maximum(jnp.finfo(n.dtype).eps * total, tiny)
    value = n * jnp.log(jnp.maximum(path.mean_square, floor)) + path.size * price
    return jnp.where(path.reached, value, jnp.inf)
