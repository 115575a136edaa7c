"""Sums over the rows behind variances that hold where errors have unequal ones."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.geometry.paths import Paths
from jaxmed.inference.rows import residual_rows
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree

# Below this share of the homoskedastic variance, or above this leverage, the estimate is unusable.
SMALLEST_SHARE = 0.1
LARGEST_LEVERAGE = 1 - 1e-8


def leave_one_out_variance(paths: Paths, data: MediationData) -> tuple[Array, Array]:
    """Variance of a'y (exposure path times outcome path) given exposure and mediators.

    With g = Z S^-1 s, yperp the outcome's residual on [1, covariates, exposure], e its residual on
    all regressors and h the leverages of all regressors, V = sum g_i^2 yperp_i e_i / (1 - h_i):
    e_i/(1 - h_i) is the prediction error of row i from the other rows, which makes V unbiased at
    any p/n, where HC3 is far too large. V = s2 |a|^2 in expectation under homoskedastic errors.

    Args:
      paths: primal paths of `data`.
      data: the same rows.
    Returns:
      (V in exposure^2 outcome^2 units, status): VARIANCE_FALLBACK where HC3 had to replace V.
    Raises:
      ValueError: dual paths.
    Source: the leave-one-out idea of Kline, Saggio and Solvsten (2020), applied to a'y.
    """
    sums = row_sums(paths, data)
    return usable_variance(paths.quadratics, sums.outcome_side, sums.outcome_hc3, sums.exceeds)


@pytree
class RowSums:
    """What a variance of sqrt(tau) q_AY needs of the rows; exposure^2 outcome^2 units."""

    outcome_side: Array  # sum g_i^2 yperp_i e_i / (1 - h_i)
    outcome_hc3: Array  # sum (g_i e_i / (1 - h_i))^2
    exposure_side: Array  # sum A_i^2 ((Z_i b)^2 - s2 |W_i|^2) / (1 - hA_i)
    exposure_hc3: Array  # sum (A_i |W_i| / (1 - hA_i))^2, exposure^2: of a single mediator's alpha
    exceeds: Array  # bool: a leverage is so near 1 that these cannot be used


def row_sums(paths: Paths, data: MediationData) -> RowSums:
    """The sums over the rows of primal paths, see `leave_one_out_variance`, `robust_total`.

    Raises:
      ValueError: dual paths.
    """
    if paths.regime == "dual":
        raise ValueError("the leave-one-out variance needs a residual: p <= n - 3 - q mediators")
    rows = residual_rows(data)
    tau, frame = paths.exposure_ss, paths.frame
    exposure = rows.exposure
    z = rows.mediators - exposure[:, None] * divide(exposure @ rows.mediators, tau)[None, :]
    yperp = rows.outcome - exposure * divide(exposure @ rows.outcome, tau)
    whitened = frame.whitened(z.T).T  # type: ignore[union-attr]
    g = matmul(whitened, paths.exposure_path)
    fitted = matmul(whitened, paths.outcome_path)
    residual, size = yperp - fitted, jnp.sum(whitened**2, axis=1)
    least = jnp.finfo(size.dtype).eps
    without = jnp.sum(rows.basis**2, axis=1) + divide(exposure**2, tau)
    left, left_without = (jnp.maximum(1 - h, least) for h in (without + size, without))
    noise = paths.quadratics.residual_variance
    return RowSums(
        outcome_side=jnp.sum(g**2 * yperp * residual / left),
        outcome_hc3=jnp.sum((g * residual / left) ** 2),
        exposure_side=jnp.sum(exposure**2 * (fitted**2 - noise * size) / left_without),
        exposure_hc3=jnp.sum((exposure / left_without) ** 2 * size),
        exceeds=jnp.max(without + size) > LARGEST_LEVERAGE,
    )


def usable_variance(
    quadratics: PathQuadratics, variance: Array, hc3: Array, exceeds: Array
) -> tuple[Array, Array]:
    """The leave-one-out variance where it can be used, else HC3, and a status.

    Args:
      quadratics: of the paths.
      variance: leave-one-out, over all rows.
      hc3: over all rows.
      exceeds: whether a leverage is above LARGEST_LEVERAGE.
    """
    q = quadratics
    homoskedastic = q.residual_variance * q.exposure_exposure * q.exposure_ss
    unusable = (variance <= SMALLEST_SHARE * homoskedastic) | exceeds
    return jnp.where(unusable, hc3, variance), st.when(unusable, st.VARIANCE_FALLBACK)
