"""Post-double-selection: least squares on the mediators that predict outcome or exposure."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.budget import check_at_least, check_count
from jaxmed.data.mediation_data import MediationData
from jaxmed.deprecations import renamed
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts import supports as sp
from jaxmed.estimators.parts.basis import Basis, check_basis, with_basis
from jaxmed.estimators.parts.effects_of_record import answer, check_level
from jaxmed.estimators.parts.legs import Legs, legs_of
from jaxmed.estimators.parts.neighbours import (
    NodewiseSupports,
    neighbour_supports,
    own_coefficients,
)
from jaxmed.estimators.parts.partially_linear import Variance, check_variance, outcome_fit
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.sparse.folds import assign_folds
from jaxmed.typing import Array, ArrayLike, Estimator, Key, pytree


@pytree
class DoubleSelectionDetails:
    """The selected sets."""

    outcome: sp.Support  # predict the outcome given the exposure: BIC
    exposure: sp.Support  # predict the exposure: cross-validation or variance inflation
    nodewise: NodewiseSupports | None  # predict each mediator; None if not asked for
    df: Array  # [] of the outcome model of the effects


@renamed("jaxmed.estimators.double_selection", penalty="rule")
@in_safe_units
def double_selection(
    *,
    basis: Basis = "given",
    rule: sp.Rule = "cv",
    folds: int = 5,
    fold_ids: ArrayLike | None = None,
    num_penalties: int = 40,
    penalty_ratio: float = 0.02,
    inflation: float = 1.25,
    patience: int = 10,
    nodewise: bool = True,
    variance: Variance = "path_sum",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    level: float = 0.95,
) -> Estimator:
    """Outcome model on the union of two lasso supports; each mediator has a model of its own.

    The effects come from least squares on the mediators that predict the outcome given the
    exposure (lasso, BIC) or the exposure (lasso, cross-validation). The coefficient of mediator k
    comes from the mediators that predict the outcome or mediator k, and k. HC2 variances,
    total = direct + indirect to rounding (same covariates in both models).

    Args:
      basis: of the covariates: "given" (as they are, or the columns of `covariate_basis`), a
        name of `covariate_basis`, or a function (covariates, weights) -> [n, r].
      rule: for the penalty of the lasso of the exposure: "cv", the minimum of the cross-validated
        loss; "zz", the smallest penalty whose variance factor is within `inflation` of that: wider,
        and right under denser signals.
      folds: of the cross-validations, drawn from the key.
      fold_ids: fold of every row, [n] integers in 0..folds-1, instead; the key may then be None.
      num_penalties: of each grid.
      penalty_ratio: smallest over largest penalty of a grid.
      inflation: of "zz".
      patience: a path ends after so many penalties without a new minimum of its criterion;
        `num_penalties` for whole paths.
      nodewise: False saves the p lassos of mediators on mediators; coefficients are then those of
        the outcome model, NaN with NOT_SELECTED for the others.
      variance: of the noise of alpha in the indirect effect: "difference" or "path_sum".
      covariates_mediator: names or positions, of the mediator models; all if None.
      covariates_outcome: names or positions, of the outcome model and of both selections; all if
        None.
      level: of the intervals.
    Returns:
      Estimator; p > n included. TOO_FEW_ROWS where the union leaves fewer than 2 degrees of
      freedom; EMPTY_SELECTION (effects exist, indirect 0) where it is empty.
    Raises:
      ValueError: an option out of range; no key and no fold_ids (while tracing).
    Source: Belloni, Chernozhukov and Hansen (2014) carried over to mediation; specification of
      the intervals, section 1; "zz" after Zhang and Zhang (2014). Valid for strong and weak sparse
      signals; where exposure and outcome share many weak mediators (167 of 500 at .07) coverage
      falls to .65 with "cv" and the data do not tell: use "zz", or `ols`, there.
    """
    check_basis(basis)
    sp.check_rule(rule)
    check_variance(variance)
    check_level(level)
    check_count("folds", folds, least=2)
    if not 0 < penalty_ratio < 1:
        raise ValueError(f"penalty_ratio must lie between 0 and 1, not {penalty_ratio}")
    check_count("num_penalties", num_penalties, least=2)
    check_at_least("patience", patience, 1)
    if inflation < 1:
        raise ValueError(f"inflation must be at least 1, not {inflation}")
    grid = {"num_penalties": num_penalties, "ratio": penalty_ratio}

    def fold_of(key: Key | None, n: int) -> Array:
        if fold_ids is not None:
            ids = jnp.asarray(fold_ids)
            if ids.shape != (n,):
                raise ValueError(f"fold_ids must have one entry for each of {n} rows")
            return ids
        if key is None:
            raise ValueError("cross-validation folds are drawn at random: pass a key or fold_ids")
        return assign_folds(key, n, folds)

    def own(
        legs: Legs, data: sp.Standardised, whole: sp.Moments, parts: sp.Moments, chosen: Array
    ) -> tuple[Array, Array, Array, NodewiseSupports]:
        unit = sqrt(jnp.diagonal(whole.noise))
        inverse = divide(1.0, unit)
        both = inverse[:, None] * inverse[None, :]
        near = neighbour_supports(whole.noise * both, parts.noise * both[None], parts.share, **grid)
        scale = unit * data.scale
        beta, error, code = own_coefficients(
            legs, whole.noise * both, scale, near.selected | chosen[None, :]
        )
        return beta, error, st.combine(code, near.status), near

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        drawn = fold_of(key, data.exposure.shape[0])
        rows = with_basis(rows_of(data, covariates_mediator, covariates_outcome), basis)
        legs = legs_of(rows)
        ready = sp.standardised(legs)
        n, p = legs.mediators.shape
        free, search = 1 + legs.outcome_rank, {"patience": patience, **grid}
        of_exposure = {"rule": rule, "inflation": inflation, **search}
        by_rows = p > n and not nodewise
        if by_rows:
            outcome = sp.outcome_support_by_rows(ready, rows.count, free, **search)
            exposure = sp.exposure_support_by_rows(ready, drawn, folds, **of_exposure)
        else:
            whole = sp.moments(ready)
            parts = sp.moments_of_folds(ready, drawn, folds)
            outcome = sp.outcome_support(whole, rows.count, free, **search)
            exposure = sp.exposure_support(whole, parts, ready.alpha, **of_exposure)
        union = outcome.selected | exposure.selected
        fit = outcome_fit(legs, union, variance=variance)
        near = None
        beta, error = fit.beta, fit.beta_se
        reason = st.combine(
            st.when(jnp.isnan(beta), st.NOT_SELECTED), st.when(fit.tied, st.RANK_DEFICIENT)
        )
        if nodewise:
            beta, error, reason, near = own(legs, ready, whole, parts, outcome.selected)
        return answer(
            legs,
            fit,
            beta,
            error,
            reason,
            selected=union,
            details=DoubleSelectionDetails(outcome, exposure, near, fit.df),
            level=level,
            method=f"normal, HC2, {variance.replace('_', ' ')}",
            status=st.combine(outcome.status, exposure.status),
        )

    return estimate
