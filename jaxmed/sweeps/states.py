"""States of reducers: flat dicts of arrays, with how replicates ended beside the numbers."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxmed import status

__all__ = [
    "STATUS",
    "Columns",
    "Reducer",
    "State",
    "Summary",
    "count_codes",
    "is_status",
    "measures_of",
    "merger",
    "statuses_of",
    "summary_of",
]

Columns = Mapping[str, np.ndarray]
State = dict[str, np.ndarray]

_CODES = 64  # status codes lie below
STATUS = "status"  # the last part of a column's name that holds status codes


@dataclasses.dataclass(frozen=True)
class Reducer:
    """Lift a chunk of columns to a state, merge states in order, finish to a result.

    Attributes:
      name: with its settings; part of a study's identity.
      lift: columns of one chunk, leaves [k] -> state.
      merge: associative; earlier replicates first.
      finish: state -> result.
      keeps_all: the state holds every replicate, memory in proportion to their number.
    """

    name: str
    lift: Callable[[Columns], State]
    merge: Callable[[State, State], State]
    finish: Callable[[State], Any]
    keeps_all: bool = False


@dataclasses.dataclass(frozen=True)
class Summary:
    """Result of a sweep: a value per column, and how replicates ended, by status."""

    values: Mapping[str, Any]  # column -> Measure, Rate, ...
    statuses: Mapping[str, Mapping[str, int]]  # method -> name of the status -> replicates
    count: int

    def __getitem__(self, column: str) -> Any:
        """The value of one column."""
        return self.values[column]


def count_codes(column: str, codes: np.ndarray) -> dict[str, int]:
    """Replicates by the name of their status.

    Raises:
      ValueError: codes that are no integers of `jaxmed.status`; it names the column.
    """
    found, counts = np.unique(_checked(column, codes), return_counts=True)
    return {status.NAMES[int(code)]: int(n) for code, n in zip(found, counts, strict=True)}


def _checked(column: str, codes: np.ndarray) -> np.ndarray:
    codes = np.asarray(codes)
    if not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(
            f"column {column!r} must hold the integer codes of jaxmed.status, not {codes.dtype}: "
            "give the measure another name than 'status'"
        )
    unknown = np.unique(codes[~np.isin(codes, list(status.NAMES))]).tolist()
    if unknown:
        raise ValueError(
            f"column {column!r} holds {unknown[:5]}, which are no codes of jaxmed.status"
        )
    return codes.astype(np.int64)


def is_status(name: str) -> bool:
    """True for a column of status codes."""
    return name.rsplit("/", 1)[-1] == STATUS


def measures_of(columns: Columns) -> list[tuple[str, np.ndarray]]:
    """Columns other than statuses, as float64, NaN where their method's status is fatal."""
    found = []
    for name, values in columns.items():
        if is_status(name):
            continue
        values = np.asarray(values, np.float64)
        code = columns.get("/".join([*name.split("/")[:-1], STATUS]))
        if code is not None:
            values = np.where(np.asarray(code) >= status.FIRST_FATAL, np.nan, values)
        found.append((name, values))
    return found


def statuses_of(columns: Columns) -> State:
    """Counts by status code, and the number of replicates under "#".

    Raises:
      ValueError: no column, or a status column of anything but known codes.
    """
    if not columns:
        raise ValueError(
            "the task returned {}: a replicate needs at least one named scalar to be kept"
        )
    first = next(iter(columns.values()))
    state: State = {"#": np.array([len(first)], np.int64)}
    for name, values in columns.items():
        if is_status(name):
            state[name] = np.bincount(_checked(name, values), minlength=_CODES)
    return state


def merger(join: Callable[[Any, Any], np.ndarray]) -> Callable[[State, State], State]:
    """A merge that joins measures and adds up counts of replicates and statuses."""

    def merge(a: State, b: State) -> State:
        added = {k for k in a if k == "#" or is_status(k)}
        return {k: a[k] + b[k] if k in added else np.asarray(join(a[k], b[k])) for k in a}

    return merge


def summary_of(state: State, value: Callable[[np.ndarray, int], Any]) -> Summary:
    """The summary of a state; `value` finishes one measure, given it and the replicates in all."""
    total = int(state["#"][0])
    values = {k: value(v, total) for k, v in state.items() if k != "#" and not is_status(k)}
    statuses = {
        k.rpartition("/")[0]: {status.NAMES[int(c)]: int(v[c]) for c in np.flatnonzero(v)}
        for k, v in state.items()
        if is_status(k)
    }
    return Summary(values, statuses, total)
