"""How the replicates of a study ended, by method and status."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxmed import status
from jaxmed.reports.sections import TidyTable
from jaxmed.sweeps.states import Summary, count_codes

__all__ = ["ending_rows", "ending_table"]

_FATAL = {name for code, name in status.NAMES.items() if code >= status.FIRST_FATAL}


def ending_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per cell, method and status, for a CSV file.

    Args:
      results: cell name -> result of its reducer. Summaries and stacked columns (alone or of
        `combine`) are read; results of a user's own reducer have no rows.

    Raises:
      ValueError: a stacked status column of anything but known codes.
    """
    return [
        {"cell": cell, "method": method, "status": name, "replicates": count}
        for cell, result in results.items()
        for method, counts in _statuses(result).items()
        for name, count in counts.items()
    ]


def ending_table(rows: list[dict[str, Any]]) -> TidyTable:
    """The same over all cells, one row per method."""
    methods: dict[str, Counter[str]] = {}
    for row in rows:
        methods.setdefault(row["method"], Counter())[row["status"]] += row["replicates"]
    return TidyTable(
        {"method": "Method", "replicates": "Replicates", "fatal": "Left out", "ended": "Ended as"},
        [
            {
                "method": method or "(all)",
                "replicates": counts.total(),
                "fatal": sum(number for name, number in counts.items() if name in _FATAL),
                "ended": ", ".join(f"{name} {number}" for name, number in counts.most_common()),
            }
            for method, counts in methods.items()
        ],
        "All cells together. A replicate without an estimate is left out of the summaries of its "
        "method and counted here; statuses.csv has every cell.",
    )


def _statuses(result: Any) -> Mapping[str, Mapping[str, int]]:
    """Method -> status -> replicates."""
    if isinstance(result, Summary):
        return result.statuses
    if not isinstance(result, Mapping):
        return {}
    stacked = dict(_stacked(result))
    # The reducers of a `combine` have all seen the same replicates: the first that tells will do.
    return stacked or next((found for part in result.values() if (found := _statuses(part))), {})


def _stacked(columns: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, int]]]:
    for name, values in columns.items():
        method, _, measure = str(name).rpartition("/")
        if measure == "status" and isinstance(values, np.ndarray):
            yield method, count_codes(str(name), values)
