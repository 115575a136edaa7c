"""All kinks of a lasso path in Gram form, and of a fused one."""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, ArrayLike, pytree


@pytree
class LassoKnots:
    """The path at its kinks, the first all zero; places beyond `count` repeat the last."""

    penalties: Array  # [L] decreasing
    coefficients: Array  # [L, p]
    count: Array  # [] int32
    status: Array  # [] NOT_CONVERGED where L kinks did not reach the end


@pytree
class _Path:
    tableau: Array  # [p, p]
    offset: Array  # [p]
    sign: Array  # [p] of the active penalised
    active: Array  # [p] bool
    penalty: Array  # []
    knots: LassoKnots
    ended: Array  # [] bool


def lasso_knots(
    gram: Array, score: Array, *, max_knots: int, free: int | None = None, end: ArrayLike = 1e-10
) -> LassoKnots:
    """Kinks of min 1/2 b'Gb - s'b + lambda |b|_1 as lambda falls to `end` of its largest.

    Args:
      gram: G [p, p], positive semidefinite.
      score: s [p].
      max_knots: L.
      free: position of one coefficient that is not penalised.
      end: smallest penalty, relative to the first kink's.
    Source: Osborne, Presnell and Turlach (2000), IMA J. Numer. Anal. 20, 389: with A the support,
      b_A and the other scores are linear in lambda between kinks; a diagonal exchange of a [p, p]
      tableau at each. A column that depends on active ones never enters.
    """
    p, dtype = score.shape[0], gram.dtype
    curvature = jnp.diagonal(gram)
    zero = jnp.zeros(p, dtype)
    penalised = jnp.ones(p, bool) if free is None else jnp.ones(p, bool).at[free].set(False)
    table, offset = gram, score
    if free is not None:
        table, offset = _exchange(gram, score, jnp.int32(free))
    active = ~penalised
    # What rounding leaves of scores that the free column takes away is no signal.
    small = 1e2 * jnp.finfo(dtype).eps * jnp.max(jnp.abs(score))
    start = jnp.max(jnp.where(penalised, jnp.abs(offset), 0))
    begin = LassoKnots(
        jnp.full(max_knots, start, dtype),
        jnp.zeros((max_knots, p), dtype).at[:].set(jnp.where(active, offset, 0)),
        jnp.int32(1),
        jnp.int32(st.OK),
    )
    floor = jnp.maximum(end * start, small)

    def events(path: _Path) -> tuple[Array, Array]:
        """Where each coordinate changes state, and the slope in lambda."""
        slope = matmul(path.tableau, path.sign)  # dependent = offset - lambda slope
        up = jnp.where(1 + slope > 0, divide(path.offset, 1 + slope), 0)
        down = jnp.where(1 - slope > 0, divide(-path.offset, 1 - slope), 0)
        usable = jnp.diagonal(path.tableau) > 1e3 * jnp.finfo(dtype).eps * curvature
        enters = jnp.where(usable, jnp.maximum(up, down), 0)
        leaves = jnp.where(path.sign * slope < 0, divide(path.offset, slope), 0)
        return jnp.where(path.active, jnp.where(penalised, leaves, 0), enters), slope

    def advance(path: _Path) -> _Path:
        where, slope = events(path)
        row = jnp.argmax(where)
        penalty = jnp.minimum(where[row], path.penalty)
        ended = ~(penalty > floor)
        b = jnp.where(path.active, path.offset - penalty * slope, 0)
        dependent = path.offset[row] - penalty * slope[row]
        table, offset = _exchange(path.tableau, path.offset, row)
        sign = jnp.where(path.active[row], 0, jnp.sign(dependent))
        # The first kink, at the largest penalty, is there already.
        first = (path.knots.count == 1) & ~(penalty < path.penalty)
        place = jnp.where(first, 0, path.knots.count)
        later = (jnp.arange(max_knots, dtype=place.dtype) >= place) & ~ended
        knots = LassoKnots(
            jnp.where(later, penalty, path.knots.penalties),
            jnp.where(later[:, None], b, path.knots.coefficients),
            path.knots.count + jnp.where(ended | first, 0, 1).astype(jnp.int32),
            path.knots.status,
        )
        return _Path(
            table,
            offset,
            path.sign.at[row].set(sign),
            path.active.at[row].set(~path.active[row]),
            penalty,
            knots,
            ended,
        )

    path = _Path(table, offset, zero, active, start, begin, ~(start > small))
    path = jax.lax.while_loop(
        lambda path: ~path.ended & (path.knots.count < max_knots), advance, path
    )
    knots = path.knots
    code = st.when(~path.ended, st.NOT_CONVERGED)
    return LassoKnots(knots.penalties, knots.coefficients, knots.count, code)


def _exchange(table: Array, offset: Array, row: Array) -> tuple[Array, Array]:
    """Dependent and independent variable of one row change places."""
    pivot = table[row, row]
    across, down = table[row] / pivot, table[:, row]
    moved = offset[row] / pivot
    new = table - down[:, None] * across[None, :]
    new = new.at[:, row].set(-down / pivot)
    new = new.at[row].set(across.at[row].set(1 / pivot))
    return new, (offset - down * moved).at[row].set(moved)
