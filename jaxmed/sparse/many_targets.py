"""Many lassos on one design: m targets regressed on the same columns by batched descent.

Problem t:  minimise over b  1/2 b'Gb - c_t'b + penalty_t sum_k |b_k|,  b_k = 0 where k is barred
from t, with one Gram matrix G [d, d] and cross moments c_t. Node-wise regression is the case
c_t = column t of G with column t barred from its own problem.

Coordinate k is updated for all m problems at once, so that one step of the descent is a rank-one
update of the [d, m] scores. Steps are taken in blocks of BLOCK coordinates: within a block on the
block's own rows, and then on all rows by one matrix product. The iterates are those of cyclic
descent in column order; only the order of additions differs.
"""

import jax
import jax.numpy as jnp

from jaxmed.linalg.products import PRECISION, matmul
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree

BLOCK = 16
MEMORY = 5  # iterates that one extrapolation combines


@pytree
class SharedDesign:
    """Gram matrix and targets of the problems; padded to whole blocks, see `shared_design`."""

    gram: Array  # [D, D]
    cross: Array  # [D, m] moments of columns with targets
    allowed: Array  # [D, m] bool: column k may enter problem t

    @property
    def curvature(self) -> Array:
        """Second derivative along each coordinate, [D]."""
        return jnp.diagonal(self.gram)


@pytree
class SharedState:
    """One point of the descent of all problems."""

    coefficients: Array  # [D, m]
    score: Array  # [D, m] c - Gb
    change: Array  # [] largest |step| sqrt(curvature) of the last sweep
    sweeps: Array  # [] int32 sweeps so far


def shared_design(gram: Array, cross: Array, allowed: Array) -> SharedDesign:
    """Design of gram [d, d], cross [d, m] and allowed [d, m], padded to whole blocks.

    Padding and columns without curvature never enter.
    """
    d = gram.shape[0]
    extra = -d % BLOCK
    rows = ((0, extra), (0, 0))
    # What the curvature is lost to is not divided by: such a column is barred.
    present = jnp.diagonal(gram) > 0
    return SharedDesign(
        jnp.pad(gram, ((0, extra), (0, extra))),
        jnp.pad(cross, rows),
        jnp.pad(allowed & present[:, None], rows),
    )


def start_at_zero(design: SharedDesign) -> SharedState:
    """All coefficients zero."""
    infinite = jnp.full((), jnp.inf, design.cross.dtype)
    zero = jnp.zeros((), jnp.int32)
    return SharedState(jnp.zeros_like(design.cross), design.cross, infinite, zero)


