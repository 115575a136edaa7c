"""The first paragraph: total effect, through the mediators, tests, leading mediators, threats."""

from jaxmed.reports import access
from jaxmed.reports.access import Entry
from jaxmed.reports.agreement import agreement
from jaxmed.reports.direction import SIGN as SIGN_OF
from jaxmed.reports.direction import WORDS, by_side, cross_fitted, side
from jaxmed.reports.format import count, finite, p_value, percent
from jaxmed.reports.record import Record
from jaxmed.reports.shares import on_log_odds, withheld
from jaxmed.reports.wording import (
    exposure,
    on_scale,
    outcome,
    share_text,
    through,
    with_interval,
)

__all__ = ["first_paragraph"]

LEADING = 5  # mediators named
NOT_ASKED = "it was not asked for"
HOLDS_UP = "which holds up out of sample"


def first_paragraph(record: Record) -> tuple[str, ...]:
    """Sentences in the order of every report; one without numbers in the record is left out."""
    parts = (_total, _through, agreement, _composites, _leading, _threats)
    return tuple(sentence for part in parts for sentence in part(record) if sentence)


def _total(record: Record) -> list[str]:
    entry = access.effect(record, access.TOTAL)
    what = f"The total effect of {exposure(record)} on {outcome(record)}"
    if not access.exists(entry):
        return [f"{what} could not be estimated{_because(entry)}."]
    assert entry is not None  # it has an estimate
    text = f"{what} is {with_interval(entry)}"
    if finite(access.value(entry, "lower")):
        zero = ", which holds zero" if access.holds_zero(entry) else ""
        text += f" ({percent(access.level(record))} interval{zero})"
    if any(on_log_odds(record.document, e) for e in record.document["effects"]):
        text += ", a risk difference by least squares"
    return [f"{text}."]


def _because(entry: Entry | None) -> str:
    return f": {entry['reason']}" if entry and entry["reason"] else ""


def _through(record: Record) -> list[str]:
    indirect = access.effect(record, access.INDIRECT)
    others = [_by_other(record, e) for e in access.beside(record, access.INDIRECT)]
    others += _no_answers(record, indirect)
    if not access.exists(indirect):
        return [_no_estimate(record, indirect), *others]
    assert indirect is not None  # it has an estimate
    return [_by_record(record, indirect), *others, *_qualified(record, indirect)]


def _no_estimate(record: Record, entry: Entry | None) -> str:
    if entry is None or not record.document["choice"]["methods"]:
        reason = record.document["choice"]["reason"] or NOT_ASKED
        return f"How much of it runs through {through(record)} was not estimated: {reason}."
    return (
        f"How much of it runs through {through(record)} could not be estimated by "
        f"{entry['method_label']}{_because(entry)}."
    )


def _no_answers(record: Record, first: Entry | None) -> list[str]:
    """The estimators asked for beside the one of record that gave none, and why."""
    return [
        f"{entry['method_label']} gives no answer{_because(entry)}."
        for entry in record.document["effects"]
        if entry["quantity"] == access.INDIRECT
        and entry is not first
        and entry["method"] in record.document["choice"]["methods"]
        and not access.exists(entry)
    ]


def _by_record(record: Record, indirect: Entry) -> str:
    """The effects by the estimator of record."""
    text = f"Through {through(record)} runs {with_interval(indirect)}{on_scale(record, indirect)} "
    text += f"({_name(record)})"
    if found := share_text(record, access.by_same(record, indirect, access.SHARE)):
        text += f", {found} of the total effect (Fieller's interval)"
    direct = access.by_same(record, indirect, access.DIRECT)
    if access.exists(direct):
        text += f"; {with_interval(direct)} does not (direct effect)"
    return f"{text}. {_own_total(record, indirect)}The estimator is {indirect['method_label']}."


def _own_total(record: Record, indirect: Entry) -> str:
    """What log odds are compared with: a total effect of their own scale."""
    if not on_log_odds(record.document, indirect):
        return ""
    total = access.by_same(record, indirect, access.TOTAL)
    if not access.exists(total):
        return "Direct and indirect effect need not add up on this scale; no share is given. "
    return (
        f"By the same estimator the total effect is {with_interval(total)} on that scale: direct "
        "and indirect effect need not add up to it, and no share is given. "
    )


def _name(record: Record) -> str:
    return "indirect effect" if access.is_single(record) else "total indirect effect"


