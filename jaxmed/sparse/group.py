"""Group lasso: sum_g level_g |b_g|, whole groups of coefficients in or out.

Sweeps replace one group at a time by the minimum of an upper bound of the quadratic, whose
curvature is the group's largest eigenvalue. They crawl where columns are correlated, so a round of
them that did not converge ends with a Newton step on the groups that are in, where the penalty is
smooth.
"""

from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.data.validation import is_traced
from jaxmed.linalg.safe import divide, norm
from jaxmed.sparse.descent import LENGTHS, SWEEPS, Descent
from jaxmed.sparse.path import PathFit, warm_path
from jaxmed.sparse.quadratic import Quadratic
from jaxmed.typing import Array, pytree

MOST_COLUMNS = 512  # with more, sweeps alone


@pytree
class Groups:
    """Places of every group's columns, padded to the widest."""

    places: Array  # [G, w] int
    inside: Array  # [G, w] bool
    label: Array  # [p] int, the group of every column

    def of(self, values: Array) -> Array:
        """Values [p] by group, 0 where padded; [G, w]."""
        return jnp.where(self.inside, values[self.places], 0)

    def norms(self, values: Array) -> Array:
        """Euclidean norm of every group of values [p]; [G]."""
        return norm(self.of(values))


def groups_of(labels: Sequence[int]) -> Groups:
    """Groups of columns by their labels 0..G-1, in any order.

    Raises:
      ValueError: labels that are no whole numbers, leave out a number, or are traced.
    """
    if is_traced(labels) or not np.issubdtype(np.asarray(labels).dtype, np.integer):
        raise ValueError("labels of groups must be whole numbers that are known while tracing")
    known = np.asarray(labels)
    count = int(known.max(initial=-1)) + 1
    found = sorted(set(known.tolist()))
    if not count or found != list(range(count)):
        raise ValueError(f"labels must be 0, 1, ... without a gap, not {found}")
    members = [np.flatnonzero(known == g) for g in range(count)]
    width = max(len(own) for own in members)
    places = np.stack([np.pad(own, (0, width - len(own)), mode="edge") for own in members])
    inside = np.arange(width)[None, :] < np.array([[len(own)] for own in members])
    return Groups(jnp.asarray(places), jnp.asarray(inside), jnp.asarray(known))


def group_violation(
    score: Array, coefficients: Array, groups: Groups, levels: Array, curvature: Array
) -> Array:
    """Largest breach of the optimality conditions, units of the penalty.

    Zero where score_g = level_g b_g / |b_g| for a group that is in, |score_g| <= level_g elsewhere.
    Columns without curvature do not count.
    """
    score = jnp.where(curvature <= 0, 0, score)
    size = groups.norms(coefficients)
    pull = divide(levels, size)[groups.label] * coefficients
    within = groups.norms(score - pull)
    outside = jnp.maximum(groups.norms(score) - levels, 0)
    return jnp.max(jnp.where(size > 0, within, outside), initial=0)


def largest_curvatures(quadratic: Quadratic, residual: Array, groups: Groups) -> Array:
    """Largest eigenvalue of every group's block, [G]."""

    def one(item: tuple[Array, Array]) -> Array:
        places, inside = item
        block, _ = quadratic.restricted(places, residual)
        return jnp.linalg.eigvalsh(jnp.where(inside[:, None] & inside[None, :], block, 0))[-1]

    return jax.lax.map(one, (groups.places, groups.inside))


