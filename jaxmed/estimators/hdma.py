"""HDMA: screening, de-sparsified lasso of the outcome model, joint significance."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.calibration.joint_adjustment import Adjust, check_adjust
from jaxmed.data.mediation_data import MediationData
from jaxmed.deprecations import renamed
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.assemble import assemble, mediator_effects, reasons
from jaxmed.estimators.parts.debiased_effects import (
    beta_leg,
    debiased_details,
    debiased_effects,
    marginal_total,
    shrinkage_alone,
)
from jaxmed.estimators.parts.debiased_lasso import (
    Family,
    Tuning,
    check_tuning,
    debiased_lasso,
    draw_folds,
)
from jaxmed.estimators.parts.legs import Legs, legs_of
from jaxmed.estimators.parts.reference import Compat, check_compat, stops
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.screening import screen_size, smallest
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.typing import Array, ArrayLike, Estimator, Key


@renamed("jaxmed.estimators.hdma", alpha="significance")
@in_safe_units
def hdma(
    *,
    n_include: int | None = None,
    family: Family = "gaussian",
    significance: float = 0.05,
    adjust: Adjust = "bh",
    folds: int = 10,
    num_penalties: int = 100,
    lam_node: ArrayLike | None = None,
    lam_initial: ArrayLike | None = None,
    fold_ids: tuple[ArrayLike, ArrayLike] | None = None,
    robust: bool = False,
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    compat: Compat = "correct",
    level: float = 0.95,
) -> Estimator:
    """HDMA (Gao et al. 2019): screen, de-sparsified lasso, joint significance.

    Screening by the t test of M_j in Y ~ 1 + X + A + M_j (binomial: of A in M_j ~ 1 + X + A).

    compat="correct": exposure and covariates are never penalised; `selected` are the mediators
    whose adjusted joint p-value is at most `significance`. The indirect effect sums over all
    screened mediators, which has a normal law that no selection disturbs; the direct effect is what
    it leaves of least squares' total effect, with its variance (the exposure's own de-sparsified
    coefficient keeps a bias of the lasso: 1.19 for 1 at one mediator and 100 rows).
    compat="r": as hdmed 1.0.1: exposure and covariates penalised like mediators, kept by the raw
    p-value of beta, direct = total - indirect over the kept, no standard errors of effects.

    Binomial: one step from a logistic lasso; beta, direct and indirect effects are log odds and
    do not add up to the log odds ratio without mediators (status LOG_ODDS; `details.gap` is their
    sum less that).

    Args:
      n_include: mediators kept by the screening; default ceil(2n / log n), binomial
        ceil(n / (2 log n)), n the rows of the arrays.
      family: of the outcome, "gaussian" or "binomial" (0/1).
      significance: cut of the adjusted p-value (compat="r": of the raw p-value of beta).
      adjust: of joint significance over the screened: "none", "bonferroni", "bh", "hdmt" or "dact".
      folds: of both cross-validations.
      num_penalties: length of every path.
      lam_node: penalty of the node-wise regressions, on columns of standard deviation 1.
      lam_initial: penalty of the initial lasso, on columns of mean square 1.
      fold_ids: folds of the rows, 0..folds-1, for the node-wise and the initial regressions.
      robust: standard errors that allow unequal variances of the outcome's noise.
      covariates_mediator: names or positions, of the mediator models; default all.
      covariates_outcome: of the outcome model; default all.
      compat: "correct" or "r".
      level: of intervals.
    Returns:
      Estimator; it needs a key unless folds or both penalties are given.
    Raises:
      ValueError: options out of range, or neither key nor folds. ReferenceWouldStop (compat="r",
        exactly one covariate).
    Source: Gao et al. (2019), Front. Genet. 10; de-sparsified lasso of van de Geer et al. (2014);
      baselines.md sections 12 and B2. Regime: sparse outcome model, s log d / sqrt(n) small.
    """
    check_compat(compat)
    check_adjust(adjust)
    check_tuning(family, folds, num_penalties, fold_ids)

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        rows = rows_of(data, covariates_mediator, covariates_outcome)
        n, p = rows.mediators.shape
        drawn = draw_folds(key, n, folds, lam_node, lam_initial, fold_ids)
        reference = compat == "r"
        tuning = Tuning(
            *drawn, lam_node, lam_initial, folds, num_penalties, reference, robust, family
        )
        legs = legs_of(rows)
        leg = legs.beta if family == "gaussian" else legs.alpha
        size = screen_size(n, p, n_include, divisor=0.5 if family == "gaussian" else 2.0)
        index = smallest(-jnp.abs(leg.statistic), size)
        fit = _reference if reference else _correct
        return fit(legs, index, tuning, significance, adjust, level)

    return estimate


def _correct(
    legs: Legs, index: Array, tuning: Tuning, significance: float, adjust: str, level: float
) -> Estimate:
    rows, p = legs.rows, legs.constant.shape[0]
    fit = debiased_lasso(
        rows.mediators[:, index],
        rows.outcome,
        rows.outcome_base,
        rows.weights,
        tuning,
        exposure=rows.exposure,
    )
    beta = beta_leg(index, fit, p, rows.count)
    beta_p = beta.normal_p_value
    gaussian = tuning.family == "gaussian"
    direct, indirect, variances = debiased_effects(legs, index, fit, linear=gaussian)
    marginal, code = marginal_total(legs, tuning.family)
    screened = jnp.ones(index.shape, bool)
    mediators = mediator_effects(
        legs.alpha,
        beta,
        reasons(legs, index, screened, screened),
        level=level,
        beta_p=beta_p,
        adjust=adjust,
    )
    selected = mediators.p_adjusted <= significance
    return assemble(
        direct=direct,
        indirect=indirect,
        variances=variances,
        mediators=mediators,
        selected=selected,
        status=st.combine(
            legs.status,
            fit.status,
            code,
            st.when(~jnp.any(selected), st.EMPTY_SELECTION),
            shrinkage_alone(legs, fit) if gaussian else st.OK,
        ),
        details=debiased_details(index, fit, marginal, direct, indirect),
        level=level,
        method="delta, de-sparsified",
    )


def _reference(
    legs: Legs, index: Array, tuning: Tuning, significance: float, adjust: str, level: float
) -> Estimate:
    rows, p = legs.rows, legs.constant.shape[0]
    columns = jnp.concatenate(
        [rows.mediators[:, index], rows.exposure[:, None], rows.outcome_base[:, 1:]], axis=1
    )
    fit = debiased_lasso(columns, rows.outcome, rows.outcome_base[:, :1], rows.weights, tuning)
    beta = beta_leg(index, fit, p, rows.count)
    beta_p = beta.normal_p_value
    selected = beta_p <= significance
    marginal, code = marginal_total(legs, tuning.family)
    indirect = jnp.sum(jnp.where(selected, legs.alpha.estimate * beta.estimate, 0))
    screened = jnp.ones(index.shape, bool)
    mediators = mediator_effects(
        legs.alpha,
        beta,
        reasons(legs, index, screened, screened),
        level=level,
        beta_p=beta_p,
        adjust=adjust,
    )
    return assemble(
        direct=marginal - indirect,
        indirect=indirect,
        variances=None,
        mediators=mediators,
        selected=selected,
        status=st.combine(
            legs.status,
            fit.status,
            code,
            st.when(~jnp.any(selected), st.EMPTY_SELECTION),
            stops(
                rows.outcome_base.shape[1] == 2,
                "hdmed stops where there is exactly one covariate column",
            ),
        ),
        details=debiased_details(index, fit, marginal, marginal - indirect, indirect),
        level=level,
        method="none",
    )
