"""Paths of penalised likelihoods under lasso, MCP and SCAD, with the choice by BIC.

The penalty is rescaled adaptively: at a solution  v_j b_j = T(score_j + v_j b_j; lambda factor_j)
with T the threshold of a column of unit curvature and v_j = sum_i w_i x_ij^2 / n the curvature of
the log likelihood there.
"""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.sparse.path import largest_penalty, penalty_grid
from jaxmed.sparse.proximal_newton import Point, Problem, free_fit, proximal_newton
from jaxmed.sparse.shapes import Shape
from jaxmed.sparse.walk import walk
from jaxmed.typing import Array, pytree


@pytree
class LikelihoodPath:
    """Solutions along a grid."""

    penalties: Array  # [L]
    coefficients: Array  # [L, d]
    deviance: Array  # [L] -2 log likelihood
    bic: Array  # [L] inf where not solved
    index: Array  # [] of the least BIC
    violation: Array  # [L] breach of the fixed point, units of the penalty
    status: Array  # [] NOT_CONVERGED at the chosen penalty; SEPARATED by the free columns

    @property
    def chosen(self) -> Array:
        """Coefficients of least BIC, [d]."""
        return self.coefficients[self.index]


def likelihood_bic_path(
    problem: Problem,
    rows: Array,
    factors: Array,
    shape: Shape,
    *,
    count: int = 100,
    ratio: float = 1e-3,
    tolerance: float = 1e-9,
    patience: int = 0,
) -> LikelihoodPath:
    """Path and its choice by BIC = deviance + (k + 1) log n, k the non-zero coefficients.

    Args:
      problem: columns [d, n] of mean square about 1, with a row of ones of factor 0.
      rows: number of rows n that the case weights stand for, scalar.
      factors: [d] penalty factors; 0 leaves a column free.
      shape: see `shape_of`.
      count: of penalties.
      ratio: smallest over largest.
      tolerance: of the fixed point, relative to the largest penalty.
      patience: the path ends after this many penalties without a better BIC; 0: never.
    Source: Breheny and Huang (2011), adaptive rescaling; specification B1.
    """
    dtype, d = problem.columns.dtype, problem.columns.shape[0]
    rough = max(tolerance, 40 * float(jnp.finfo(dtype).eps))
    start, score = free_fit(problem, factors, tolerance=rough)
    largest = largest_penalty(score, factors)
    penalties = penalty_grid(largest, count, ratio)
    target = jnp.maximum(rough * largest, 4 * jnp.finfo(dtype).eps)

    def visit(at: Array, state: Point) -> tuple:
        state = proximal_newton(
            problem, shape.at(penalties[at] * factors), state, tolerance=target, rescale=True
        )
        b = state.coefficients
        deviance = 2 * rows * problem.likelihood.loss(state.predictor)
        bic = deviance + (jnp.sum(b != 0).astype(dtype) + 1) * jnp.log(rows)
        return state, bic, (b, deviance, state.violation)

    blank = jnp.zeros(count, dtype)
    kept = (jnp.zeros((count, d), dtype), blank, blank)
    found = walk(visit, start, kept, blank + jnp.inf, patience)
    path, deviance, violation = found.kept
    code = st.combine(
        st.when(~(violation[found.best] <= 10 * target), st.NOT_CONVERGED),
        st.when(start.status == st.SEPARATED, st.SEPARATED),
    )
    return LikelihoodPath(penalties, path, deviance, found.criterion, found.best, violation, code)
