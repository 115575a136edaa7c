"""The numbers of an analysis that its threats are judged by, as plain values."""

import dataclasses
import math
from typing import Any

import numpy as np

__all__ = ["Crossed", "Estimates", "Outcome", "outcome_of_moments", "outcome_of_values"]

NAN = math.nan
# Relative difference between mean and mean square of a 0/1 column summed in float32.
SAME = 1e-5


@dataclasses.dataclass(frozen=True)
class Crossed:
    """A cross-fitted effect with its interval."""

    estimate: float = NAN
    lower: float = NAN
    upper: float = NAN


@dataclasses.dataclass(frozen=True)
class Estimates:
    """What an analysis found, in the units of the data; NaN where it does not exist.

    Attributes:
      rows: n, the number of rows with weight.
      covariates: rank of the covariates without the intercept.
      mediators: number of mediators analysed.
      total: total effect.
      total_se: its standard error.
      direct: direct effect of the estimator of record.
      upward: cross-fitted effect of the composites with alpha beta > 0.
      downward: of those with alpha beta < 0.
      exposure_q: in-sample q_AA, R2 / (1 - R2) of the exposure on the mediators given the
        covariates.
    """

    rows: int
    covariates: int
    mediators: int
    total: float = NAN
    total_se: float = NAN
    direct: float = NAN
    upward: Crossed = Crossed()
    downward: Crossed = Crossed()
    exposure_q: float = NAN

    @property
    def primal(self) -> bool:
        """True where least squares on all mediators leaves a degree of freedom."""
        return self.mediators <= self.rows - 2 - self.covariates


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What is told of an outcome by its distribution.

    Attributes:
      name: of the column.
      levels: its two values; () for an outcome of more.
      rare: (weighted) rows that have the rarer of the two.
      rarer: that value.
      mean: weighted.
      variance: weighted.
      zeros: share of zeros; NaN where it is not known.
      counts: True for integers of at least 0.
    """

    name: str
    levels: tuple[float, ...] = ()
    rare: float = NAN
    rarer: float = NAN
    mean: float = NAN
    variance: float = NAN
    zeros: float = NAN
    counts: bool = False


def outcome_of_values(name: str, values: np.ndarray, weights: np.ndarray) -> Outcome:
    """Of values [n] with case weights [n] above 0, in the data's units."""
    first, last = float(values.min()), float(values.max())
    total = float(weights.sum())
    if first < last and np.all((values == first) | (values == last)):
        high = float(weights[values == last].sum())
        rarer, rare = (last, high) if high <= total - high else (first, total - high)
        return Outcome(name, (first, last), rare, rarer)
    counts = first >= 0 and last < 2**53 and np.array_equal(values, np.round(values))
    if not counts:
        return Outcome(name)
    mean = float(weights @ values / total)
    variance = float(weights @ np.square(values - mean) / total)
    zeros = float(weights[values == 0].sum() / total)
    return Outcome(name, (), NAN, NAN, mean, variance, zeros, True)


def outcome_of_moments(name: str, mean: Any, sd: Any, rows: float) -> Outcome:
    """Of mean and standard deviation (divisor rows - 1): 0/1 is the column that is its square.

    Whether an outcome of more values is a count, moments do not tell.
    """
    mean, sd = float(mean), float(sd)
    if not (0 < mean < 1 and rows > 1 and math.isfinite(sd)):
        return Outcome(name)
    square = sd**2 * (rows - 1) / rows + mean**2
    if abs(square - mean) > SAME * mean:
        return Outcome(name)
    rare, rarer = (mean, 1.0) if mean <= 0.5 else (1 - mean, 0.0)
    return Outcome(name, (0.0, 1.0), rare * rows, rarer)