def _qualified(record: Record, indirect: Entry) -> list[str]:
    """What of this is not shown or does not exist."""
    share, direct = (
        access.by_same(record, indirect, name) for name in (access.SHARE, access.DIRECT)
    )
    sentences = []
    if access.holds_zero(indirect):
        sentences.append(
            f"The interval of the {_name(record)} holds zero: that anything runs through "
            f"{through(record)} is not shown, nor that nothing does."
        )
    if share is not None and not share_text(record, share) and not on_scale(record, indirect):
        reason = share["reason"] or withheld(record.document, share)
        sentences.append(f"No share of the total effect is given{f': {reason}' * bool(reason)}.")
    if not access.exists(direct):
        sentences.append(f"The direct effect does not exist here{_because(direct)}.")
    return sentences


def _by_other(record: Record, indirect: Entry) -> str:
    """The same by an estimator beside the one of record."""
    text = f"Beside it, {indirect['method_label']} gives {with_interval(indirect)} through "
    text += through(record)
    direct = access.by_same(record, indirect, access.DIRECT)
    if access.exists(direct):
        text += f" and {with_interval(direct)} directly"
    if not on_log_odds(record.document, indirect):
        return f"{text}."
    total = access.by_same(record, indirect, access.TOTAL)
    of_total = f", beside a total effect of {with_interval(total)}" if access.exists(total) else ""
    return f"{text}{on_scale(record, indirect)}{of_total}; the two need not add up."


def _composites(record: Record) -> list[str]:
    """What the learned composites of both signs carry on rows they have not seen."""
    clauses = []
    for direction in by_side(record):
        entry = cross_fitted(record, direction)
        if entry is not None:
            clauses.append(_held_out(record, entry, direction))
    if not clauses:
        return []
    sentence = f"On rows they have not learned from, {'; '.join(clauses)}."
    return [f"{sentence} No composite is the net effect." if HOLDS_UP in sentence else sentence]


def _held_out(record: Record, entry: Entry, direction: str) -> str:
    where = side(record, direction)
    text = f"the {WORDS[direction]} composite{f' ({where})' if where else ''} carries "
    text += with_interval(entry)
    if not finite(access.value(entry, "lower")):
        return text
    if not access.excludes_zero(entry):
        return f"{text}, not distinguishable from zero"
    if SIGN_OF[direction] * access.value(entry, "estimate") < 0:
        return f"{text}, the opposite sign to the one it was learned for"
    return f"{text}, {HOLDS_UP}"


def _leading(record: Record) -> list[str]:
    summary = record.document["mediator_summary"]
    tested, q05, q10 = summary["count"], summary["q05"], summary["q10"]
    if not tested or access.is_single(record):  # the test above has said it
        return []
    if not q10:
        of_all = f"none of the {tested} mediators passes"
        if tested == 1:
            of_all = "the mediator does not pass"
        return [f"One at a time, {of_all} both paths at a 10% FDR."]
    passing = f"{q05} of {count(tested, 'mediator')} {'passes' if q05 == 1 else 'pass'}"
    text = f"One at a time, {passing} both paths at a 5% FDR ({q10} at 10%)"
    lead = access.lead_mediators(record, 0.05 if q05 else 0.10)[:LEADING]
    if not lead:
        return [f"{text}."]
    label, q = access.label_of(record), _of_mediators(record, "q_value")
    named = ", ".join(f"{label[name]} (q {_equal(q[name])})" for name in lead)
    return [f"{text}; {_which(len(lead), q05, q10)} {named}."]


def _which(shown: int, q05: int, q10: int) -> str:
    """What the mediators named are: all at 5%, all at 10% where none is at 5%, or the first."""
    if shown != (q05 or q10):
        return "the first is" if shown == 1 else "the first are"
    if q05:
        return "it is" if shown == 1 else "they are"
    return "that is" if shown == 1 else "those are"


def _of_mediators(record: Record, column: str) -> dict[str, float]:
    values = access.column(record, column)
    return {name: float(v) for name, v in zip(access.mediator_names(record), values, strict=True)}


def _equal(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def _threats(record: Record) -> list[str]:
    serious = access.threats(record, "stop", "warn")
    notes = access.threats(record, "note")
    sentences = [_sentence(entry) for entry in serious]
    if sentences:
        head = "A threat was found" if len(sentences) == 1 else "Threats were found"
        sentences[0] = f"{head}: {sentences[0]}"
    if notes:
        named = ", ".join(entry["code"] for entry in notes)
        more = "further " if serious else ""
        sentences.append(f"{count(len(notes), f'{more}note').capitalize()} below: {named}.")
    return sentences


def _sentence(entry: Entry) -> str:
    text = entry["sentence"].strip()
    return text if text.endswith((".", "?", "!", '"')) else f"{text}."
