"""What stands between the table read and the data analysed."""

import dataclasses
from typing import Any, Protocol

from jaxmed.data.mediation_data import NanPolicy


class Source(Protocol):
    """Where the numbers of an analysis come from, in words and for JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, ready for JSON."""
        ...

    def lines(self) -> list[str]:
        """Sentences for a human."""
        ...


@dataclasses.dataclass(frozen=True)
class DataReport:
    """Rows, missing values and codings of one `from_frame`, for reports and JSON."""

    rows_read: int
    rows_where: int  # left by `where`
    rows_contrast: int  # of these, left by the contrast
    rows_used: int  # of these, left by the missing-value policy
    where: str | None
    contrast: tuple[str, str] | None  # (reference, treated) of a categorical exposure
    nan_policy: NanPolicy
    missing: dict[str, int]  # column -> rows with a missing value (only columns that have any)
    dummies: dict[str, tuple[str, ...]]  # categorical covariate -> its 0/1 columns
    reference_levels: dict[str, str]  # categorical covariate -> the level left out
    exposure_levels: tuple[str, ...]  # of a categorical exposure, before the contrast

    @property
    def rows_dropped(self) -> int:
        """Rows left out for a missing value."""
        return self.rows_contrast - self.rows_used

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, ready for JSON."""
        return dataclasses.asdict(self) | {"rows_dropped": self.rows_dropped}

    def lines(self) -> list[str]:
        """Sentences for a human."""
        found = [f"{self.rows_read} rows read"]
        if self.where is not None:
            found.append(f"{self.rows_where} rows with {self.where}")
        if self.contrast is not None:
            reference, treated = self.contrast
            found.append(
                f"{self.rows_contrast} rows with exposure {reference} (0) or {treated} (1)"
            )
        if self.missing:
            each = ", ".join(f"{name} {count}" for name, count in self.missing.items())
            found.append(f"{self.rows_dropped} rows dropped for missing values ({each})")
        for name, dummies in self.dummies.items():
            shown = ", ".join(dummies) or "nothing"
            found.append(f"{name} coded as {shown}, reference {self.reference_levels[name]}")
        return [*found, f"{self.rows_used} rows used"]
