"""Warm-started least squares paths under lasso, MCP or SCAD, with the choice by BIC.

Objective: (1/2n)|y - Xb|^2 + sum_j P(|b_j|; lambda factor_j), columns of X scaled to
x_j'x_j = n; factor 0 leaves a column free. Two solvers walk the same grid from its large end:

"tight" is the descent of this package, to a stationarity residual near rounding.

"reference" is the cyclic descent of the field's standard package with its early stop
(`release.ncvreg`). Beyond the convex range a path depends on the order of updates and on where
they stop; who wants that package's numbers needs both.
"""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.products import matmul
from jaxmed.sparse.descent import descend, optimality_violation
from jaxmed.sparse.path import largest_penalty, penalty_grid
from jaxmed.sparse.quadratic import GramQuadratic
from jaxmed.sparse.release import ncvreg
from jaxmed.sparse.shapes import Shape
from jaxmed.sparse.walk import walk
from jaxmed.typing import Array, pytree

MAX_ROUNDS = 400  # of the tight solver, per penalty
FREE_FACTOR = 1.000001  # the reference nudges its first penalty where columns are free


@dataclasses.dataclass(frozen=True)
class PathSolver:
    """How a path is solved.

    Attributes:
      kind: "reference" or "tight".
      tolerance: reference: a sweep whose largest change is below tolerance * sd(y) ends a
        penalty. Tight: stationarity residual, relative to the largest penalty.
      max_sweeps: of the whole path (reference).
      patience: a path ends once its criterion has not improved for this many penalties; 0: never.
    """

    kind: Literal["reference", "tight"] = "tight"
    tolerance: float = 1e-9
    max_sweeps: int = 10_000
    patience: int = 0


REFERENCE = PathSolver("reference", 1e-4, 10_000, 0)


@pytree
class BicPath:
    """Solutions along a grid; where the path ended early, zeros and `solved` False."""

    penalties: Array  # [L] decreasing
    coefficients: Array  # [L, d] on standardised columns
    mean_rss: Array  # [L] residual sum of squares / n
    nonzero: Array  # [L] int32, free columns included
    bic: Array  # [L] inf where not solved
    solved: Array  # [L] bool
    sweeps: Array  # [] over active columns, of the whole path
    index: Array  # [] position of the least BIC, the first of equals
    violation: Array  # [] stationarity residual there, units of the penalty
    beyond_convexity: Array  # [] bool: the objective is not convex on the columns chosen there
    status: Array  # [] NOT_CONVERGED where a budget ran out before the chosen penalty was solved

    @property
    def chosen(self) -> Array:
        """Coefficients of least BIC, [d]."""
        return self.coefficients[self.index]


def score_at_null(gram: Array, score: Array, free: Array) -> Array:
    """Score [d] with the free columns fitted and the others at zero.

    Args:
      gram: [d, d].
      score: [d] X'y/n.
      free: [d] bool.
    """
    both = free[:, None] & free[None, :]
    identity = jnp.eye(gram.shape[0], dtype=gram.dtype)
    # The ridge keeps constant and dependent free columns solvable.
    ridge = 8 * float(jnp.finfo(gram.dtype).eps) * identity
    fitted = jnp.linalg.solve(jnp.where(both, gram, identity) + ridge, jnp.where(free, score, 0))
    return score - matmul(gram, fitted)


def penalty_path(
    gram: Array, score: Array, factors: Array, *, count: int, ratio: float, nudge: bool = False
) -> Array:
    """Log-equispaced penalties from the smallest that selects nothing, [count].

    Args:
      gram: [d, d].
      score: [d] X'y/n.
      factors: [d]; the free columns (0) are fitted first.
      count: of penalties.
      ratio: smallest over largest.
      nudge: the reference's first penalty: a hair larger where there are free columns.
    """
    free = factors == 0
    largest = largest_penalty(score_at_null(gram, score, free), factors)
    grid = penalty_grid(largest, count, ratio)
    return grid.at[0].multiply(jnp.where(nudge & jnp.any(free), FREE_FACTOR, 1.0))


