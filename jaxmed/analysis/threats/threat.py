"""One threat to the validity of an analysis: what was measured, in words and figures."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, Literal

__all__ = ["CODES", "Severity", "Threat", "ordered", "percent", "plural"]

Severity = Literal["stop", "warn", "note"]
SEVERITIES: tuple[Severity, ...] = ("stop", "warn", "note")
# In the order in which they are told.
CODES = (
    "SCREENED_UNKNOWN",
    "CROSSFIT_ABOVE_TOTAL",
    "OVERLAP",
    "SITE_EXPOSURE",
    "OUTCOME_01",
    "OUTCOME_COUNT",
    "RARE_01",
    "CLUSTERS",
    "LEVERAGE",
    "OUTLIERS",
    "ZERO_INFLATED",
    "BATCH",
    "TOTAL_NEAR_ZERO",
    "COLLINEAR_EXPOSURE",
)


@dataclasses.dataclass(frozen=True)
class Threat:
    """What is wrong, or may be.

    Attributes:
      code: one of CODES.
      severity: "stop" withholds the headline, "warn" stands in it, "note" in the list.
      measured: the figure, None where nothing can be measured.
      threshold: what it was compared with.
      sentence: for a reader of the report.
      remedy: what can be done, or "".
    """

    code: str
    severity: Severity
    measured: float | None
    threshold: float | None
    sentence: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, ready for JSON."""
        plain = dataclasses.asdict(self)
        return plain | {name: _number(plain[name]) for name in ("measured", "threshold")}


def _number(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def ordered(threats: Iterable[Threat]) -> list[dict[str, Any]]:
    """The threats as plain values: those that stop first, then in the order of CODES."""

    def rank(threat: Threat) -> tuple[int, int]:
        return SEVERITIES.index(threat.severity), CODES.index(threat.code)

    return [threat.to_dict() for threat in sorted(threats, key=rank)]


def percent(share: float) -> str:
    """A share as "6 %"; two digits below one percent."""
    return f"{100 * share:.2g} %" if share < 0.01 else f"{100 * share:.0f} %"


def plural(count: float, noun: str) -> str:
    """A count with its noun: "1 row", "1,200 rows"."""
    return f"{round(count):,} {noun}{'' if round(count) == 1 else 's'}"
