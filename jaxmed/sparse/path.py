"""Warm-started paths of the descent along decreasing penalties, and the grid they run on."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmed import status
from jaxmed.linalg.safe import divide
from jaxmed.sparse.descent import Descent, descend, optimality_violation
from jaxmed.sparse.penalties import Penalty
from jaxmed.sparse.quadratic import Quadratic
from jaxmed.typing import Array, pytree


@pytree
class PathFit:
    """Solutions along a grid of penalties."""

    coefficients: Array  # [L, p]
    violation: Array  # [L] optimality violation, recomputed from the data
    status: Array  # [L] int32


def penalty_grid(largest: Array, count: int, ratio: float | Array) -> Array:
    """`count` values, log-equispaced from `largest` to ratio * largest, [count]."""
    # An outcome without signal has largest = 0; any positive grid then selects nothing.
    tiny = jnp.finfo(largest.dtype).tiny ** 0.5
    exponents = jnp.linspace(0.0, 1.0, count, dtype=largest.dtype)
    return jnp.maximum(largest, tiny) * ratio**exponents


def largest_penalty(score: Array, factors: Array) -> Array:
    """Smallest lambda at which every penalised coefficient is zero; score at the null model."""
    return jnp.max(divide(jnp.abs(score), factors), initial=0)


def path(
    quadratic: Quadratic,
    residual: Array,
    penalties: Array,
    penalty_at: Callable[[Array], Penalty],
    *,
    tolerance: Array,
    max_rounds: int = 1000,
) -> PathFit:
    """Minimisers along a path, each from the last.

    Args:
      quadratic: curvature; columns centred and scaled as the caller wants them penalised.
      residual: residual at b = 0: X'Vy [p] for a `GramQuadratic`, Vy [n] for a `RowQuadratic`.
      penalties: lambda, decreasing, [L].
      penalty_at: the penalty at one lambda, for example `lambda v: L1(v * factors)`.
      tolerance: allowed optimality violation, units of lambda.
      max_rounds: budget per lambda.
    Returns:
      Path; status NOT_CONVERGED where the budget ran out, or where the violation is ten times the
      tolerance and beyond rounding.
    Source: Friedman, Hastie and Tibshirani (2010), covariance and naive updates.
    """

    def solve(level: Array, b: Array, r: Array) -> Descent:
        return descend(
            quadratic, penalty_at(level), b, r, tolerance=tolerance, max_rounds=max_rounds
        )

    def breach(score: Array, b: Array, level: Array) -> Array:
        return optimality_violation(score, b, penalty_at(level), quadratic.curvature)

    return warm_path(quadratic, residual, penalties, solve, breach, tolerance)


def warm_path(
    quadratic: Quadratic,
    residual: Array,
    penalties: Array,
    solve: Callable[[Array, Array, Array], Descent],
    breach: Callable[[Array, Array, Array], Array],
    tolerance: Array,
) -> PathFit:
    """Solutions along penalties, each from the last, and their certificates.

    Args:
      quadratic: curvature.
      residual: at b = 0.
      penalties: [L].
      solve: (lambda, coefficients and residual to start from) -> Descent.
      breach: (score, coefficients, lambda) -> violation.
      tolerance: of the violation.
    """
    start = (jnp.zeros(quadratic.curvature.shape, residual.dtype), residual)

    def step(carry: tuple[Array, Array], level: Array) -> tuple[tuple[Array, Array], tuple]:
        state = solve(level, *carry)
        code = status.when(~(state.violation <= tolerance), status.NOT_CONVERGED)
        return (state.coefficients, state.residual), (state.coefficients, code)

    _, (found, codes) = jax.lax.scan(step, start, penalties)

    def certificate(b: Array, level: Array) -> Array:
        return breach(quadratic.score(quadratic.residual_at(residual, b)), b, level)

    violation = jax.vmap(certificate)(found, penalties)
    # The residual was carried along the path: what rounding made of it is told, within reason.
    size = jnp.max(jnp.abs(quadratic.score(residual)), initial=0)
    rounding = 100 * jnp.finfo(residual.dtype).eps * size
    lost = status.when(~(violation <= 10 * tolerance + rounding), status.NOT_CONVERGED)
    return PathFit(found, violation, status.combine(codes, lost))
