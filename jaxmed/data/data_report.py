"""What stands between the table read and the data analysed."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from jaxmed.data.mediation_data import NanPolicy

SHOWN = 5
OF_ROWS = ("row_numbers", "group_codes")


class Source(Protocol):
    """Where the numbers of an analysis come from, in words and for JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, ready for JSON."""
        ...

    def lines(self) -> list[str]:
        """Sentences for a human."""
        ...

    def files(self) -> list[dict[str, str]] | None:
        """Name and SHA-256 of the files that were read; None for data from memory."""
        ...


@dataclasses.dataclass(frozen=True)
class DataReport:
    """Rows, missing values, conversions and codings of one `from_frame`, for reports and JSON."""

    rows_read: int
    rows_where: int  # left by `where`
    rows_contrast: int  # of these, left by the contrast
    rows_used: int  # of these, left by the missing-value policy
    where: str | None
    contrast: tuple[str, str] | None  # (reference, treated) of the exposure
    nan_policy: NanPolicy
    missing: dict[str, int]  # column -> rows with a missing value (only columns that have any)
    dummies: dict[str, tuple[str, ...]]  # categorical covariate -> its 0/1 columns
    reference_levels: dict[str, str]  # categorical covariate -> the level left out
    exposure_levels: tuple[str, ...]  # of a categorical exposure, before the contrast
    level_counts: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    coded: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)  # 0/1: (0, 1)
    converted: dict[str, str] = dataclasses.field(default_factory=dict)  # column -> how it was read
    merged: dict[str, str] = dataclasses.field(default_factory=dict)  # covariate -> merged levels
    without_role: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()  # sentences on columns that have no name of their own
    questions: tuple[str, ...] = ()  # sentences on what may be meant otherwise
    origin: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # file, sha256, dialect
    # Of the rows used; they serve while the data are at hand, and go into no file.
    # row_numbers: [n] as messages of the reader call them; group_codes: column without a role that
    # looks like groups of rows -> [n] int from 0, -1 where missing.
    row_numbers: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)
    group_codes: Mapping[str, np.ndarray] = dataclasses.field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def rows_dropped(self) -> int:
        """Rows left out for a missing value."""
        return self.rows_contrast - self.rows_used

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, ready for JSON."""
        origin = {key: value for key, value in self.origin.items() if key != "lines"}
        plain = dataclasses.asdict(dataclasses.replace(self, row_numbers=None, group_codes={}))
        for name in OF_ROWS:
            del plain[name]
        return plain | {"origin": origin, "rows_dropped": self.rows_dropped}

    def lines(self) -> list[str]:
        """Sentences for a human."""
        found = [*self._file(), f"{self.rows_read} rows read"]
        if self.where is not None:
            found.append(f"{self.rows_where} rows with {self.where}")
        if self.contrast is not None:
            reference, treated = self.contrast
            found.append(
                f"{self.rows_contrast} rows with exposure {reference} (0) or {treated} (1)"
            )
        if self.missing:
            each = listed([f"{name} {count}" for name, count in self.missing.items()])
            found.append(f"{self.rows_dropped} rows dropped for missing values ({each})")
        found += self._codings()
        found += self.aside
        if self.without_role:
            found.append(f"without a role: {listed(self.without_role)}")
        found += self.questions
        return [*found, f"{self.rows_used} rows used"]

    def files(self) -> list[dict[str, str]] | None:
        """Name and SHA-256 of the bytes of each file that was read; None for data from memory."""
        if "file" not in self.origin:
            return None
        read = (self.origin, *self.origin.get("beside", ()))
        return [{name: one[name] for name in ("file", "sha256")} for one in read]

    def _file(self) -> list[str]:
        said = [f"{one['file']}, sha256 {one['sha256'][:16]}..." for one in self.files() or ()]
        said += self.origin.get("lines", ())
        return ["; ".join(said)] if said else []

    def _codings(self) -> list[str]:
        found = []
        kinds: dict[str, list[str]] = {}
        for name, note in self.converted.items():
            kinds.setdefault(note, []).append(name)
        found += [f"{note}: {listed(names)}" for note, names in kinds.items()]
        found += [f"{name} coded {a} = 0, {b} = 1" for name, (a, b) in self.coded.items()]
        found += [f"{name}: rare levels merged, {what}" for name, what in self.merged.items()]
        for name, dummies in self.dummies.items():
            shown = listed(dummies) or "nothing"
            counts = self.level_counts.get(name, {})
            sizes = listed([f"{level} {count}" for level, count in counts.items()])
            found.append(
                f"{name} coded as {shown}, reference {self.reference_levels[name]}"
                + (f" (rows: {sizes})" if sizes else "")
            )
        return found


def listed(names: Sequence[str]) -> str:
    """The first few of a list, and how many there are more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
