"""The proportion mediated as tables show it: with its interval, or with the reason for a dash."""

import math
from typing import Any

import numpy as np

from jaxmed import status as st
from jaxmed.compile import quick_jit
from jaxmed.distributions.fieller import KINDS
from jaxmed.estimators.estimate import Effects, Estimate, proportion_interval
from jaxmed.typing import Interval

__all__ = ["PROPORTION", "proportion_columns", "share_of_total", "share_with_limits"]

PROPORTION = "proportion_mediated"
HOLDS_ZERO = "the interval of the total effect holds zero: a share of it says nothing"
NO_ERROR = (
    "the total effect has no standard error by this method, so that nothing says whether a share "
    "of it means anything"
)
NO_INDIRECT_ERROR = "the indirect effect has no standard error by this method"
_interval = quick_jit(proportion_interval, ("level",))


def share_of_total(indirect: Any, total: Any, interval: Interval, error: Any) -> tuple[float, str]:
    """Indirect / total, or NaN and why not.

    Args:
      indirect: effect.
      total: effect.
      interval: of the total effect.
      error: standard error of the total effect; exactly 0 where the outcome is fitted exactly.
    """
    numerator, denominator, spread = (float(np.asarray(v)) for v in (indirect, total, error))
    lower, upper = float(np.asarray(interval.lower)), float(np.asarray(interval.upper))
    if not (math.isfinite(numerator) and math.isfinite(denominator)):
        return math.nan, ""
    if math.isfinite(lower) and lower <= 0 <= upper or denominator == 0:
        return math.nan, HOLDS_ZERO
    if not (math.isfinite(lower) or spread == 0):
        return math.nan, NO_ERROR
    return numerator / denominator, ""


def proportion_columns(estimate: Estimate | None) -> dict[str, Any]:
    """`proportion_mediated`, its Fieller limits, and the reason for what is missing of them."""
    if estimate is None:
        return _columns(math.nan, math.nan, math.nan, "")
    code = int(estimate.status)
    said = st.message(code) if code in (st.EMPTY_SELECTION, st.ZERO_RESIDUAL) else NO_INDIRECT_ERROR
    return share_with_limits(
        estimate.effects, estimate.standard_errors, estimate.intervals.total, said
    )


def share_with_limits(
    effects: Effects, errors: Effects, total: Interval, no_error: str = NO_INDIRECT_ERROR
) -> dict[str, Any]:
    """The same of effects, their standard errors and the interval of the total effect.

    Args:
      effects: concrete.
      errors: standard errors, NaN where there is none.
      total: interval of the total effect; its level is that of the limits.
      no_error: why there are no limits where an error is missing.
    """
    share, reason = share_of_total(effects.indirect, effects.total, total, errors.total)
    if not math.isfinite(share):
        return _columns(share, math.nan, math.nan, reason)
    found = _interval(effects, errors, level=total.level)
    lower, upper = float(found.lower), float(found.upper)
    if not math.isfinite(lower):
        reason = KINDS[int(found.kind)] or no_error
    return _columns(share, lower, upper, reason)


def _columns(share: float, lower: float, upper: float, reason: str) -> dict[str, Any]:
    return {
        PROPORTION: share,
        "proportion_lower": lower,
        "proportion_upper": upper,
        "proportion_reason": reason,
    }
