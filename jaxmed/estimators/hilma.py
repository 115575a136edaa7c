"""HILMA: debiased plug-in of the indirect effect from a scaled lasso and Dantzig rows."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.hilma_kernel import Moments, debiased, moments_of
from jaxmed.estimators.parts.additivity import gap_of
from jaxmed.estimators.parts.assemble import assemble, mediator_effects
from jaxmed.estimators.parts.legs import Leg, legs_of
from jaxmed.estimators.parts.reference import Compat, check_compat, stops
from jaxmed.estimators.parts.refit import EffectVariances
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.linalg.products import gram, matmul
from jaxmed.sparse.dantzig import Dantzig, dantzig
from jaxmed.sparse.scaled_lasso import (
    RELEASE_ROUNDS,
    RELEASE_START,
    RELEASE_TOLERANCE,
    ScaledLasso,
    scaled_lasso,
)
from jaxmed.typing import Array, ArrayLike, Estimator, Key, pytree

Tuning = Literal["uniform", "aic", "bic"]


@pytree
class HilmaDetails:
    """What only HILMA knows; coefficients and Omega in the units of the data."""

    mediator_coefficients: Array  # [p] scaled lasso of the outcome
    exposure_coefficient: Array  # [] of the same; 0 for complete mediation
    sigma_outcome: Array  # [] noise of the outcome model, by the scaled lasso
    sigma_indirect: Array  # [] noise that the mediators carry: of the total less of the outcome
    penalty: Array  # [] lambda of the Dantzig rows, units of D/sd (exposure sds if standardised)
    omega: Array  # [2, p+1], columns mediators then exposure; [1, p] for complete mediation
    correction: Array  # [2] or [1]: what Omega adds to the plug-in of TIE (and DE)
    excess: Array  # [2] or [1]: by how much a Dantzig row misses its constraint
    l1: Array  # [2] or [1]: |omega|_1 on standardised columns
    duality_gap: Array  # [2] or [1]: of l1
    feasible: Array  # [2] or [1] bool
    lasso_penalty: Array  # [] lambda of the scaled lasso
    lasso_rounds: Array  # [] int32
    lasso_violation: Array  # []
    gap: Array  # [] direct + indirect less the total effect of least squares


@in_safe_units
def hilma(
    *,
    tuning: Tuning = "uniform",
    lam: ArrayLike | None = None,
    complete: bool = False,
    standardise: bool | None = None,
    num_penalties: int = 5,
    penalty_ratio: float = 0.1,
    compat: Compat = "correct",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    level: float = 0.95,
) -> Estimator:
    """Wald inference for the indirect effect through all mediators, p > n included.

    Args:
      tuning: penalty of the Dantzig rows; "uniform" is sqrt(log p / n) / 3, "aic" and "bic" take
        the best of `num_penalties` between max|D/sd| and `penalty_ratio` of it.
      lam: the penalty itself, in place of `tuning`; units of D/sd.
      complete: assume that the direct effect is zero.
      standardise: bring exposure, mediators and outcome to unit variance first, and back after;
        by default yes with compat="correct", no with "r" (the scaled lasso, and lambda against
        D/sd, depend on the units).
      num_penalties: of "aic" and "bic".
      penalty_ratio: smallest over largest of them.
      compat: "r" has Omega = 0 under tuning="uniform" without `lam`, the release's stop of the
        scaled lasso, and no standard errors but the indirect effect's. Its Dantzig solver ends at
        a cap, off its constraint; here the rows are exact under either reading.
      covariates_mediator: of the exposure -> mediator model; all if None.
      covariates_outcome: of the outcome model; all if None. n is lowered by their number.
      level: of the intervals.
    Returns:
      Estimator; needs no key. `mediators.beta` is the lasso's coefficient, without an error.
      Status INFEASIBLE where no row meets the constraint (p > n and a small penalty): the row is
      then that of the smallest feasible penalty. NOT_ADDITIVE: both effects are debiased for
      themselves, and their sum is the total effect of least squares but for `details.gap`.
    Raises:
      ReferenceWouldStop: compat="r", where the release's solver diverges.
    Source: Zhou, Wang and Zhao (2020), Biometrika 107, 573; freebird 1.0. One exposure only.
      Asymptotic normal; sparse outcome coefficients, exposure and mediators sub-Gaussian.
    """
    check_compat(compat)
    if tuning not in get_args(Tuning):
        raise ValueError(f"tuning must be one of {get_args(Tuning)}, not {tuning!r}")
    if num_penalties < 2:
        raise ValueError(f"num_penalties must be at least 2, not {num_penalties}")
    if not 0 < penalty_ratio < 1:
        raise ValueError(f"penalty_ratio must be between 0 and 1, not {penalty_ratio}")
    release = compat == "r"
    scale = not release if standardise is None else standardise
    undebiased = release and tuning == "uniform" and lam is None

    def fit(key: Key | None, data: MediationData) -> Estimate:
        del key
        legs = legs_of(rows_of(data, covariates_mediator, covariates_outcome))
        p = data.mediators.shape[1]
        moments = moments_of(legs, standardise=scale, complete=complete)
        lasso = _outcome_lasso(moments, release)
        grid = _penalties(moments, p, tuning, lam, num_penalties, penalty_ratio)
        code = st.combine(legs.status, lasso.status)
        if undebiased:
            zero = jnp.zeros_like(moments.targets)
            nothing = jnp.zeros_like(moments.targets[:, :1])
            excess = jnp.max(jnp.abs(moments.targets), axis=1, keepdims=True) - grid
            ok = jnp.zeros(nothing.shape, jnp.int32)
            rows = Dantzig(zero[:, None], excess, nothing, nothing, ok, ok)
        else:
            if release:
                code = st.combine(code, _diverges(moments))
            rows = dantzig(moments.correlation, moments.targets, grid)
        chosen = _best(moments, rows, tuning if lam is None else "uniform")
        rows = jax.tree.map(lambda leaf: leaf[:, chosen], rows)
        omega = rows.coefficients / jnp.where(moments.sd > 0, moments.sd, 1)[None, :]
        wald = debiased(moments, lasso.coefficients, lasso.sigma, omega)
        gap, additive = gap_of(legs, wald.direct + wald.indirect)
        code = st.combine(code, jnp.max(rows.status), additive)

        nan = jnp.full_like(wald.indirect, jnp.nan)
        covariance = wald.covariance
        # A direct effect that is 0 by assumption has no error: the total is the indirect effect.
        given = release or complete
        variances = EffectVariances(
            nan if given else covariance[1, 1],
            covariance[0, 0],
            nan if given else covariance[0, 1],
        )
        unit = moments.outcome_unit / moments.units
        raw = lasso.coefficients * unit
        beta = jnp.where(legs.constant, jnp.nan, raw[:p])
        missing = jnp.full_like(beta, jnp.nan)
        selected = (raw[:p] != 0) & ~legs.constant
        details = HilmaDetails(
            mediator_coefficients=raw[:p],
            exposure_coefficient=jnp.zeros_like(nan) if complete else raw[p],
            sigma_outcome=lasso.sigma * moments.outcome_unit,
            sigma_indirect=wald.sigma_indirect * moments.outcome_unit,
            penalty=grid[chosen],
            omega=omega * (moments.exposure_unit / moments.units)[None, :],
            correction=wald.correction * moments.outcome_unit / moments.exposure_unit,
            excess=rows.excess,
            l1=rows.l1,
            duality_gap=rows.gap,
            feasible=rows.excess <= 1e-6 * grid[chosen],
            lasso_penalty=lasso.penalty,
            lasso_rounds=lasso.rounds,
            lasso_violation=lasso.violation,
            gap=gap,
        )
        return assemble(
            direct=wald.direct,
            indirect=wald.indirect,
            variances=variances,
            total_variance=covariance[0, 0] if complete and not release else None,
            mediators=mediator_effects(
                legs.alpha,
                Leg(beta, missing, legs.beta.df),
                st.combine(legs.reason, st.NOT_ESTIMATED),  # no errors of single mediators
                level=level,
            ),
            selected=selected,
            status=code,
            details=details,
            level=level,
            method="normal, debiased",
        )

    return fit


def _outcome_lasso(moments: Moments, release: bool) -> ScaledLasso:
    if not release:
        return scaled_lasso(moments.gram, moments.score, moments.outcome_ss, moments.count)

    def as_released(inner: Array, score: Array, outcome_ss: Array) -> ScaledLasso:
        return scaled_lasso(
            inner,
            score,
            outcome_ss,
            moments.count,
            start=RELEASE_START,
            tolerance=RELEASE_TOLERANCE,
            max_rounds=RELEASE_ROUNDS,
        )

    def rounded() -> ScaledLasso:
        # The release's remedy for a large sigma: two decimals, and once more.
        x, y = (jnp.round(part, 2) for part in (moments.columns, moments.outcome))
        w, n = moments.weights, moments.count
        inner = gram(jnp.sqrt(w)[:, None] * x) / n
        return as_released(inner, matmul(w * y, x) / n, jnp.sum(w * y * y) / n)

    first = as_released(moments.gram, moments.score, moments.outcome_ss)
    return jax.lax.cond(first.sigma > 10, rounded, lambda: first)


def _penalties(
    moments: Moments, p: int, tuning: str, lam: ArrayLike | None, count: int, ratio: float
) -> Array:
    dtype = moments.gram.dtype
    if lam is not None:
        return jnp.reshape(jnp.asarray(lam, dtype), (1,))
    if tuning == "uniform":
        return jnp.sqrt(jnp.log(jnp.asarray([p], dtype)) / moments.count) / 3
    largest = jnp.max(jnp.abs(moments.targets))
    return largest * ratio ** jnp.linspace(0, 1, count, dtype=dtype)


def _best(moments: Moments, rows: Dantzig, tuning: str) -> Array:
    """Position of the penalty by n max|D - Omega S| + {2, log n} nnz(Omega)."""
    if tuning == "uniform":
        return jnp.int32(0)
    cost = 2 if tuning == "aic" else jnp.log(moments.count)
    left = moments.targets[:, None] - matmul(rows.coefficients, moments.correlation)
    worst = jnp.max(jnp.abs(left) * moments.sd, axis=(0, 2))
    nonzero = jnp.sum(rows.coefficients != 0, axis=(0, 2))
    return jnp.argmin(moments.count * worst + cost * nonzero)


def _diverges(moments: Moments) -> Array:
    """REFERENCE_STOPS where the release's step constant is too small, n > columns."""
    n, q = moments.columns.shape
    if n <= q:
        return jnp.int32(st.OK)
    standardised = jnp.abs(moments.columns) / jnp.where(moments.sd > 0, moments.sd, 1)
    step = jnp.max(matmul(moments.weights, standardised))
    largest = jnp.linalg.eigvalsh(moments.correlation)[-1]
    return stops(largest**2 > step, "its Dantzig solver diverges: step constant too small")
