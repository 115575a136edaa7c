"""The answer of the estimators of record: effects of one outcome model, mediators of any."""

from typing import Any

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.assemble import assemble, mediator_effects
from jaxmed.estimators.parts.legs import Leg, Legs
from jaxmed.estimators.parts.partially_linear import OutcomeFit, alpha_errors
from jaxmed.typing import Array

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
    return assemble(
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