def _sweep(design: SharedDesign, penalties: Array, state: SharedState) -> SharedState:
    size, m = design.cross.shape
    curvature = jnp.where(design.curvature > 0, design.curvature, 1)
    zero = jnp.zeros((), state.score.dtype)

    def block(i: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        coefficients, score, change = carry
        first = i * BLOCK
        columns = jax.lax.dynamic_slice(design.gram, (0, first), (size, BLOCK))
        inner = jax.lax.dynamic_slice(columns, (first, 0), (BLOCK, BLOCK))
        g = jax.lax.dynamic_slice(curvature, (first,), (BLOCK,))
        allowed = jax.lax.dynamic_slice(design.allowed, (first, 0), (BLOCK, m))
        old = jax.lax.dynamic_slice(coefficients, (first, 0), (BLOCK, m))
        local = jax.lax.dynamic_slice(score, (first, 0), (BLOCK, m))

        def update(k: Array, step: Array) -> Array:
            # Rows of `step` from k on are zero: only earlier steps of this block count.
            target = g[k] * old[k] + local[k] - matmul(inner[k], step)
            new = jnp.sign(target) * jnp.maximum(jnp.abs(target) - penalties, 0) / g[k]
            return step.at[k].set(jnp.where(allowed[k], new, 0) - old[k])

        step = jax.lax.fori_loop(0, BLOCK, update, jnp.zeros_like(old))
        largest = jnp.max(jnp.abs(step) * jnp.sqrt(g)[:, None])
        return (
            jax.lax.dynamic_update_slice(coefficients, old + step, (first, 0)),
            score - matmul(columns, step),
            jnp.maximum(change, largest),
        )

    coefficients, score, change = jax.lax.fori_loop(
        0, size // BLOCK, block, (state.coefficients, state.score, zero)
    )
    return SharedState(coefficients, score, change, state.sweeps + 1)


def _objective(design: SharedDesign, penalties: Array, coefficients: Array, score: Array) -> Array:
    """Value of every problem, [m], from its score."""
    smooth = -0.5 * jnp.sum(coefficients * (design.cross + score), axis=0)
    return smooth + penalties * jnp.sum(jnp.abs(coefficients), axis=0)


def _extrapolate(
    design: SharedDesign, penalties: Array, trail: Array, state: SharedState
) -> SharedState:
    """Anderson's combination of the last iterates where it lowers a problem's objective.

    Args:
      design: the problems.
      penalties: [m].
      trail: [MEMORY + 1, D, m] iterates, the last is that of `state`.
      state: current point.
    """
    moves = trail[1:] - trail[:-1]
    inner = jnp.einsum("kdm,ldm->mkl", moves, moves, precision=PRECISION)
    size = jnp.trace(inner, axis1=1, axis2=2)[:, None, None]
    identity = jnp.eye(MEMORY, dtype=inner.dtype)
    ridge = 64 * jnp.finfo(inner.dtype).eps * size + jnp.where(size > 0, 0, 1)
    shares = jnp.linalg.solve(
        inner + ridge * identity[None], jnp.ones((*inner.shape[:2], 1), inner.dtype)
    )
    shares = divide(shares, jnp.sum(shares, axis=1, keepdims=True))[..., 0]
    point = jnp.einsum("mk,kdm->dm", shares, trail[1:], precision=PRECISION)
    score = design.cross - matmul(design.gram, point)
    better = _objective(design, penalties, point, score) < _objective(
        design, penalties, state.coefficients, state.score
    )
    return SharedState(
        jnp.where(better, point, state.coefficients),
        jnp.where(better, score, state.score),
        state.change,
        state.sweeps,
    )


def shared_descend(
    design: SharedDesign,
    state: SharedState,
    penalties: Array,
    *,
    tolerance: Array | float,
    max_sweeps: int,
) -> SharedState:
    """Minimise all problems from a warm start.

    Args:
      design: of `shared_design`.
      state: start.
      penalties: [m], one per problem.
      tolerance: a sweep whose largest step, times the root of the curvature, is at most this is
        the last; glmnet's threshold 1e-7 is 1e-3.5 here on columns and targets of unit variance.
      max_sweeps: budget.
    Returns:
      The state; `change` is above the tolerance where the budget ran out.
    Source: Friedman, Hastie and Tibshirani (2010), covariance updates; Bertrand and Massias
      (2021), Anderson acceleration of coordinate descent.
    """
    last = state.sweeps + max_sweeps

    def goes_on(state: SharedState) -> Array:
        return (state.change > tolerance) & (state.sweeps < last)

    def one_round(state: SharedState) -> SharedState:
        def one_sweep(carry: tuple[SharedState, Array, Array]) -> tuple[SharedState, Array, Array]:
            state, trail, k = carry
            state = _sweep(design, penalties, state)
            return state, trail.at[k].set(state.coefficients), k + 1

        trail = jnp.broadcast_to(state.coefficients, (MEMORY + 1, *state.coefficients.shape))
        state, trail, k = jax.lax.while_loop(
            lambda c: goes_on(c[0]) & (c[2] <= MEMORY), one_sweep, (state, trail, jnp.int32(1))
        )
        return jax.lax.cond(
            goes_on(state) & (k > MEMORY),
            lambda: _extrapolate(design, penalties, trail, state),
            lambda: state,
        )

    begin = SharedState(
        state.coefficients, state.score, jnp.full_like(state.change, jnp.inf), state.sweeps
    )
    return jax.lax.while_loop(goes_on, one_round, begin)


def follow(
    design: SharedDesign,
    state: SharedState,
    before: Array,
    fraction: Array,
    penalties: Array,
    *,
    tolerance: Array | float,
    max_sweeps: int,
) -> SharedState:
    """`shared_descend` along a path: started where the last two solutions point to.

    Solutions are piecewise linear in the penalty, so the line through the last two is exact
    until a coefficient enters or leaves.

    Args:
      design: the problems.
      state: solution at the last penalty.
      before: coefficients [D, m] at the penalty before that.
      fraction: [m] (new - last) / (last - before) of the penalties; 0 starts at the last solution.
      penalties: new, [m].
      tolerance: as `shared_descend`.
      max_sweeps: as `shared_descend`.
    """
    ahead = state.coefficients + fraction[None, :] * (state.coefficients - before)
    ahead = jnp.where(ahead * state.coefficients > 0, ahead, 0)
    score = design.cross - matmul(design.gram, ahead)
    better = _objective(design, penalties, ahead, score) < _objective(
        design, penalties, state.coefficients, state.score
    )
    start = SharedState(
        jnp.where(better, ahead, state.coefficients),
        jnp.where(better, score, state.score),
        state.change,
        state.sweeps,
    )
    return shared_descend(design, start, penalties, tolerance=tolerance, max_sweeps=max_sweeps)


def shared_violation(design: SharedDesign, coefficients: Array, penalties: Array) -> Array:
    """Largest breach [m] of each problem's optimality conditions, recomputed from the design."""
    score = design.cross - matmul(design.gram, coefficients)
    nonzero = jnp.abs(score - penalties[None, :] * jnp.sign(coefficients))
    zero = jnp.maximum(jnp.abs(score) - penalties[None, :], 0)
    breach = jnp.where(coefficients != 0, nonzero, zero)
    return jnp.max(jnp.where(design.allowed, breach, 0), axis=0)
