"""HIMA as its two releases compute it, defects included."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.hima_stages import (
    HimaSettings,
    HimaTable,
    Penalised,
    candidates_of,
    details_of,
    walk_path,
)
from jaxmed.estimators.parts.assemble import assemble, mediator_effects, member, reasons, spread
from jaxmed.estimators.parts.legs import Leg, Legs
from jaxmed.estimators.parts.reference import stops
from jaxmed.estimators.parts.refit import refit
from jaxmed.estimators.parts.standardised import centred_gram
from jaxmed.linalg.safe import divide
from jaxmed.statistics.base_span import mean_and_sd
from jaxmed.typing import Array


def fit_release(legs: Legs, settings: HimaSettings) -> Estimate:
    """The method as the release of `settings.flavor` computes it."""
    index, screening_p = candidates_of(legs, settings)
    rows = legs.rows
    n, p = rows.mediators.shape
    d = index.shape[0]
    columns = jnp.concatenate(
        [rows.mediators[:, index], rows.exposure[:, None], rows.outcome_base[:, 1:]], axis=1
    )
    moments = centred_gram(columns, rows.outcome, rows.weights)
    factors = (jnp.arange(columns.shape[1]) < d).astype(columns.dtype)
    path = walk_path(moments, factors, 0, settings, n)
    stage = Penalised(path, moments.original(path.chosen)[:d], path.chosen[:d] != 0)
    found = refit(legs, index, stage.chosen)
    chosen = member(index, stage.chosen, p)
    beta = jnp.where(chosen, spread(index, stage.beta, p), jnp.nan)
    alpha = jnp.where(chosen, legs.alpha.estimate, jnp.nan)
    beta_p = spread(index, found.beta_p, p)
    p_value = jnp.maximum(jnp.where(chosen, legs.alpha.p_value, jnp.nan), beta_p)
    code = st.combine(found.status, path.status)
    reported, table = chosen, None
    if settings.flavor == "hima":
        count = jnp.sum(chosen).astype(p_value.dtype)
        reported = chosen & (count * p_value < settings.significance)
        table = _table(legs, alpha, beta, p_value, chosen, reported, settings.standardise)
    else:
        one_covariate = rows.outcome_base.shape[1] == 2
        code = st.combine(
            code,
            stops(one_covariate, "hdmed stops where there is exactly one covariate column"),
            stops(~jnp.any(chosen), "hdmed stops where no mediator is selected"),
        )
    missing = jnp.full_like(beta, jnp.nan)
    mediators = mediator_effects(
        legs.alpha,
        Leg(beta, missing, found.df),
        reasons(legs, index, jnp.ones_like(stage.chosen), stage.chosen),
        level=settings.level,
        beta_p=beta_p,
        p_value=p_value,
        adjust="none",
    )
    indirect = jnp.sum(jnp.where(reported, alpha * beta, 0))
    return assemble(
        direct=legs.total - indirect,
        indirect=indirect,
        variances=None,
        mediators=mediators,
        selected=reported,
        status=code,
        details=details_of(index, screening_p, stage, found, reported, table, p),
        level=settings.level,
        method="none",
    )


def _table(
    legs: Legs,
    alpha: Array,
    beta: Array,
    p_value: Array,
    chosen: Array,
    reported: Array,
    standardise: bool,
) -> HimaTable:
    if standardise:
        weights = legs.rows.weights
        _, sd = mean_and_sd(weights, legs.rows.mediators)
        _, unit = mean_and_sd(weights, legs.rows.exposure[:, None])
        alpha, beta = divide(alpha * unit, sd), beta * sd
    indirect = alpha * beta
    size = jnp.where(chosen, jnp.abs(indirect), 0)
    columns = (alpha, beta, indirect, divide(size, jnp.sum(size)), p_value)
    return HimaTable(*(jnp.where(reported, x, jnp.nan) for x in columns))
