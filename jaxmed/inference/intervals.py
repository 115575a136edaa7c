"""Intervals of the total indirect effect and its parts from the exact law."""

from typing import Literal

import jax.numpy as jnp

from jaxmed.budget import check_count
from jaxmed.distributions.exact_law import BaseDraws
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.door import at_the_door
from jaxmed.inference.bootstrap_intervals import law_intervals
from jaxmed.inference.debiased import (
    PARTS,
    IndirectEstimates,
    Part,
    bootstrap_estimates,
    fitted_law,
    indirect_estimates,
    naive_indirect,
)
from jaxmed.inference.inversion import least_replicates, part_limits, total_limits
from jaxmed.inference.part_interval import IndirectInterval, chosen_interval
from jaxmed.inference.residual import HasQuadratics
from jaxmed.inference.single_mediator import known_single
from jaxmed.inference.total_indirect import LEAST_SPARE_ROWS, total_draws, total_variance
from jaxmed.keys import as_key
from jaxmed.linalg.safe import divide
from jaxmed.status import (
    SMALL_SAMPLE,
    TOO_FEW_ROWS,
    combine,
    combine_notes,
    is_fatal,
    when,
)
from jaxmed.typing import Array, Interval, Key

__all__ = [
    "PARTS",
    "IndirectEstimates",
    "IndirectInterval",
    "bootstrap_estimates",
    "fitted_law",
    "indirect_estimates",
    "indirect_interval",
    "indirect_intervals",
    "inverted_intervals",
    "naive_indirect",
]

Method = Literal["inversion", "percentile", "basic"]


def indirect_interval(
    key: Key,
    paths: HasQuadratics,
    *,
    level: float = 0.95,
    part: Part = "concordant",
    method: Method = "inversion",
    replicates: int = 2000,
) -> IndirectInterval:
    """Debiased maximal indirect effect, or one of its parts, with an interval.

    "inversion" keeps the values that a test by the exact law does not reject: of the total the
    test of `total_indirect_test`, so that 0 lies outside where its p-value by the same key and
    replicates is at most 1 - level; of a part two one-sided tests of its studentised estimate,
    whose lower limit above 0 is a valid test that the part exists. 95% intervals of the total cover
    .94 to .96 and those of a part .94 to .995 (n = 60 to 1000, p = 10 to 500), the latter above
    .97 only where the part is 0 or cannot be told from it; see docs/intervals.md, for few
    mediators as well.

    "percentile" and "basic" redraw the path quadratics from the law at the debiased estimates and
    apply the estimator to each replicate. Percentile intervals of a part cover .82 to .87 where it
    is small but not 0, or one path null among many mediators; of the total both cover .92 to 1.

    A single mediator (dimension r = 1) has no parts: the total indirect effect has the product
    interval and the delta standard error of that mediator in the table of single mediators,
    whatever `method` is; the parts have neither, with the note NO_PARTS.

    Args:
      key: PRNG key; consumed.
      paths: one data set: anything with scalar `.quadratics`; batch by vmap.
      level: confidence level in (0, 1).
      part: "concordant" (>= 0, the maximal indirect effect), "suppression" (<= 0) or "total".
      method: "inversion", or "percentile" of the draws, or "basic", their mirror image about the
        estimate, whose misses lie on one side where paths are parallel.
      replicates: draws of the law: at least 2 / (1 - level) with "inversion", else 2; use 2000 or
        more for published limits.

    Returns:
      IndirectInterval; NaN with NOT_IN_DUAL where p >= n-2-q. With m - p <= 3 (m = n-2-q) the
      estimates stay and the interval of "inversion" is NaN with TOO_FEW_ROWS. Limits of a part
      are within its range: none of the concordant part is below 0, none of the suppression part
      above; they include the estimate. `method` of the interval is a compile-time string: under a
      trace, where r is not known, it names both.

    Raises:
      ValueError: unknown part or method, level outside (0, 1), too few replicates.

    Source: inference specification, sections 2 and 3; composite mediator specification, section 5e
      for the bootstrap. Gaussian mediators and errors assumed.
    """
    key = as_key(key)
    _check(part, method, level, replicates)
    q = paths.quadratics
    return _interval(
        key,
        q,
        level=level,
        parts=(part,),
        method=method,
        replicates=replicates,
        single=known_single(q),
    )[part]


