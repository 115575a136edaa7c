"""Partially penalised least squares: SCAD on the mediators only, then least squares."""

import dataclasses

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.calibration.joint_adjustment import Adjust, check_adjust
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.assemble import assemble, mediator_effects, member, reasons, spread
from jaxmed.estimators.parts.legs import Leg, Legs, legs_of
from jaxmed.estimators.parts.reference import Compat, check_compat, stops
from jaxmed.estimators.parts.refit import EffectVariances, Refit, refit
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.screening import smallest
from jaxmed.estimators.parts.standardised import StandardisedGram, partial_gram
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.sparse.bic_path import score_at_null
from jaxmed.sparse.descent import Descent, descend
from jaxmed.sparse.path import largest_penalty, penalty_grid
from jaxmed.sparse.penalties import L1
from jaxmed.sparse.quadratic import GramQuadratic
from jaxmed.sparse.shapes import shape_of
from jaxmed.sparse.walk import walk
from jaxmed.typing import Array, Estimator, Key, pytree

PATIENCE = 20
TOLERANCE = 1e-10  # optimality of both lassos, relative to the largest penalty


@pytree
class GuoDetails:
    """What only this method knows."""

    candidates: Array  # [d] positions that entered the path
    penalties: Array  # [L] decreasing
    hbic: Array  # [L]
    index: Array  # [] of the least HBIC
    penalised_beta: Array  # [p] of the chosen penalised fit, outcome per mediator unit
    violation: Array  # [L] the worse optimality of both lassos, units of the largest penalty
    sigma2: Array  # [] residual variance given the selected mediators
    path_sigma2: Array  # [] of the part of the outcome that runs through mediator noise
    wald: Array  # [] statistic of no indirect effect, chi-square with 1 df given the selection
    f_direct: Array  # [] statistic of no direct effect, chi-square with 1 df


@in_safe_units
def guo(
    *,
    num_penalties: int = 100,
    ratio: float = 1e-3,
    gamma: float = 3.7,
    prescreen: int = 1000,
    keep: Columns = (),
    patience: int | None = None,
    adjust: Adjust = "bh",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    compat: Compat = "correct",
    level: float = 0.95,
) -> Estimator:
    """Partially penalised least squares (Guo, Li, Liu and Zeng 2022, 2023).

    SCAD by one step of local linear approximation: a lasso of the outcome on the mediators, then
    a lasso at the same penalty with weights from SCAD's slope at the first. Exposure and covariates
    are never penalised. The penalty minimises HBIC. Least squares on the selected gives the direct
    effect; the indirect effect is total minus direct.

    Intervals are the authors', valid given consistent selection: mediators whose coefficients are
    near the threshold are missed and their part of the indirect effect goes to the direct one; at
    alpha = beta = 0 the Wald statistic is degenerate.

    Args:
      num_penalties: length of the grid, from the penalty that selects nothing.
      ratio: its smallest over its largest.
      gamma: of SCAD.
      prescreen: with more mediators only this many with the largest |cor(M, A) cor(M, Y)| (given
        the covariates) enter.
      keep: names or positions of mediators that are never penalised.
      patience: the path ends after so many penalties without a smaller HBIC, because most of the
        work is in its dense end; 0 for the whole path. None: 20, with compat="r" 0.
      adjust: of joint significance: "bh", "bonferroni", "hdmt", "dact" or "none".
      covariates_mediator: names or positions, of the mediator models; default all.
      covariates_outcome: of the outcome model; default all.
      compat: "r" reproduces the authors' code: the slope is taken at the signed coefficient, so
        that negative ones always get weight 1; weights are rescaled to a constant sum, which moves
        the penalty; fewer than two selected stop it. Columns are centred for it.
      level: of intervals.
    Returns:
      Estimator, deterministic; EMPTY_SELECTION with an indirect effect of 0, without
      error and interval, where nothing is selected.
    Raises:
      ValueError: options out of range. ReferenceWouldStop (compat="r", concrete data).
    Source: Guo et al. (2022), JASA 117; (2023), J. Econometrics 235.
    """
    check_compat(compat)
    check_adjust(adjust)
    shape_of("scad", gamma)
    if prescreen < 1 or num_penalties < 2 or not 0 < ratio < 1:
        raise ValueError(
            f"prescreen must be positive, num_penalties at least 2 and ratio in (0, 1), not "
            f"{prescreen}, {num_penalties}, {ratio}"
        )
    if patience is not None and patience < 0:
        raise ValueError(f"patience must not be negative, not {patience}")
    wait = (0 if compat == "r" else PATIENCE) if patience is None else patience
    tuning = _Tuning(num_penalties, ratio, gamma, wait, compat == "r")

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        del key
        legs = legs_of(rows_of(data, covariates_mediator, covariates_outcome))
        free = _kept(data, keep)
        index = _candidates(legs, free, max(prescreen, len(tuple(keep or ()))))
        moments = partial_gram(legs, index)
        selection = _select(moments, free[index], legs, tuning)
        return _inference(legs, index, moments, selection, compat, adjust, level)

    return estimate


