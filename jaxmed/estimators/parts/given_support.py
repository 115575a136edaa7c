"""The estimate of least squares on a chosen set of mediators."""

from dataclasses import replace
from typing import Any, Literal, get_args

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.assemble import assemble, mediator_effects, member, spread
from jaxmed.estimators.parts.legs import Leg, Legs
from jaxmed.estimators.parts.partially_linear import alpha_errors, outcome_fit
from jaxmed.estimators.parts.refit import refit
from jaxmed.typing import Array

Variance = Literal["sandwich", "classical"]


def check_support_variance(variance: str) -> None:
    """Raises ValueError for an unknown variance."""
    if variance not in get_args(Variance):
        raise ValueError(f"variance must be one of {get_args(Variance)}, not {variance!r}")


def legs_at(legs: Legs, index: Array) -> Legs:
    """The legs of the candidates `index` [d] alone."""
    return replace(
        legs,
        alpha=_leg_at(legs.alpha, index),
        beta=_leg_at(legs.beta, index),
        noise=legs.noise[:, index],
        outcome_alpha=legs.outcome_alpha[index],
        mediators=legs.mediators[:, index],
        constant=legs.constant[index],
    )


def _leg_at(leg: Leg, index: Array) -> Leg:
    return Leg(leg.estimate[index], leg.standard_error[index], leg.df)


def estimate_given_support(
    legs: Legs,
    index: Array,
    selected: Array,
    *,
    variance: Variance,
    adjust: str,
    level: float,
    method: str,
    status: Array,
    details: Any,
) -> Estimate:
    """Outcome on basis, exposure and the selected of the candidates, as an `Estimate`.

    Args:
      legs: of all p mediators.
      index: candidates [d].
      selected: [d] bool.
      variance: "sandwich" (HC2 for the outcome model, HC3 for the mediators; no equal spread
        needed) or "classical" (ADD block (a)).
      adjust: of the p-values of the selected.
      level: of the intervals.
      method: name of the intervals.
      status: of what came before.
      details: what only the method knows.
    """
    p = legs.constant.shape[0]
    tied, notes = jnp.zeros(p, bool), st.NO_NOTES
    if variance == "classical":
        fit = refit(legs, index, selected)
        alpha, beta, errors = legs.alpha, fit.beta, fit.beta_se
    else:
        fit = outcome_fit(legs_at(legs, index), selected, variance="path_sum")
        alpha = Leg(legs.alpha.estimate, alpha_errors(legs), legs.alpha.df)
        beta, errors = fit.beta, fit.beta_se
        tied, notes = member(index, fit.tied, p), fit.notes
    inside = selected & ~legs.constant[index]
    beta = jnp.where(inside, beta, jnp.nan)
    leg = Leg(spread(index, beta, p), spread(index, errors, p), fit.df)
    chosen = member(index, inside, p)
    code = st.combine(status, fit.status)
    reason = st.combine(
        jnp.where(chosen, st.OK, st.NOT_SELECTED),
        st.when(tied, st.RANK_DEFICIENT),
        legs.reason,
    )
    return assemble(
        direct=fit.direct,
        indirect=fit.indirect,
        variances=fit.variances,
        mediators=mediator_effects(alpha, leg, reason, level=level, adjust=adjust),
        selected=chosen,
        status=code,
        details=details,
        level=level,
        method=method,
        notes=notes,
    )