def indirect_intervals(
    key: Key,
    paths: HasQuadratics,
    *,
    level: float = 0.95,
    method: Method = "inversion",
    replicates: int = 2000,
) -> dict[str, IndirectInterval]:
    """`indirect_interval` of all three parts from one set of draws, by part.

    Same limits as three calls with the same key, for less work and compile time.
    """
    key = as_key(key)
    _check("total", method, level, replicates)
    q = paths.quadratics
    return _interval(
        key,
        q,
        level=level,
        parts=PARTS,
        method=method,
        replicates=replicates,
        single=known_single(q),
    )


@at_the_door("level", "parts", "method", "replicates", "single", optimised=True)
def _interval(
    key: Key,
    q: PathQuadratics,
    *,
    level: float,
    parts: tuple[Part, ...],
    method: Method,
    replicates: int,
    single: bool | None,
) -> dict[str, IndirectInterval]:
    if method == "inversion":
        several = inverted_intervals(q, total_draws(key, q, replicates), level=level, parts=parts)
    else:
        draws = bootstrap_estimates(key, q, replicates)
        several = law_intervals(q, draws, level=level, parts=parts, method=method)
    return {part: chosen_interval(q, several[part], single, level, part) for part in parts}


def inverted_intervals(
    q: PathQuadratics, draws: BaseDraws, *, level: float, parts: tuple[Part, ...] = PARTS
) -> dict[str, IndirectInterval]:
    """The intervals by inversion where r > 1, from the draws of `total_indirect.total_draws`."""
    found: dict[str, tuple[Array, Array, Array]] = {}
    if "total" in parts:
        error = jnp.sqrt(divide(total_variance(q), q.exposure_ss, jnp.nan))
        found["total"] = (*total_limits(q, draws, level), error)
    if parts != ("total",):
        found |= part_limits(q, draws, level)
    estimates = indirect_estimates(q)
    few = q.residual_df - q.dimension < LEAST_SPARE_ROWS
    short = when(few & ~is_fatal(estimates.status), TOO_FEW_ROWS)
    code = combine(estimates.status, short)
    return {part: _inverted(q, estimates, code, found[part], level, part) for part in parts}


def _inverted(
    q: PathQuadratics,
    estimates: IndirectEstimates,
    code: Array,
    found: tuple[Array, Array, Array],
    level: float,
    part: Part,
) -> IndirectInterval:
    estimate = estimates.part(part)
    lower, upper, error = found
    # The statistic uses an estimate that may leave its range; the reported one does not.
    lower, upper = jnp.minimum(lower, estimate), jnp.maximum(upper, estimate)
    # An outcome without paths nor noise gives every candidate the statistic 0.
    usable = ~is_fatal(code) & (error > 0) & jnp.isfinite(lower) & jnp.isfinite(upper)
    code = combine(code, when(~usable & ~is_fatal(code), SMALL_SAMPLE))
    lower, upper, error = (jnp.where(usable, x, jnp.nan) for x in (lower, upper, error))
    return IndirectInterval(
        estimate=estimate,
        naive=naive_indirect(q, part),
        interval=Interval(lower, upper, level, "exact-law inversion"),
        standard_error=error,
        status=code,
        notes=combine_notes(q.notes) if part == "total" else estimates.notes,
    )


def _check(part: str, method: str, level: float, replicates: int) -> None:
    if part not in PARTS:
        raise ValueError(f'part is "concordant", "suppression" or "total", not {part!r}')
    if method not in ("inversion", "percentile", "basic"):
        raise ValueError(f'method is "inversion", "percentile" or "basic", not {method!r}')
    if not 0 < level < 1:
        raise ValueError(f"level lies between 0 and 1, not {level!r}")
    least = least_replicates(level) if method == "inversion" else 2
    check_count("replicates", replicates, least=least)
