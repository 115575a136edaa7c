"""A finished study: its tables on a terminal, and its page."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxmed.reports.sections import Section
from jaxmed.reports.study_page import StudyReport, save_study, study_text
from jaxmed.studies.study import Study, precision_of

__all__ = ["StudyResult"]


@dataclasses.dataclass(frozen=True)
class StudyResult:
    """A finished study.

    Attributes:
      study: what was run.
      plan: scale, seed, precision, versions and cells.
      results: cell name -> what its reducer finished with.
      once: what `study.once` computed.
      sections: what the study shows.
    """

    study: Study
    plan: Mapping[str, Any]
    results: Mapping[str, Any]
    once: Mapping[str, Any]
    sections: Sequence[Section]

    def summary(self) -> str:
        """Every table, for a terminal."""
        return study_text(self._report())

    def save(self, directory: str | Path, *, figures: bool = True) -> list[Path]:
        """Writes report.html and report.txt, tables/*.csv, figures/*.png and *.svg.

        Raises:
          MissingExtraError: jinja2, or matplotlib for a figure, is not installed.
        """
        with precision_of(self.study):  # figures are computed only now
            return save_study(self._report(), directory, figures=figures)

    def _report(self) -> StudyReport:
        return StudyReport(self.study.title, self.plan, self.sections, self.results)
