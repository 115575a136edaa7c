"""What Figures 1 and 2 repeat: the statistic of the cosine test, and tests beside it."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.inference.cosine_test import cosine_test
from jaxmed.inference.joint_test import joint_test
from jaxmed.reports.study_figures import Series
from jaxmed.sweeps.levels import path_task
from jaxmed.sweeps.quantile_sketch import quantiles
from jaxmed.sweeps.reducers import Measure, Rate, combine, moments, rejection_rate
from jaxmed.sweeps.states import Reducer
from jaxmed.sweeps.task import BlockTask, Scores, Task

__all__ = [
    "EXACT_CHUNK",
    "PROBABILITIES",
    "cosine_scores",
    "dual_task",
    "exact_task",
    "law_reducer",
    "rate_series",
    "root_pair",
    "statistic_sd",
]

EXACT_CHUNK = 10_000  # replicates of the law in one program call, of every cell of both figures

# Quantiles that the figures draw, with more of them in the tails.
PROBABILITIES: Sequence[float] = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    *(round(0.05 * i, 2) for i in range(1, 20)),
    0.975,
    0.99,
    0.995,
    0.9975,
    0.999,
)


def cosine_scores(quadratics: PathQuadratics) -> Scores:
    """Statistic of the cosine test, its square (whose mean is a variance), and its p-value."""
    test = cosine_test(quadratics)
    return {
        "cosine/statistic": test.statistic,
        "cosine/square": test.statistic**2,
        "cosine/p_value": test.p_value,
        "cosine/status": test.status,
    }


def _exact_scores(quadratics: PathQuadratics) -> Scores:
    joint = joint_test(quadratics)
    beside = {"joint/p_value": joint.p_value, "joint/status": joint.status}
    return cosine_scores(quadratics) | beside


@functools.cache
def exact_task() -> Task | BlockTask:
    """The exact law: n and p are numbers in it, so that one program serves every cell."""
    return path_task("exact", _exact_scores)


@functools.cache
def dual_task(num_rows: int) -> Task | BlockTask:
    """Data sets of `num_rows` rows."""
    return path_task("data", cosine_scores, num_rows=num_rows)


@functools.cache
def law_reducer() -> Reducer:
    """Moments, rejection rates at .05 and quantiles of every column."""
    return combine(
        moments=moments(), rates=rejection_rate(0.05), quantiles=quantiles(PROBABILITIES, 1e-4)
    )


def rate_series(label: str, x: Sequence[float], rates: Sequence[Rate], color: str) -> Series:
    """A line of rejection rates with their Monte Carlo errors."""
    values = [rate.rate for rate in rates]
    return Series(label, x, values, [rate.standard_error for rate in rates], color)


def root_pair(square: Measure, scale: float = 1.0) -> tuple[float, float]:
    """Root of scale * E(T^2), and its Monte Carlo standard error by the delta method."""
    root = (scale * square.mean) ** 0.5
    return root, scale * square.standard_error / (2 * root)


def statistic_sd(measures: Mapping[str, Any]) -> tuple[float, float]:
    """Standard deviation of the statistic and its standard error, for any mean."""
    statistic: Measure = measures["cosine/statistic"]
    # The error of an sd under a normal law; the statistic's is close to one.
    return statistic.sd, statistic.sd / (2 * max(statistic.count - 1, 1)) ** 0.5
