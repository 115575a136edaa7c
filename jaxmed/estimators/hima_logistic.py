"""HIMA for a binary outcome: everything on the log-odds scale."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.distributions.tails import normal_two_sided
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.hima_stages import HimaDetails, HimaSettings
from jaxmed.estimators.parts.assemble import assemble, mediator_effects, member, reasons, spread
from jaxmed.estimators.parts.legs import Leg, Legs
from jaxmed.estimators.parts.logistic_refit import logistic_refit
from jaxmed.estimators.parts.refit import EffectVariances
from jaxmed.estimators.parts.screening import screen_size, smallest
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.sparse.likelihood_bic_path import likelihood_bic_path
from jaxmed.sparse.likelihoods import Binomial
from jaxmed.sparse.proximal_newton import Problem
from jaxmed.statistics.base_span import is_constant, mean_and_sd

CERTAIN = 1e-4  # least pi (1 - pi): rows beyond are certain and must not divide by zero


def fit_binary(legs: Legs, settings: HimaSettings) -> Estimate:
    """Screening by alpha, logistic MCP, logistic refit; effects are log odds ratios."""
    rows = legs.rows
    n, p = rows.mediators.shape
    screening_p = legs.alpha.p_value
    index = smallest(screening_p, screen_size(n, p, settings.n_include, divisor=2.0))
    d = index.shape[0]
    columns = jnp.concatenate(
        [rows.mediators[:, index], rows.outcome_base, rows.exposure[:, None]], axis=1
    )
    mean, sd = mean_and_sd(rows.weights, columns)
    ones = jnp.arange(columns.shape[1]) == d
    flat = is_constant(rows.weights, columns - mean, columns) & ~ones
    scaled = divide(columns - jnp.where(ones, 0, mean), jnp.where(ones, 1, sd))
    scaled = jnp.where(flat, 0, scaled)
    factors = (jnp.arange(columns.shape[1]) < d).astype(columns.dtype)
    share = rows.weights / rows.count
    path = likelihood_bic_path(
        Problem(scaled.T, Binomial(rows.outcome, share, CERTAIN)),
        rows.count,
        factors,
        settings.penalty,
        count=settings.num_penalties,
        ratio=1e-3 if n > columns.shape[1] else 0.05,
        tolerance=settings.solver.tolerance,
        patience=settings.solver.patience,
    )
    chosen = path.chosen[:d] != 0
    free = jnp.ones(columns.shape[1] - d, bool)
    found = logistic_refit(columns, jnp.concatenate([chosen, free]), rows.outcome, rows.weights)
    total = logistic_refit(columns[:, d:], free, rows.outcome, rows.weights)

    beta, covariance = found.coefficients[:d], found.covariance
    error = jnp.where(chosen, sqrt(jnp.diagonal(covariance)[:d]), jnp.nan)
    alpha = jnp.where(chosen, legs.alpha.estimate[index], 0)
    held = jnp.where(chosen, beta, 0)
    noise = jnp.where(jnp.isfinite(legs.noise[:, index]), legs.noise[:, index], 0)
    path_noise = matmul(noise, held)
    variances = EffectVariances(
        covariance[-1, -1],
        matmul(alpha, matmul(covariance[:d, :d], alpha))
        + jnp.sum(rows.weights * path_noise**2) / (legs.alpha.df * legs.exposure_ss),
        jnp.sum(alpha * covariance[:d, -1]),
    )
    beta_leg = Leg(
        spread(index, jnp.where(chosen, beta, jnp.nan), p), spread(index, error, p), rows.count
    )
    mediators = mediator_effects(
        legs.alpha,
        beta_leg,
        reasons(legs, index, jnp.ones_like(chosen), chosen),
        level=settings.level,
        beta_p=normal_two_sided(beta_leg.statistic),
        adjust=settings.adjust,
    )
    selected = member(index, chosen, p)
    details = HimaDetails(
        index,
        screening_p,
        path,
        spread(index, divide(path.chosen, jnp.where(ones, 1, sd))[:d], p, 0.0),
        beta_leg.estimate,
        selected,
        mediators.p_adjusted <= settings.significance,
        None,
    )
    return assemble(
        direct=found.coefficients[-1],
        indirect=jnp.sum(alpha * held),
        variances=variances,
        mediators=mediators,
        selected=selected,
        status=st.combine(
            legs.status,
            path.status,
            found.status,
            total.status,
            jnp.int32(st.LOG_ODDS),
            st.when(~jnp.any(chosen), st.EMPTY_SELECTION),
        ),
        details=details,
        level=settings.level,
        method="delta, given the selection",
        total=total.coefficients[-1],
        total_variance=total.covariance[-1, -1],
    )