def bic_path(
    gram: Array,
    score: Array,
    outcome_ss: Array,
    count: Array,
    factors: Array,
    penalties: Array,
    shape: Shape,
    solver: PathSolver = PathSolver(),
    *,
    extra_parameters: int = 0,
) -> BicPath:
    """Path and its choice by BIC.

    Args:
      gram: [d, d] X'X/n; diagonal 1, or 0 for a column that never enters.
      score: [d] X'y/n, y centred.
      outcome_ss: y'y/n.
      count: number of rows n.
      factors: [d] penalty factors; 0 leaves a column free.
      penalties: [L] decreasing, see `penalty_path`.
      shape: see `shape_of`.
      solver: how to solve.
      extra_parameters: counted in BIC beyond the non-zero coefficients (projected-out columns);
        intercept and variance are always counted.
    Returns:
      BicPath. BIC = n log(2 pi) + n log(RSS/n) + n + (k + 2) log n.
    Source: Breheny and Huang (2011); specification B1.
    """
    d, length, dtype = score.shape[0], penalties.shape[0], gram.dtype
    extra = jnp.asarray(extra_parameters, dtype)
    quadratic = GramQuadratic(gram)
    released = solver.kind == "reference"
    eps = float(jnp.finfo(dtype).eps)
    target = max(solver.tolerance, 40 * eps) * jnp.maximum(penalties[0], jnp.sqrt(outcome_ss) * eps)

    def tight(at: Array, state: tuple[Array, Array], sweeps: Array) -> tuple:
        found = descend(
            quadratic,
            shape.at(penalties[at] * factors),
            *state,
            tolerance=target,
            max_rounds=MAX_ROUNDS,
        )
        swept = sweeps + found.sweeps
        return (found.coefficients, found.residual), swept, found.violation <= target

    def reference(at: Array, state: ncvreg.State, sweeps: Array) -> tuple:
        return ncvreg.advance(
            state,
            gram,
            factors,
            penalties[at],
            penalties[jnp.maximum(at - 1, 0)],
            shape,
            sweeps,
            enough=solver.tolerance * jnp.sqrt(outcome_ss),
            max_sweeps=solver.max_sweeps,
        )

    def visit(at: Array, last: tuple[Any, Array]) -> tuple:
        state, sweeps, converged = (reference if released else tight)(at, *last)
        b, left = (state.b, state.score) if released else state
        mean_rss = jnp.maximum(outcome_ss - jnp.dot(b, score + left), 0)
        size = jnp.sum(b != 0).astype(dtype) + extra
        least = jnp.finfo(dtype).tiny
        bic = count * (jnp.log(2 * jnp.pi * jnp.maximum(mean_rss, least)) + 1)
        bic = bic + (size + 2) * jnp.log(count)
        return (state, sweeps), bic, (b, mean_rss, converged)

    begin = ncvreg.begin(score, factors) if released else (jnp.zeros(d, dtype), score)
    blank = jnp.zeros(length, dtype)
    found = walk(
        visit,
        (begin, jnp.zeros((), jnp.int32)),
        (jnp.zeros((length, d), dtype), blank, blank > 0),
        blank + jnp.inf,
        solver.patience,
        lambda state: not released or state[1] < solver.max_sweeps,
    )
    (path, mean_rss, converged), (_, sweeps) = found.kept, found.state
    b = path[found.best]
    level = penalties[found.best] * factors
    inside = (b != 0) & (level > 0)
    both = inside[:, None] & inside[None, :]
    identity = jnp.eye(d, dtype=dtype)
    shifted = jnp.where(both, gram, identity) - shape.convexity * (
        identity * inside[None, :].astype(dtype)
    )
    # The reference ends the whole path with its budget, perhaps before the least criterion.
    spent = released & (sweeps >= solver.max_sweeps)
    return BicPath(
        penalties,
        path,
        mean_rss,
        jnp.sum(path != 0, axis=1).astype(jnp.int32),
        found.criterion,
        jnp.arange(length, dtype=found.step.dtype) < found.step,
        sweeps,
        found.best,
        optimality_violation(score - matmul(gram, b), b, shape.at(level), quadratic.curvature),
        ~jnp.all(jnp.isfinite(jnp.linalg.cholesky(shifted))),
        st.when(~converged[found.best] | spent, st.NOT_CONVERGED),
    )