@dataclasses.dataclass(frozen=True)
class _Tuning:
    num_penalties: int
    ratio: float
    gamma: float
    patience: int
    signed: bool  # SCAD's slope and rescaled weights as the authors' code has them


@pytree
class _Selection:
    penalties: Array
    hbic: Array
    index: Array
    coefficients: Array  # [d] standardised, of the chosen
    chosen: Array  # [d] bool
    violation: Array
    status: Array


def _kept(data: MediationData, keep: Columns) -> Array:
    """[p] bool: mediators that are never penalised."""
    names, p = data.names.mediators, data.mediators.shape[1]
    flags = [False] * p
    for name in keep or ():
        position = name if isinstance(name, int) else names.index(name) if name in names else -1
        if not 0 <= position < p:
            raise ValueError(f"there is no mediator {name!r} to keep")
        flags[position] = True
    return jnp.asarray(flags)


def _candidates(legs: Legs, free: Array, prescreen: int) -> Array:
    """The largest |cor(M, A) cor(M, Y)|, kept mediators first."""
    p = free.shape[0]
    if p <= prescreen:
        return jnp.arange(p)
    w = legs.rows.weights
    given_exposure = matmul(w, legs.noise**2)
    explained = legs.alpha.estimate**2 * legs.exposure_ss
    # Y given the covariates is outcome + total * exposure; its product with M likewise.
    joint = matmul(w * legs.outcome, legs.noise)
    joint = joint + legs.total * legs.alpha.estimate * legs.exposure_ss
    size = given_exposure + explained
    score = jnp.abs(divide(legs.alpha.estimate * joint, size))
    return smallest(jnp.where(free, -jnp.inf, -jnp.where(legs.constant, 0, score)), prescreen)


