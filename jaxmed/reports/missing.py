"""What a record says does not exist, and why."""

from collections.abc import Callable

from jaxmed.reports.access import Entry
from jaxmed.reports.format import finite
from jaxmed.reports.record import Record

__all__ = ["missing_parts"]


def missing_parts(record: Record) -> list[tuple[str, str]]:
    """(label, reason) of everything that the record says does not exist, each once."""
    document = record.document
    checks: tuple[tuple[str, Callable[[Entry], bool]], ...] = (
        ("effects", lambda e: not finite(e["estimate"]) or not finite(e["lower"])),
        ("tests", lambda e: not finite(e["p_value"])),
        ("composites", lambda e: not finite(e["indirect"])),
    )
    found = [
        (_what(field, entry), entry["reason"])
        for field, lacks in checks
        for entry in document[field]
        if lacks(entry) and entry["reason"]
    ]
    paths = document["paths"]
    if paths["reason"]:
        found.append(("Paths", paths["reason"]))
    reason = document["mediator_summary"].get("reason")
    if reason:
        found.append(("Mediators one at a time", reason))
    return list(dict.fromkeys(found))


def _what(field: str, entry: Entry) -> str:
    if field != "effects":
        return entry["label"]
    label = entry["label"] if entry["of_record"] else f"{entry['label']} ({entry['method_label']})"
    no_part = "NO_PARTS" in entry.get("notes", ())
    return f"{label}: interval" if finite(entry["estimate"]) and not no_part else label
