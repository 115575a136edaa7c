"""Debiased indirect effects and their intervals by a parametric bootstrap of the exact law."""

from typing import Literal

import jax.numpy as jnp
import numpy as np

from jaxmed import status
from jaxmed.data.budget import BYTES_A_DRAW, check_fits
from jaxmed.distributions.exact_law import Law, law, sample_quadratics
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.inference.residual import HasQuadratics, residual_variance
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, Interval, Key, pytree

__all__ = [
    "IndirectEstimates",
    "IndirectInterval",
    "bootstrap_estimates",
    "fitted_law",
    "indirect_estimates",
    "indirect_interval",
    "indirect_intervals",
    "interval_from_draws",
    "naive_indirect",
]

Part = Literal["concordant", "suppression", "total"]
Method = Literal["percentile", "basic"]
PARTS: tuple[Part, ...] = ("concordant", "suppression", "total")


@pytree
class IndirectEstimates:
    """Debiased population quantities; leaves of one shape, NaN where there is no residual."""

    concordant: Array  # (a'b + kA kY) / 2, outcome per exposure
    suppression: Array  # (a'b - kA kY) / 2
    total: Array  # a'b = concordant + suppression, unbiased
    exposure_strength: Array  # kA, 1 / exposure units
    outcome_strength: Array  # kY, outcome units
    alignment: Array  # c0 in [-1, 1]
    residual_sd: Array  # sigma, outcome units
    status: Array  # int32

    def part(self, part: Part) -> Array:
        """The estimate of one part by its name."""
        return {
            "concordant": self.concordant,
            "suppression": self.suppression,
            "total": self.total,
        }[part]


@pytree
class IndirectInterval:
    """One part of the indirect effect with its interval; leaves of one shape."""

    estimate: Array  # debiased, outcome per exposure
    naive: Array  # in-sample, as the paper reports it
    interval: Interval
    standard_error: Array  # sd of the bootstrap estimates
    status: Array  # int32
    notes: Array | np.uint32 = status.NO_NOTES  # uint32 bits, see `status.Note`


def naive_indirect(quadratics: PathQuadratics, part: Part) -> Array:
    """In-sample part of the indirect effect: h+, h- or a'b, outcome per exposure.

    h+- = +-|a||y| (1 +- cos) / (2 sqrt tau); optimistic, because direction and effect come
    from the same rows.
    """
    q = quadratics
    product = divide(sqrt(q.exposure_exposure) * sqrt(q.outcome_outcome), sqrt(q.exposure_ss))
    if part == "concordant":
        value = product * (1 + q.cosine) / 2
    elif part == "suppression":
        value = -product * (1 - q.cosine) / 2
    else:
        value = q.total_indirect
    return jnp.where(status.is_fatal(q.status), jnp.nan, value)


def indirect_estimates(paths: HasQuadratics) -> IndirectEstimates:
    """Debiased concordant part, suppression part and total indirect effect.

    ab = q_AY / sqrt tau is unbiased for a'b; LA = ((m-p-1) q_AA - p) / tau and LY =
    (q_YY - p s2) / m are unbiased for kA^2 and kY^2 and are cut at 0. With one path null the
    parts keep a bias of about .04 (n = 200, p = 20); elsewhere it is below .005.

    Returns:
      IndirectEstimates; NaN with NOT_IN_DUAL where p >= n-2-q. An exactly fitted outcome
      (ZERO_RESIDUAL) has its estimates, with residual_sd 0.

    Source: composite mediator specification, section 5d; Gaussian mediators assumed.
    """
    return _estimates(paths.quadratics)


def _estimates(q: PathQuadratics) -> IndirectEstimates:
    variance, code = residual_variance(q)
    variance = jnp.where(code == status.ZERO_RESIDUAL, jnp.zeros_like(variance), variance)
    exposure_2 = (q.residual_df - q.dimension - 1) * q.exposure_exposure - q.dimension
    exposure = sqrt(divide(exposure_2, q.exposure_ss))
    outcome = sqrt(divide(q.outcome_outcome - q.dimension * variance, q.residual_df))
    product, total = exposure * outcome, q.total_indirect
    alignment = jnp.clip(divide(total, product), -1, 1)
    exists = ~jnp.isnan(variance) & ~status.is_fatal(code)

    def finish(value: Array) -> Array:
        return jnp.where(exists, value, jnp.nan)

    return IndirectEstimates(
        concordant=finish((total + product) / 2),
        suppression=finish((total - product) / 2),
        total=finish(total),
        exposure_strength=finish(exposure),
        outcome_strength=finish(outcome),
        alignment=finish(alignment),
        residual_sd=finish(sqrt(variance)),
        status=code,
    )


