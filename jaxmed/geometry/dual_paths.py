"""The paths in the dual, from the kernel of the rows."""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.geometry.frames import DualFrame
from jaxmed.geometry.path_vectors import Paths, assemble_paths, has_total, not_constant
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.linalg.triangular import pivot_ratio, signs, solve_upper, solve_upper_transposed
from jaxmed.statistics.dual_stats import DualStatistics, kernel_scale
from jaxmed.statistics.joint_factor import rounding
from jaxmed.typing import Array


def dual_paths(stats: DualStatistics) -> Paths:
    """Paths of n coordinates from the kernel (statistics.dual_stats); one n x n factorisation.

    `exposure_weights` and `outcome_weights` are row coefficients x [n] (weights = X'x) where the
    statistics do not keep the mediators.
    """
    scale = kernel_scale(stats)
    kernel, basis = jnp.asarray(stats.kernel), jnp.asarray(stats.basis)
    a, y = jnp.asarray(stats.exposure), jnp.asarray(stats.outcome)
    absent = jnp.asarray(stats.row_weights) == 0
    full = divide(kernel, scale) + matmul(basis, basis.T) + jnp.diag(absent.astype(kernel.dtype))
    upper = jax.scipy.linalg.cholesky(full, lower=False)

    def solve(b: Array) -> Array:  # Kc^-1 b for b [n, k]
        return divide(solve_upper(upper, solve_upper_transposed(upper, b)), scale)

    tau, cross, outcome_ss = jnp.sum(a * a), jnp.sum(a * y), jnp.sum(y * y)
    v = solve(jnp.stack([a, signs(a.shape[0], a.dtype)], axis=1))
    probe, v = v[:, 1], v[:, 0]
    av = jnp.sum(a * v)
    path_a = -divide(v - a * divide(av, tau), av) * tau
    path_y = y - a * divide(cross, tau)
    exact = jnp.sum(path_y**2) <= 100 * rounding(y.dtype) * outcome_ss
    path_y = jnp.where(exact, 0.0, path_y)
    x = solve(jnp.stack([path_a, path_y], axis=1))
    x = x - v[:, None] * divide(a @ x, av)[None, :]
    x = x - a[:, None] * divide(a @ x, tau)[None, :]
    if stats.mediators is not None:
        x = stats.mediators.cross(x)
    n, q = a.shape[0], basis.shape[1] - 1
    count = n - jnp.sum(absent)
    m = (count - 2 - q).astype(a.dtype)
    pivot = pivot_ratio(upper)
    weights = jnp.asarray(stats.row_weights)
    weighted = not_constant(jnp.sum(weights**2), jnp.sum(weights))
    status = st.combine(
        stats.status,
        st.when(
            jnp.any(jnp.isnan(upper)) | (pivot**2 <= 4 * n * rounding(a.dtype)), st.RANK_DEFICIENT
        ),
        st.when(weighted, st.WEIGHTED),
        st.when(exact, st.ZERO_RESIDUAL),
        st.when(m < 1, st.TOO_FEW_ROWS),
    )
    spread = signs(n, a.dtype)
    condition = divide(jnp.sum(probe**2), jnp.sum(probe * spread), jnp.inf) * jnp.max(
        jnp.sum(jnp.abs(kernel), axis=1)
    )
    return assemble_paths(
        path_a,
        path_y,
        x[:, 0],
        x[:, 1],
        jnp.asarray(jnp.nan, a.dtype),
        tau,
        cross,
        outcome_ss,
        m,
        jnp.minimum(m, stats.num_mediators),
        condition,
        status,
        st.note_when(weighted, st.Note.WEIGHTED),
        exact,
        (stats.status != st.RANK_DEFICIENT) & has_total(stats.status, m),
        DualFrame(stats.mediators, a, tau),
        "dual",
        "kernel",
    )
