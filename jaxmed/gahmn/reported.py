"""Effects of record for trained generators: point estimate and interval that belong together."""

import dataclasses

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.double_selection import double_selection
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.ols import ols
from jaxmed.estimators.parts.basis import Basis, with_basis
from jaxmed.estimators.parts.effects_of_record import FEW, answer
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.partially_linear import outcome_fit
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.gahmn.adversarial import GahmnDetails
from jaxmed.gahmn.fitted import Fitted, one_seed
from jaxmed.typing import Array, Key

__all__ = ["interval_of", "reported"]


def _curve_free(key: Key, data: MediationData, raw: Array, fitted: Fitted) -> MediationData:
    """Mediators and outcome minus the generators' conditional means at control."""
    covariates = jnp.asarray(raw)
    nobody = jnp.full(covariates.shape[0], fitted.scale.arms.control)
    curve = fitted.mediator_mean(nobody, covariates)
    level = fitted.outcome_mean(key, nobody, curve, covariates)
    return dataclasses.replace(
        data,
        mediators=jnp.asarray(data.mediators) - curve,
        outcome=jnp.asarray(data.outcome) - level,
        covariates=covariates,
    )


def interval_of(
    interval: str, data: MediationData, nuisance: str, basis: Basis = "splines_all_products"
) -> str:
    """The interval itself where "auto" was asked for, by the sizes of the data.

    Args:
      interval: see `gahmn`, all but "bootstrap".
      data: training rows; shapes are looked at.
      nuisance: see `gahmn`.
      basis: of the covariates, but for the nuisance "generator".
    """
    if interval != "auto":
        return interval
    n, p = data.mediators.shape
    basis = "linear" if nuisance == "generator" else basis
    shape = jax.eval_shape(lambda d: with_basis(rows_of(d), basis).mediator_base, data)
    return "ols" if n >= FEW * (p + shape.shape[1]) else "double_selection"


def reported(
    key: Key,
    data: MediationData,
    details: GahmnDetails,
    interval: str,
    nuisance: str,
    level: float,
    *,
    basis: Basis = "splines_all_products",
    raw: Array | None = None,
) -> Estimate:
    """The effects of record, with the generators in the details.

    Args:
      key: of cross-validation folds.
      data: training rows.
      details: of the trained generators.
      interval: see `gahmn`, all but "bootstrap".
      nuisance: see `gahmn`.
      level: of the intervals.
      basis: of the covariates, but for the nuisance "generator": "given" for data of
        `covariate_basis`.
      raw: covariates [n, q] that the generators were trained on; those of the data if None.
    """
    interval = interval_of(interval, data, nuisance, basis)
    raw = jnp.asarray(data.covariates) if raw is None else raw
    drawn, folds = jax.random.split(key)
    if nuisance == "generator":
        basis, data = "linear", _curve_free(drawn, data, raw, one_seed(details.fitted, 0))
    if interval == "ols":
        found = ols(basis=basis, level=level)(None, data)
    elif interval == "double_selection":
        found = double_selection(basis=basis, level=level)(folds, data)
    else:
        found = _refit(data, details, basis, level)
    status = st.combine(found.status, details.adversarial.status)
    return dataclasses.replace(found, status=status, details=details)


def _refit(data: MediationData, details: GahmnDetails, basis: Basis, level: float) -> Estimate:
    """Least squares on the mediators of the outcome generator, as if they had been known."""
    legs = legs_of(with_basis(rows_of(data), basis))
    support = jnp.mean(details.fitted.generators.mediator_support, axis=0) > 0.5
    fit = outcome_fit(legs, support, variance="path_sum")
    return answer(
        legs,
        fit,
        fit.beta,
        fit.beta_se,
        st.when(~support, st.NOT_SELECTED),
        selected=support,
        details=None,
        level=level,
        status=fit.status,
        method="normal, HC2, as if the selected set had been known",
    )
