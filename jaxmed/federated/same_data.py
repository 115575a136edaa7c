"""One data set under two labels, known by its moments alone."""

from collections.abc import Sequence

import numpy as np

from jaxmed.federated.summary import SiteSummary

__all__ = ["NO_SPREAD", "same_data"]

SAME = 1e-9  # relative; the order of the rows makes differences far below
# A column with less spread, relative to its size, is constant: its co-moments are rounding, and a
# covariate has no slope of its own.
NO_SPREAD = 1e-12


def same_data(one: SiteSummary, two: SiteSummary) -> bool:
    """Whether the moments of the columns that both have are equal.

    Noise makes those of the same rows different, so that nothing is known of summaries with it.
    """
    if one.noise is not None or two.noise is not None:
        return False
    shared = [name for name in one.columns if name in two.columns]
    if not np.allclose(_counts(one), _counts(two), rtol=SAME, atol=0):
        return False
    (mean, size, scaled), (mean_2, size_2, scaled_2) = (_scaled(s, shared) for s in (one, two))
    return bool(
        (np.abs(mean - mean_2) <= SAME * (np.abs(mean) + size)).all()
        and np.allclose(size, size_2, rtol=SAME, atol=0)
        and np.allclose(scaled, scaled_2, rtol=0, atol=SAME)
    )


def _counts(summary: SiteSummary) -> list[float]:
    moments = summary.moments
    return [float(v) for v in (moments.count, moments.weight, moments.weight_square)]


def _scaled(
    summary: SiteSummary, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means [d], standard deviations [d] and correlations [d, d]; zeros for constant columns."""
    place = [summary.columns.index(name) for name in names]
    weight = float(summary.moments.weight)
    mean = np.asarray(summary.moments.mean)[place]
    covariance = np.asarray(summary.moments.comoment)[np.ix_(place, place)] / weight
    size = np.sqrt(np.maximum(np.diagonal(covariance), 0))
    varies = size > NO_SPREAD * np.abs(mean)
    size = np.where(varies, size, 0)
    inverse = np.where(varies, 1 / np.where(varies, size, 1), 0)
    return mean, size, covariance * inverse * inverse[:, None]
