"""The answer of the estimators of record: effects of one outcome model, mediators of any."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.distributions.tails import normal_quantile
from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.estimators.parts.assemble import assemble, mediator_effects
from jaxmed.estimators.parts.exact import interval_with_width
from jaxmed.estimators.parts.legs import Leg, Legs
from jaxmed.estimators.parts.partially_linear import OutcomeFit, alpha_errors, total_variance
from jaxmed.linalg.safe import sqrt
from jaxmed.typing import Array, Interval

FEW = 4  # rows per column from which least squares on all mediators costs little


def check_level(level: float) -> None:
    """Raises ValueError for a level outside (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")


def answer(
    legs: Legs,
    fit: OutcomeFit,
    beta: Array,
    beta_se: Array,
    reason: Array,
    *,
    selected: Array,
    details: Any,
    level: float,
    method: str,
    status: Array,
) -> Estimate:
    """Estimate with HC3 errors of alpha, normal p-values and product-of-normals intervals.

    Args:
      legs: of the rows.
      fit: outcome model that gives the effects.
      beta: [p] mediator -> outcome.
      beta_se: [p].
      reason: [p] status of each mediator beside that of its legs.
      selected: [p] bool.
      details: of the method.
      level: of the intervals.
      method: their name.
      status: of the method beside that of the fit.
    """
    alpha_se = alpha_errors(legs)
    fatal = jnp.where(st.is_fatal(fit.status), fit.status, st.OK)
    reason = st.combine(legs.reason, reason, fatal)
    lost = st.is_fatal(reason)

    def kept(values: Array) -> Array:
        return jnp.where(lost, jnp.nan, values)

    alpha = Leg(legs.alpha.estimate, alpha_se, legs.alpha.df)
    outcome = Leg(kept(beta), kept(beta_se), fit.df)
    table = mediator_effects(
        alpha,
        outcome,
        reason,
        level=level,
        alpha_p=alpha.normal_p_value,
        beta_p=outcome.normal_p_value,
    )
    found = assemble(
        direct=fit.direct,
        indirect=fit.indirect,
        variances=fit.variances,
        mediators=table,
        selected=selected,
        status=st.combine(fit.status, status),
        details=details,
        level=level,
        method=method,
        notes=fit.notes,
    )
    return _with_total(found, legs, level, method)


def _with_total(found: Estimate, legs: Legs, level: float, method: str) -> Estimate:
    """The estimate with the total effect of least squares where only the mediators are the trouble.

    Direct and indirect effect need not exist (a mediator holds the exposure beside others, or there
    are too few rows for so many): the total effect does.
    """
    alone = st.is_fatal(found.status) & ~st.is_fatal(legs.status)
    error = sqrt(total_variance(legs))
    half = normal_quantile(jnp.asarray((1 + level) / 2, error.dtype))
    own = interval_with_width(legs.total, error, half, level, method)
    given = found.intervals.total

    def total_of(effects: Effects, value: Any, instead: Any) -> Effects:
        return Effects(effects.direct, effects.indirect, chosen(value, instead))

    def chosen(value: Any, instead: Any) -> Any:
        return jnp.where(alone, value, instead)

    interval = Interval(
        chosen(own.lower, given.lower), chosen(own.upper, given.upper), level, method
    )
    return dataclasses.replace(
        found,
        effects=total_of(found.effects, legs.total, found.effects.total),
        standard_errors=total_of(found.standard_errors, error, found.standard_errors.total),
        intervals=Effects(found.intervals.direct, found.intervals.indirect, interval),
    )
