"""Small parts of sentences: names of the variables, effects with their intervals."""

from jaxmed.reports import access
from jaxmed.reports.access import Entry
from jaxmed.reports.format import MISSING, finite, interval, number
from jaxmed.reports.format import share as fmt_share
from jaxmed.reports.record import Record
from jaxmed.reports.shares import LOG_ODDS, on_log_odds, withheld

__all__ = [
    "exposure",
    "level_of_tests",
    "on_scale",
    "outcome",
    "share_text",
    "through",
    "with_interval",
    "word",
]


def exposure(record: Record) -> str:
    """Name of the exposure."""
    return record.document["data"]["exposure"]["name"]


def outcome(record: Record) -> str:
    """Name of the outcome."""
    return record.document["data"]["outcome"]["name"]


def through(record: Record) -> str:
    """What the effect runs through: the mediators, or the name of the only one."""
    if not access.is_single(record):
        return "the mediators"
    labels = access.mediator_labels(record)
    return labels[0] if len(labels) == 1 else "the one dimension of the mediators"


def word(value: float) -> str:
    """The outcome's way, higher or lower, under an effect of this sign."""
    return "higher" if value > 0 else "lower"


def level_of_tests(record: Record) -> float:
    """Tests reject at this p-value."""
    return 1 - access.level(record)


def with_interval(entry: Entry | None) -> str:
    """An estimate and its limits; the estimate alone where it has none."""
    limits = interval(access.value(entry, "lower"), access.value(entry, "upper"))
    text = number(access.value(entry, "estimate"))
    return f"{text} {limits}" if limits != MISSING else text


def on_scale(record: Record, entry: Entry | None) -> str:
    """What stands behind a number on the log-odds scale; empty behind any other."""
    return f" {LOG_ODDS}" if on_log_odds(record.document, entry) else ""


def share_text(record: Record, entry: Entry | None) -> str:
    """The proportion mediated with Fieller's limits; empty where it is withheld or one is missing.

    Without limits nothing says whether a share of the total effect means anything.
    """
    if entry is None or withheld(record.document, entry):
        return ""
    share, *limits = (access.value(entry, field) for field in ("estimate", "lower", "upper"))
    if not all(map(finite, (share, *limits))):
        return ""
    return f"{fmt_share(share)} [{fmt_share(limits[0])}, {fmt_share(limits[1])}]"
