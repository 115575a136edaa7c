"""HIMA2: screening by |alpha beta|, de-sparsified lasso, mixture-null false discovery rate."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.calibration.hdmt import NullProportions, hdmt
from jaxmed.calibration.joint_adjustment import Adjust, adjusted, check_adjust
from jaxmed.data.mediation_data import MediationData
from jaxmed.deprecations import renamed
from jaxmed.distributions.tails import normal_two_sided
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.assemble import assemble, mediator_effects, reasons
from jaxmed.estimators.parts.debiased_effects import (
    DebiasedDetails,
    beta_leg,
    debiased_details,
    debiased_effects,
    shrinkage_alone,
)
from jaxmed.estimators.parts.debiased_lasso import (
    Debiased,
    Tuning,
    check_tuning,
    debiased_lasso,
    draw_folds,
)
from jaxmed.estimators.parts.legs import Legs, legs_of
from jaxmed.estimators.parts.reference import Compat, check_compat
from jaxmed.estimators.parts.rows import Columns, Rows, rows_of
from jaxmed.estimators.parts.screening import screen_size, smallest
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.linalg.safe import divide
from jaxmed.statistics.base_span import mean_and_sd
from jaxmed.typing import Array, ArrayLike, Estimator, Key, pytree


@pytree
class Hima2Details:
    """What only HIMA2 knows."""

    debiased: DebiasedDetails
    null: NullProportions | None  # of the mixture; None for other adjustments
    p_max: Array  # [p] as printed by the release with compat="r"; else the joint p-value
    share: Array  # [p] |indirect| over the sum of the reported (rimp / 100); NaN elsewhere


@renamed("jaxmed.estimators.hima2", alpha="significance", scale="standardise")
@in_safe_units
def hima2(
    *,
    n_include: int | None = None,
    significance: float = 0.05,
    adjust: Adjust = "hdmt",
    folds: int = 10,
    num_penalties: int = 100,
    lam_node: ArrayLike | None = None,
    lam_initial: ArrayLike | None = None,
    fold_ids: tuple[ArrayLike, ArrayLike] | None = None,
    robust: bool = False,
    standardise: bool = True,
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    compat: Compat = "correct",
    level: float = 0.95,
) -> Estimator:
    """HIMA2 (Perera et al. 2022): |alpha beta| screen, de-sparsified lasso, HDMT.

    compat="correct": exposure and covariates are never penalised; alpha is tested by Student's t;
    effects and their variances as `hdma`; `selected` by `adjust` of the joint p-values.
    compat="r": as HIMA 2.3.3 `hima_dblasso`, without its jitter of 1e-10: exposure and covariates
    penalised, z tests, the mixture counted above .5 only, exposure, mediators and covariates
    standardised (`standardise`; then all numbers are per standard deviation). The release gives no
    effects; indirect is the sum over the reported and direct = total - indirect.

    Args:
      n_include: mediators kept by the screening; default ceil(2n / log n), n rows of the arrays.
      significance: cut of the adjusted p-value.
      adjust: "hdmt", "dact" (few tests: SMALL_SAMPLE), "bh", "bonferroni" or "none".
      folds: of both cross-validations.
      num_penalties: length of every path.
      lam_node: penalty of the node-wise regressions, on columns of standard deviation 1.
      lam_initial: penalty of the initial lasso, on columns of mean square 1.
      fold_ids: folds of the rows, 0..folds-1, for the node-wise and the initial regressions.
      robust: standard errors that allow unequal variances of the outcome's noise.
      standardise: compat="r": exposure, mediators and covariates.
      covariates_mediator: names or positions, of the mediator models; default all.
      covariates_outcome: of the outcome model; default all.
      compat: "correct" or "r".
      level: of intervals.
    Returns:
      Estimator; it needs a key unless folds or both penalties are given.
    Raises:
      ValueError: options out of range, or neither key nor folds.
    Source: Perera et al. (2022), BMC Bioinformatics 23; baselines.md sections 10, 20 and B2.
    """
    check_compat(compat)
    check_adjust(adjust)
    check_tuning("gaussian", folds, num_penalties, fold_ids)

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        rows = rows_of(data, covariates_mediator, covariates_outcome)
        n, p = rows.mediators.shape
        drawn = draw_folds(key, n, folds, lam_node, lam_initial, fold_ids)
        reference = compat == "r"
        tuning = Tuning(*drawn, lam_node, lam_initial, folds, num_penalties, reference, robust)
        legs = legs_of(_standardised(rows) if reference and standardise else rows)
        product = jnp.abs(legs.alpha.estimate * legs.beta.estimate)
        index = smallest(-product, screen_size(n, p, n_include))
        return _fit(legs, index, tuning, reference, significance, adjust, level)

    return estimate


def _standardised(rows: Rows) -> Rows:
    """Exposure, mediators and covariates of mean 0 and standard deviation 1."""

    def scaled(columns: Array) -> Array:
        mean, sd = mean_and_sd(rows.weights, columns)
        return divide(columns - mean, sd)

    mediator_base, outcome_base = (
        jnp.concatenate([base[:, :1], scaled(base[:, 1:])], axis=1)
        for base in (rows.mediator_base, rows.outcome_base)
    )
    return Rows(
        scaled(rows.exposure[:, None])[:, 0],
        scaled(rows.mediators),
        rows.outcome,
        mediator_base,
        outcome_base,
        rows.weights,
        rows.same_base,
    )


def _outcome_model(legs: Legs, index: Array, tuning: Tuning, reference: bool) -> Debiased:
    rows = legs.rows
    columns = rows.mediators[:, index]
    if not reference:
        return debiased_lasso(
            columns, rows.outcome, rows.outcome_base, rows.weights, tuning, exposure=rows.exposure
        )
    columns = jnp.concatenate([columns, rows.outcome_base[:, 1:], rows.exposure[:, None]], axis=1)
    return debiased_lasso(columns, rows.outcome, rows.outcome_base[:, :1], rows.weights, tuning)


def _fit(
    legs: Legs, index: Array, tuning: Tuning, reference: bool, cut: float, adjust: str, level: float
) -> Estimate:
    rows, p = legs.rows, legs.constant.shape[0]
    fit = _outcome_model(legs, index, tuning, reference)
    beta = beta_leg(index, fit, p, rows.count)
    tested = ~jnp.isnan(beta.estimate)
    beta_p = beta.normal_p_value
    alpha_p = normal_two_sided(legs.alpha.statistic) if reference else legs.alpha.p_value
    p_value = jnp.maximum(jnp.where(tested, alpha_p, jnp.nan), beta_p)

    null, code = None, st.combine(legs.status, fit.status)
    if adjust == "hdmt":
        rule = "r-legacy" if reference else "correct"
        calibrated = hdmt(alpha_p[index], beta_p[index], rule=rule)
        p_adjusted = jnp.full(p, jnp.nan, p_value.dtype).at[index].set(calibrated.fdr)
        # No tests at all is no reason to lose the effects.
        quality = jnp.where(st.is_fatal(calibrated.status), st.OK, calibrated.status)
        null, code = calibrated.null, st.combine(code, quality)
    else:
        p_adjusted, quality = adjusted(adjust, alpha_p, beta_p, p_value)
        code = st.combine(code, quality)
    selected = p_adjusted <= cut
    p_max = p_value
    if reference:
        # 2 (1 - Phi) of a large z is 0 in the release, not the small number that it should be.
        naive = 2 * (1 - (1 - alpha_p / 2))
        p_max = jnp.maximum(jnp.where(tested, naive, jnp.nan), beta_p)

    parts = legs.alpha.estimate * beta.estimate
    if reference:
        indirect, variances = jnp.sum(jnp.where(selected, parts, 0)), None
        direct = legs.total - indirect
    else:
        direct, indirect, variances = debiased_effects(legs, index, fit)
        code = st.combine(code, shrinkage_alone(legs, fit))
    size = jnp.where(selected, jnp.abs(parts), jnp.nan)
    screened = jnp.ones(index.shape, bool)
    details = Hima2Details(
        debiased_details(index, fit, legs.total, direct, indirect),
        null,
        p_max,
        divide(size, jnp.nansum(size), jnp.nan),
    )
    mediators = mediator_effects(
        legs.alpha,
        beta,
        reasons(legs, index, screened, screened),
        level=level,
        alpha_p=alpha_p,
        beta_p=beta_p,
        p_value=p_value,
        p_adjusted=p_adjusted,
    )
    return assemble(
        direct=direct,
        indirect=indirect,
        variances=variances,
        mediators=mediators,
        selected=selected,
        status=st.combine(code, st.when(~jnp.any(selected), st.EMPTY_SELECTION)),
        details=details,
        level=level,
        method="none" if reference else "delta, de-sparsified",
    )
