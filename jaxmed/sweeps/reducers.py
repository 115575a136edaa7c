"""What a sweep keeps of its replicates: associative reducers over named columns.

A reducer is (lift, merge, finish). States are flat dicts of NumPy arrays, so that the same object
folds chunks of a program, devices, workers and files. Columns are float64 on the host; they are
folded in the order of the replicates, which makes the result the same to the last bit wherever
and whenever the chunks were computed.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxmed import status

__all__ = [
    "Columns",
    "Measure",
    "Quantile",
    "Rate",
    "Reducer",
    "State",
    "Summary",
    "combine",
    "moments",
    "quantiles",
    "rate_of",
    "rejection_rate",
    "stack",
]

Columns = Mapping[str, np.ndarray]
State = dict[str, np.ndarray]

_CODES = 64  # status codes lie below
_STATUS = "status"


@dataclasses.dataclass(frozen=True)
class Reducer:
    """Lift a chunk of columns to a state, merge states in order, finish to a result.

    Attributes:
      name: with its settings; part of a study's identity.
      lift: columns of one chunk, leaves [k] -> state.
      merge: associative; earlier replicates first.
      finish: state -> result.
    """

    name: str
    lift: Callable[[Columns], State]
    merge: Callable[[State, State], State]
    finish: Callable[[State], Any]


@dataclasses.dataclass(frozen=True)
class Measure:
    """Mean of one column with its Monte Carlo standard error."""

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


@dataclasses.dataclass(frozen=True)
class Quantile:
    """A quantile of one column with its Monte Carlo standard error."""

    value: float
    standard_error: float
    count: int
    missing: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """Result of a sweep: a value per column, and how replicates ended, by status."""

    values: Mapping[str, Any]  # column -> Measure, Rate, ...
    statuses: Mapping[str, Mapping[str, int]]  # method -> name of the status -> replicates
    count: int

    def __getitem__(self, column: str) -> Any:
        """The value of one column."""
        return self.values[column]


def moments() -> Reducer:
    """Mean, standard deviation and Monte Carlo standard error of every column."""

    def lift(columns: Columns) -> State:
        state = _statuses(columns)
        for name, values in _measures(columns):
            kept = values[np.isfinite(values)]
            mean = kept.mean() if kept.size else 0.0
            state[name] = np.array([kept.size, mean, np.sum((kept - mean) ** 2)])
        return state

    def join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        count = a[0] + b[0]
        if count == 0:
            return a
        step = b[1] - a[1]
        mean = a[1] + step * (b[0] / count)
        return np.array([count, mean, a[2] + b[2] + step**2 * (a[0] * b[0] / count)])

    def finish(state: State) -> Summary:
        def measure(values: np.ndarray, total: int) -> Measure:
            count, mean, square = int(values[0]), values[1], values[2]
            sd = math.sqrt(square / (count - 1)) if count > 1 else math.nan
            mean = float(mean) if count else math.nan
            return Measure(mean, sd / math.sqrt(max(count, 1)), sd, count, total - count)

        return _summary(state, measure)

    return Reducer("moments", lift, _merger(join), finish)


def rejection_rate(level: float = 0.05) -> Reducer:
    """Share of replicates in which each column of p-values is at most `level`.

    Raises:
      ValueError: level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), not {level!r}")

    def lift(columns: Columns) -> State:
        state = _statuses(columns)
        for name, values in _measures(columns):
            known = ~np.isnan(values)
            state[name] = np.array([known.sum(), (values[known] <= level).sum()], np.int64)
        return state

    def finish(state: State) -> Summary:
        def rate(values: np.ndarray, total: int) -> Rate:
            return rate_of(int(values[1]), int(values[0]), total - int(values[0]))

        return _summary(state, rate)

    return Reducer(f"rejection_rate({level})", lift, _merger(np.add), finish)


def rate_of(hits: int, count: int, missing: int = 0) -> Rate:
    """A share with its standard error; at 0 and 1 that of the Agresti-Coull rate (hits + 2)."""
    if count == 0:
        return Rate(math.nan, math.nan, 0, missing)
    share = hits / count
    spread, size = (share, count) if 0 < hits < count else ((hits + 2) / (count + 4), count + 4)
    return Rate(share, math.sqrt(spread * (1 - spread) / size), count, missing)


