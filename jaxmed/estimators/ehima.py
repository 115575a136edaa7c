"""eHIMA: efficient high-dimensional mediation analysis with a calibrated composite-null test."""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.calibration.adjust import benjamini_hochberg
from jaxmed.calibration.dact import DactResult, dact
from jaxmed.data.mediation_data import MediationData
from jaxmed.deprecations import renamed
from jaxmed.distributions.tails import t_two_sided
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.active_plus_one import active_plus_one
from jaxmed.estimators.parts.assemble import assemble, mediator_effects, member
from jaxmed.estimators.parts.legs import Leg, Legs, legs_of
from jaxmed.estimators.parts.reference import Compat, check_compat, stops
from jaxmed.estimators.parts.refit import Refit, refit
from jaxmed.estimators.parts.rows import Columns, Rows, rows_of
from jaxmed.estimators.parts.screening import screen_size, smallest
from jaxmed.estimators.parts.standardised import centred_gram
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.linalg.safe import divide
from jaxmed.sparse.bic_path import (
    REFERENCE,
    BicPath,
    PathSolver,
    bic_path,
    penalty_path,
)
from jaxmed.sparse.shapes import Kind, Shape, shape_of
from jaxmed.statistics.base_span import mean_and_sd
from jaxmed.typing import Array, Estimator, Key, pytree

PATIENCE = 20  # penalties without a smaller BIC that end the path
MIN_TESTS = 20  # with fewer, a mixture has no shares to be estimated: joint significance
ZERO_P = 1e-17  # the release's stand-in for a p-value that underflowed


@pytree
class EhimaDetails:
    """What only eHIMA knows."""

    candidates: Array  # [d] positions of the screened mediators, increasing
    active: Array  # [p] bool: in the penalised outcome model
    path: BicPath  # columns: candidates, covariates, exposure
    calibration: DactResult  # of all p mediators
    calibrated: Array  # [] bool: False where too few mediators, p-values are joint significance
    share: Array  # [p] |indirect| as a share of the reported mediators' sum


@renamed("jaxmed.estimators.ehima", alpha="significance", scale="standardise")
@in_safe_units
def ehima(
    *,
    n_include: int | None = None,
    penalty: Kind = "mcp",
    gamma: float | None = None,
    num_penalties: int = 100,
    significance: float = 0.05,
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    standardise: bool | None = None,
    solver: PathSolver | None = None,
    compat: Compat = "correct",
    level: float = 0.95,
) -> Estimator:
    """Screening, a penalised outcome model, each mediator beside its active set, DACT.

    Args:
      n_include: mediators kept by the screening on |alpha beta|; 2n / log n if None, n the number
        of rows of the array.
      penalty: "mcp", "scad" or "lasso".
      gamma: of the penalty; 3 for MCP and 3.7 for SCAD if None.
      num_penalties: penalties on the path; BIC chooses.
      significance: false discovery rate.
      covariates_mediator: of exposure -> mediator models; all covariates if None.
      covariates_outcome: of the outcome model; all covariates if None.
      standardise: alpha and beta of the table per standard deviation of exposure and mediators, as
        the release prints them; True for compat="r" and False otherwise if None.
      solver: of the path; if None tight and ended by BIC, for compat="r" the release's.
      compat: "correct" leaves exposure and covariates unpenalised, uses t p-values and the
        Benjamini-Hochberg step-up, and may report none. "r" penalises all columns, uses naive
        normal p-values, counts where the step-up looks for the last crossing, and reports at
        least one mediator.
      level: of the intervals.
    Returns:
      Estimator. `mediators` holds all p, p_value the calibrated one (with fewer than 20 usable
      mediators and compat="correct": plain joint significance); effects are least squares on
      the reported set, their variances conditional on it.
    Raises:
      ValueError: an option out of its range.
    Source: Bai et al. (2024); HIMA 2.3.3 `hima_efficient`; many mediators with few at work.
    """
    check_compat(compat)
    form = shape_of(penalty, gamma)
    if n_include is not None and n_include < 1:
        raise ValueError(f"n_include must be at least 1, not {n_include}")
    if not 0 < significance < 1 or not 0 < level < 1:
        raise ValueError(
            f"significance and level must be between 0 and 1, not {significance} and {level}"
        )
    if num_penalties < 2:
        raise ValueError(f"num_penalties must be at least 2, not {num_penalties}")
    released = compat == "r"
    scaled = released if standardise is None else standardise
    walk = solver or (REFERENCE if released else PathSolver(patience=PATIENCE))

    def fit(key: Key | None, data: MediationData) -> Estimate:
        del key
        rows = rows_of(data, covariates_mediator, covariates_outcome)
        legs = legs_of(rows)
        n, p = rows.mediators.shape
        product = jnp.abs(legs.alpha.estimate * legs.beta.estimate)
        index = smallest(-product, screen_size(n, p, n_include))
        path = _path(rows, index, legs, form, walk, num_penalties, released)
        chosen = (path.chosen[: index.shape[0]] != 0) & ~legs.constant[index]
        beta, code = active_plus_one(legs, index, chosen)

        p_a, p_b = (
            _naive_p(leg) if released else t_two_sided(leg.statistic, leg.df)
            for leg in (legs.alpha, beta)
        )
        if not released:
            p_a = jnp.where(jnp.isnan(legs.alpha.estimate), jnp.nan, p_a)
            p_b = jnp.where(jnp.isnan(beta.estimate), jnp.nan, p_b)
        calibration = dact(p_a, p_b, compat=compat)
        joint = jnp.maximum(p_a, p_b)
        usable = jnp.sum(~jnp.isnan(joint))
        # Without a null share there is no mixture to calibrate against.
        calibrated = (usable >= MIN_TESTS) & ~st.is_fatal(calibration.status)
        calibrated |= released
        p_value = jnp.where(calibrated, calibration.p_value, joint)
        if released:
            code = st.combine(
                code,
                stops(
                    calibration.status == st.REFERENCE_STOPS,
                    "DACT: the characteristic function of the p-values does not decay",
                ),
            )
            adjusted, selected = p_value, _count_rule(p_value, significance)
        else:
            adjusted = benjamini_hochberg(p_value)
            selected = adjusted <= significance
        selected &= ~st.is_fatal(legs.status)
        effects = _effects(legs, p_value, selected, min(n, p))

        units = _units(rows, scaled)
        mediators = mediator_effects(
            _times(legs.alpha, units[0]),
            _times(beta, units[1]),
            legs.reason,
            level=level,
            alpha_p=p_a,
            beta_p=p_b,
            p_value=p_value,
            p_adjusted=adjusted,
        )
        size = jnp.where(selected, jnp.abs(mediators.indirect), 0)
        quality = st.combine(calibration.status, path.status)
        quality = jnp.where(jnp.any(selected) & ~st.is_fatal(quality), quality, st.OK)
        return assemble(
            direct=effects.direct,
            indirect=effects.indirect,
            variances=effects.variances,
            mediators=mediators,
            selected=selected,
            status=st.combine(effects.status, code, quality),
            details=EhimaDetails(
                index,
                member(index, chosen, p),
                path,
                calibration,
                calibrated,
                divide(size, jnp.sum(size)),
            ),
            level=level,
            method="delta, given the selection",
        )

    return fit


