"""Percentile and mirrored intervals of the indirect effect by redrawing from the fitted law."""

from typing import Literal

import jax.numpy as jnp
import numpy as np

from jaxmed.distributions.exact_law import Law
from jaxmed.inference.debiased import (
    PARTS,
    IndirectEstimates,
    Part,
    fitted_law,
    indirect_estimates,
    naive_indirect,
)
from jaxmed.inference.part_interval import IndirectInterval
from jaxmed.inference.residual import HasQuadratics
from jaxmed.status import OK, SMALL_SAMPLE, combine, combine_notes, when
from jaxmed.typing import Array, Interval

__all__ = ["Bootstrap", "law_intervals"]

Bootstrap = Literal["percentile", "basic"]


def law_intervals(
    paths: HasQuadratics,
    draws: IndirectEstimates,
    *,
    level: float = 0.95,
    parts: tuple[Part, ...] = PARTS,
    method: Bootstrap = "percentile",
) -> dict[str, IndirectInterval]:
    """Intervals of the parts where r > 1, from given bootstrap estimates."""
    q = paths.quadratics
    estimates, values = indirect_estimates(q), jnp.stack([draws.part(part) for part in parts])
    estimate = jnp.stack([estimates.part(part) for part in parts])
    tail = (1 - level) / 2
    limits = jnp.quantile(values, jnp.asarray([tail, 1 - tail], values.dtype), axis=1)
    if method == "basic":
        # A draw's error is counted from the fitted law's own value, the estimate up to rounding.
        fitted = fitted_law(q)
        centre = estimate + jnp.stack([_law_part(fitted, part) for part in parts])
        limits = centre - limits[::-1]
    # Percentiles of estimates within the range are within it; mirrored limits need not be.
    least = np.array([0.0 if part == "concordant" else -np.inf for part in parts])
    most = np.array([0.0 if part == "suppression" else np.inf for part in parts])
    lower, upper = jnp.clip(
        limits, least.astype(limits.dtype)[None, :], most.astype(limits.dtype)[None, :]
    )
    # Draws that are all the same number (an outcome path of zero without noise) give no interval.
    wide = upper > lower
    lower, upper, error = jnp.where(
        wide[None, :], jnp.stack([lower, upper, jnp.std(values, axis=1, ddof=1)]), jnp.nan
    )
    code = combine(estimates.status, when(~wide & (estimates.status == OK), SMALL_SAMPLE))
    return {
        part: IndirectInterval(
            estimate=estimate[i],
            naive=naive_indirect(q, part),
            interval=Interval(lower[i], upper[i], level, f"exact-law {method} bootstrap"),
            standard_error=error[i],
            status=code[i],
            notes=combine_notes(q.notes) if part == "total" else estimates.notes,
        )
        for i, part in enumerate(parts)
    }


def _law_part(law: Law, part: Part) -> Array:
    if part == "total":
        return law.total_indirect
    return law.maximal_indirect[0 if part == "concordant" else 1]
