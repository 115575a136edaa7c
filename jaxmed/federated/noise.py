"""Gaussian noise on the second moments of one site: differential privacy with a stated epsilon.

Rows u = [1, (x - centre) / scale] are cut to norm R. Adding or removing one person changes
M = sum u u' by one outer product, whose Frobenius norm is |u|^2 <= R^2; that is the sensitivity.
Cutting u to u R/|u| is the case weight R^2/|u|^2 on the row, so that a linear model stays linear.
"""

import dataclasses
import math
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.data.validation import InvalidDataError
from jaxmed.statistics.cross_moments import CrossMoments

__all__ = ["Noise", "add_noise", "gaussian_sigma", "noise_for", "noisy_moments", "scaled_second"]


@dataclasses.dataclass(frozen=True)
class Noise:
    """The mechanism; all of it is public and must be chosen without looking at the data."""

    epsilon: float
    delta: float
    clip: float  # R, norm of a scaled row with its constant 1
    centre: tuple[float, ...]  # [d] in units of the columns
    scale: tuple[float, ...]  # [d] > 0

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise on every entry of M, in scaled units."""
        return gaussian_sigma(self.epsilon, self.delta, self.clip**2)


def noise_for(
    columns: tuple[str, ...],
    bounds: Mapping[str, tuple[float, float]],
    *,
    epsilon: float,
    delta: float,
    clip: float,
) -> Noise:
    """The mechanism for named columns.

    Args:
      columns: all columns of the moments, in their order.
      bounds: column -> (centre, scale), from outside the data.
      epsilon: > 0.
      delta: in (0, 1), below 1 over the number of persons.
      clip: R > 1; sqrt(d + 1) or somewhat more for columns scaled to about unit size.
    Raises:
      ValueError: a column without bounds, or numbers out of range.
    """
    missing = [name for name in columns if name not in bounds]
    if missing:
        raise ValueError(f"noise needs a public centre and scale of {missing[0]!r}: add it")
    centre, scale = zip(*(map(float, bounds[name]) for name in columns), strict=True)
    if not all(map(math.isfinite, (*centre, *scale))) or min(scale) <= 0:
        raise ValueError("centres and scales are finite numbers, scales positive")
    if not (0 < epsilon <= 50 and 0 < delta < 1 and 1 < clip < math.inf):
        raise ValueError(
            f"epsilon lies in (0, 50], delta in (0, 1) and the row norm is above 1, not {epsilon}, "
            f"{delta}, {clip}"
        )
    return Noise(float(epsilon), float(delta), float(clip), centre, scale)


def gaussian_sigma(epsilon: float, delta: float, sensitivity: float) -> float:
    """Least standard deviation that makes Gaussian noise (epsilon, delta)-private.

    Args:
      epsilon: > 0.
      delta: in (0, 1).
      sensitivity: L2, in the units of the result.
    Source: Balle and Wang (2018), Theorem 8 (exact for the Gaussian mechanism), by bisection.
    """

    def leak(sigma: float) -> float:  # in units of the sensitivity
        near, far = 0.5 / sigma - epsilon * sigma, -0.5 / sigma - epsilon * sigma
        return _normal(near) - math.exp(epsilon) * _normal(far)

    low, high = 1e-6, 1.0
    while leak(high) > delta:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if leak(middle) <= delta else (middle, high)
    return high * sensitivity


def _normal(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def noisy_moments(
    data: MediationData, noise: Noise, generator: np.random.Generator | None = None
) -> CrossMoments:
    """Moments of the cut rows with noise; the number of rows comes out of them, too.

    Args:
      data: rows without case weights, which have no bounded sensitivity.
      noise: the mechanism, columns in the order [covariates, exposure, outcome, mediators].
      generator: for simulations alone; by default randomness of the operating system.
    Raises:
      InvalidDataError: case weights.
    """
    if data.weights is not None:
        raise InvalidDataError("noise has no stated epsilon with case weights: leave them out")
    rows = np.concatenate(
        [data.covariates, _column(data.exposure), _column(data.outcome), data.mediators], axis=1
    )
    scaled = (rows - np.asarray(noise.centre)) / np.asarray(noise.scale)
    scaled = np.concatenate([np.ones((len(rows), 1)), scaled], axis=1)
    scaled *= np.minimum(1, noise.clip / np.linalg.norm(scaled, axis=1))[:, None]
    second = scaled.T @ scaled
    return _moments(
        add_noise(second, noise, generator), noise, data.covariates.shape[1], data.names
    )


def add_noise(
    second: np.ndarray, noise: Noise, generator: np.random.Generator | None = None
) -> np.ndarray:
    """A symmetric matrix with independent noise on its upper triangle, mirrored."""
    size = len(second)
    upper = np.triu_indices(size)
    count = len(upper[0])
    draws = _secret_normals(count) if generator is None else generator.standard_normal(count)
    added = np.zeros((size, size))
    added[upper] = noise.sigma * draws
    return second + added + np.triu(added, 1).T


def redraw(moments: CrossMoments, noise: Noise, generator: np.random.Generator) -> CrossMoments:
    """Released moments with noise of the same size once more."""
    second = scaled_second(moments, noise)
    again = add_noise(second, noise, generator)
    return _moments(again, noise, moments.num_covariates, moments.names)


def scaled_second(moments: CrossMoments, noise: Noise) -> np.ndarray:
    """Sum of u u' [1 + d, 1 + d] that belongs to moments."""
    scale = np.asarray(noise.scale)
    mean = (np.asarray(moments.mean) - np.asarray(noise.centre)) / scale
    total = float(moments.weight)
    both = np.concatenate([[1.0], mean])
    second = total * np.outer(both, both)
    second[1:, 1:] += np.asarray(moments.comoment) / scale / scale[:, None]
    return second


def _moments(second: np.ndarray, noise: Noise, num_covariates: int, names: Names) -> CrossMoments:
    """Back to original units; a number of rows below 3 is set to 3."""
    total = max(float(second[0, 0]), 3.0)
    mean = second[0, 1:] / total
    scale = np.asarray(noise.scale)
    comoment = (second[1:, 1:] - total * np.outer(mean, mean)) * scale * scale[:, None]
    scalar: Any = np.asarray(total)
    centre: Any = np.asarray(noise.centre) + scale * mean
    return CrossMoments(scalar, scalar, scalar, centre, comoment, num_covariates, names)  # type: ignore[arg-type]


def _column(values: Any) -> np.ndarray:
    return np.asarray(values)[:, None]


def _secret_normals(count: int) -> np.ndarray:
    """Standard normals (Box and Muller) from the operating system's secure random bytes."""
    half = -(-count // 2)
    raw = np.frombuffer(secrets.token_bytes(16 * half), np.uint64) >> np.uint64(11)
    uniform = (raw.astype(np.float64) + 0.5) / 2**53
    radius, angle = np.sqrt(-2 * np.log(uniform[:half])), 2 * np.pi * uniform[half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
