"""Quantiles of a sweep from counts in geometric bins, which merge exactly and in any order."""

import dataclasses
import math
import sys
from collections.abc import Sequence

import numpy as np

from jaxmed.budget import said
from jaxmed.sweeps.states import (
    Columns,
    Reducer,
    State,
    Summary,
    measures_of,
    merger,
    statuses_of,
    summary_of,
)

__all__ = ["Quantile", "quantiles"]

_SMALLEST = 1e-30  # sizes up to here are zero to a quantile
LEAST_ACCURACY = 1e-15  # bins are numbered by int64
_INFINITE = np.iinfo(np.int64).max  # bin of infinite values


@dataclasses.dataclass(frozen=True)
class Quantile:
    """A quantile of one column with its Monte Carlo standard error.

    Only NaN is missing; infinite values count at their end.
    """

    value: float
    standard_error: float  # NaN where too few replicates lie to one side, see `quantiles`
    count: int
    missing: int


def quantiles(probabilities: Sequence[float], accuracy: float = 1e-3) -> Reducer:
    """Quantiles of every column, each within a relative `accuracy`.

    Values are counted in bins of a geometric grid, so that states merge exactly and in any order.
    A state holds the bins that have occurred. Their number is at most that of the replicates, and
    at most log(largest / smallest) / (2 accuracy) of each sign however many replicates there are:
    6900 for six orders of magnitude at 1e-3, a thousand times as many at 1e-6. Sizes up to 1e-30
    are zero.

    The standard error of a quantile is half the distance of the order statistics one binomial
    standard deviation, sqrt(count p (1 - p)), to either side of rank count p, and in quadrature
    half the width of the quantile's bin, accuracy |value|. It is NaN where one of those ranks lies
    outside 1..count (too few replicates beyond the quantile) and where the quantile is infinite.

    Raises:
      ValueError: probabilities outside (0, 1), an accuracy outside [1e-15, 1).
    """
    probabilities = tuple(probabilities)
    if not all(0 < p < 1 for p in probabilities):
        raise ValueError(f"probabilities must lie in (0, 1), not {probabilities}")
    if not LEAST_ACCURACY <= accuracy < 1:
        raise ValueError(f"accuracy must lie in [{LEAST_ACCURACY}, 1), not {said(accuracy)}")
    step = 2 * math.log1p(accuracy)

    def lift(columns: Columns) -> State:
        state = statuses_of(columns)
        for name, values in measures_of(columns):
            index = _geometric_bins(values[~np.isnan(values)], step)
            state[name] = np.stack(np.unique(index, return_counts=True))
        return state

    def join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        index, inverse = np.unique(np.concatenate([a[0], b[0]]), return_inverse=True)
        counts = np.zeros(index.size, np.int64)
        np.add.at(counts, inverse, np.concatenate([a[1], b[1]]))
        return np.stack([index, counts])

    def finish(state: State) -> Summary:
        def found(bins: np.ndarray, total: int) -> dict[float, Quantile]:
            below = np.cumsum(bins[1])
            count = int(below[-1]) if below.size else 0

            def at(rank: float) -> float:
                return _middle(int(bins[0][np.searchsorted(below, math.ceil(rank))]), step)

            def error(p: float) -> float:
                spread = math.sqrt(count * p * (1 - p))
                low, high, middle = count * p - spread, count * p + spread, at(count * p)
                if low < 1 or high > count or math.isinf(middle):
                    return math.nan
                return math.hypot((at(high) - at(low)) / 2, accuracy * middle)

            if not count:
                return {p: Quantile(math.nan, math.nan, 0, total) for p in probabilities}
            return {
                p: Quantile(at(count * p), error(p), count, total - count) for p in probabilities
            }

        return summary_of(state, found)

    return Reducer(f"quantiles({probabilities}, {accuracy})", lift, merger(join), finish)


def _geometric_bins(values: np.ndarray, step: float) -> np.ndarray:
    """Signed number of every value's bin; the bins of one sign are `step` wide in the logarithm."""
    size, sign = np.abs(values), np.sign(values).astype(np.int64)
    finite = np.clip(size, _SMALLEST, sys.float_info.max)
    power = np.floor((np.log(finite) - math.log(_SMALLEST)) / step).astype(np.int64)
    power = np.where(np.isinf(size), _INFINITE, power + 1)
    return np.where(size > _SMALLEST, sign * power, 0)


def _middle(index: int, step: float) -> float:
    """The value in the middle, on the logarithmic scale, of one bin."""
    if index == 0:
        return 0.0
    if abs(index) == _INFINITE:
        return math.copysign(math.inf, index)
    power = math.log(_SMALLEST) + step * (abs(index) - 0.5)
    return math.copysign(math.exp(min(power, math.log(sys.float_info.max))), index)
