"""What `compare` returns: one table over methods, one over methods and mediators."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.reports import comparison as report
from jaxmed.reports.comparison_figure import comparison_figure
from jaxmed.reports.record import result_json
from jaxmed.reports.result_form import VERSIONS
from jaxmed.reports.table import data_frame

__all__ = ["SCHEMA", "SCHEMA_VERSION", "Comparison", "MethodTable", "stacked"]

SCHEMA = "jaxmed.compare"
SCHEMA_VERSION = VERSIONS[SCHEMA]


@dataclasses.dataclass(frozen=True)
class MethodTable:
    """Effects by method and mediators by method, and ways to show them.

    Attributes:
      document: plain Python values: schema, software, settings, data, table (a row per method),
        warnings.
      mediators: columns of the long table, a row per method and mediator.
    """

    document: dict[str, Any]
    mediators: dict[str, np.ndarray] = dataclasses.field(repr=False)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table, one dict per method."""
        return self.document["table"]

    @property
    def table(self) -> dict[str, list[Any]]:
        """The table by columns; failed resamples as text."""
        flat = report.flat_rows(self.document)
        return {column: [row[column] for row in flat] for column in flat[0]}

    def __getitem__(self, method: str) -> dict[str, Any]:
        """The row of one method.

        Raises:
          KeyError: no such method, with the ones there are.
        """
        for row in self.rows:
            if row["method"] == method:
                return row
        raise KeyError(f"no method {method!r}; there are {[r['method'] for r in self.rows]}")

    def summary(self) -> str:
        """The tables and notes for a terminal."""
        return report.summary_of_comparison(self.document)

    def to_json(self) -> str:
        """The document as strict JSON; the mediators are in the CSV file of `save`."""
        return result_json(self.document)

    def plot(self) -> Any:
        """Figure: direct, indirect and total effect of every method with its intervals."""
        return comparison_figure(self.document)

    def save(self, directory: str | Path, *, figures: bool = True) -> list[Path]:
        """Writes the tables as csv and json, the figure as png and svg, and report.html.

        Raises:
          MissingExtraError: matplotlib or jinja2 is not installed.
        """
        return report.save_comparison(self.document, self.mediators, directory, figures=figures)


class Comparison(MethodTable):
    """Several methods on one data set; see `MethodTable` for what it holds."""

    def to_pandas(self) -> Any:
        """One row per method as a pandas DataFrame, indexed by method.

        Raises:
          ImportError: pandas is not installed (extra `io`).
        """
        return data_frame(self.table).set_index("method")

    def mediators_to_pandas(self) -> Any:
        """One row per method and mediator as a pandas DataFrame, indexed by both.

        Raises:
          ImportError: pandas is not installed (extra `io`).
        """
        return data_frame(self.mediators).set_index(["method", "mediator"])


def stacked(tables: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Tables of the same columns, one below the other."""
    return {column: np.concatenate([t[column] for t in tables]) for column in tables[0]}
