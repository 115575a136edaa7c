"""From a method's numbers to the `Estimate` that all methods return."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.calibration.joint_adjustment import adjusted
from jaxmed.distributions.product_normal import product_has_width
from jaxmed.distributions.tails import normal_quantile
from jaxmed.estimators.estimate import Effects, Estimate, MediatorEffects, poison, weak_total
from jaxmed.estimators.parts.exact import interval_with_width, without_width
from jaxmed.estimators.parts.legs import Leg, Legs
from jaxmed.estimators.parts.refit import EffectVariances
from jaxmed.linalg.safe import sqrt
from jaxmed.typing import Array


def spread(index: Array, values: Array, p: int, fill: float = float("nan")) -> Array:
    """Values [d] of candidates at their places among p mediators, `fill` elsewhere; [p]."""
    return jnp.full(p, fill, values.dtype).at[index].set(values)


def member(index: Array, chosen: Array, p: int) -> Array:
    """[p] bool: the candidates [d] that are chosen."""
    return jnp.zeros(p, bool).at[index].set(chosen)


def mediator_effects(
    alpha: Leg,
    beta: Leg,
    reason: Array,
    *,
    level: float = 0.95,
    alpha_p: Array | None = None,
    beta_p: Array | None = None,
    p_value: Array | None = None,
    p_adjusted: Array | None = None,
    adjust: str = "bh",
) -> MediatorEffects:
    """The table of mediators, leaves [p].

    Args:
      alpha: exposure -> mediator; standard errors NaN where the method has none.
      beta: mediator -> outcome; NaN where not estimated.
      reason: status code per mediator.
      level: of the product-of-normals intervals.
      alpha_p: other p-values than alpha's t.
      beta_p: other p-values than beta's t.
      p_value: other than joint significance, the larger of the two.
      p_adjusted: other than `adjust` of p_value over the mediators that have one.
      adjust: see `calibration.joint_adjustment`. Where it had too few tests, `reason` of the
        tested mediators says so.
    """
    p_alpha = alpha.p_value if alpha_p is None else alpha_p
    p_beta = beta.p_value if beta_p is None else beta_p
    if p_value is None:
        p_value = jnp.maximum(p_alpha, p_beta)
    if p_adjusted is None:
        p_adjusted, quality = adjusted(adjust, p_alpha, p_beta, p_value)
        reason = jnp.where(jnp.isnan(p_adjusted), reason, st.combine(reason, quality))
    # The error of beta is exactly 0 where the outcome model leaves nothing.
    reason = st.combine(reason, st.when(beta.standard_error == 0, st.ZERO_RESIDUAL))
    return MediatorEffects(
        alpha=alpha.estimate,
        alpha_se=alpha.standard_error,
        alpha_p=p_alpha,
        beta=beta.estimate,
        beta_se=beta.standard_error,
        beta_p=p_beta,
        indirect=alpha.estimate * beta.estimate,
        indirect_se=jnp.sqrt(
            (alpha.estimate * beta.standard_error) ** 2
            + (beta.estimate * alpha.standard_error) ** 2
        ),
        p_value=p_value,
        p_adjusted=p_adjusted,
        reason=jnp.asarray(reason, jnp.int32),
        level=level,
    )


def reasons(legs: Legs, index: Array, screened: Array, selected: Array) -> Array:
    """Why a mediator has no coefficient of the outcome model: NOT_SCREENED or NOT_SELECTED.

    Args:
      legs: of the data.
      index: candidates [d].
      screened: [d] bool, those that passed the screening.
      selected: [d] bool, those in the outcome model.
    """
    p = legs.constant.shape[0]
    code = jnp.where(
        member(index, screened & selected, p),
        st.OK,
        jnp.where(member(index, screened, p), st.NOT_SELECTED, st.NOT_SCREENED),
    )
    return st.combine(code, legs.reason)


def assemble(
    *,
    direct: Array,
    indirect: Array,
    variances: EffectVariances | None,
    mediators: MediatorEffects,
    selected: Array,
    status: Array,
    details: Any,
    level: float,
    method: str,
    total: Array | None = None,
    total_variance: Array | None = None,
    notes: Array | np.uint32 = st.NO_NOTES,
) -> Estimate:
    """The estimate with total = direct + indirect and normal intervals.

    An interval without width is none: its limits are NaN, with ZERO_RESIDUAL. Where nothing is
    selected the indirect effect is 0 without error and interval, with EMPTY_SELECTION.

    Args:
      direct: scalar, as the next.
      indirect: scalar.
      variances: None where the method has none: standard errors and limits are NaN. An error that
        is NaN beside an effect that is a number has the note NO_STANDARD_ERRORS.
      mediators: [p] table.
      selected: [p] bool.
      status: int32; fatal codes turn the effects into NaN.
      details: what only this method knows.
      level: of the intervals.
      method: of the intervals, e.g. "delta, given the selection".
      total: where it is not direct + indirect (log odds ratios).
      total_variance: of such a total.
      notes: beside those on missing errors and on a total effect near zero.
    """
    total = direct + indirect if total is None else total
    effects = poison(Effects(direct, indirect, total), status)
    nan = jnp.full_like(jnp.asarray(direct), jnp.nan)
    if variances is None:
        errors = Effects(nan, nan, nan)
    else:
        whole = variances.total if total_variance is None else total_variance
        # A sum over no mediator is 0 by decision, not by measurement: it has no error.
        empty = (indirect == 0) & ~jnp.any(selected)
        through = jnp.where(empty, jnp.nan, sqrt(variances.indirect))
        errors = poison(Effects(sqrt(variances.direct), through, sqrt(whole)), status)
        status = st.combine(status, st.when(empty, st.EMPTY_SELECTION))
    errors = _without_rounding(errors, effects)
    half = normal_quantile(jnp.asarray((1 + level) / 2, nan.dtype))
    parts = ("direct", "indirect", "total")
    found = [
        interval_with_width(getattr(effects, part), getattr(errors, part), half, level, method)
        for part in parts
    ]
    intervals = Effects(*found)
    given = jnp.stack([jnp.asarray(getattr(errors, part)) for part in parts], axis=-1)
    lost = without_width(given, jnp.stack([interval.lower for interval in found], axis=-1))
    values = jnp.stack([jnp.asarray(getattr(effects, part)) for part in parts], axis=-1)
    unknown = jnp.any(jnp.isnan(given) & ~jnp.isnan(values), axis=-1)
    fatal = st.is_fatal(status)
    notes = st.combine_notes(
        notes,
        st.note_when((variances is None) | unknown, st.Note.NO_STANDARD_ERRORS),
        weak_total(effects.total, errors.total),
    )
    status = st.combine(status, lost)
    mediators = _with_reasons(mediators, status)
    return Estimate(
        effects,
        errors,
        intervals,
        mediators,
        selected & ~fatal,
        jnp.asarray(status, jnp.int32),
        details,
        notes,
    )


def _without_rounding(errors: Effects, effects: Effects) -> Effects:
    """Errors that are rounding of the largest effect are those of an exact fit: 0."""
    parts = (effects.direct, effects.indirect, effects.total)
    size = jnp.max(jnp.stack([jnp.abs(jnp.asarray(part)) for part in parts]), axis=0)
    noise = 100 * float(jnp.finfo(size.dtype).eps) * size

    def kept(error: Any) -> Any:
        return jnp.where(error <= noise, 0, error)

    return Effects(kept(errors.direct), kept(errors.indirect), kept(errors.total))


def _with_reasons(mediators: MediatorEffects, status: Array) -> MediatorEffects:
    """A reason for every mediator without numbers: that of the whole fit, else NOT_ESTIMATED."""
    known = product_has_width(
        mediators.alpha, mediators.alpha_se, mediators.beta, mediators.beta_se
    )
    hole = ~known & (mediators.reason == st.OK)
    why = jnp.where(st.is_fatal(status), jnp.asarray(status, jnp.int32), st.NOT_ESTIMATED)
    return replace(mediators, reason=jnp.where(hole, why, mediators.reason))
