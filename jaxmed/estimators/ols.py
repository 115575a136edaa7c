"""Least squares of the outcome on all mediators, partially linear in the covariates."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.basis import Basis, check_basis, with_basis
from jaxmed.estimators.parts.effects_of_record import answer, check_level
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.partially_linear import Variance, check_variance, outcome_fit
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.typing import Array, Estimator, Key, pytree


@pytree
class OlsDetails:
    """How much the outcome model leaves."""

    df: Array  # [] residual degrees of freedom
    leverage: Array  # [n] of the rows in the outcome model, per copy of a row


@in_safe_units
def ols(
    *,
    basis: Basis = "given",
    variance: Variance = "difference",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    level: float = 0.95,
) -> Estimator:
    """All mediators in one outcome model; no sparsity is assumed.

    Direct and indirect effect with HC2 variances, total = direct + indirect to rounding (where
    both models share their covariates); indirect effect of every mediator with the
    product-of-normals interval. Deterministic: the key may be None.

    Args:
      basis: of the covariates: "given" (as they are, or the columns of `covariate_basis`), a
        name of `covariate_basis`, or a function (covariates, weights) -> [n, r].
      variance: of the noise of alpha in the indirect effect: "difference", or "path_sum", which
        is 10-35 % too wide at many mediators and is needed where the models' covariates differ.
      covariates_mediator: names or positions, of the mediator models; all if None.
      covariates_outcome: names or positions, of the outcome model; all if None.
      level: of the intervals.
    Returns:
      Estimator. TOO_FEW_ROWS where fewer than 2 degrees of freedom are left (p >= n - r - 2, r the
      rank of the base): `double_selection` is for those data. Constant mediators are left out.
      Mediators that depend on each other given the covariates (shares of a whole, a copy) count
      by their span: SPAN_ONLY, and RANK_DEFICIENT for the coefficients that this leaves open.
    Raises:
      ValueError: an unknown option; "difference" with different covariates (while tracing).
    Source: specification of the intervals, section 1. Valid for any signal, dense or sparse,
      with p + q below about 0.8 n; 2-17 % wider than double selection at p / n = 1/8.
    """
    check_basis(basis)
    check_variance(variance)
    check_level(level)

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        del key
        rows = with_basis(rows_of(data, covariates_mediator, covariates_outcome), basis)
        legs = legs_of(rows)
        fit = outcome_fit(legs, ~legs.constant, variance=variance)
        return answer(
            legs,
            fit,
            fit.beta,
            fit.beta_se,
            st.when(fit.tied, st.RANK_DEFICIENT),
            selected=~legs.constant,
            details=OlsDetails(fit.df, fit.leverage),
            level=level,
            method=f"normal, HC2, {variance.replace('_', ' ')}",
            # Nothing varies that could mediate: direct and indirect effect are not told apart.
            status=st.combine(fit.status, st.when(jnp.all(legs.constant), st.CONSTANT_MEDIATOR)),
        )

    return estimate
