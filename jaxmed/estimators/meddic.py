"""MedDiC: indirect effect as the difference of two de-biased exposure coefficients."""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.calibration.joint_adjustment import Adjust, check_adjust
from jaxmed.data.mediation_data import MediationData
from jaxmed.deprecations import renamed
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.assemble import assemble, mediator_effects, reasons
from jaxmed.estimators.parts.debiased_lasso import check_tuning
from jaxmed.estimators.parts.legs import Leg, Legs, legs_of
from jaxmed.estimators.parts.node_scores import choose_penalty, node_design, node_scores, own_paths
from jaxmed.estimators.parts.refit import EffectVariances, refit
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.sparse.folds import assign_folds
from jaxmed.sparse.scaled_lasso import scaled_lasso
from jaxmed.statistics.base_span import project_out
from jaxmed.typing import Array, ArrayLike, Estimator, Key, pytree


@pytree
class MeddicDetails:
    """What only MedDiC knows."""

    sigma: Array  # [] noise level of the outcome model with mediators
    initial: Array  # [p] coefficients of the scaled lasso; least squares where that is used
    lam_node: Array  # [] penalty of the scores, on columns of sd 1; NaN with least squares
    num_selected: Array  # [] int32 nonzero initial coefficients
    sum_of_paths: Array  # [] sum of alpha beta over all mediators


@renamed("jaxmed.estimators.meddic", alpha="significance")
@in_safe_units
def meddic(
    *,
    dense: float = 0.2,
    significance: float = 0.05,
    adjust: Adjust = "bh",
    folds: int = 10,
    num_penalties: int = 100,
    lam_node: ArrayLike | None = None,
    max_rounds: int = 500,
    covariates: Columns = None,
    compat: str = "correct",
    level: float = 0.95,
) -> Estimator:
    """MedDiC for one exposure (Zhang, Yang and Yang 2022): indirect = total - direct.

    The total effect is least squares of Y on exposure and covariates. The direct effect is least
    squares with all mediators where these, exposure and covariates are at most `dense` n columns,
    else a scaled lasso made unbiased along the exposure's node-wise score. Exposure and covariates
    are never penalised. The variance of the indirect effect is that of the difference of the two
    error sums, so that what they share cancels.

    Args:
      dense: share of n up to which all columns are taken by least squares.
      significance: cut of the adjusted joint p-value of a mediator.
      adjust: "none", "bonferroni", "bh", "hdmt" or "dact".
      folds: of the cross-validation of the scores' penalty.
      num_penalties: length of its path.
      lam_node: that penalty, on columns of standard deviation 1.
      max_rounds: of the scaled lasso; the release stops after 20.
      covariates: names or positions, of both models; default all.
      compat: "correct" only: the release fails where it uses least squares.
      level: of intervals.
    Returns:
      Estimator; it needs a key where scores are needed and their penalty is not given.
    Raises:
      ValueError: options out of range, or neither key nor `lam_node` where scores are needed.
    Source: Zhang, Yang and Yang (2022); baselines.md section 18. Regime: sparse outcome model.
    """
    if compat != "correct":
        raise ValueError('compat must be "correct": no release of MedDiC is reproduced')
    if not 0 <= dense < 1:
        raise ValueError(f"dense must be in [0, 1), not {dense}")
    check_adjust(adjust)
    check_tuning("gaussian", folds, num_penalties, None)

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        legs = legs_of(rows_of(data, covariates, covariates))
        n, p = legs.rows.mediators.shape
        if p + legs.rows.outcome_base.shape[1] <= dense * n:
            model = _least_squares(legs)
        else:
            ids = None if lam_node is not None else _folds(key, n, folds)
            model = _debiased(legs, lam_node, ids, folds, num_penalties, max_rounds)
        return _assembled(legs, model, significance, adjust, level)

    return estimate


def _folds(key: Key | None, rows: int, folds: int) -> Array:
    """Fold of every row for the scores' penalty; the key is consumed."""
    if key is None:
        raise ValueError("cross-validation folds are drawn at random: pass a key or lam_node")
    return assign_folds(jax.random.split(key)[0], rows, folds)


@pytree
class _Model:
    direct: Array  # []
    scores: Array  # [n] of the exposure: its error is sum w scores e
    residual: Array  # [n] e, scaled for the degrees of freedom
    beta: Leg
    beta_p: Array  # [p]
    sigma: Array
    initial: Array  # [p]
    lam_node: Array
    status: Array


def _least_squares(legs: Legs) -> _Model:
    rows, p = legs.rows, legs.constant.shape[0]
    every = ~legs.constant
    fit = refit(legs, jnp.arange(p), every)
    columns = legs.mediators
    residual = legs.outcome - matmul(columns, fit.beta)
    residual = jnp.where(fit.sigma2 == 0, 0, residual)  # an exact fit leaves rounding
    inflate = sqrt(divide(rows.count, fit.df))
    # Score of the exposure: what covariates and mediators leave of it, by the same projection.
    rest = _exposure_rest(legs, every)
    scores = divide(rest, jnp.sum(rows.weights * rest * legs.exposure), jnp.nan)
    beta = Leg(jnp.where(every, fit.beta, jnp.nan), fit.beta_se, fit.df)
    code = jnp.where(fit.status == st.EMPTY_SELECTION, st.OK, fit.status)
    return _Model(
        fit.direct,
        scores,
        residual * inflate,
        beta,
        fit.beta_p,
        sqrt(fit.sigma2),
        fit.beta,
        jnp.full_like(fit.direct, jnp.nan),
        code,
    )