def _select(moments: StandardisedGram, free: Array, legs: Legs, tuning: _Tuning) -> _Selection:
    """Both lassos along the grid and the choice by HBIC."""
    quadratic = GramQuadratic(moments.gram)
    d, length, signed = free.shape[0], tuning.num_penalties, tuning.signed
    dtype, n = moments.score.dtype, moments.count
    unpenalised = legs.rows.outcome_base.shape[1] + 1
    columns = d + unpenalised - 1  # as the release counts them
    ones = jnp.where(free, 0, 1).astype(dtype)
    scad = shape_of("scad", tuning.gamma)
    grid = penalty_grid(
        largest_penalty(score_at_null(moments.gram, moments.score, free), ones),
        length,
        tuning.ratio,
    )
    limit = max(TOLERANCE, 40 * float(jnp.finfo(dtype).eps)) * grid[0]
    price = jnp.log(jnp.log(n)) * jnp.log(jnp.asarray(d + unpenalised, dtype)) / n

    def rescaled(factors: Array) -> Array:
        total = jnp.sum(factors)
        return jnp.where(total > 0, factors * columns / total, factors) if signed else factors

    def lasso(b: Array, residual: Array, levels: Array) -> Descent:
        return descend(quadratic, L1(levels), b, residual, tolerance=limit, max_rounds=1000)

    def criterion(b: Array, residual: Array) -> Array:
        # |y - Xb|^2 / n = y'y/n - b'(X'y/n + X'(y - Xb)/n)
        rss = moments.outcome_ss - jnp.dot(b, moments.score + residual)
        df = (jnp.sum(b != 0) + unpenalised).astype(dtype)
        return jnp.log(jnp.maximum(rss, jnp.finfo(dtype).tiny)) + df * price

    # Of the coefficients those of the least HBIC alone: in a batch a table of all costs 7 %.
    def visit(at: Array, last: tuple[Array, Array, Array, Array]) -> tuple:
        start, residual, least, chosen = last
        penalty = grid[at]
        first = lasso(start, residual, penalty * rescaled(ones))
        b = first.coefficients
        slope = scad.at(penalty).slope(jnp.abs(b)) / penalty
        weights = ones * (jnp.where(b < 0, 1, slope) if signed else slope)
        second = lasso(b, first.residual, penalty * rescaled(weights))
        value = criterion(second.coefficients, second.residual)
        better = value < least
        chosen = jnp.where(better, second.coefficients, chosen)
        state = (b, first.residual, jnp.where(better, value, least), chosen)
        return state, value, jnp.maximum(first.violation, second.violation)

    blank = jnp.zeros(length, dtype)
    found = walk(
        visit,
        (jnp.zeros(d, dtype), moments.score, blank[0] + jnp.inf, jnp.zeros(d, dtype)),
        blank + jnp.nan,
        blank + jnp.inf,
        tuning.patience,
    )
    violation, b = found.kept, found.state[-1]
    failed = st.when(~(violation[found.best] <= limit), st.NOT_CONVERGED)
    return _Selection(grid, found.criterion, found.best, b, b != 0, violation / grid[0], failed)


def _authors_variances(legs: Legs, found: Refit) -> tuple[EffectVariances, Array]:
    """Variances of the source: the path part from the difference of two residual variances."""
    rows = legs.rows
    df = rows.count - 1 - legs.outcome_rank
    total_sigma2 = jnp.sum(rows.weights * legs.outcome**2) / df
    path_sigma2 = jnp.maximum(total_sigma2 - found.sigma2, 0)
    # sigma1^2 B / n: what both variances share, and what they lose in the total's.
    own = found.variances.direct - found.sigma2 / legs.outcome_exposure_ss
    indirect = path_sigma2 / legs.outcome_exposure_ss + own
    return EffectVariances(found.variances.direct, indirect, -own), path_sigma2


def _inference(
    legs: Legs,
    index: Array,
    moments: StandardisedGram,
    selection: _Selection,
    compat: str,
    adjust: str,
    level: float,
) -> Estimate:
    p = legs.constant.shape[0]
    chosen = selection.chosen
    found = refit(legs, index, chosen)
    code = st.combine(found.status, selection.status)
    if compat == "r":
        few = jnp.sum(chosen) < 2
        code = st.combine(code, stops(few, "the code stops with fewer than two selected mediators"))
    variances, path_sigma2 = _authors_variances(legs, found)
    # The source's indirect effect is total - direct, equal to sum alpha beta where both models
    # have the same covariates.
    indirect = legs.total - found.direct
    beta = Leg(
        spread(index, jnp.where(chosen, found.beta, jnp.nan), p),
        spread(index, found.beta_se, p),
        found.df,
    )
    mediators = mediator_effects(
        legs.alpha,
        beta,
        reasons(legs, index, jnp.ones_like(chosen), chosen),
        level=level,
        beta_p=spread(index, found.beta_p, p),
        adjust=adjust,
    )
    details = GuoDetails(
        index,
        selection.penalties,
        selection.hbic,
        selection.index,
        spread(index, moments.original(selection.coefficients), p, 0.0),
        selection.violation,
        found.sigma2,
        path_sigma2,
        divide(indirect**2, variances.indirect),
        divide(found.direct**2, variances.direct),
    )
    return assemble(
        direct=found.direct,
        indirect=indirect,
        variances=variances,
        mediators=mediators,
        selected=member(index, chosen, p),
        status=code,
        details=details,
        level=level,
        method="Wald, given the selection",
    )
