"""Leave-one-out variance of the joint test's outcome side, for heteroscedastic errors."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.geometry.paths import Paths
from jaxmed.inference.rows import residual_rows
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array

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
    if paths.regime == "dual":
        raise ValueError("the leave-one-out variance needs a residual: p <= n - 3 - q mediators")
    rows = residual_rows(data)
    tau, frame = paths.exposure_ss, paths.frame
    exposure = rows.exposure
    z = rows.mediators - exposure[:, None] * divide(exposure @ rows.mediators, tau)[None, :]
    yperp = rows.outcome - exposure * divide(exposure @ rows.outcome, tau)
    whitened = frame.whitened(z.T).T  # type: ignore[union-attr]
    g = matmul(whitened, paths.exposure_path)
    residual = yperp - matmul(whitened, paths.outcome_path)
    leverage = (
        jnp.sum(rows.basis**2, axis=1) + divide(exposure**2, tau) + jnp.sum(whitened**2, axis=1)
    )
    left = jnp.maximum(1 - leverage, jnp.finfo(leverage.dtype).eps)
    variance = jnp.sum(g**2 * yperp * residual / left)
    hc3 = jnp.sum((g * residual / left) ** 2)
    exceeds = jnp.max(leverage) > LARGEST_LEVERAGE
    return usable_variance(paths.quadratics, variance, hc3, exceeds)


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
