"""Warm-started paths of lasso, MCP and SCAD least squares in Gram form.

Objective: (1/2n)|y - Xb|^2 + sum_j P(|b_j|; lambda factor_j), columns of X scaled to
x_j'x_j = n; factor 0 leaves a column free. Two solvers walk the same grid from its large end:

"reference" is the cyclic descent of the field's standard package with its early stop. Beyond the
convex range a path depends on the order of updates and on where they stop; who wants that package's
numbers needs both.

"tight" adds Newton steps within the piece of the (piecewise quadratic) objective at hand, cut where
a coefficient would leave its piece, and stops at a stationarity residual near rounding.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.concave_penalty import ConcavePenalty
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree

SWEEPS = 4  # between two Newton steps of the tight solver
NEWTON_COLUMNS = 128  # more active columns than this are left to the sweeps
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
class ConcavePath:
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


@pytree
class _Point:
    b: Array  # [d]
    score: Array  # [d] X'(y - Xb)/n
    seen: Array  # [d] score + b when column j was last touched


@pytree
class _Walk:
    point: _Point
    active: Array  # [d] bool, ever non-zero
    strong: Array  # [d] bool, ever expected to enter (reference)
    step: Array  # [] position in the grid
    sweeps: Array  # []
    best: Array  # [] position of the least criterion so far
    least: Array  # []
    coefficients: Array  # [L, d]
    bic: Array  # [L]
    mean_rss: Array  # [L]
    converged: Array  # [L] bool


@pytree
class _Problem:
    gram: Array  # [d, d]
    score: Array  # [d]
    outcome_ss: Array  # [] y'y/n
    count: Array  # [] n
    factors: Array  # [d]
    extra: Array  # [] parameters counted besides the non-zero coefficients


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
    largest = jnp.max(divide(jnp.abs(score_at_null(gram, score, free)), factors))
    tiny = jnp.finfo(gram.dtype).tiny ** 0.5
    grid = jnp.maximum(largest, tiny) * ratio ** jnp.linspace(0, 1, count, dtype=gram.dtype)
    return grid.at[0].multiply(jnp.where(nudge & jnp.any(free), FREE_FACTOR, 1.0))


def concave_path(
    gram: Array,
    score: Array,
    outcome_ss: Array,
    count: Array,
    factors: Array,
    penalties: Array,
    penalty: ConcavePenalty,
    solver: PathSolver = PathSolver(),
    *,
    extra_parameters: int = 0,
) -> ConcavePath:
    """Path and its choice by BIC.

    Args:
      gram: [d, d] X'X/n; diagonal 1, or 0 for a column that never enters.
      score: [d] X'y/n, y centred.
      outcome_ss: y'y/n.
      count: number of rows n.
      factors: [d] penalty factors; 0 leaves a column free.
      penalties: [L] decreasing, see `penalty_path`.
      penalty: see `concave_penalty`.
      solver: how to solve.
      extra_parameters: counted in BIC beyond the non-zero coefficients (projected-out columns);
        intercept and variance are always counted.
    Returns:
      ConcavePath. BIC = n log(2 pi) + n log(RSS/n) + n + (k + 2) log n.
    Source: Breheny and Huang (2011); specification B1.
    """
    extra = jnp.asarray(extra_parameters, gram.dtype)
    problem = _Problem(gram, score, outcome_ss, count, factors, extra)
    d, length = score.shape[0], penalties.shape[0]
    zeros = jnp.zeros(d, gram.dtype)
    integer = jnp.zeros((), jnp.int32)
    walk = _Walk(
        _Point(zeros, score, score),
        factors == 0,
        factors == 0,
        integer,
        integer,
        integer,
        jnp.full((), jnp.inf, gram.dtype),
        jnp.zeros((length, d), gram.dtype),
        jnp.full(length, jnp.inf, gram.dtype),
        jnp.zeros(length, gram.dtype),
        jnp.zeros(length, bool),
    )
    solve = _reference_step if solver.kind == "reference" else _tight_step

    def body(walk: _Walk) -> _Walk:
        position = walk.step
        point, active, strong, sweeps, converged = solve(problem, penalty, solver, penalties, walk)
        mean_rss = jnp.maximum(
            problem.outcome_ss - jnp.dot(point.b, problem.score + point.score), 0
        )
        bic = _bic(problem, point.b, mean_rss)
        better = bic < walk.least
        return _Walk(
            point,
            active,
            strong,
            position + 1,
            sweeps,
            jnp.where(better, position, walk.best),
            jnp.where(better, bic, walk.least),
            walk.coefficients.at[position].set(point.b),
            walk.bic.at[position].set(bic),
            walk.mean_rss.at[position].set(mean_rss),
            walk.converged.at[position].set(converged),
        )

    def going(walk: _Walk) -> Array:
        more = walk.step < length
        if solver.kind == "reference":
            more &= walk.sweeps < solver.max_sweeps
        if solver.patience:
            more &= walk.step - walk.best <= solver.patience
        return more

    walk = jax.lax.while_loop(going, body, walk)
    # The reference ends the whole path with its budget, perhaps before the least criterion.
    spent = (solver.kind == "reference") & (walk.sweeps >= solver.max_sweeps)
    return _finish(problem, penalty, penalties, walk, spent)


def _bic(problem: _Problem, b: Array, mean_rss: Array) -> Array:
    n = problem.count
    k = jnp.sum(b != 0).astype(b.dtype) + problem.extra
    least = jnp.finfo(b.dtype).tiny
    return n * (jnp.log(2 * jnp.pi * jnp.maximum(mean_rss, least)) + 1) + (k + 2) * jnp.log(n)


def _finish(
    problem: _Problem, penalty: ConcavePenalty, penalties: Array, walk: _Walk, spent: Array
) -> ConcavePath:
    b = walk.coefficients[walk.best]
    level = penalties[walk.best] * problem.factors
    score = problem.score - matmul(problem.gram, b)
    inside = (b != 0) & (level > 0)
    both = inside[:, None] & inside[None, :]
    identity = jnp.eye(b.shape[0], dtype=b.dtype)
    shifted = jnp.where(both, problem.gram, identity) - penalty.convexity * (
        identity * inside[None, :].astype(b.dtype)
    )
    solved = jnp.arange(penalties.shape[0], dtype=walk.step.dtype) < walk.step
    code = st.when(~walk.converged[walk.best] | spent, st.NOT_CONVERGED)
    return ConcavePath(
        penalties,
        walk.coefficients,
        walk.mean_rss,
        jnp.sum(walk.coefficients != 0, axis=1).astype(jnp.int32),
        walk.bic,
        solved,
        walk.sweeps,
        walk.best,
        jnp.max(stationarity(problem.gram, score, b, level, penalty)),
        ~jnp.all(jnp.isfinite(jnp.linalg.cholesky(shifted))),
        code,
    )


def stationarity(
    gram: Array, score: Array, b: Array, level: Array, penalty: ConcavePenalty
) -> Array:
    """Breach [d] of the stationarity conditions at b, units of the penalty; 0 at an optimum.

    Args:
      gram: [d, d]; columns with a zero diagonal do not count.
      score: [d] X'(y - Xb)/n.
      b: [d].
      level: lambda times penalty factor, [d].
      penalty: see `concave_penalty`.
    """
    nonzero = jnp.abs(score - penalty.slope(b, level) * jnp.sign(b))
    zero = jnp.maximum(jnp.abs(score) - level, 0)
    return jnp.where(jnp.diagonal(gram) > 0, jnp.where(b != 0, nonzero, zero), 0)


def _sweep(
    problem: _Problem, penalty: ConcavePenalty, level: Array, point: _Point, mask: Array
) -> tuple[_Point, Array]:
    """One pass over the columns of `mask` in their order; the point and the largest change."""
    order = jnp.nonzero(mask, size=mask.size, fill_value=0)[0]

    def update(k: Array, carry: tuple[_Point, Array]) -> tuple[_Point, Array]:
        point, largest = carry
        j = order[k]
        old = point.b[j]
        z = point.score[j] + old
        new = penalty.threshold(z, level[j])
        change = new - old
        return _Point(
            point.b.at[j].set(new),
            point.score - change * problem.gram[j],
            point.seen.at[j].set(z),
        ), jnp.maximum(largest, jnp.abs(change))

    start = (point, jnp.zeros((), point.b.dtype))
    return jax.lax.fori_loop(0, jnp.sum(mask), update, start)


def _reference_step(
    problem: _Problem,
    penalty: ConcavePenalty,
    solver: PathSolver,
    penalties: Array,
    walk: _Walk,
) -> tuple[_Point, Array, Array, Array, Array]:
    """Ever-active columns until they settle, then the strong set, then all others.

    A column once in the strong set stays there for all later penalties.
    """
    position = walk.step
    lam, before = penalties[position], penalties[jnp.maximum(position - 1, 0)]
    level = lam * problem.factors
    usable = jnp.diagonal(problem.gram) > 0
    cut = problem.factors * (lam + penalty.screening * (lam - before))
    strong = (walk.strong | (jnp.abs(walk.point.seen) > cut)) & usable
    enough = solver.tolerance * jnp.sqrt(problem.outcome_ss)

    def body(carry: tuple) -> tuple:
        point, active, strong, stage, sweeps = carry
        mask = jnp.where(stage == 0, active, ~active & jnp.where(stage == 1, strong, ~strong))
        mask &= usable
        # Columns outside the active set are at zero: where none of them would move, the pass over
        # them is one vector operation.
        still = jnp.where(mask, penalty.threshold(point.score, level), 0) == 0
        quiet = (stage > 0) & jnp.all(still)
        point, change = jax.lax.cond(
            quiet,
            lambda p: (
                _Point(p.b, p.score, jnp.where(mask, p.score, p.seen)),
                jnp.zeros((), p.b.dtype),
            ),
            lambda p: _sweep(problem, penalty, level, p, mask),
            point,
        )
        entered = mask & (point.b != 0)
        found = jnp.any(entered) & (stage > 0)
        settled = (stage == 0) & (change < enough)
        active = active | (entered & (stage > 0))
        strong = strong | active
        onward = jnp.where(stage == 0, settled.astype(jnp.int32), stage + 1)
        sweeps = sweeps + (stage == 0).astype(jnp.int32)
        return point, active, strong, jnp.where(found, 0, onward), sweeps

    stage = jnp.zeros((), jnp.int32)
    point, active, strong, stage, sweeps = jax.lax.while_loop(
        lambda c: (c[3] < 3) & (c[4] < solver.max_sweeps),
        body,
        (walk.point, walk.active & usable, strong, stage, walk.sweeps),
    )
    return point, active, strong, sweeps, stage == 3


def _tight_step(
    problem: _Problem,
    penalty: ConcavePenalty,
    solver: PathSolver,
    penalties: Array,
    walk: _Walk,
) -> tuple[_Point, Array, Array, Array, Array]:
    """Rounds of sweeps and a Newton step on a growing active set."""
    level = penalties[walk.step] * problem.factors
    usable = jnp.diagonal(problem.gram) > 0
    eps = jnp.finfo(level.dtype).eps
    target = max(solver.tolerance, 40 * float(eps)) * jnp.maximum(
        penalties[0], jnp.sqrt(problem.outcome_ss) * eps
    )

    def breach(point: _Point) -> Array:
        return jnp.max(stationarity(problem.gram, point.score, point.b, level, penalty))

    def body(carry: tuple) -> tuple:
        point, active, rounds, _ = carry
        active = (active | (jnp.abs(point.score) > level)) & usable
        for _ in range(SWEEPS):
            point, _ = _sweep(problem, penalty, level, point, active)
        point = jax.lax.cond(
            breach(point) > target,
            lambda p: _newton(problem, penalty, level, p),
            lambda p: p,
            point,
        )
        return point, active, rounds + 1, breach(point)

    start = (walk.point, walk.active & usable, jnp.zeros((), jnp.int32), breach(walk.point))
    point, active, rounds, left = jax.lax.while_loop(
        lambda c: (c[3] > target) & (c[2] < MAX_ROUNDS), body, start
    )
    return point, active, walk.strong, walk.sweeps + SWEEPS * rounds, left <= target


def _newton(problem: _Problem, penalty: ConcavePenalty, level: Array, point: _Point) -> _Point:
    """Stationary point of the current piece, approached up to where a coefficient leaves it.

    No step where the piece is not convex, or holds more than NEWTON_COLUMNS columns.
    """
    support = point.b != 0
    size = min(NEWTON_COLUMNS, support.size)
    columns = jnp.nonzero(support, size=size, fill_value=0)[0]
    held = jnp.arange(size) < jnp.sum(support)
    b, bound = point.b[columns], level[columns]
    both = held[:, None] & held[None, :]
    identity = jnp.eye(size, dtype=b.dtype)
    inner = problem.gram[columns][:, columns] + jnp.diag(penalty.bend(b, bound))
    pull = point.score[columns] - penalty.slope(b, bound) * jnp.sign(b)
    factor = jnp.linalg.cholesky(jnp.where(both, inner, identity))
    step = jax.scipy.linalg.cho_solve((factor, True), jnp.where(held, pull, 0))
    fits = jnp.all(jnp.isfinite(step)) & (jnp.sum(support) <= size)
    step = jnp.where(fits & held, step, 0)
    length = jnp.ones((), b.dtype)
    for kink in (jnp.zeros_like(bound), *penalty.kinks(bound)):
        # Where |b| passes a kink on the way; free columns (level 0) have none.
        ends = jnp.sign(b) * kink
        reach = divide(ends - b, step, jnp.inf)
        passes = (reach > 0) & (bound > 0)
        length = jnp.minimum(length, jnp.min(jnp.where(passes, reach, jnp.inf)))
    to_zero = divide(-b, step, jnp.inf)
    step = jnp.where((to_zero > 0) & (to_zero <= length) & (bound > 0), -b, length * step)
    return _Point(
        point.b.at[columns].add(step),
        point.score - matmul(step, problem.gram[columns]),
        point.seen,
    )
