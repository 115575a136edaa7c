"""What `mediate` returns."""

import dataclasses
from pathlib import Path
from typing import Any

from jaxmed.analysis.fit import Fit
from jaxmed.reports import figures, save, text
from jaxmed.reports.record import Record


def data_frame(table: Any) -> Any:
    """A pandas DataFrame; raises ImportError with the remedy where pandas is missing."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_pandas needs pandas: pip install 'jaxmed[io]'") from error
    return pandas.DataFrame(table)


@dataclasses.dataclass(frozen=True)
class MediationResult:
    """Estimates, tests, intervals and tables of one analysis, and ways to show them."""

    record: Record
    fit: Fit  # the arrays behind the record: paths, composites, tests

    def summary(self) -> str:
        """The analysis in words and numbers, for a terminal."""
        return text.summary(self.record)

    def verdict(self) -> str:
        """The finding in one line, computed from the tests and intervals."""
        return text.one_line(self.record)

    def to_json(self) -> str:
        """The document of `result.json`: versioned schema, strict JSON."""
        return self.record.to_json()

    def to_pandas(self) -> Any:
        """One row per mediator as a pandas DataFrame, indexed by name.

        Raises:
          ImportError: pandas is not installed (extra `io`).
        """
        return data_frame(self.record.mediators).set_index("name")

    def effects(self) -> list[dict[str, Any]]:
        """Total, direct, indirect, concordant, suppression and cross-fitted effects."""
        return self.record.document["effects"]

    def tests(self) -> list[dict[str, Any]]:
        """All tests with what they test and when they are exact."""
        return self.record.document["tests"]

    def plot_paths(self) -> Any:
        """Figure: the two paths, their angle, bisector and MaxCor direction."""
        return figures.path_plane(self.record)

    def plot_decomposition(self) -> Any:
        """Figure: total effect, direct and indirect, concordant and suppression, with intervals."""
        return figures.decomposition(self.record)

    def plot_weights(self) -> Any:
        """Figure: the largest weights of the first composite."""
        return figures.top_weights(self.record)

    def plot_alpha_beta(self) -> Any:
        """Figure: alpha against beta of all mediators."""
        return figures.alpha_beta(self.record)

    def plot_scores(self) -> Any:
        """Figure: composite score against exposure and outcome."""
        return figures.scores(self.record)

    def save(self, directory: str | Path, *, figures: bool = True) -> list[Path]:
        """Writes result.json, mediators.csv, figures and report.html; returns the paths."""
        return save.save(self.record, directory, figures=figures)