def _exposure_rest(legs: Legs, every: Array) -> Array:
    """Residual [n] of the exposure on covariates and mediators."""
    given = legs.noise + legs.exposure[:, None] * legs.alpha.estimate[None, :]
    x = jnp.where((every & jnp.isfinite(legs.alpha.estimate))[None, :], given, 0)
    return project_out(x, legs.rows.weights, legs.exposure)


def _debiased(
    legs: Legs,
    lam_node: ArrayLike | None,
    ids: Array | None,
    folds: int,
    num_penalties: int,
    max_rounds: int,
) -> _Model:
    rows, w = legs.rows, legs.rows.weights
    count = rows.count
    free = jnp.concatenate([rows.outcome_base, rows.exposure[:, None]], axis=1)
    design = node_design(free, rows.mediators, w)
    code = jnp.zeros((), jnp.int32)
    if lam_node is None:
        assert ids is not None
        grid = own_paths(design, num_penalties).pooled(num_penalties)
        choice = choose_penalty(design, ids, folds, grid)
        penalty, code = choice.penalty, choice.status
    else:
        penalty = jnp.asarray(lam_node, design.unit.dtype)
    nodes = node_scores(design, penalty)

    # On columns of mean square 1; the total of y's mean square is what exposure and covariates
    # leave.
    x, y = design.columns / design.unit, legs.outcome
    start = scaled_lasso(
        design.correlation,
        matmul(w * y, x) / count,
        jnp.sum(w * y * y) / count,
        count,
        max_rounds=max_rounds,
    )
    initial = divide(start.coefficients, design.unit * design.scale)
    residual = y - matmul(legs.mediators, initial)
    scores = nodes.scores * divide(1.0, design.scale)[None, :] / count
    estimate = initial + matmul(w * residual, scores)
    selected = jnp.sum(start.coefficients != 0)
    df = count - free.shape[1] - selected.astype(count.dtype)
    sigma = sqrt(divide(jnp.sum(w * residual * residual), jnp.maximum(df, 0), jnp.nan))
    present = design.scale > 0
    se = sigma * sqrt(matmul(w, scores * scores))
    beta = Leg(jnp.where(present, estimate, jnp.nan), jnp.where(present, se, jnp.nan), df)
    beta_p = beta.normal_p_value

    inner = node_design(rows.outcome_base, rows.mediators, w)
    own = node_design(rows.outcome_base, rows.exposure[:, None], w)
    node = node_scores(inner, penalty, targets=own.columns)
    direct_scores = (node.scores * divide(1.0, own.scale) / count)[:, 0]
    first = legs.total - jnp.sum(jnp.where(present, legs.outcome_alpha * initial, 0))
    direct = first + jnp.sum(w * residual * direct_scores)
    code = st.combine(
        legs.status,
        code,
        nodes.status,
        node.status,
        start.status,
        st.when(df <= 0, st.TOO_FEW_ROWS),
    )
    inflate = sqrt(divide(count, jnp.maximum(df, 1)))
    return _Model(
        direct, direct_scores, residual * inflate, beta, beta_p, sigma, initial, penalty, code
    )


def _assembled(legs: Legs, model: _Model, cut: float, adjust: str, level: float) -> Estimate:
    rows, w = legs.rows, legs.rows.weights
    p = legs.constant.shape[0]
    # Influence of every row on the total and on the direct effect.
    inflate = sqrt(divide(rows.count, rows.count - 1 - legs.outcome_rank))
    total = legs.exposure / legs.outcome_exposure_ss * legs.outcome * inflate
    direct = model.scores * model.residual
    difference = total - direct
    variances = EffectVariances(
        jnp.sum(w * direct**2), jnp.sum(w * difference**2), jnp.sum(w * direct * difference)
    )
    every = jnp.ones(p, bool)
    mediators = mediator_effects(
        legs.alpha,
        model.beta,
        reasons(legs, jnp.arange(p), every, every),
        level=level,
        beta_p=model.beta_p,
        adjust=adjust,
    )
    selected = mediators.p_adjusted <= cut
    paths = legs.alpha.estimate * model.beta.estimate
    return assemble(
        direct=model.direct,
        indirect=legs.total - model.direct,
        variances=variances,
        mediators=mediators,
        selected=selected,
        status=st.combine(
            legs.status, model.status, st.when(~jnp.any(selected), st.EMPTY_SELECTION)
        ),
        details=MeddicDetails(
            model.sigma,
            model.initial,
            model.lam_node,
            jnp.sum(model.initial != 0).astype(jnp.int32),
            jnp.nansum(paths),
        ),
        level=level,
        method="difference of de-biased coefficients",
    )
