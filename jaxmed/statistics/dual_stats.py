"""Row-space statistics for p >= n - 1 - q: one n x n kernel and its Cholesky factor.

With more mediators than residual degrees of freedom the Gram matrix is singular. The weights are
then restricted to the row space of the residualised mediators Z, where the path vectors have n
coordinates (He 2026, section 5). No eigendecomposition: with Q an orthonormal basis of
[1, covariates] and K = XX' + c QQ' positive definite, everything follows from solves with K.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.linalg import products
from jaxmed.linalg.safe import divide
from jaxmed.statistics.cross_moments import is_host
from jaxmed.statistics.residual_columns import ResidualColumns, WrittenColumns, residual_columns
from jaxmed.typing import Array, pytree, static

# Columns of the mediators worked on at a time on the host: a block stays in the cache.
HOST_BLOCK_COLUMNS = 256
# Units of rounding that centred columns may be off their mean.
ROUNDINGS = 64


@pytree
class DualStatistics:
    """Kernel and residuals on [1, covariates]; rows multiplied by the root of their weight."""

    kernel: Array  # [n, n] XX' of the residualised mediators
    basis: Array  # [n, 1+q] orthonormal basis of the weighted [1, covariates]
    exposure: Array  # [n] residual
    outcome: Array  # [n] residual
    row_weights: Array  # [n]
    # [n, p] residualised; None where only row coefficients are wanted
    mediators: ResidualColumns | WrittenColumns | None
    status: Array  # [] int32
    num_mediators: int = static(default=0)


def dual_statistics(data: MediationData, *, keep_mediators: bool = True) -> DualStatistics:
    """Residuals and kernel of one data set; NumPy's BLAS for host arrays.

    Args:
      data: exposure [n], mediators [n, p], outcome [n], covariates [n, q], weights [n] or None.
      keep_mediators: False leaves out the mediators.
    Returns:
      DualStatistics. Cost 2 n^2 p.
    """
    xp: Any = np if is_host(data) else jnp
    n, p = data.mediators.shape
    dtype = data.mediators.dtype
    w: Any = xp.ones((n,), dtype) if data.weights is None else data.weights
    root = xp.sqrt(w)[:, None]
    design = root * xp.concatenate([xp.ones((n, 1), dtype), data.covariates], axis=1)
    size = xp.sqrt((design * design).sum(axis=0))
    basis, triangle = xp.linalg.qr(design / xp.where(size > 0, size, 1)[None, :])
    responses = root * xp.stack([data.exposure, data.outcome], axis=1)
    responses = _residual(basis, _residual(basis, responses))
    if xp is np:
        mediators = WrittenColumns(_host_mediators(data, root, basis))
    else:
        mediators = residual_columns(jnp.asarray(data.mediators), jnp.asarray(w), basis)
    kernel = mediators.kernel()
    raw = root * xp.stack([data.exposure, data.outcome], axis=1)
    status = _status(triangle, kernel, raw, responses)
    return DualStatistics(
        kernel,
        basis,
        responses[:, 0],
        responses[:, 1],
        w,
        mediators if keep_mediators else None,
        status,
        p,
    )


def without_mediators(data: MediationData) -> DualStatistics:
    """Basis and residuals that the rows give alone; the kernel is zero, the mediators None."""
    xp: Any = np if is_host(data) else jnp
    nothing = xp.zeros((data.exposure.shape[0], 1), data.mediators.dtype)
    return dual_statistics(dataclasses.replace(data, mediators=nothing), keep_mediators=False)


def _host_mediators(data: MediationData, root: Any, basis: Any) -> Any:
    """Residuals of the mediators on the basis, projected in blocks that stay in cache."""
    source = np.asarray(data.mediators)
    if data.weights is None:
        result = source - source.mean(axis=0, dtype=np.float64).astype(source.dtype)
        if basis.shape[1] == 1 and source.dtype == np.float64:
            return result  # what is left of the mean is rounding of the columns themselves
    else:
        result = root * source
        result -= root * ((root[:, 0] @ result) / (root * root).sum())
    offset = basis.T @ result
    # Without covariates only rounding of the mean is left, often not worth a second pass.
    if np.abs(offset).max() > ROUNDINGS * np.finfo(source.dtype).eps * result.max():
        for start in range(0, source.shape[1], HOST_BLOCK_COLUMNS):
            columns = slice(start, start + HOST_BLOCK_COLUMNS)
            result[:, columns] -= basis @ offset[:, columns]
    return result


def _residual(basis: Any, columns: Any) -> Any:
    if isinstance(basis, np.ndarray):
        return columns - basis @ (basis.T @ columns)
    return columns - products.matmul(basis, products.cross(basis, columns))


def _status(triangle: Any, kernel: Any, raw: Any, residual: Any) -> Any:
    """Of the design [q+1, q+1], the kernel [n, n], exposure and outcome [n, 2] before and after."""
    xp = np if isinstance(kernel, np.ndarray) else jnp
    eps = float(jnp.finfo(raw.dtype).eps)
    gone = (residual**2).sum(axis=0) <= (16 * eps) ** 2 * (raw**2).sum(axis=0)
    troubles = {
        st.RANK_DEFICIENT: xp.abs(xp.diagonal(triangle)).min() <= 100 * eps,
        st.NONFINITE: ~xp.isfinite(kernel).all(),
        st.DEGENERATE_EXPOSURE: gone[0],
        st.CONSTANT_OUTCOME: gone[1],
    }
    if xp is np:
        return np.int32(max(code for code, found in ({st.OK: True} | troubles).items() if found))
    return st.combine(*(st.when(found, code) for code, found in troubles.items()))


def kernel_scale(stats: DualStatistics) -> Array:
    """C = trace(K)/n, the size given to the null directions of the kernel."""
    kernel = jnp.asarray(stats.kernel)
    return divide(jnp.trace(kernel), kernel.shape[0], 0.0)
