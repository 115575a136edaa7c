"""Node-wise lasso: every column on all others, one penalty for all, and the scores they leave.

Penalties are meant for columns of standard deviation 1 (divisor n - 1) given the base.
"""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.sparse.folds import fold_moments
from jaxmed.sparse.many_targets import (
    SharedDesign,
    SharedState,
    follow,
    shared_descend,
    shared_design,
    shared_violation,
    start_at_zero,
)
from jaxmed.sparse.walk import walk
from jaxmed.statistics.base_span import BaseSpan, base_span, is_constant
from jaxmed.typing import Array, pytree

# Largest step of a last sweep on columns of unit variance: of paths (glmnet's threshold 1e-7 is a
# squared step) and of the solutions that the scores come from.
PATH_TOLERANCE = 10**-3.5
OWN_PATH_TOLERANCE = 1e-4  # the early end looks at changes of 1e-5
TOLERANCE = 1e-9
PATH_SWEEPS = 1000
SWEEPS = 20000
PATIENCE = 10
# glmnet ends a path, from the fifth penalty on, when the explained share no longer grows.
LEAST_PENALTIES, LEAST_GROWTH, MOST_EXPLAINED = 5, 1e-5, 0.999


@pytree
class NodeDesign:
    """Columns ready for node-wise regressions."""

    columns: Array  # [n, d] given the base, standard deviation 1; 0 where nothing is left
    scale: Array  # [d] their standard deviation before
    correlation: Array  # [d, d]
    unit: Array  # [] root of mean square of a column: sqrt((n - 1) / n)
    weights: Array  # [n]
    span: BaseSpan  # of the base [n, k]

    @property
    def problems(self) -> SharedDesign:
        """The d regressions of one column on the others."""
        return _problems(self.correlation)


def _problems(correlation: Array) -> SharedDesign:
    return shared_design(correlation, correlation, ~jnp.eye(correlation.shape[0], dtype=bool))


def node_design(base: Array, columns: Array, weights: Array) -> NodeDesign:
    """Design of columns [n, d] given base [n, k] under case weights [n] that count rows."""
    count = jnp.sum(weights)
    span = base_span(base, weights)
    rest = span.residual(columns)
    sd = sqrt(matmul(weights, rest * rest) / (count - 1))
    sd = jnp.where(is_constant(weights, rest, columns), 0, sd)
    unit = sqrt((count - 1) / count)
    scaled = divide(rest, sd)
    correlation = gram(jnp.sqrt(weights / count)[:, None] * scaled) / unit**2
    return NodeDesign(scaled, sd, correlation, unit, weights, span)


@pytree
class OwnPaths:
    """Where the default path of every column's own lasso runs."""

    penalties: Array  # [L, d]
    last: Array  # [d] int32 position of the last penalty before the early end

    def pooled(self, count: int) -> Array:
        """`count` equispaced type-7 quantiles of all penalties, decreasing, [count]."""
        position = jnp.arange(self.penalties.shape[0], dtype=self.last.dtype)[:, None]
        used = (position <= self.last[None, :]) & (self.penalties[:1] > 0)
        values = jnp.sort(jnp.where(used, self.penalties, jnp.inf).ravel())
        total = jnp.sum(used)
        places = jnp.maximum(total - 1, 0).astype(values.dtype)
        at = jnp.linspace(1.0, 0.0, count, dtype=values.dtype) * places
        low = jnp.floor(at).astype(int)
        high = jnp.minimum(low + 1, jnp.maximum(total - 1, 0))
        quantile = values[low] + (at - low.astype(at.dtype)) * (values[high] - values[low])
        # Without any correlation (one column) every positive penalty selects nothing.
        return jnp.where(total > 0, quantile, 1)


