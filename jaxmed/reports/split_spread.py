"""How far effects move with the split of the rows, in words."""

from jaxmed.reports import access
from jaxmed.reports.access import Entry
from jaxmed.reports.format import finite, number
from jaxmed.reports.record import Record


def split_lines(record: Record) -> list[str]:
    """One sentence for every effect that is a median over splits; none in older records."""
    return [
        _line(entry)
        for entry in record.document["effects"]
        if finite(access.value(entry, "split_lower"))
    ]


def _line(entry: Entry) -> str:
    crossed = entry["quantity"].startswith("cross_fitted")
    label = entry["label"] if crossed else f"{entry['label']} by {entry['method_label']}"
    used, asked = int(entry["splits_used"]), int(entry["splits"])
    if asked == 1:
        return f"{label}: from one split of the rows; another split moves the estimate."
    splits = f"{asked} splits" if used == asked else f"{used} of {asked} splits (all that have one)"
    ends = f"{number(entry['split_lower'])} to {number(entry['split_upper'])}"
    return (
        f"{label}: over {splits} of the rows the estimate runs from {ends} "
        f"(sd {number(entry['split_sd'])}); the number above is the median."
    )
