"""Elastic net paths from moments by gcdnet's half steps.

Minimised over b: b'Gb / 2 - s'b + lambda1 sum_j factor_j |b_j| + lambda2 / 2 sum_j b_j^2, with
G = X'VX and s = X'Vy of centred columns.
"""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.products import matmul
from jaxmed.linalg.prox import soft_threshold
from jaxmed.sparse.descent import optimality_violation
from jaxmed.sparse.path import PathFit
from jaxmed.sparse.penalties import ElasticNet
from jaxmed.typing import Array, pytree

CURVATURE = 2.0  # of every coordinate, as the release has it
CALM = 3  # it goes over the list and over all columns once more before it leaves


@pytree
class _State:
    b: Array  # [p]
    score: Array  # [p] s - Gb
    listed: Array  # [p] bool, on the active list
    order: Array  # [p] active columns first, by column number
    count: Array  # []
    calm: Array  # [] int32, sweeps since the last change of at least the tolerance
    sweeps: Array  # [] int32


def gcdnet_path(
    gram: Array,
    score: Array,
    penalties: Array,
    factors: Array,
    ridge: Array,
    *,
    tolerance: float,
    max_sweeps: int = 10_000,
) -> PathFit:
    """Warm-started cyclic descent over the columns that ever broke their condition.

    A coordinate becomes S(2b + score, lambda1 factor) / (2 + lambda2), made for columns of unit
    variance.

    Args:
      gram: G [p, p]; a column with a zero diagonal keeps coefficient 0.
      score: s [p].
      penalties: lambda1, decreasing, [L].
      factors: penalty factors [p]; infinite leaves a column out, 0 leaves it free.
      ridge: lambda2, scalar.
      tolerance: stop when no squared change of a sweep reaches this and no other column breaks
        its condition. The release's 1e-8 leaves errors of 1e-4.
      max_sweeps: budget per penalty.
    Returns:
      Path, with the optimality violation in units of lambda1; NOT_CONVERGED where a budget ran
      out.
    Source: Yang and Zou (2013), gcdnet 1.0.6 for least squares.
    """
    diagonal = jnp.diagonal(gram)
    able = (diagonal > 0) & jnp.isfinite(factors)
    factors = jnp.where(able, factors, 0)

    def widened(s: _State, limits: Array) -> _State:
        listed = s.listed | (able & (jnp.abs(s.score - ridge * s.b) > limits))
        order = jnp.argsort(~listed, stable=True)
        grown = jnp.any(listed & ~s.listed)
        calm = jnp.where(grown, 0, s.calm)
        return _State(s.b, s.score, listed, order, jnp.sum(listed), calm, s.sweeps)

    def solve(start: _State, penalty: Array) -> _State:
        limits = penalty * factors

        def sweep(s: _State) -> _State:
            def update(i: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
                b, score, change = carry
                j = s.order[i]
                new = soft_threshold(CURVATURE * b[j] + score[j], limits[j]) / (CURVATURE + ridge)
                step = new - b[j]
                return b.at[j].set(new), score - step * gram[j], jnp.maximum(change, step * step)

            zero = jnp.zeros((), s.b.dtype)
            b, score, change = jax.lax.fori_loop(0, s.count, update, (s.b, s.score, zero))
            calm = jnp.where(change < tolerance, s.calm + 1, 0)
            swept = _State(b, score, s.listed, s.order, s.count, calm, s.sweeps + 1)
            return jax.lax.cond(calm >= CALM, lambda: widened(swept, limits), lambda: swept)

        # A start that is calm in its first sweep is left at once.
        rested = jnp.full_like(start.calm, CALM - 1)
        first = _State(
            start.b,
            start.score,
            start.listed,
            start.order,
            start.count,
            rested,
            jnp.zeros_like(start.sweeps),
        )
        return jax.lax.while_loop(
            lambda s: (s.calm < CALM) & (s.sweeps < max_sweeps) & (s.count > 0),
            sweep,
            widened(first, limits),
        )

    def step(start: _State, penalty: Array) -> tuple[_State, tuple[Array, Array, Array]]:
        s = solve(start, penalty)
        missed = (s.count > 0) & (s.calm < CALM)
        own = ElasticNet(penalty * factors, jnp.broadcast_to(ridge, factors.shape))
        breach = optimality_violation(score - matmul(gram, s.b), s.b, own, able)
        # Rounding of a long path is not carried along.
        fresh = _State(s.b, score - matmul(gram, s.b), s.listed, s.order, s.count, s.calm, s.sweeps)
        return fresh, (s.b, breach, st.when(missed, st.NOT_CONVERGED))

    none = jnp.zeros(score.shape, bool)
    start = _State(
        jnp.zeros_like(score),
        score,
        none,
        jnp.argsort(none),
        jnp.sum(none),
        jnp.zeros((), jnp.int32),
        jnp.zeros((), jnp.int32),
    )
    _, (path, breach, codes) = jax.lax.scan(step, start, penalties)
    return PathFit(path, breach, codes)