def own_paths(design: NodeDesign, count: int = 100) -> OwnPaths:
    """Default paths as glmnet's: log-equispaced from the largest penalty, with its early end.

    Source: baselines.md B2; ratio 1e-4, or 1e-2 where there are fewer rows than other columns.
    """
    problems = design.problems
    d = design.scale.shape[0]
    few = jnp.sum(design.weights) < d - 1
    ratio = jnp.where(few, 1e-2, 1e-4).astype(design.unit.dtype)
    top = jnp.max(jnp.where(problems.allowed, jnp.abs(problems.cross), 0), axis=0)
    grid = ratio ** jnp.linspace(0.0, 1.0, count, dtype=top.dtype)
    step_ratio = ratio ** (1 / (count - 1))

    def step(carry: tuple, item: tuple[Array, Array]) -> tuple[tuple, None]:
        state, before, explained, ended, last = carry
        index, factor = item
        penalties = jnp.where(ended, grid[last], factor) * top
        fraction = jnp.where(ended | (index < 2), 0, step_ratio).astype(top.dtype)
        new = follow(
            problems,
            state,
            before,
            fraction,
            penalties,
            tolerance=OWN_PATH_TOLERANCE,
            max_sweeps=PATH_SWEEPS,
        )
        share = jnp.sum(new.coefficients * (problems.cross + new.score), axis=0)
        last = jnp.where(ended, last, index)
        slow = (share - explained < LEAST_GROWTH * share) | (share > MOST_EXPLAINED)
        ended = ended | (slow & (index + 1 >= LEAST_PENALTIES))
        return (new, state.coefficients, share, ended, last), None

    start = start_at_zero(problems)
    zero = jnp.zeros(d, top.dtype)
    begin = (start, start.coefficients, zero, zero > 0, jnp.zeros(d, jnp.int32))
    items = (jnp.arange(count, dtype=jnp.int32), grid)
    (_, _, _, _, last), _ = jax.lax.scan(step, begin, items)
    return OwnPaths((design.unit * top)[None, :] * grid[:, None], last)


@pytree
class NodeChoice:
    """Penalty of least cross-validated error."""

    penalty: Array  # []
    penalties: Array  # [L]
    error: Array  # [L] mean squared error over columns and folds; infinite where not visited
    status: Array  # []


@pytree
class _Folds:
    problems: SharedDesign  # leaves [K, ...]
    scale: Array  # [K, d] root mean square of the training columns
    held: Array  # [K, d, d] held-out moments of what the training base leaves
    size: Array  # [K]


def _training(design: NodeDesign, folds: Array, num_folds: int) -> _Folds:
    share = design.weights / jnp.sum(design.weights)
    root = jnp.sqrt(share)[:, None]
    free, _ = design.span.orthonormal()
    k = free.shape[1]
    free = free * jnp.sqrt(jnp.sum(design.weights))  # orthonormal under the shares
    held = fold_moments(root * jnp.concatenate([free, design.columns], axis=1), folds, num_folds)
    size = jnp.zeros(num_folds, share.dtype).at[folds].add(share)
    total = jnp.sum(held, axis=0)

    def one(held: Array, size: Array) -> _Folds:
        train = total - held
        onto = matmul(jnp.linalg.pinv(train[:k, :k], hermitian=True), train[:k, k:])
        rest = (train[k:, k:] - matmul(train[:k, k:].T, onto)) / (1 - size)
        variance = jnp.diagonal(rest)
        scale = jnp.where(variance > 1e3 * jnp.finfo(rest.dtype).eps, sqrt(variance), 0)
        inverse = divide(1.0, scale)
        across = matmul(held[:k, k:].T, onto)
        inside = held[k:, k:] - across - across.T + matmul(onto.T, matmul(held[:k, :k], onto))
        return _Folds(_problems(rest * inverse[:, None] * inverse[None, :]), scale, inside, size)

    return jax.vmap(one)(held, size)


def choose_penalty(
    design: NodeDesign,
    folds: Array,
    num_folds: int,
    penalties: Array,
    *,
    patience: int = PATIENCE,
) -> NodeChoice:
    """One penalty for all columns by cross-validation; training moments are total minus fold.

    Args:
      design: columns; base and scale are estimated anew in every training set.
      folds: fold of every row, int [n] in 0..num_folds-1.
      num_folds: K >= 2.
      penalties: decreasing, [L].
      patience: the path ends once the error has been above its least for so many penalties; what
        comes after is the dense, expensive end. L for the whole path.
    Returns:
      The choice: largest penalty of least mean error, over columns and over folds alike.
    """
    parts = _training(design, folds, num_folds)
    count, d = penalties.shape[0], design.scale.shape[0]
    present = design.scale > 0
    identity = jnp.eye(d, dtype=penalties.dtype)

    def one_fold(item: tuple[_Folds, SharedState, Array], now: Array, fraction: Array) -> tuple:
        part, state, before = item
        target = jnp.where(part.scale > 0, divide(now, part.scale), 1)
        new = follow(
            part.problems,
            state,
            before,
            jnp.broadcast_to(fraction, (d,)),
            target,
            tolerance=PATH_TOLERANCE,
            max_sweeps=PATH_SWEEPS,
        )
        ratio = part.scale[None, :] * divide(1.0, part.scale)[:, None]
        slopes = new.coefficients[:d] * ratio
        contrast = identity - slopes
        loss = jnp.sum(contrast * matmul(part.held, contrast), axis=0)
        counted = part.size * jnp.sum(present, dtype=part.size.dtype)
        loss = divide(jnp.sum(jnp.where(present, loss, 0)), counted)
        return new, state.coefficients, loss, new.change > PATH_TOLERANCE

    def visit(at: Array, state: tuple) -> tuple:
        states, before, stuck = state
        now, last, earlier = (penalties[jnp.maximum(at - lag, 0)] for lag in (0, 1, 2))
        fraction = jnp.where(at > 1, divide(now - last, last - earlier), 0)
        states, before, losses, open_ended = jax.lax.map(
            lambda item: one_fold(item, now, fraction), (parts, states, before)
        )
        used = jnp.sum(parts.size > 0)
        error = jnp.sum(losses) / used.astype(losses.dtype)
        return (states, before, stuck | jnp.any(open_ended)), error, ()

    states = jax.vmap(start_at_zero)(parts.problems)
    begin = (states, states.coefficients, jnp.zeros((), bool))
    found = walk(visit, begin, (), jnp.full(count, jnp.inf, penalties.dtype), patience)
    code = st.when(found.state[2], st.NOT_CONVERGED)
    return NodeChoice(penalties[found.best], penalties, found.criterion, code)


