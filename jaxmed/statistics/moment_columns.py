"""Columns of moments on the host: scales, degenerate mediators, subsets, standardised mediators."""

import dataclasses
from typing import Any

import numpy as np

from jaxmed import status
from jaxmed.data.independent_columns import CONSTANT, DEPENDENT, KEPT
from jaxmed.data.transforms import Standardisation
from jaxmed.data.validation import ROUNDING_SPREAD, InvalidDataError
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.typing import ArrayLike

__all__ = [
    "column_statistics",
    "covariate_codes",
    "degenerate_mediators",
    "keep_covariates",
    "keep_mediators",
    "standardise_moments",
]

# Two columns are the same where their moments agree to this many roundings of the sums.
ROUNDINGS = 64


def column_statistics(moments: CrossMoments) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations [d] (divisor n - 1) of all columns, in float64."""
    squares = np.maximum(np.diagonal(np.asarray(moments.comoment, np.float64)), 0)
    return np.asarray(moments.mean, np.float64), np.sqrt(squares / (float(moments.count) - 1))


def degenerate_mediators(moments: CrossMoments, dtype: Any = None) -> np.ndarray:
    """What `data.drop_degenerate` would find, from moments alone.

    Args:
      moments: concrete.
      dtype: of the rows behind them, by which a spread counts as rounding; the moments' if None.
    Returns:
      Status of every mediator [p] int32: OK, CONSTANT_MEDIATOR, or DUPLICATE_MEDIATOR where mean,
      variance and every co-moment agree with an earlier mediator's.
    """
    first = moments.num_covariates + 2
    mean, sd = (values[first:] for values in column_statistics(moments))
    rows = np.dtype(moments.comoment.dtype if dtype is None else dtype)
    reasons = np.full(mean.size, status.OK, np.int32)
    reasons[sd <= ROUNDING_SPREAD[rows] * np.abs(mean)] = status.CONSTANT_MEDIATOR
    gram = np.asarray(moments.comoment)[first:, first:]
    tolerance = ROUNDINGS * float(np.finfo(rows).eps)
    square = np.diagonal(gram)
    # Duplicates have the same variance: only neighbours in the order of variances are compared.
    order = np.argsort(square, kind="stable")
    ordered = square[order]
    groups = np.split(order, 1 + np.flatnonzero(np.diff(ordered) > tolerance * ordered[1:]))
    for group in groups:
        group = np.sort(group[reasons[group] == status.OK])
        for position, j in enumerate(group[1:], 1):
            earlier = group[:position]
            close = np.abs(gram[earlier, j] - square[j]) <= tolerance * square[j]
            close &= np.abs(mean[earlier] - mean[j]) <= tolerance * (np.abs(mean[j]) + sd[j])
            if close.any():
                reasons[j] = status.DUPLICATE_MEDIATOR
    return reasons


def covariate_codes(moments: CrossMoments, dtype: Any = None) -> np.ndarray:
    """Which covariates `data.independent_columns` would keep, from moments alone.

    Args:
      moments: concrete.
      dtype: of the rows behind them; the moments' if None.
    Returns:
      [q] of KEPT, DEPENDENT (on those before it) and CONSTANT.
    """
    q = moments.num_covariates
    rounding = ROUNDING_SPREAD[np.dtype(moments.comoment.dtype if dtype is None else dtype)]
    mean, sd = (values[:q] for values in column_statistics(moments))
    codes = np.where(sd <= rounding * np.abs(mean), CONSTANT, DEPENDENT)
    square = np.asarray(moments.comoment, np.float64)[:q, :q]
    size = np.sqrt(np.maximum(np.diagonal(square), 0))
    size = np.where(codes == CONSTANT, 1, size)
    left = square / size / size[:, None]
    # Of squares: a pivot is known to some roundings of the sums only.
    least = max((100 * rounding) ** 2, ROUNDINGS * np.finfo(moments.comoment.dtype).eps)
    for j in np.flatnonzero(codes == DEPENDENT):
        if left[j, j] > least:
            codes[j] = KEPT
            left = left - np.outer(left[:, j], left[j]) / left[j, j]
    return codes


def keep_covariates(moments: CrossMoments, kept: ArrayLike) -> CrossMoments:
    """Moments of a subset of the covariates, by position."""
    q, kept = moments.num_covariates, np.asarray(kept, int)
    if kept.size == q:
        return moments
    chosen = np.concatenate([kept, np.arange(q, moments.mean.shape[0])])
    names = moments.names
    if names.covariates:
        left = tuple(names.covariates[j] for j in kept)
        groups = tuple(tuple(c for c in group if c in left) for group in names.groups)
        names = dataclasses.replace(names, covariates=left, groups=tuple(filter(None, groups)))
    return dataclasses.replace(
        moments,
        mean=np.asarray(moments.mean)[chosen],
        comoment=np.asarray(moments.comoment)[np.ix_(chosen, chosen)],
        num_covariates=int(kept.size),
        names=names,
    )


def keep_mediators(moments: CrossMoments, kept: ArrayLike) -> CrossMoments:
    """Moments of a subset of the mediators, by position.

    Raises:
      InvalidDataError: the subset is empty.
    """
    first, kept = moments.num_covariates + 2, np.asarray(kept, int)
    if kept.size == 0:
        raise InvalidDataError("every mediator is constant on the rows used: none can mediate")
    if kept.size == moments.num_mediators:
        return moments
    chosen = np.concatenate([np.arange(first), first + kept])
    names = moments.names
    if names.mediators:
        names = dataclasses.replace(names, mediators=tuple(names.mediators[j] for j in kept))
    return dataclasses.replace(
        moments,
        mean=np.asarray(moments.mean)[chosen],
        comoment=np.asarray(moments.comoment)[np.ix_(chosen, chosen)],
        names=names,
    )


def standardise_moments(moments: CrossMoments) -> tuple[CrossMoments, Standardisation]:
    """Moments of mediators divided by their standard deviation, means removed, and the scales."""
    first = moments.num_covariates + 2
    mean, sd = column_statistics(moments)
    divisor = np.concatenate([np.ones(first), np.where(sd[first:] == 0, 1, sd[first:])])
    comoment = np.asarray(moments.comoment) / divisor / divisor[:, None]
    centred = np.concatenate([mean[:first], np.zeros(mean.size - first)])
    scales = Standardisation(mean[first:], divisor[first:])  # pyright: ignore[reportArgumentType]
    dtype = moments.comoment.dtype
    return dataclasses.replace(
        moments, mean=centred.astype(dtype), comoment=comoment.astype(dtype)
    ), scales
