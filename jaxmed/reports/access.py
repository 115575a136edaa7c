"""Where the parts of a report find their numbers in a record, or None where they are not there."""

import re
from typing import Any

import numpy as np

from jaxmed.reports.format import finite
from jaxmed.reports.record import Record
from jaxmed.reports.shares import least_squares_total

Entry = dict[str, Any]

# A report names these quantities and tests; others are shown in the tables under their own label.
TOTAL, DIRECT, INDIRECT = "total_effect", "direct_effect", "total_indirect"
SHARE = "proportion_mediated"
UPWARD, DOWNWARD = "concordant", "suppression"
CROSS_FITTED, CROSS_FITTED_DOWNWARD = "cross_fitted", "cross_fitted_suppression"
COSINE, CORRECTED, JOINT = "cosine", "corrected_cosine", "joint"
INTERSECTION_UNION, PERMUTATION = "intersection_union", "permutation"
TOTAL_TEST, ROBUST_TOTAL, DUAL_TOTAL = "total", "total_robust", "dual_total"


def effect(record: Record, quantity: str, method: str | None = None) -> Entry | None:
    """One effect of the record: by a method, else by the estimator of record, else the first.

    The total effect is that of least squares, whatever other estimators have for it. None where
    there is none.
    """
    if quantity == TOTAL and method is None and (total := least_squares_total(record.document)):
        return total
    found = [e for e in record.document["effects"] if e["quantity"] == quantity]
    if method is not None:
        return next((e for e in found if e["method"] == method), None)
    return next((e for e in found if e["of_record"]), found[0] if found else None)


def by_same(record: Record, entry: Entry, quantity: str) -> Entry | None:
    """Another effect by the estimator of an entry: two estimators may be of one method."""
    return next(
        (
            e
            for e in record.document["effects"]
            if e["quantity"] == quantity
            and (e["method"], e["method_label"]) == (entry["method"], entry["method_label"])
        ),
        None,
    )


def beside(record: Record, quantity: str) -> list[Entry]:
    """The same effect by other estimators than the one of record, those with an estimate."""
    first = effect(record, quantity)
    return [
        e
        for e in record.document["effects"]
        if e["quantity"] == quantity and e is not first and finite(value(e, "estimate"))
    ]


def test(record: Record, name: str) -> Entry | None:
    """One test of the record, None where it has none of that name."""
    return next((entry for entry in record.document["tests"] if entry["test"] == name), None)


def value(entry: Entry | None, field: str) -> float:
    """A number of an entry; NaN where the entry or the number does not exist."""
    found = None if entry is None else entry.get(field)
    return float(found) if finite(found) else float("nan")  # type: ignore[arg-type]


def best(entry: Entry | None) -> float:
    """The estimate of an effect, or the in-sample value where there is no estimate."""
    estimate = value(entry, "estimate")
    return estimate if finite(estimate) else value(entry, "naive")


def exists(entry: Entry | None) -> bool:
    """True where the effect has an estimate."""
    return finite(value(entry, "estimate"))


def excludes_zero(entry: Entry | None) -> bool:
    """True where the interval exists and does not hold zero."""
    lower, upper = value(entry, "lower"), value(entry, "upper")
    return finite(lower) and finite(upper) and (lower > 0 or upper < 0)


def holds_zero(entry: Entry | None) -> bool:
    """True where the interval exists and holds zero."""
    known = finite(value(entry, "lower")) and finite(value(entry, "upper"))
    return known and not excludes_zero(entry)


def level(record: Record) -> float:
    """Confidence level of the report; 0.95 where the settings name none."""
    found = record.document["settings"].get("level")
    return float(found) if finite(found) else 0.95


def lead_mediators(record: Record, below: float) -> list[str]:
    """Lead mediators with q-value below a bound, in the order of the record."""
    q = dict(zip(mediator_names(record), column(record, "q_value"), strict=True))
    lead = record.document["mediator_summary"]["lead"]
    return [name for name in lead if q.get(name, np.nan) < below]


def is_dual(record: Record) -> bool:
    """True where the mediators leave no residual degrees of freedom."""
    return record.document["paths"]["regime"] == "dual"


def is_single(record: Record) -> bool:
    """True where the mediators have one dimension: no parts, no angle, one composite."""
    return record.document["paths"].get("dimension") == 1 and not is_dual(record)


def effects_shown(record: Record) -> list[Entry]:
    """The effects without the parts that a single mediator does not have."""
    return [e for e in record.document["effects"] if "NO_PARTS" not in e.get("notes", ())]


def tests_shown(record: Record) -> list[Entry]:
    """The tests without those of an angle that a single mediator does not have."""
    if not is_single(record):
        return record.document["tests"]
    return [e for e in record.document["tests"] if e["status"] != "NOT_APPLICABLE"]


def column(record: Record, name: str) -> np.ndarray:
    """A float column of the mediators; NaN throughout where the record has none of that name."""
    found = record.mediators.get(name)
    size = len(mediator_names(record))
    return np.full(size, np.nan) if found is None else np.asarray(found, float)


def mediator_names(record: Record) -> list[str]:
    """Names of the mediators, in the order of the data."""
    return [str(name) for name in record.mediators["name"]]


def mediator_labels(record: Record) -> list[str]:
    """Names to show, in the order of the data: the labels given, else the names."""
    labels = record.mediators.get("label")
    return mediator_names(record) if labels is None else [str(label) for label in labels]


def label_of(record: Record) -> dict[str, str]:
    """Name of a mediator -> the name to show."""
    return dict(zip(mediator_names(record), mediator_labels(record), strict=True))


def threats(record: Record, *severities: str) -> list[Entry]:
    """The threats of these severities, in their order; those of the record within one."""
    found = record.document["threats"]
    return [e for severity in severities for e in found if e["severity"] == severity]


def weight_columns(record: Record) -> list[str]:
    """Keys "method_direction" of the composites with a column `weight_per_sd_<key>`, in order."""
    prefix = "weight_per_sd_"
    return [name.removeprefix(prefix) for name in record.mediators if name.startswith(prefix)]


def score_columns(record: Record) -> list[str]:
    """Keys "method_direction" of the composites with a row score, in order."""
    prefix = "score_"
    return [name.removeprefix(prefix) for name in record.rows if name.startswith(prefix)]


def composite(record: Record, key: str) -> Entry | None:
    """The composite entry of a key "method_direction"."""
    for entry in record.document["composites"]:
        if composite_key(entry) == key:
            return entry
    return None


def composite_key(entry: Entry) -> str:
    """Key "method_direction" of a composite entry, "method" where it has no direction."""
    return "_".join(part for part in (entry["method"], entry["direction"]) if part)


def composite_label(record: Record, key: str) -> str:
    """Label of a composite for people, made from its key where the record has none."""
    found = composite(record, key)
    return found["label"] if found else re.sub("_+", " ", key)