@pytree
class NodeScores:
    """Residuals of node-wise regressions, Z_j'W x_j / n = 1 for the scaled column x_j."""

    scores: Array  # [n, m] Z; 0 where the column is constant
    coefficients: Array  # [d, m] of the regressions, columns and targets of unit variance
    violation: Array  # [] largest breach of optimality, relative to the penalty
    status: Array  # []


def _scores(design: NodeDesign, targets: Array, coefficients: Array) -> Array:
    d = design.scale.shape[0]
    rest = targets - matmul(design.columns, coefficients[:d])
    count = jnp.sum(design.weights)
    share = matmul(design.weights, rest * targets) / count
    return rest * divide(1.0, share)[None, :]


def _tight(
    problems: SharedDesign, start: SharedState, penalties: Array
) -> tuple[SharedState, Array, Array]:
    reachable = 8 * jnp.finfo(penalties.dtype).eps ** 0.9
    limit = jnp.maximum(TOLERANCE, reachable).astype(penalties.dtype)
    state = shared_descend(problems, start, penalties, tolerance=limit, max_sweeps=SWEEPS)
    breach = shared_violation(problems, state.coefficients, penalties)
    return (
        state,
        jnp.max(divide(breach, penalties)),
        st.when(state.change > limit, st.NOT_CONVERGED),
    )


def node_scores(design: NodeDesign, penalty: Array, *, targets: Array | None = None) -> NodeScores:
    """Scores at one penalty, solved to rounding.

    Args:
      design: columns.
      penalty: scalar, > 0.
      targets: other columns [n, m] to be regressed on all of the design's, given the base and of
        standard deviation 1; None for the design's own, each on the others.
    """
    problems = design.problems
    own = targets is None
    if own:
        targets = design.columns
    else:
        share = design.weights / jnp.sum(design.weights)
        cross = matmul((share[:, None] * design.columns).T, targets) / design.unit**2
        problems = shared_design(design.correlation, cross, jnp.ones(cross.shape, bool))
    penalties = jnp.full(targets.shape[1], penalty / design.unit, design.unit.dtype)
    state, violation, code = _tight(problems, start_at_zero(problems), penalties)
    d = design.scale.shape[0]
    return NodeScores(
        _scores(design, targets, state.coefficients), state.coefficients[:d], violation, code
    )


def interpolated_scores(design: NodeDesign, paths: OwnPaths, penalty: Array) -> NodeScores:
    """Scores whose coefficients are interpolated between the neighbours on each column's own path.

    Beyond the ends of a path its end is taken. Source: as glmnet's `predict(s=)`.
    """
    problems = design.problems
    grid, last = paths.penalties, paths.last
    columns = jnp.arange(grid.shape[1])
    first = jnp.clip(jnp.sum(grid >= penalty, axis=0) - 1, 0, last)
    second = jnp.minimum(first + 1, last)
    upper, lower = grid[first, columns], grid[second, columns]
    share = jnp.clip(divide(penalty - lower, upper - lower, 1.0), 0, 1)
    positive = jnp.where(grid[0] > 0, 1 / design.unit, 1)
    high, breach_high, code_high = _tight(
        problems, start_at_zero(problems), jnp.where(grid[0] > 0, upper, 1) * positive
    )
    low, breach_low, code_low = _tight(problems, high, jnp.where(grid[0] > 0, lower, 1) * positive)
    between = share * high.coefficients + (1 - share) * low.coefficients
    d = design.scale.shape[0]
    return NodeScores(
        _scores(design, design.columns, between),
        between[:d],
        jnp.maximum(breach_high, breach_low),
        st.combine(code_high, code_low),
    )
