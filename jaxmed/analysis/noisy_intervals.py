"""Intervals of merged moments that hold noise, widened by what the noise does to the estimate."""

import dataclasses
import math
from collections.abc import Sequence
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.analysis.law_inference import law_inference
from jaxmed.budget import BYTES_A_DRAW, check_fits
from jaxmed.compile import quick_jit
from jaxmed.data.mediation_data import Names
from jaxmed.federated.merge import Covariates, design_of, expand, pool
from jaxmed.federated.noise import redraw
from jaxmed.federated.summary import SiteSummary
from jaxmed.geometry.paths import Paths, primal_paths
from jaxmed.inference.intervals import PARTS, indirect_estimates
from jaxmed.keys import as_key
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.joint_factor import factor_moments
from jaxmed.typing import Array, Key

__all__ = ["NoisyInterval", "NoisyIntervals", "noisy_intervals"]


@dataclasses.dataclass(frozen=True)
class NoisyInterval:
    """One part of the indirect effect."""

    estimate: float  # debiased for sampling, from the noisy moments; outcome per exposure
    lower: float  # NaN where it does not exist
    upper: float
    sampling_lower: float  # the exact-law interval that knows of no noise
    sampling_upper: float
    noise_sd: float


@dataclasses.dataclass(frozen=True)
class NoisyIntervals:
    """All three parts, and how many redraws had moments that rows can have."""

    parts: dict[str, NoisyInterval]  # concordant, suppression, total
    draws: int
    failed: int  # redraws whose moments are not positive definite
    status: int  # of the estimates
    sentence: str

    def lines(self, level: float) -> list[str]:
        """Sentences for a human."""
        each = [
            f"{name} with noise and sampling: {one.estimate:.4g}, {level:.0%} interval "
            f"[{one.lower:.4g}, {one.upper:.4g}] (standard deviation of the noise "
            f"{one.noise_sd:.3g})"
            for name, one in self.parts.items()
            if not math.isnan(one.lower)
        ]
        return [*each, self.sentence]


def noisy_intervals(
    key: Key,
    summaries: Sequence[SiteSummary],
    *,
    site_effects: bool = False,
    covariates: Covariates = "shared",
    level: float = 0.95,
    draws: int = 200,
    replicates: int = 2000,
) -> NoisyIntervals:
    """Exact-law intervals with the variance of the noise added to that of sampling.

    The sites' released moments get noise of the same size once more, `draws` times; the standard
    deviation of the estimates over these is that of the noise in the estimate, to first order in
    the noise. Limits lie sqrt(u^2 + (z sd)^2) from the estimate, u their distance without noise.

    Args:
      key: PRNG key; consumed.
      summaries: as for `merge_sites`, like the next two arguments.
      site_effects: an intercept for each site.
      covariates: "shared" or "by_site" slopes.
      level: of the intervals.
      draws: of the noise, at least 20.
      replicates: of the exact law.
    Returns:
      NoisyIntervals; NaN where the merged moments are not positive definite, with the sentence.
    Raises:
      ValueError: fewer than 20 draws, or more than memory holds; or as `merge_sites`.
    """
    key = as_key(key)
    check_fits("draws", draws, BYTES_A_DRAW)
    check_fits("replicates", replicates, BYTES_A_DRAW)
    if draws < 20:
        raise ValueError(f"at least 20 draws of the noise are needed, not {draws}")
    design = design_of(summaries, site_effects=site_effects, covariates=covariates)
    law_key, noise_key = jax.random.split(key)
    seed = np.asarray(jax.random.bits(noise_key, (4,), jnp.uint32)).tolist()
    generator = np.random.default_rng(seed)

    def once(again: bool) -> CrossMoments:
        parts = (
            redraw(s.moments, s.noise, generator) if again and s.noise is not None else s.moments
            for s in summaries
        )
        return pool(
            [expand(m, s.site, design) for m, s in zip(parts, summaries, strict=True)], design
        )

    observed = _unnamed(once(False))
    paths = _paths_program(observed)
    code = int(paths.status)
    if st.is_fatal(code):
        return NoisyIntervals(
            {part: NoisyInterval(*[math.nan] * 6) for part in PARTS},
            draws,
            draws,
            code,
            "the noisy moments are not positive definite: noise of this size leaves no estimate; "
            "a larger epsilon, fewer columns or more rows are needed",
        )
    law = law_inference(law_key, paths, level=level, replicates=replicates).intervals
    found = _estimates([_unnamed(once(True)) for _ in range(draws)])
    used = ~np.isnan(found["total"])
    z = NormalDist().inv_cdf((1 + level) / 2)
    parts = {}
    for part in PARTS:
        estimate, interval = float(law[part].estimate), law[part].interval
        sd = float(np.std(found[part][used], ddof=1)) if used.sum() > 1 else math.nan
        low, high = float(interval.lower), float(interval.upper)
        parts[part] = NoisyInterval(
            estimate,
            estimate - math.hypot(max(estimate - low, 0), z * sd),
            estimate + math.hypot(max(high - estimate, 0), z * sd),
            low,
            high,
            sd,
        )
    failed = int(draws - used.sum())
    return NoisyIntervals(parts, draws, failed, code, _sentence(draws, failed))


def _sentence(draws: int, failed: int) -> str:
    if failed == 0:
        return f"standard error of the noise from {draws} redraws"
    return (
        f"standard error of the noise from {draws - failed} of {draws} redraws; in the others the "
        "moments were not positive definite, so that the intervals are too short"
    )


def _unnamed(moments: CrossMoments) -> CrossMoments:
    return dataclasses.replace(moments, names=Names())


def _paths(moments: CrossMoments) -> Paths:
    return primal_paths(factor_moments(moments))


def _parts(stacked: CrossMoments) -> dict[str, Array]:
    def one(single: CrossMoments) -> dict[str, Array]:
        estimates = indirect_estimates(_paths(single))
        return {part: estimates.part(part) for part in PARTS}

    return jax.lax.map(one, stacked)


_paths_program, _parts_program = quick_jit(_paths), quick_jit(_parts)


def _estimates(moments: Sequence[CrossMoments]) -> dict[str, np.ndarray]:
    """Debiased estimates of many moments; one compiled loop."""
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *moments)
    return {part: np.asarray(values) for part, values in _parts_program(stacked).items()}