def _path(
    rows: Rows,
    index: Array,
    legs: Legs,
    form: Shape,
    solver: PathSolver,
    num_penalties: int,
    released: bool,
) -> BicPath:
    """Path of outcome on candidates, covariates and exposure, columns of mean 0 and size n."""
    kept = jnp.where(legs.constant[index], 0, rows.mediators[:, index])
    other = jnp.concatenate([rows.outcome_base[:, 1:], rows.exposure[:, None]], axis=1)
    columns = jnp.concatenate([kept, other], axis=1)
    moments = centred_gram(columns, rows.outcome, rows.weights)
    inner, score = moments.gram, moments.score
    free = jnp.full(other.shape[1], 1.0 if released else 0.0, score.dtype)
    factors = jnp.concatenate([jnp.ones(kept.shape[1], score.dtype), free])
    short = 0.001 if rows.exposure.shape[0] > columns.shape[1] else 0.05
    penalties = penalty_path(
        inner, score, factors, count=num_penalties, ratio=short, nudge=solver.kind == "reference"
    )
    return bic_path(
        inner, score, moments.outcome_ss, moments.count, factors, penalties, form, solver
    )


def _naive_p(leg: Leg) -> Array:
    """2 (1 - Phi(|z|)) as released: 0 beyond |z| = 8.3, then the stand-in."""
    p = 2 * (1 - jax.scipy.special.ndtr(jnp.abs(leg.estimate / leg.standard_error)))
    return jnp.where(p == 0, jnp.asarray(ZERO_P, p.dtype), p)


def _count_rule(p_value: Array, significance: float) -> Array:
    """The k smallest, k the number of i with p_(i) <= significance i / m, and one at least."""
    size = p_value.shape[0]
    order = jnp.argsort(p_value)
    rank = jnp.arange(1, size + 1)
    bound = significance * rank.astype(p_value.dtype) / size
    k = jnp.maximum(jnp.sum(p_value[order] <= bound), 1)
    return jnp.zeros(size, bool).at[order].set(rank <= k) & ~jnp.isnan(p_value)


def _effects(legs: Legs, p_value: Array, selected: Array, most: int) -> Refit:
    """Least squares on the reported set; no more columns than rows are looked at."""
    order = jnp.argsort(jnp.where(selected, p_value, jnp.inf))[:most]
    return refit(legs, order, selected[order])


def _units(rows: Rows, scaled: bool) -> tuple[Array, Array]:
    ones = jnp.ones(rows.mediators.shape[1], rows.mediators.dtype)
    if not scaled:
        return ones, ones
    exposure = mean_and_sd(rows.weights, rows.exposure[:, None])[1][0]
    sd = mean_and_sd(rows.weights, rows.mediators)[1]
    return divide(exposure, sd, jnp.nan), sd


def _times(leg: Leg, unit: Array) -> Leg:
    return Leg(leg.estimate * unit, leg.standard_error * unit, leg.df)
