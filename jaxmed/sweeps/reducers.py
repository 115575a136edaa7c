"""What a sweep keeps of its replicates: associative reducers over named columns.

A reducer is (lift, merge, finish). States are flat dicts of NumPy arrays, so that the same object
folds chunks of a program, devices, workers and files. Columns are float64 on the host; they are
folded in the order of the replicates, which makes the result the same to the last bit wherever
and whenever the chunks were computed.
"""

import dataclasses
import math
from typing import Any

import numpy as np

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

__all__ = ["Measure", "Rate", "combine", "moments", "rate_of", "rejection_rate", "stack"]


@dataclasses.dataclass(frozen=True)
class Measure:
    """Mean of one column with its Monte Carlo standard error.

    Only NaN is missing. An infinite value counts: it makes the mean infinite (NaN where both signs
    occur), and the sd and the standard error NaN.
    """

    mean: float
    standard_error: float  # sd / sqrt(count): the Monte Carlo error of the mean
    sd: float
    count: int  # replicates that have the number
    missing: int  # replicates that do not


@dataclasses.dataclass(frozen=True)
class Rate:
    """Share of replicates with a property, and its Monte Carlo standard error."""

    rate: float
    standard_error: float  # sqrt(rate (1 - rate) / count), of the Agresti-Coull rate at 0 and 1
    count: int
    missing: int


def moments() -> Reducer:
    """Mean, standard deviation and Monte Carlo standard error of every column."""

    def lift(columns: Columns) -> State:
        state = statuses_of(columns)
        for name, values in measures_of(columns):
            kept = values[~np.isnan(values)]
            with np.errstate(invalid="ignore", over="ignore"):  # infinite values
                mean = kept.mean() if kept.size else 0.0
                state[name] = np.array([kept.size, mean, np.sum((kept - mean) ** 2)])
        return state

    def join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        count = a[0] + b[0]
        if count == 0:
            return a
        with np.errstate(invalid="ignore", over="ignore"):
            if not np.isfinite([a[1], b[1]]).all():
                return np.array([count, a[1] + b[1], math.nan])
            step = b[1] - a[1]
            mean = a[1] + step * (b[0] / count)
            return np.array([count, mean, a[2] + b[2] + step**2 * (a[0] * b[0] / count)])

    def finish(state: State) -> Summary:
        def measure(values: np.ndarray, total: int) -> Measure:
            count, mean, square = int(values[0]), values[1], values[2]
            sd = math.sqrt(square / (count - 1)) if count > 1 else math.nan
            mean = float(mean) if count else math.nan
            return Measure(mean, sd / math.sqrt(max(count, 1)), sd, count, total - count)

        return summary_of(state, measure)

    return Reducer("moments", lift, merger(join), finish)


def rejection_rate(level: float = 0.05) -> Reducer:
    """Share of replicates in which each column of p-values is at most `level`.

    Raises:
      ValueError: level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), not {level!r}")

    def lift(columns: Columns) -> State:
        state = statuses_of(columns)
        for name, values in measures_of(columns):
            known = ~np.isnan(values)
            state[name] = np.array([known.sum(), (values[known] <= level).sum()], np.int64)
        return state

    def finish(state: State) -> Summary:
        def rate(values: np.ndarray, total: int) -> Rate:
            return rate_of(int(values[1]), int(values[0]), total - int(values[0]))

        return summary_of(state, rate)

    return Reducer(f"rejection_rate({level})", lift, merger(np.add), finish)


def rate_of(hits: int, count: int, missing: int = 0) -> Rate:
    """A share with its standard error; at 0 and 1 that of the Agresti-Coull rate (hits + 2)."""
    if count == 0:
        return Rate(math.nan, math.nan, 0, missing)
    share = hits / count
    spread, size = (share, count) if 0 < hits < count else ((hits + 2) / (count + 4), count + 4)
    return Rate(share, math.sqrt(spread * (1 - spread) / size), count, missing)


def stack() -> Reducer:
    """Every replicate, as columns [count]: memory in proportion to the count."""

    def lift(columns: Columns) -> State:
        statuses_of(columns)  # refused as by the other reducers
        return {name: np.asarray(values) for name, values in columns.items()}

    def join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a, b])

    return Reducer("stack", lift, lambda a, b: {k: join(a[k], b[k]) for k in a}, dict, True)


def combine(**reducers: Reducer) -> Reducer:
    """Several reducers over the same replicates; the result is a dict by their names.

    Raises:
      ValueError: no reducer.
    """
    if not reducers:
        raise ValueError("combine needs at least one reducer")

    def lift(columns: Columns) -> State:
        lifted = {name: reducer.lift(columns) for name, reducer in reducers.items()}
        return {f"{name}:{key}": v for name, state in lifted.items() for key, v in state.items()}

    def part(state: State, name: str) -> State:
        prefix = f"{name}:"
        return {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}

    def merge(a: State, b: State) -> State:
        merged = {name: r.merge(part(a, name), part(b, name)) for name, r in reducers.items()}
        return {f"{name}:{key}": v for name, state in merged.items() for key, v in state.items()}

    def finish(state: State) -> dict[str, Any]:
        return {name: reducer.finish(part(state, name)) for name, reducer in reducers.items()}

    described = ", ".join(f"{name}={reducer.name}" for name, reducer in reducers.items())
    keeps_all = any(reducer.keeps_all for reducer in reducers.values())
    return Reducer(f"combine({described})", lift, merge, finish, keeps_all)