def fitted_law(paths: HasQuadratics) -> Law:
    """The exact law at the debiased estimates, exposure held fixed; NaN in the dual."""
    q = paths.quadratics
    estimates = _estimates(q)
    return law(
        estimates.exposure_strength,
        estimates.outcome_strength,
        estimates.alignment,
        residual_sd=estimates.residual_sd,
        exposure_ss=q.exposure_ss,
        residual_df=q.residual_df,
        num_mediators=q.dimension,
    )


def indirect_interval(
    key: Key,
    paths: HasQuadratics,
    *,
    level: float = 0.95,
    part: Part = "concordant",
    method: Method | None = None,
    replicates: int = 2000,
) -> IndirectInterval:
    """Debiased maximal indirect effect, or one of its parts, with a bootstrap interval.

    The path quadratics are redrawn from the exact law at the debiased estimates and the
    estimator is applied to each replicate; no data are resampled. Coverage of a 95% interval of
    the parts is .92 to .95 where both paths are clear; it falls to .88-.91 where tau kA^2 or
    m kY^2 / s2 is below about 3 sqrt(2p), and to .91 for parallel paths at p/n >= .3. The total's
    is .94 to .98.

    Args:
      key: PRNG key; consumed.
      paths: one data set: anything with scalar `.quadratics`; batch by vmap.
      level: confidence level in (0, 1).
      part: "concordant" (>= 0, the maximal indirect effect), "suppression" (<= 0) or "total".
      method: "percentile" (default for the parts) or "basic" (default for the total).
      replicates: bootstrap replicates, at least 2; use 2000 or more for published limits.

    Returns:
      IndirectInterval; NaN with NOT_IN_DUAL where p >= n-2-q.

    Raises:
      ValueError: unknown part or method, level outside (0, 1), fewer than 2 replicates.

    Source: composite mediator specification, section 5e. Gaussian mediators and errors assumed.
    """
    _check(part, method, level, replicates)
    draws = bootstrap_estimates(key, paths, replicates)
    return interval_from_draws(paths, draws, level=level, part=part, method=method)


def indirect_intervals(
    key: Key, paths: HasQuadratics, *, level: float = 0.95, replicates: int = 2000
) -> dict[str, IndirectInterval]:
    """`indirect_interval` of all three parts from one set of draws, by part.

    Same limits as three calls with the same key, for a third of the work and compile time.
    """
    _check("total", None, level, replicates)
    draws = bootstrap_estimates(key, paths, replicates)
    return {part: interval_from_draws(paths, draws, level=level, part=part) for part in PARTS}


def bootstrap_estimates(key: Key, paths: HasQuadratics, replicates: int) -> IndirectEstimates:
    """Debiased estimates of `replicates` draws from the fitted law, leaves [replicates]."""
    return _estimates(sample_quadratics(key, fitted_law(paths), replicates))


def interval_from_draws(
    paths: HasQuadratics,
    draws: IndirectEstimates,
    *,
    level: float = 0.95,
    part: Part = "concordant",
    method: Method | None = None,
) -> IndirectInterval:
    """The interval of `indirect_interval` from given bootstrap estimates."""
    method = method or ("basic" if part == "total" else "percentile")
    q = paths.quadratics
    estimates, values = _estimates(q), draws.part(part)
    estimate = estimates.part(part)
    tail = (1 - level) / 2
    lower, upper = jnp.quantile(values, jnp.asarray([tail, 1 - tail], values.dtype))
    if method == "basic":
        # The error of a draw is counted from the fitted law's own value. That is not the estimate
        # where |ab| > kA kY, which happens in half the samples with a null or parallel path.
        centre = estimate + _law_part(fitted_law(q), part)
        lower, upper = centre - upper, centre - lower
    return IndirectInterval(
        estimate=estimate,
        naive=naive_indirect(q, part),
        interval=Interval(lower, upper, level, f"exact-law {method} bootstrap"),
        standard_error=jnp.std(values, ddof=1),
        status=estimates.status,
    )


def _law_part(law: Law, part: Part) -> Array:
    if part == "total":
        return law.total_indirect
    return law.maximal_indirect[0 if part == "concordant" else 1]


def _check(part: str, method: str | None, level: float, replicates: int) -> None:
    if part not in PARTS:
        raise ValueError(f'part is "concordant", "suppression" or "total", not {part!r}')
    if method not in (None, "percentile", "basic"):
        raise ValueError(f'method is "percentile" or "basic", not {method!r}')
    if not 0 < level < 1:
        raise ValueError(f"level lies between 0 and 1, not {level!r}")
    if replicates < 2:
        raise ValueError(f"an interval needs at least 2 replicates, not {replicates}")
    check_fits("replicates", replicates, BYTES_A_DRAW)
