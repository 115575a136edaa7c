"""ADMM of the pathway lasso, as published: one factor for all iterations and all penalties."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.products import matmul
from jaxmed.linalg.prox import soft_threshold
from jaxmed.linalg.triangular import solve_lower
from jaxmed.sparse.pathway import (
    PathwayMoments,
    PathwayPenalty,
    PathwaySolution,
    pathway_prox,
)
from jaxmed.typing import Array, pytree


@pytree
class AdmmState:
    """Primal variables, their sparse copies and the last change."""

    theta: Array  # [1+p] slot 0 is held at 1
    d: Array  # [1+p]
    theta_copy: Array  # [1+p]
    d_copy: Array  # [1+p]
    dual_theta: Array  # [1+p]
    dual_d: Array  # [1+p]
    dual_one: Array  # []
    change: Array  # []
    iterations: Array  # [] int32


Solve = Callable[[Array], Array]


def ridge_solver(moments: PathwayMoments, rho: float) -> Solve:
    """Map of v to (G + 2 rho I)^-1 v; by Woodbury's identity from n x n where there are rows."""
    if moments.rows is None:
        k = moments.gram.shape[0]
        identity = jnp.eye(k, dtype=moments.gram.dtype)
        # The explicit inverse is safe here: the smallest eigenvalue is at least 2 rho.
        half = solve_lower(jnp.linalg.cholesky(moments.gram + 2 * rho * identity), identity)
        inverse = matmul(half.T, half)
        return lambda v: matmul(inverse, v)
    x = moments.rows
    inner = 2 * rho * jnp.eye(x.shape[0], dtype=x.dtype) + matmul(x, x.T)
    half = solve_lower(jnp.linalg.cholesky(inner), x)
    return lambda v: (v - matmul(matmul(half, v), half)) / (2 * rho)


def pathway_admm(
    moments: PathwayMoments,
    penalty: PathwayPenalty,
    start: AdmmState,
    solve: Solve,
    *,
    rho: float,
    tolerance: float,
    max_iterations: int,
) -> AdmmState:
    """Iterate until both blocks move less than `tolerance`.

    Args:
      moments: of the data.
      penalty: of this point of the path.
      start: warm start; its multipliers are used as they are.
      solve: `ridge_solver(moments, rho)`.
      rho: augmentation; its weight is 2 rho.
      tolerance: of the largest change of (theta, d) in one iteration.
      max_iterations: budget.
    Source: Zhao and Luo (2022), Algorithm 1 with Sigma_1 = I and sigma_2 = 1.
    """
    path = jnp.concatenate([jnp.zeros(1, moments.path.dtype), moments.path])
    slot = jnp.arange(path.shape[0]) == 0
    # The row that holds theta_0 at 1 doubles its own curvature.
    curvature = 2 * rho + jnp.where(slot, 2 * rho, moments.exposure_ss)
    p1 = 2 * rho + 2 * jnp.where(slot, 0, penalty.ridge)
    p2 = 2 * rho + 2 * penalty.ridge
    product = jnp.where(slot, 0, penalty.product)
    absolute = jnp.where(slot, 0, penalty.absolute)

    def iterate(s: AdmmState) -> AdmmState:
        hold = jnp.where(slot, 2 * rho - s.dual_one, 0)
        theta = (path - s.dual_theta + 2 * rho * s.theta_copy + hold) / curvature
        d = solve(moments.score - s.dual_d + 2 * rho * s.d_copy)
        m1, m2 = s.dual_theta + 2 * rho * theta, s.dual_d + 2 * rho * d
        # The exposure has no partner: its own l1 term is applied beforehand.
        m2 = jnp.where(slot, soft_threshold(m2, penalty.direct), m2)
        theta_copy, d_copy = pathway_prox(m1, m2, p1, p2, product, absolute)
        change = jnp.maximum(jnp.max(jnp.abs(theta - s.theta)), jnp.max(jnp.abs(d - s.d)))
        return AdmmState(
            theta,
            d,
            theta_copy,
            d_copy,
            s.dual_theta + 2 * rho * (theta - theta_copy),
            s.dual_d + 2 * rho * (d - d_copy),
            s.dual_one + 2 * rho * (theta[0] - 1),
            change,
            s.iterations + 1,
        )

    return jax.lax.while_loop(
        lambda s: (s.change >= tolerance) & (s.iterations < max_iterations), iterate, start
    )


def admm_path(
    moments: PathwayMoments,
    penalties: PathwayPenalty,
    *,
    rho: float = 1.0,
    tolerance: float = 1e-6,
    max_iterations: int = 5000,
    warm: bool = True,
) -> PathwaySolution:
    """Solutions along penalties (leaves [L], largest first), multipliers reset to 0 at each.

    Args:
      moments: of the data.
      penalties: leaves [L].
      rho: augmentation.
      tolerance: stop rule; also how close the sparse copies must be to be returned.
      max_iterations: per penalty.
      warm: start from the previous solution, else from 0.
    Returns:
      PathwaySolution, leaves [L, ...].
    """
    dtype = moments.score.dtype
    zeros = jnp.zeros(moments.score.shape, dtype)
    none, count = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
    infinite = jnp.full((), jnp.inf, dtype)
    cold = AdmmState(zeros, zeros, zeros, zeros, zeros, zeros, none, infinite, count)
    solve = ridge_solver(moments, rho)

    def step(carry: AdmmState, penalty: PathwayPenalty) -> tuple[AdmmState, PathwaySolution]:
        end = pathway_admm(
            moments,
            penalty,
            carry,
            solve,
            rho=rho,
            tolerance=tolerance,
            max_iterations=max_iterations,
        )

        def returned(value: Array, copy: Array) -> Array:
            return jnp.where(jnp.max(jnp.abs(value - copy)) < tolerance, copy, value)

        solution = PathwaySolution(
            returned(end.theta, end.theta_copy)[1:],
            returned(end.d, end.d_copy),
            end.iterations,
            st.when(~(end.change < tolerance), st.NOT_CONVERGED),
        )
        # The release hands on the effects only: the slot that is held at 1 starts at 1 again.
        held = (end.theta.at[0].set(1), end.d, end.theta_copy.at[0].set(1), end.d_copy)
        following = AdmmState(*held, zeros, zeros, none, infinite, count)
        return following if warm else cold, solution

    return jax.lax.scan(step, cold, penalties)[1]
