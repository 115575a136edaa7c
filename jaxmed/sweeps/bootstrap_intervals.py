"""Bootstrap intervals of one measure from its draws, with the Monte Carlo error of each limit."""

import dataclasses
import math
from statistics import NormalDist

import numpy as np

__all__ = ["INTERVALS", "BootstrapInterval", "bootstrap_interval"]

INTERVALS = ("percentile", "basic", "bc", "bca")
NORMAL = NormalDist()


@dataclasses.dataclass(frozen=True)
class BootstrapInterval:
    """An interval and the error that comes from the number of replicates alone."""

    lower: float
    upper: float
    lower_error: float  # Monte Carlo standard error of the lower limit
    upper_error: float
    level: float
    method: str


def bootstrap_interval(
    draws: np.ndarray,
    estimate: float,
    *,
    kind: str,
    level: float,
    method: str,
    acceleration: float = 0.0,
) -> BootstrapInterval:
    """One interval from bootstrap draws.

    "percentile": the tail quantiles of the draws. "basic": the same reflected about the estimate,
    2 estimate - quantile. "bc" and "bca": quantiles at the levels Phi(z0 + u / (1 - a u)), u = z0 +
    z, with z0 = Phi^-1(share of draws below the estimate, ties by half) and the acceleration a,
    which is 0 for "bc". Quantiles interpolate linearly (type 7).

    Args:
      draws: finite replicates [B].
      estimate: on the data.
      kind: one of `INTERVALS`.
      level: coverage aimed at.
      method: description that the interval carries.
      acceleration: of "bca", see `jackknife`.

    Returns:
      BootstrapInterval; NaN with fewer than 2 draws, and for "bc" and "bca" where all draws lie
      on one side of the estimate or the acceleration is NaN.

    Source: Efron (1987), JASA 82. Errors of the limits by the delta method from the empirical
    distribution of the draws, the error of z0 included.
    """
    tail = np.asarray([(1 - level) / 2, (1 + level) / 2])
    share = float(np.mean(draws < estimate) + np.mean(draws == estimate) / 2) if draws.size else 0.0
    levels, pull = (tail, np.zeros(2))
    if kind in ("bc", "bca"):
        levels, pull = _corrected(tail, share, acceleration if kind == "bca" else 0.0)
    if draws.size < 2 or not (np.isfinite(levels).all() and math.isfinite(estimate)):
        return BootstrapInterval(math.nan, math.nan, math.nan, math.nan, level, method)
    limits, errors = np.quantile(draws, levels), _errors(draws, levels, pull, share)
    if kind == "basic":
        limits, errors = 2 * estimate - limits[::-1], errors[::-1]
    (lower, upper), (lower_error, upper_error) = limits.tolist(), errors.tolist()
    return BootstrapInterval(lower, upper, lower_error, upper_error, level, method)


def _corrected(tail: np.ndarray, share: float, a: float) -> tuple[np.ndarray, np.ndarray]:
    """Levels of the bias-corrected limits, and their derivative with respect to `share`."""
    if not 0 < share < 1 or math.isnan(a):
        return np.full(2, math.nan), np.zeros(2)
    z0 = NORMAL.inv_cdf(share)
    u = z0 + np.asarray([NORMAL.inv_cdf(t) for t in tail])
    ratio = 1 - a * u
    if (ratio <= 0).any():
        return np.full(2, math.nan), np.zeros(2)
    z = z0 + u / ratio
    density = np.asarray([NORMAL.pdf(x) for x in z]) / NORMAL.pdf(z0)
    return np.asarray([NORMAL.cdf(x) for x in z]), density * (1 + 1 / ratio**2)


def _errors(draws: np.ndarray, levels: np.ndarray, pull: np.ndarray, share: float) -> np.ndarray:
    """Standard errors of the quantiles at levels that themselves depend on the draws.

    On the scale of probabilities the error of a limit is pull U(share) - U(level), where U is the
    empirical process with covariance (min(s, t) - s t) / B.
    """
    between = np.minimum(share, levels) - share * levels
    variance = levels * (1 - levels) + pull**2 * share * (1 - share) - 2 * pull * between
    spread = np.sqrt(np.maximum(variance, 0) / draws.size)
    low, high = np.maximum(levels - spread, 0), np.minimum(levels + spread, 1)
    width = np.quantile(draws, high) - np.quantile(draws, low)
    return np.divide(width * spread, high - low, out=np.zeros(2), where=high > low)
