"""What the numbers of one record say, in sentences computed from them and no stronger than them."""

import dataclasses

from jaxmed.reports import access
from jaxmed.reports.access import Entry
from jaxmed.reports.agreement import Finding, finding, pattern
from jaxmed.reports.format import count as counted
from jaxmed.reports.format import finite, number, percent
from jaxmed.reports.paragraph import first_paragraph
from jaxmed.reports.record import Record
from jaxmed.reports.wording import exposure, on_scale, outcome, share_text, through, word

__all__ = ["Verdict", "question", "verdict"]

NET, SINGLE = "net indirect effect", "indirect effect"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The finding of one record in words.

    Attributes:
      headline: one line that answers how much of the total effect runs through the mediators.
      paragraph: sentences of the first paragraph, see `paragraph.first_paragraph`.
      remarks: what they take for granted.
    """

    headline: str
    paragraph: tuple[str, ...]
    remarks: tuple[str, ...]


def question(record: Record) -> str:
    """The question of the analysis: "age -> 517 mediators -> hospital_free_days given male"."""
    data = record.document["data"]
    given = ", ".join(entry["name"] for entry in data["covariates"])
    text = f"{data['exposure']['name']} -> {counted(data['num_mediators'], 'mediator')} -> "
    return text + data["outcome"]["name"] + (f" given {given}" if given else "")


def verdict(record: Record) -> Verdict:
    """The reading of one record at the level of its settings (tests at 1 - level)."""
    remarks = (_restriction(record), _causal())
    return Verdict(
        _headline(record), first_paragraph(record), tuple(text for text in remarks if text)
    )


def _headline(record: Record) -> str:
    stops = access.threats(record, "stop")
    if stops:
        return f"Headline withheld: a threat stops it ({', '.join(e['code'] for e in stops)})"
    found = finding(record)
    if found.interval is None:
        text = _from_tests(record, found)
    elif found.two_estimators:
        text = _by_one_of_two(record, found)
    elif found.tested is not None and found.interval != found.tested:
        text = f"Test and interval of the {_name(record)} disagree: no firm conclusion"
    else:
        text = _shown(record) if found.interval else _not_shown(record, found)
    if found.tested and found.both_paths is False:
        text = f"{text}; the two tests disagree"
    # A test that does not hold where variances are unequal is no more than that.
    unequal = found.tested and found.robust is False
    return f"{text}, if variances are equal" if unequal else text


def _by_one_of_two(record: Record, found: Finding) -> str:
    """Where the test is of another estimator than the interval, and says otherwise."""
    if found.interval:
        beside = "no test confirms" if access.is_dual(record) else "least squares does not show"
        return f"{_shown(record)}; {beside} it"
    indirect = access.effect(record, access.INDIRECT)
    assert indirect is not None  # it has an interval
    if access.is_dual(record):
        lacks = f"no {_name(record)} shown by {indirect['method_label']}"
        return f"{_from_alignment(record, found)}; {lacks}"
    return f"{_name(record).capitalize()} shown by least squares, not by {indirect['method_label']}"


def _name(record: Record) -> str:
    return SINGLE if access.is_single(record) else NET


def _shown(record: Record) -> str:
    indirect = access.effect(record, access.INDIRECT)
    assert indirect is not None  # it has an interval
    share = access.by_same(record, indirect, access.SHARE)
    text = share_text(record, share)
    if text and access.value(share, "lower") > 0:
        return (
            f"{text} of the total effect of {exposure(record)} on {outcome(record)} runs through "
            f"{through(record)}"
        )
    toward = f"{_name(record).capitalize()} toward a {word(access.best(indirect))} outcome"
    if text and access.value(share, "upper") < 0:
        total = number(access.value(access.effect(record, access.TOTAL), "estimate"))
        return f"{toward}, against the total effect ({_estimate(indirect)} of {total})"
    toward = f"{toward} ({_estimate(indirect)}{on_scale(record, indirect)})"
    if text:
        return f"{toward}; its share of the total effect is not told from zero"
    return f"{toward}; no share of the total effect can be given"


def _estimate(entry: Entry | None) -> str:
    return number(access.value(entry, "estimate"))


def _not_shown(record: Record, found: Finding) -> str:
    text = _both_paths(found)
    if access.is_single(record) or access.is_dual(record) or not found.both_paths:
        text = (
            f"Not shown that any of the effect of {exposure(record)} runs through {through(record)}"
        )
    share = share_text(record, access.effect(record, access.SHARE))
    return f"{text} ({share} of the total effect)" if share else text


def _both_paths(found: Finding) -> str:
    if found.offset:
        return "Paths of both signs offset each other: no net indirect effect shown"
    return "Both paths exist; no net indirect effect shown"


def _from_tests(record: Record, found: Finding) -> str:
    """Without an interval of the indirect effect: what the tests say, and no size."""
    if access.is_dual(record):
        return _from_alignment(record, found)
    if found.both_paths is None:
        return "No test available"
    if found.tested is None:
        return f"Too few rows for a test of the {_name(record)}"
    if found.tested:
        sign = access.best(access.effect(record, access.INDIRECT))
        toward = f"toward a {word(sign)} outcome, " if finite(sign) else ""
        return f"{_name(record).capitalize()} {toward}without an interval"
    return _both_paths(found) if found.both_paths else f"No {_name(record)} shown"


def _from_alignment(record: Record, found: Finding) -> str:
    random = access.test(record, access.DUAL_TOTAL)
    rejects = {
        name: access.value(access.test(record, name), "p_value") <= 1 - access.level(record)
        for name in (access.COSINE, access.PERMUTATION)
    }
    if found.tested is None:
        return "No test available"
    if found.tested and access.value(random, "p_value") <= 1 - access.level(record):
        return (
            f"The effects on the outcome {pattern(record)} those of the exposure; their size is "
            "not known"
        )
    if found.tested:
        toward = word(access.value(record.document["paths"], "cosine"))
        return f"Paths aligned: net indirect effect toward a {toward} outcome, of unknown size"
    if any(rejects.values()):
        return "Tests of the net indirect effect disagree"
    level = percent(1 - access.level(record))
    return f"No net indirect effect estimated, and none shown by tests at {level}"


def _restriction(record: Record) -> str:
    if not access.is_dual(record):
        return ""
    return (
        "With more mediators than residual degrees of freedom (dual), composites are optimal "
        "within the row space of the mediators only and fit the sample without residual: no "
        "upward and downward part with an interval and no intersection-union test exist."
    )


def _causal() -> str:
    return (
        "A causal reading needs exposure before mediators before outcome, a linear model, and no "
        "unmeasured confounding of any of them."
    )
