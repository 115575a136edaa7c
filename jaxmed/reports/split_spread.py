"""How far the cross-fitted effects move with the split of the rows, in words."""

from jaxmed.reports import access
from jaxmed.reports.access import Entry
from jaxmed.reports.format import finite, number
from jaxmed.reports.record import Record


def split_lines(record: Record) -> list[str]:
    """One sentence for every cross-fitted effect with an estimate; none in older records."""
    entries = (
        access.effect(record, quantity)
        for quantity in (access.CROSS_FITTED, access.CROSS_FITTED_DOWNWARD)
    )
    return [_line(entry) for entry in entries if finite(access.value(entry, "split_lower"))]


def _line(entry: Entry | None) -> str:
    assert entry is not None  # has a split_lower
    used, asked = int(entry["splits_used"]), int(entry["splits"])
    if asked == 1:
        return f"{entry['label']}: from one split of the rows; another split moves the estimate."
    splits = f"{asked} splits" if used == asked else f"{used} of {asked} splits (all that have one)"
    ends = f"{number(entry['split_lower'])} to {number(entry['split_upper'])}"
    return (
        f"{entry['label']}: over {splits} of the rows the estimate runs from {ends} "
        f"(sd {number(entry['split_sd'])}); the number above is the median."
    )
