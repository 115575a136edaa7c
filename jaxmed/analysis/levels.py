"""An exposure of several levels: one result for each against the reference, and a joint test."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxmed.data.atomic import atomic_write
from jaxmed.data.covariate_basis import covariate_basis
from jaxmed.data.data_report import DataReport
from jaxmed.data.levels import LevelsData
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import InvalidDataError, ShapeError
from jaxmed.distributions.tails import f_upper
from jaxmed.estimators.parts.exact import no_residual
from jaxmed.reports.format import degrees_of_freedom, number, p_value
from jaxmed.reports.index_page import IndexEntry, index_entry, index_html
from jaxmed.reports.record import Record, result_json
from jaxmed.reports.result_form import VERSIONS

__all__ = ["JointTest", "LevelsResult", "joint_test_of_levels", "over_levels"]

LONGEST = 50  # letters of a level in the name of its folder; file systems take 255 bytes
SCHEMA = "jaxmed.levels"
SCHEMA_VERSION = VERSIONS[SCHEMA]


class Result(Protocol):
    """What an analysis of one contrast returns."""

    def summary(self) -> str:
        """For a terminal."""
        ...

    def save(self, directory: str | Path, *, figures: bool = True) -> list[Path]:
        """Writes its files."""
        ...


@dataclasses.dataclass(frozen=True)
class JointTest:
    """All levels have the same mean outcome given the covariates."""

    statistic: float  # F
    df: int  # levels - 1
    df_residual: int
    p_value: float  # NaN where no residual is left
    rows: int

    def sentence(self, exposure: str) -> str:
        """The test in words."""
        return (
            f"Total effect of {exposure}, all levels: F = {number(self.statistic)} on "
            f"{self.df} and {degrees_of_freedom(self.df_residual)} degrees of freedom, "
            f"p = {p_value(self.p_value)} ({self.rows} rows)"
        )


@dataclasses.dataclass(frozen=True)
class LevelsResult:
    """Results of every level against the reference.

    Attributes:
      exposure: its name.
      reference: the level that is 0 in each of them.
      levels: level -> result of the analysis of its rows and the reference's.
      joint: F test of the total effect of all levels at once.
      files: those that the data came from, with their SHA-256; None for data from memory.
    """

    exposure: str
    reference: str
    levels: dict[str, Any]
    joint: JointTest
    files: list[dict[str, str]] | None = None

    def summary(self) -> str:
        """The joint test, then every result, for a terminal."""
        parts = [self.joint.sentence(self.exposure)]
        for level, result in self.levels.items():
            parts += ["", f"=== {self._title(level)} ===", result.summary()]
        return "\n".join(parts)

    def _title(self, level: str) -> str:
        return f"{self.exposure}: {level} against {self.reference}"

    def to_dict(self) -> dict[str, Any]:
        """The joint test and the levels, ready for JSON."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "exposure": self.exposure,
            "reference": self.reference,
            "levels": self._folders(),
            "joint": dataclasses.asdict(self.joint),
            "data": {"files": self.files},
        }

    def _folders(self) -> dict[str, str]:
        """A folder for each level, named after it as far as file systems allow."""
        found: dict[str, str] = {}
        for position, level in enumerate(self.levels, start=1):
            plain = re.sub(r"[^\w.-]+", "_", level)[:LONGEST].strip("._") or "level"
            taken = plain.lower() in (name.lower() for name in found.values())
            found[level] = f"{plain}_{position}" if taken else plain
        return found

    def save(self, directory: str | Path, *, figures: bool = True) -> list[Path]:
        """Writes a folder for each level, levels.json, and index.html that leads to them."""
        folder = Path(directory)
        written: list[Path] = []
        entries = []
        for level, name in self._folders().items():
            written += self.levels[level].save(folder / name, figures=figures)
            entries.append(_entry(self.levels[level], self._title(level), f"{name}/report.html"))
        text = result_json(self.to_dict()) + "\n"
        written.append(atomic_write(folder / "levels.json", text.encode()))
        page = index_html(entries, self.joint.sentence(self.exposure))
        return [*written, atomic_write(folder / "index.html", page)]


def _entry(result: Any, title: str, link: str) -> IndexEntry:
    """With the answer, where the analysis of a level has one."""
    record = getattr(result, "record", None)
    return (
        index_entry(record, title, link) if isinstance(record, Record) else IndexEntry(title, link)
    )


def over_levels(
    data: LevelsData,
    analyse: Callable[[MediationData, DataReport], Result],
    *,
    basis: Any = "auto",
) -> LevelsResult:
    """The same analysis of every level against the reference, and the joint test.

        jaxmed.over_levels(data, lambda d, report: jaxmed.compare(d, ["ols"], key=0, source=report))

    Args:
      data: from `levels_from_frame`.
      analyse: called with the data of one contrast and what happened on the way to them.
      basis: of the covariates in the joint test, see `covariate_basis`.

    Raises:
      InvalidDataError, ShapeError: of the analysis of a level, which is named.
    """
    found = {}
    for level, part in data.levels.items():
        try:
            found[level] = analyse(part.data, part.report)
        except (InvalidDataError, ShapeError) as error:
            said = f"level {level!r} against {data.reference!r}: {error}"
            raise type(error)(said) from error
    files = next(iter(data.levels.values())).report.files()  # all levels are of one table
    joint = joint_test_of_levels(data, basis=basis)
    return LevelsResult(data.exposure, data.reference, found, joint, files)


def joint_test_of_levels(data: LevelsData, *, basis: Any = "auto") -> JointTest:
    """F test that the outcome's mean given the covariates is the same at all levels.

    Outcome ~ [1, basis of the covariates] against the same with an indicator for each level but
    the reference, weighted least squares with case weights. Exact for normal errors of equal
    variance, else approximate. The rows are those of all levels.

    Source: the general linear hypothesis, k - 1 degrees of freedom.
    """
    whole = data.whole
    design = covariate_basis(whole, basis)
    n = len(whole.exposure)
    weights = np.ones(n) if whole.weights is None else np.asarray(whole.weights, np.float64)
    root = np.sqrt(weights)[:, None]
    codes = np.asarray(whole.exposure).astype(int)
    indicators = (codes[:, None] == np.arange(1, len(data.levels) + 1)).astype(float)
    base = np.column_stack([np.ones(n), np.asarray(design.columns, np.float64)]) * root
    outcome = np.asarray(whole.outcome, np.float64)
    outcome = outcome / (np.abs(outcome).max() or 1.0) * root[:, 0]  # F has no units
    # Orthogonal bases: the second is what the levels add to the first.
    first, _ = np.linalg.qr(base)
    added = indicators * root - first @ (first.T @ (indicators * root))
    left = outcome - first @ (first.T @ outcome)
    size = np.linalg.norm(indicators * root, axis=0)
    second, values, _ = np.linalg.svd(added / np.where(size > 0, size, 1), full_matrices=False)
    second = second[:, values > 1e-10]
    explained = float(np.sum((second.T @ left) ** 2))
    df = second.shape[1]
    df_residual = int((weights > 0).sum()) - base.shape[1] - df
    whole_ss = float(left @ left)
    residual = max(whole_ss - explained, 0.0)
    sums: Any = (np.float64(residual), np.float64(whole_ss))
    if df == 0 or df_residual < 1 or no_residual(*sums):
        return JointTest(float("nan"), df, df_residual, float("nan"), n)
    statistic = explained / df / (residual / df_residual)
    return JointTest(statistic, df, df_residual, float(f_upper(statistic, df, df_residual)), n)
