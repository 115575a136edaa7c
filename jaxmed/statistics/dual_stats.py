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
    mediators: Array | None  # [n, p] residualised; None where only row coefficients are wanted
    status: Array  # [] int32
    num_mediators: int = static(default=0)


def dual_statistics(data: MediationData, *, keep_mediators: bool = True) -> DualStatistics:
    """Residuals and kernel of one data set; NumPy's BLAS for host arrays.

    Args:
      data: exposure [n], mediators [n, p], outcome [n], covariates [n, q], weights [n] or None.
      keep_mediators: False leaves out the residualised mediators [n, p].
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
    responses = _residual(xp, basis, _residual(xp, basis, responses))
    if xp is np:
        mediators = _host_mediators(data, root, basis)
        kernel = mediators @ mediators.T
    else:
        mediators: Any = data.mediators if data.weights is None else root * data.mediators
        # Centring before the projection: the intercept's share of a column may be 1e6 times its
        # spread.
        mediators = mediators - root * (((root[:, 0] @ mediators) / w.sum())[None, :])
        mediators = _residual(xp, basis, mediators)
        kernel = products.gram(mediators.T)
    dependent = jnp.min(jnp.abs(jnp.diagonal(jnp.asarray(triangle)))) <= 100 * float(
        jnp.finfo(dtype).eps
    )
    status = st.combine(
        st.when(dependent, st.RANK_DEFICIENT),
        st.when(~jnp.all(jnp.isfinite(jnp.asarray(kernel))), st.NONFINITE),
        _gone(root[:, 0] * data.exposure, responses[:, 0], st.DEGENERATE_EXPOSURE),
        _gone(root[:, 0] * data.outcome, responses[:, 1], st.CONSTANT_OUTCOME),
    )
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


def _residual(xp: Any, basis: Any, columns: Any) -> Any:
    if xp is np:
        return columns - basis @ (basis.T @ columns)
    return columns - products.matmul(basis, products.cross(basis, columns))


def _gone(raw: Any, residual: Any, code: int) -> Array:
    """The code where the projection leaves rounding only."""
    raw, residual = jnp.asarray(raw), jnp.asarray(residual)
    gone = jnp.sum(residual**2) <= (16 * float(jnp.finfo(raw.dtype).eps)) ** 2 * jnp.sum(raw**2)
    return st.when(gone, code)


def kernel_scale(stats: DualStatistics) -> Array:
    """C = trace(K)/n, the size given to the null directions of the kernel."""
    kernel = jnp.asarray(stats.kernel)
    return divide(jnp.trace(kernel), kernel.shape[0], 0.0)
