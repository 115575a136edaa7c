"""What `mediate` returns."""

import dataclasses
from pathlib import Path
from typing import Any

from jaxmed.analysis.fit import Fit
from jaxmed.deprecations import warn
from jaxmed.reports import figures, save, text
from jaxmed.reports.record import Record
from jaxmed.reports.table import Table, data_frame

__all__ = ["MediationResult"]

_EFFECTS = ("quantity", "method", "estimate", "lower", "upper", "standard_error", "status")
_TESTS = ("test", "statistic", "df", "p_value", "status")
_COMPOSITES = ("label", "exposure_effect", "outcome_effect", "indirect", "direct", "status")
_THREATS = ("code", "severity", "measured", "threshold", "sentence")


class _CalledBefore(Table):
    """A table that was a function: a call warns, and gives its rows."""

    def __call__(self) -> list[dict[str, Any]]:
        """The rows, as before."""
        warn("call", f"jaxmed.MediationResult.{self.old}()")
        return [dict(row) for row in self.rows]

    old = ""


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

    @property
    def effects(self) -> Table:
        """One row per estimand and estimator, those of record first; by `quantity`."""
        return _called_before("effects", self.record.document["effects"], "quantity", _EFFECTS)

    @property
    def tests(self) -> Table:
        """All tests with what they test and when they are exact; by `test`."""
        return _called_before("tests", self.record.document["tests"], "test", _TESTS)

    @property
    def composites(self) -> Table:
        """Composites in sample; by `label`. Their weights are in `mediators`."""
        return Table(self.record.document["composites"], "label", _COMPOSITES)

    @property
    def mediators(self) -> Table:
        """One row per mediator given; by `name`."""
        columns = {name: values.tolist() for name, values in self.record.mediators.items()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        shown = ("name", "alpha", "beta", "indirect", "p_value", "q_value")
        return Table(rows, "name", shown)

    @property
    def threats(self) -> Table:
        """What may be wrong with the analysis, as far as the data tell; by `code`."""
        return Table(self.record.document["threats"], "code", _THREATS)

    @property
    def methods(self) -> tuple[str, ...]:
        """Estimators of direct and indirect effect, the one of record first."""
        return tuple(self.record.document["choice"]["methods"])

    @property
    def reason(self) -> str:
        """Why these estimators."""
        return self.record.document["choice"]["reason"]

    def methods_text(self) -> str:
        """Paragraphs for the methods section of a paper, and what they cite."""
        document = self.record.document
        cited = [f"{entry['text']} {entry['link']}".rstrip() for entry in document["citations"]]
        return "\n\n".join([*document["methods_text"], *cited])

    def plot_paths(self) -> Any:
        """Figure: the two paths, their angle, bisector and MaxCor direction."""
        return figures.path_plane(self.record)

    def plot_decomposition(self) -> Any:
        """Figure: effects by estimator with intervals, and how the parts add up."""
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


def _called_before(
    old: str, rows: list[dict[str, Any]], index: str, shown: tuple[str, ...]
) -> _CalledBefore:
    table = _CalledBefore(rows, index, shown)
    table.old = old
    return table