def quantiles(probabilities: Sequence[float], accuracy: float = 1e-3) -> Reducer:
    """Quantiles of every column, each within a relative `accuracy`, in memory of fixed size.

    Values are counted in bins of a geometric grid, so that states merge exactly and in any
    order. The standard error of a quantile is half the distance of the order statistics one
    binomial standard deviation to either side.

    Raises:
      ValueError: probabilities outside (0, 1).
    """
    probabilities = tuple(probabilities)
    if not all(0 < p < 1 for p in probabilities):
        raise ValueError(f"probabilities must lie in (0, 1), not {probabilities}")
    step = 2 * math.log1p(accuracy)
    smallest = 1e-30

    def lift(columns: Columns) -> State:
        state = _statuses(columns)
        for name, values in _measures(columns):
            kept = values[np.isfinite(values)]
            size = np.abs(kept)
            power = np.floor(np.log(np.maximum(size, smallest) / smallest) / step).astype(np.int64)
            index = np.where(size > smallest, np.sign(kept).astype(np.int64) * (power + 1), 0)
            state[name] = np.stack(np.unique(index, return_counts=True))
        return state

    def join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        index, inverse = np.unique(np.concatenate([a[0], b[0]]), return_inverse=True)
        counts = np.zeros(index.size, np.int64)
        np.add.at(counts, inverse, np.concatenate([a[1], b[1]]))
        return np.stack([index, counts])

    def value(index: float) -> float:
        if index == 0:
            return 0.0
        return math.copysign(smallest * math.exp(step * (abs(index) - 0.5)), index)

    def finish(state: State) -> Summary:
        def found(bins: np.ndarray, total: int) -> dict[float, Quantile]:
            below = np.cumsum(bins[1])
            count = int(below[-1]) if below.size else 0

            def at(rank: float) -> float:
                place = min(max(math.ceil(rank), 1), count)
                return value(bins[0][np.searchsorted(below, place)])

            if not count:
                return {p: Quantile(math.nan, math.nan, 0, total) for p in probabilities}
            result = {}
            for p in probabilities:
                spread = math.sqrt(count * p * (1 - p))
                error = (at(count * p + spread) - at(count * p - spread)) / 2
                result[p] = Quantile(at(count * p), error, count, total - count)
            return result

        return _summary(state, found)

    return Reducer(f"quantiles({probabilities}, {accuracy})", lift, _merger(join), finish)


def stack() -> Reducer:
    """Every replicate, as columns [count]; the one reducer whose memory grows with the count."""

    def lift(columns: Columns) -> State:
        return {name: np.asarray(values) for name, values in columns.items()}

    def join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a, b])

    return Reducer("stack", lift, lambda a, b: {k: join(a[k], b[k]) for k in a}, dict)


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
    return Reducer(f"combine({described})", lift, merge, finish)


def _is_status(name: str) -> bool:
    return name.rsplit("/", 1)[-1] == _STATUS


def _measures(columns: Columns) -> list[tuple[str, np.ndarray]]:
    """Columns other than statuses, as float64, NaN where their method's status is fatal."""
    found = []
    for name, values in columns.items():
        if _is_status(name):
            continue
        values = np.asarray(values, np.float64)
        code = columns.get("/".join([*name.split("/")[:-1], _STATUS]))
        if code is not None:
            values = np.where(np.asarray(code) >= status.FIRST_FATAL, np.nan, values)
        found.append((name, values))
    return found


def _statuses(columns: Columns) -> State:
    """Counts by status code, and the number of replicates under "#"."""
    first = next(iter(columns.values()))
    state: State = {"#": np.array([len(first)], np.int64)}
    for name, values in columns.items():
        if _is_status(name):
            state[name] = np.bincount(np.asarray(values, np.int64), minlength=_CODES)
    return state


def _merger(join: Callable[[Any, Any], np.ndarray]) -> Callable[[State, State], State]:
    def merge(a: State, b: State) -> State:
        added = {k for k in a if k == "#" or _is_status(k)}
        return {k: a[k] + b[k] if k in added else np.asarray(join(a[k], b[k])) for k in a}

    return merge


def _summary(state: State, value: Callable[[np.ndarray, int], Any]) -> Summary:
    total = int(state["#"][0])
    values = {k: value(v, total) for k, v in state.items() if k != "#" and not _is_status(k)}
    statuses = {
        k.rpartition("/")[0]: {status.NAMES[int(c)]: int(v[c]) for c in np.flatnonzero(v)}
        for k, v in state.items()
        if _is_status(k)
    }
    return Summary(values, statuses, total)
