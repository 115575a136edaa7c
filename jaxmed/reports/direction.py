"""Which way a part of the indirect effect goes: up or down, with the total effect or against it."""

from jaxmed.reports import access
from jaxmed.reports.record import Record

__all__ = [
    "DIRECTIONS",
    "FULL",
    "SIGN",
    "WORDS",
    "by_side",
    "composite_title",
    "cross_fitted",
    "side",
    "sides_line",
]

DIRECTIONS = (access.UPWARD, access.DOWNWARD)
# Composites are named by what they do to the outcome; the paper's words are in brackets once.
WORDS = {access.UPWARD: "upward", access.DOWNWARD: "downward"}
FULL = {
    access.UPWARD: "upward part (alpha beta > 0; the paper's concordant)",
    access.DOWNWARD: "downward part (alpha beta < 0; the paper's suppression)",
}
SIGN = {access.UPWARD: 1, access.DOWNWARD: -1}
CROSS_FITTED = {
    access.UPWARD: access.CROSS_FITTED,
    access.DOWNWARD: access.CROSS_FITTED_DOWNWARD,
}
WITH, AGAINST = "with the total", "against the total"


def sign_of_total(record: Record) -> int:
    """1 or -1 where the interval of the total effect says so, else 0."""
    entry = access.effect(record, access.TOTAL)
    if not access.excludes_zero(entry):
        return 0
    return 1 if access.value(entry, "estimate") > 0 else -1


def side(record: Record, direction: str) -> str:
    """Whether it is with the total or against it, in these words.

    Empty where the total effect has no clear sign.
    """
    sign = sign_of_total(record)
    if not sign or direction not in SIGN:
        return ""
    return WITH if SIGN[direction] == sign else AGAINST


def by_side(record: Record) -> tuple[str, str]:
    """Both directions, the one of the total effect first; upward first where that is unclear."""
    return DIRECTIONS if sign_of_total(record) >= 0 else (access.DOWNWARD, access.UPWARD)


def cross_fitted(record: Record, direction: str) -> access.Entry | None:
    """The effect of the composites of one direction on rows they have not learned from, if any."""
    entry = access.effect(record, CROSS_FITTED[direction])
    return entry if access.exists(entry) else None


def composite_title(record: Record, key: str) -> str:
    """Label of the composite of a key "method_direction" and which way it goes."""
    label, where = access.composite_label(record, key), side(record, key.rpartition("_")[2])
    return f"{label}, {where}" if where else label


def sides_line(record: Record) -> str:
    """Which part goes with the total effect, in one sentence; empty for a single mediator."""
    if access.is_single(record):
        return ""
    first, second = (FULL[direction] for direction in by_side(record))
    if not sign_of_total(record):
        return (
            f"Neither the {FULL[access.UPWARD]} nor the {FULL[access.DOWNWARD]} is with or against "
            "the total effect, whose sign is not shown."
        )
    return f"With the total effect: the {first}; against it: the {second}."