def group_descend(
    quadratic: Quadratic,
    groups: Groups,
    levels: Array,
    steep: Array,
    coefficients: Array,
    residual: Array,
    *,
    tolerance: Array,
    max_rounds: int,
) -> Descent:
    """Minimise one group lasso from a warm start.

    Args:
      quadratic: the smooth part.
      groups: of `groups_of`.
      levels: penalty of each group, [G]; 0 leaves a group free.
      steep: `largest_curvatures` of the groups, [G].
      coefficients: start, [p].
      residual: residual at the start, [p] or [n].
      tolerance: stop when the violation is at most this.
      max_rounds: budget of rounds of SWEEPS sweeps over all groups and a Newton step.
    Source: Yuan and Lin (2006); Yang and Zou (2015), groupwise majorisation.
    """
    p, curvature = coefficients.shape[0], quadratic.curvature

    def update(g: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        b, r = carry
        places, inside = groups.places[g], groups.inside[g]
        old = jnp.where(inside, b[places], 0)
        able = inside & (curvature[places] > 0)
        score = jnp.where(able, quadratic.restricted(places, r)[1], 0)
        aim = old + divide(score, steep[g])
        share = jnp.maximum(1 - divide(levels[g], steep[g] * norm(aim), jnp.inf), 0)
        step = jnp.where(inside & (steep[g] > 0), share * aim - old, 0)
        return b.at[places].add(step), quadratic.shift(r, places, step)

    def objective(b: Array, r: Array, before: Array, score: Array) -> Array:
        # Of the quadratic, from its scores at both ends: less its value at the start.
        moved = b - before
        return -jnp.sum(moved * (score + quadratic.score(r))) / 2 + jnp.sum(
            levels * groups.norms(b)
        )

    def newton(b: Array, r: Array) -> tuple[Array, Array]:
        every = jnp.arange(p)
        gram, score = quadratic.restricted(every, r)
        size = groups.norms(b)
        free = ((size > 0) | (levels == 0))[groups.label] & (curvature > 0)
        bend, unit = divide(levels, size)[groups.label], divide(b, size[groups.label])
        same = groups.label[:, None] == groups.label[None, :]
        inner = gram + jnp.diag(bend) - jnp.where(same, bend[:, None] * jnp.outer(unit, unit), 0)
        both = free[:, None] & free[None, :]
        identity = jnp.eye(p, dtype=b.dtype)
        ridge = 8 * jnp.finfo(b.dtype).eps * jnp.max(free.astype(b.dtype) * curvature)
        lower = jnp.linalg.cholesky(jnp.where(both, inner, identity) + ridge * identity)
        pull = jnp.where(free, score - bend * b, 0)
        full = jax.scipy.linalg.cho_solve((lower, True), pull[:, None])[:, 0]
        full = jnp.where(free & jnp.all(jnp.isfinite(full)), full, 0)
        steps = jnp.asarray((0.0, *LENGTHS), b.dtype)[:, None] * full[None, :]
        ends = jax.vmap(lambda step: quadratic.shift(r, every, step))(steps)
        values = jax.vmap(lambda s, e: objective(b + s, e, b, score))(steps, ends)
        best = jnp.argmin(values)
        return b + steps[best], ends[best]

    def one_round(state: Descent) -> Descent:
        b, r = jax.lax.fori_loop(
            0,
            SWEEPS,
            lambda _, pair: jax.lax.fori_loop(0, levels.shape[0], update, pair),
            (state.coefficients, state.residual),
        )
        if p <= MOST_COLUMNS:
            b, r = jax.lax.cond(measure(b, r) > tolerance, lambda: newton(b, r), lambda: (b, r))
        return Descent(b, r, measure(b, r), state.rounds + 1)

    def measure(b: Array, r: Array) -> Array:
        return group_violation(quadratic.score(r), b, groups, levels, curvature)

    start = Descent(coefficients, residual, measure(coefficients, residual), jnp.int32(0))
    found = jax.lax.while_loop(
        lambda s: (s.violation > tolerance) & (s.rounds < max_rounds), one_round, start
    )
    return cast(Descent, found)


def group_path(
    quadratic: Quadratic,
    residual: Array,
    penalties: Array,
    groups: Groups,
    factors: Array,
    *,
    tolerance: Array,
    max_rounds: int = 500,
) -> PathFit:
    """Group lassos along decreasing penalties, each from the last.

    Args:
      quadratic: curvature; columns scaled as the caller wants them penalised.
      residual: at b = 0.
      penalties: lambda, decreasing, [L]; the first that selects nothing is the largest
        |score_g| / factor_g.
      groups: of `groups_of`.
      factors: of the groups [G], usually the roots of their sizes; 0 leaves a group free.
      tolerance: allowed optimality violation, units of lambda.
      max_rounds: budget per lambda.
    Returns:
      Path; status NOT_CONVERGED where the budget ran out.
    """
    steep = largest_curvatures(quadratic, residual, groups)

    def solve(level: Array, b: Array, r: Array) -> Descent:
        return group_descend(
            quadratic,
            groups,
            level * factors,
            steep,
            b,
            r,
            tolerance=tolerance,
            max_rounds=max_rounds,
        )

    def breach(score: Array, b: Array, level: Array) -> Array:
        return group_violation(score, b, groups, level * factors, quadratic.curvature)

    return warm_path(quadratic, residual, penalties, solve, breach, tolerance)
