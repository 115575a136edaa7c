"""All mediators one at a time: exposure -> mediator, and mediator -> outcome given the exposure."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.calibration.adjust import benjamini_hochberg
from jaxmed.data.mediation_data import MediationData
from jaxmed.distributions.tails import t_two_sided
from jaxmed.estimators.estimate import MediatorEffects
from jaxmed.estimators.parts.exact import no_residual
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.statistics.dual_stats import DualStatistics
from jaxmed.statistics.joint_factor import JointFactor, rounding
from jaxmed.statistics.kernel_sums import ColumnSums
from jaxmed.typing import Array, pytree


@pytree
class MarginalSums:
    """Sums that the 2p single-mediator regressions need; everything given [1, covariates]."""

    exposure_cross: Array  # [p] A'X_j
    given_exposure: Array  # [p] X_j'X_j given the exposure, 0 where only rounding is left
    outcome_cross: Array  # [p] X_j'Y given the exposure
    exposure_ss: Array  # [] A'A
    outcome_ss: Array  # [] Y'Y given the exposure
    residual_df: Array  # [] m = n - 2 - q


def sums_from_factor(factor: JointFactor) -> MarginalSums:
    """From the joint triangular factor: O(p^2), no second pass over rows."""
    q, mediators = factor.num_covariates, factor.mediators
    upper, length = factor.columns[mediators, mediators], factor.length[mediators]
    exposure, outcome = factor.length[q], factor.length[-1]
    path = factor.upper[mediators, -1]
    # A column of covariates and exposure only leaves rounding, which is no mediator.
    share, size = jnp.sum(upper**2, axis=0), factor.upper.shape[0]
    noise = 4 * rounding(upper.dtype) * size
    noise = noise**2 if factor.route == "qr" else noise
    gone = share <= noise
    # An outcome that exposure and covariates fit leaves rounding, too.
    left = jnp.sum(path**2) + factor.upper[-1, -1] ** 2
    path, left = jnp.where(left <= noise, 0.0, path), jnp.where(left <= noise, 0.0, left)
    return MarginalSums(
        factor.upper[q, q] * factor.upper[q, mediators] * length * exposure,
        jnp.where(gone, 0.0, share) * length**2,
        matmul(upper.T, path) * length * outcome,
        factor.upper[q, q] ** 2 * exposure**2,
        left * outcome**2,
        jnp.asarray(factor.count - 2 - q, upper.dtype),
    )


def sums_from_rows(stats: DualStatistics) -> MarginalSums:
    """From residualised rows: O(np); NumPy for host arrays."""
    if stats.mediators is None:
        raise ValueError("these statistics do not keep the mediators")
    x, a, y = stats.mediators.array(), stats.exposure, stats.outcome
    xp = np if isinstance(x, np.ndarray) else jnp
    tau = xp.sum(a * a)
    cross = a @ x
    yperp = _unless_rounding(y - a * (xp.sum(a * y) / tau), y, xp)
    square = xp.einsum("ij,ij->j", x, x)
    given = square - cross**2 / tau
    given = xp.where(given > 4 * rounding(x.dtype) * len(a) * square, given, 0)
    count = xp.sum(xp.asarray(stats.row_weights) > 0)
    df = (count - 2 - (stats.basis.shape[1] - 1)).astype(x.dtype)
    return MarginalSums(cross, given, yperp @ x, tau, xp.sum(yperp * yperp), df)  # type: ignore[arg-type]


def sums_from_columns(columns: ColumnSums, stats: DualStatistics) -> MarginalSums:
    """From sums by mediator of a stream (statistics.kernel_sums), NumPy; constant ones left in."""
    a: Any = np.asarray(stats.exposure)
    y: Any = np.asarray(stats.outcome)
    tau, slope = a @ a, (a @ y) / (a @ a)
    given = columns.square - columns.exposure_cross**2 / tau
    noise = 4 * rounding(jnp.dtype(a.dtype)) * len(a) * columns.square
    rest = _unless_rounding(y - slope * a, y, np)
    df = np.sum(np.asarray(stats.row_weights) > 0) - 1.0 - stats.basis.shape[1]
    sums: list[Any] = [
        columns.exposure_cross,
        np.where(given > noise, given, 0),
        columns.outcome_cross - slope * columns.exposure_cross,
        tau,
        rest @ rest,
        np.asarray(df),
    ]
    return MarginalSums(*sums)


def _unless_rounding(rest: Any, outcome: Any, xp: Any) -> Any:
    """The outcome given the exposure, 0 where the exposure fits it and rounding is left."""
    noise = (32 * rounding(outcome.dtype)) ** 2 * len(outcome)
    return xp.where(xp.sum(rest * rest) > noise * xp.sum(outcome * outcome), rest, 0)


def marginal_effects(sums: MarginalSums, *, level: float = 0.95) -> MediatorEffects:
    """Single-mediator regressions of all p mediators at once.

    Args:
      sums: see `MarginalSums`.
      level: of the intervals of alpha * beta.
    Returns:
      MediatorEffects, leaves [p]; two-sided t with m = n-2-q degrees of freedom for alpha and m-1
      for beta.
    Source: ordinary least squares of M_j on [1, C, A] and of Y on [1, C, A, M_j]; beta_j is the
      marginal coefficient, not adjusted for the other mediators.
    """
    sums = MarginalSums(*(jnp.asarray(getattr(sums, f)) for f in sums.__dataclass_fields__))
    m, given = sums.residual_df, sums.given_exposure
    tau = jnp.where(given > 0, sums.exposure_ss, 0)
    alpha = divide(sums.exposure_cross, tau, jnp.nan)
    alpha_se = sqrt(divide(given, m * tau, jnp.nan))
    beta = divide(sums.outcome_cross, given, jnp.nan)
    left = jnp.maximum(sums.outcome_ss - beta * sums.outcome_cross, 0)
    left = jnp.where(no_residual(left, sums.outcome_ss), 0, left)
    beta_se = sqrt(divide(left, (m - 1) * given, jnp.nan))
    # A coefficient without error is not tested by t: beyond any doubt, or nothing at all.
    exact = jnp.where(beta == 0, jnp.nan, jnp.sign(beta) * jnp.inf)
    # One evaluation for both sides: the incomplete beta function dominates the compile time.
    p_both = t_two_sided(
        jnp.stack([divide(alpha, alpha_se, jnp.nan), divide(beta, beta_se, exact)]),
        jnp.stack([m, m - 1])[:, None],
    )
    indirect = alpha * beta
    p_value = jnp.max(p_both, axis=0)
    return MediatorEffects(
        alpha=alpha,
        alpha_se=alpha_se,
        alpha_p=p_both[0],
        beta=beta,
        beta_se=beta_se,
        beta_p=p_both[1],
        indirect=indirect,
        indirect_se=jnp.sqrt((alpha * beta_se) ** 2 + (beta * alpha_se) ** 2),
        p_value=p_value,
        p_adjusted=benjamini_hochberg(p_value),
        reason=st.combine(
            st.when(~(given > 0), st.CONSTANT_MEDIATOR),
            st.when((given > 0) & jnp.isnan(p_value) & (beta_se != 0), st.TOO_FEW_ROWS),
            st.when(beta_se == 0, st.ZERO_RESIDUAL),
        ),
        level=level,
    )


def single_mediator_data(data: MediationData, score: Array) -> MediationData:
    """The data with one composite score [n] in place of the mediators."""
    return MediationData(
        data.exposure, score[:, None], data.outcome, data.covariates, data.weights, data.names
    )
