"""Which estimates are on the log-odds scale, and where a share of the total effect may be said."""

from collections.abc import Mapping
from typing import Any

from jaxmed.reports.format import finite

__all__ = [
    "LOG_ODDS",
    "NEAR_ZERO",
    "composite_share",
    "least_squares_total",
    "on_log_odds",
    "withheld",
]

Entry = Mapping[str, Any]
Document = Mapping[str, Any]

LOG_ODDS = "on the log-odds scale"
LEAST_RATIO = 3  # total effect over its standard error, as of the threat TOTAL_NEAR_ZERO
NEAR_ZERO = (
    f"the total effect is less than {LEAST_RATIO} standard errors from zero, and a share of it has "
    "no stable meaning"
)


def on_log_odds(document: Document, entry: Entry | None) -> bool:
    """True where the estimator of the entry gives log odds, which are no part of a difference."""
    if entry is None:
        return False
    return any(_is_log_odds(e) for e in document["effects"] if _estimator(e) == _estimator(entry))


def withheld(document: Document, entry: Entry) -> str:
    """Why no share by the estimator of the entry is said; empty where it may be.

    Args:
      document: of the analysis.
      entry: the share, or another effect by the same estimator.
    """
    if on_log_odds(document, entry):
        return "log odds are no part of the total effect"
    return NEAR_ZERO if _near_zero(document) else ""


def composite_share(document: Document, entry: Entry) -> dict[str, Any]:
    """`proportion_mediated` of a composite, None where it is withheld, and `proportion_reason`."""
    value, reason = entry["proportion_mediated"], entry.get("proportion_reason") or ""
    if finite(value) and _near_zero(document):
        value, reason = None, NEAR_ZERO
    return {"proportion_mediated": value, "proportion_reason": reason}


def least_squares_total(document: Document) -> dict[str, Any] | None:
    """The total effect by least squares, which every share is of; None where there is none."""
    totals = [e for e in document["effects"] if e["quantity"] == "total_effect"]
    return next((e for e in totals if e["method"] == "ols"), None)


def _estimator(entry: Entry) -> tuple[str, str]:
    return entry["method"], entry["method_label"]


def _is_log_odds(entry: Entry) -> bool:
    marks = (entry["unit"] == "log odds", entry["status"] == "LOG_ODDS")
    return any(marks) or "LOG_ODDS" in entry.get("notes", ())


def _near_zero(document: Document) -> bool:
    if any(threat["code"] == "TOTAL_NEAR_ZERO" for threat in document["threats"]):
        return True
    total = least_squares_total(document)
    if total is None or not (finite(total["estimate"]) and finite(total["standard_error"])):
        return False
    return abs(total["estimate"]) < LEAST_RATIO * total["standard_error"]
