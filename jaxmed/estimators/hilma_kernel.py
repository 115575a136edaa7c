"""Moments of HILMA, and its Wald quantities from a lasso and any Omega."""

import jax.numpy as jnp

from jaxmed.estimators.parts.legs import Legs
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.statistics.base_span import project_out
from jaxmed.typing import Array, pytree


@pytree
class Moments:
    """Columns W = [mediators, exposure] given covariates, in working units; q = p + 1 (or p)."""

    columns: Array  # [n, q]
    outcome: Array  # [n]
    weights: Array  # [n]
    count: Array  # [] rows less covariates
    gram: Array  # [q, q] W'W / count
    score: Array  # [q] W'y / count
    outcome_ss: Array  # [] y'y / count
    sd: Array  # [q] of W, divisor count - 1; 0 for a constant column
    correlation: Array  # [q, q] gram of W / sd
    functionals: Array  # [2, q] or [1, q]: TIE and DE as linear functionals of the coefficients
    targets: Array  # the same times exposure variance / sd: D / sd
    exposure_variance: Array  # []
    exposure_ss: Array  # [] given the covariates of the mediator model
    total_sigma: Array  # [] residual sd of the outcome given covariates and exposure
    units: Array  # [q] working unit of every column, in data units
    exposure_unit: Array  # []
    outcome_unit: Array  # []


@pytree
class Debiased:
    """Effects in data units with their covariance; noise and corrections in working units."""

    indirect: Array  # []
    direct: Array  # [] 0 for complete mediation
    covariance: Array  # [2, 2]
    correction: Array  # [2] or [1]
    sigma_indirect: Array  # []


def moments_of(legs: Legs, *, standardise: bool, complete: bool) -> Moments:
    """Moments of the outcome model and the two functionals.

    Args:
      legs: of the data.
      standardise: unit variance for every column and the outcome.
      complete: without the exposure.
    """
    rows = legs.rows
    w = rows.weights
    exposure = legs.exposure
    if not rows.same_base:
        exposure = project_out(rows.outcome_base, w, rows.exposure)
    slopes = jnp.where(legs.constant, 0, legs.outcome_alpha)
    mediators = legs.mediators + exposure[:, None] * slopes[None, :]
    outcome = legs.outcome + exposure * legs.total
    columns = jnp.concatenate([mediators, exposure[:, None]], axis=1)
    q = legs.outcome_rank - 1
    n = rows.count - q

    def deviation(x: Array) -> Array:
        return sqrt(matmul(w, x * x) / (n - 1))

    raw_sd, raw_outcome_sd = deviation(columns), deviation(outcome[:, None])[0]
    one = jnp.ones_like(raw_outcome_sd)
    units = jnp.where(raw_sd > 0, raw_sd, 1) if standardise else jnp.ones_like(raw_sd)
    outcome_unit = jnp.where(raw_outcome_sd > 0, raw_outcome_sd, 1) if standardise else one
    exposure_unit = units[-1]
    columns, outcome, sd = columns / units[None, :], outcome / outcome_unit, raw_sd / units
    total_df = rows.count - 2 - q
    total_sigma = sqrt(jnp.sum(w * legs.outcome**2) / total_df) / outcome_unit

    alpha = jnp.where(legs.constant, 0, legs.alpha.estimate) * exposure_unit / units[:-1]
    zero = jnp.zeros(1, alpha.dtype)
    functionals = jnp.stack(
        [jnp.concatenate([alpha, zero]), jnp.concatenate([0 * alpha, zero + 1])]
    )
    if complete:
        columns, sd, units, functionals = columns[:, :-1], sd[:-1], units[:-1], functionals[:1, :-1]
    exposure_ss = legs.exposure_ss / exposure_unit**2
    variance = exposure_ss / n
    inner = gram(jnp.sqrt(w)[:, None] * columns) / n
    inverse = divide(1.0, sd)
    return Moments(
        columns=columns,
        outcome=outcome,
        weights=w,
        count=n,
        gram=inner,
        score=matmul(w * outcome, columns) / n,
        outcome_ss=jnp.sum(w * outcome * outcome) / n,
        sd=sd,
        correlation=inner * inverse[:, None] * inverse[None, :],
        functionals=functionals,
        targets=functionals * (variance * inverse)[None, :],
        exposure_variance=variance,
        exposure_ss=exposure_ss,
        total_sigma=total_sigma,
        units=units,
        exposure_unit=exposure_unit,
        outcome_unit=outcome_unit,
    )


def debiased(moments: Moments, coefficients: Array, sigma: Array, omega: Array) -> Debiased:
    """Plug-in plus correction, and the sandwich of both.

    Args:
      moments: of the data.
      coefficients: of the outcome on W, [q], working units.
      sigma: noise of the outcome model, working units.
      omega: rows with Omega gram close to D, [2, q] (or [1, q]), working units.
    Returns:
      Debiased. Var(TIE) = (C_11 + sigma_2^2 / S_SS) / n, Var(DE) = C_22 / n, covariance C_12 / n,
      C = sigma_1^2 Omega S_WW Omega' / S_SS^2.
    Source: Zhou, Wang and Zhao (2020), section 3; baselines 13, steps 2 and 4.
    """
    gradient = moments.score - matmul(moments.gram, coefficients)
    correction = matmul(omega, gradient) / moments.exposure_variance
    estimate = matmul(moments.functionals, coefficients) + correction
    rough = matmul(matmul(omega, moments.gram), omega.T) * (sigma / moments.exposure_variance) ** 2
    carried = sqrt(moments.total_sigma**2 - sigma**2)
    covariance = rough / moments.count
    covariance = covariance.at[0, 0].add(carried**2 / moments.exposure_ss)
    if omega.shape[0] == 1:
        estimate = jnp.concatenate([estimate, jnp.zeros_like(estimate)])
        covariance = jnp.pad(covariance, (0, 1))
    back = moments.outcome_unit / moments.exposure_unit
    return Debiased(
        estimate[0] * back, estimate[1] * back, covariance * back**2, correction, carried
    )
