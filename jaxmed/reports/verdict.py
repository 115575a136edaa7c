"""What the numbers of one record say, in sentences computed from them and no stronger than them."""

import dataclasses
from collections.abc import Callable

from jaxmed.reports import access
from jaxmed.reports.access import Entry
from jaxmed.reports.format import count as counted
from jaxmed.reports.format import finite, interval, number, p_statement, percent
from jaxmed.reports.record import Record


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A headline and the sentences that carry it."""

    headline: str
    sentences: tuple[str, ...]


def question(record: Record) -> str:
    """The question of the analysis: "age -> 517 mediators -> hospital_free_days given male"."""
    data = record.document["data"]
    given = ", ".join(entry["name"] for entry in data["covariates"])
    text = f"{data['exposure']['name']} -> {counted(data['num_mediators'], 'mediator')} -> "
    return text + data["outcome"]["name"] + (f" given {given}" if given else "")


def verdict(record: Record) -> Verdict:
    """The reading of one record at the level of its settings (tests at 1 - level).

    Returns:
      Verdict. Primal: from the test of the total (net) indirect effect and the
      intersection-union test (both paths exist). Dual: from the random-effects test of the total,
      else from the cosine test and the permutation.
      Then the held-out effect of the learned composite, the mediators one at a time, and what
      does not exist.
    """
    headline, finding = _paths_found(record)
    rest = (_cross_fitted(record), _one_at_a_time(record), _restriction(record), _causal(record))
    return Verdict(headline, tuple(text for text in (finding, *rest) if text))


def _paths_found(record: Record) -> tuple[str, str]:
    tested = access.value(access.test(record, access.TOTAL_TEST), "p_value")
    union = access.value(access.test(record, access.INTERSECTION_UNION), "p_value")
    if finite(tested) and finite(union):
        return _from_total(record, tested, union)
    return _from_alignment(record)


def _from_total(record: Record, tested: float, union: float) -> tuple[str, str]:
    alpha = 1 - access.level(record)
    single = access.is_single(record)
    name = "test of the indirect effect" if single else "test of the total indirect effect"
    numbers = f"{name} {p_statement(tested)}, intersection-union test {p_statement(union)}"
    robust = access.value(access.test(record, access.ROBUST_TOTAL), "p_value")
    # At the boundary p = alpha the interval, made of the same draws, leaves zero out.
    shown = tested <= alpha
    if finite(robust) and (robust <= alpha) != shown:
        numbers += f"; allowing unequal variances {p_statement(robust)}"
    total = access.effect(record, access.INDIRECT)
    if shown and single and access.holds_zero(total):
        return (
            "Test and interval of the indirect effect disagree",
            f"Both paths of {_through(record)} are shown ({numbers}), but the interval of "
            f"their product holds zero: {_with_interval(total)}. No firm conclusion.",
        )
    if shown:
        return _net_effect(record, numbers)
    if union >= alpha and access.is_single(record):
        return (
            "No indirect effect shown",
            f"The two paths of {_through(record)} are not both shown at {percent(alpha)} "
            f"({numbers}). That does not show that there is no indirect effect.",
        )
    if union >= alpha:
        return (
            "No indirect effect shown",
            f"Neither a net indirect effect nor the existence of both paths is shown at "
            f"{percent(alpha)} ({numbers}). That does not show that there is none.",
        )
    return _both_paths_only(record, numbers)


def _net_effect(record: Record, numbers: str) -> tuple[str, str]:
    total = access.effect(record, access.INDIRECT)
    raises = access.best(total) > 0
    other = access.effect(record, access.SUPPRESSION if raises else access.CONCORDANT)
    word = "higher" if raises else "lower"
    text = (
        f"Through {_through(record)}, more {_exposure(record)} goes with "
        f"{word} {_outcome(record)}: {_with_interval(total)} "
        f"({numbers})."
    )
    if access.excludes_zero(other):
        text += (
            f" A part of the opposite sign, {_with_interval(other)}, offsets some of it; the net "
            "effect is what is left."
        )
    kind = "Indirect" if access.is_single(record) else "Net indirect"
    return f"{kind} effect toward a {word} outcome", text


def _both_paths_only(record: Record, numbers: str) -> tuple[str, str]:
    concordant = access.effect(record, access.CONCORDANT)
    suppression = access.effect(record, access.SUPPRESSION)
    total = access.effect(record, access.INDIRECT)
    text = f"Both paths are there but no net indirect effect is shown ({numbers})."
    if not (access.excludes_zero(concordant) and access.excludes_zero(suppression)):
        return (
            "Both paths exist; no net indirect effect shown",
            text + " Whether the two paths meet in the same mediators is not settled.",
        )
    return (
        "Paths of both signs that offset each other",
        text + " Composites of either sign carry effects that offset each other: "
        f"{_with_interval(concordant)} concordant and {_with_interval(suppression)} suppression "
        f"leave {_with_interval(total)}. Tests of the net effect look at what is left, so they "
        "are silent; the intersection-union test looks at the paths.",
    )


def _from_alignment(record: Record) -> tuple[str, str]:
    alpha = 1 - access.level(record)
    cosine = access.test(record, access.COSINE)
    permutation = access.test(record, access.PERMUTATION)
    found = [
        (name, access.value(entry, "p_value"))
        for name, entry in (("cosine test", cosine), ("permutation", permutation))
        if finite(access.value(entry, "p_value"))
    ]
    if not found:
        reason = record.document["paths"]["reason"] or "no test of the paths exists"
        return "No test available", f"No test of the two paths could be computed: {reason}."
    numbers = ", ".join(f"{name} {p_statement(p)}" for name, p in found)
    random = access.value(access.test(record, access.DUAL_TOTAL), "p_value")
    if finite(random):
        numbers = f"random-effects test {p_statement(random)}, {numbers}"
        return _from_random_effects(record, random < alpha, numbers)
    rejected = [p < alpha for _, p in found]
    if all(rejected):
        return _aligned(record, numbers)
    if any(rejected):
        return (
            "Tests of alignment disagree",
            f"The tests of alignment disagree at {percent(alpha)} ({numbers}): no firm conclusion.",
        )
    return _not_aligned(record, numbers)


def _from_random_effects(record: Record, shown: bool, numbers: str) -> tuple[str, str]:
    if not shown:
        return _not_aligned(record, numbers)
    positive = access.value(access.test(record, access.DUAL_TOTAL), "statistic") > 0
    word = "higher" if positive else "lower"
    return (
        f"Net indirect effect toward a {word} outcome",
        f"Effects on {_outcome(record)} {'follow' if positive else 'run against'} the effects of "
        f"{_exposure(record)} ({numbers}): through the mediators together, more "
        f"{_exposure(record)} goes with {word} {_outcome(record)}. This reads the effects of "
        "different mediators as unrelated: effects of one sign on correlated mediators give the "
        "same without a net effect. Its size is not identified by in-sample numbers.",
    )


def _not_aligned(record: Record, numbers: str) -> tuple[str, str]:
    return (
        "No net indirect effect shown",
        f"Alignment of the two paths, that is a net indirect effect, is not shown at "
        f"{percent(1 - access.level(record))} ({numbers}). That does not exclude one, nor paths of "
        "both signs that offset each other.",
    )


def _aligned(record: Record, numbers: str) -> tuple[str, str]:
    positive = access.value(record.document["paths"], "cosine") > 0
    word = "higher" if positive else "lower"
    return (
        f"Paths aligned: net indirect effect toward a {word} outcome",
        f"The exposure path and the outcome path {'agree' if positive else 'oppose each other'} "
        f"({numbers}): through the mediators together, more {_exposure(record)} goes with {word} "
        f"{_outcome(record)}. Its size is not identified by in-sample numbers.",
    )


def _cross_fitted(record: Record) -> str:
    """What the learned composites of both signs carry on rows they have not seen."""
    quantities = (
        (access.CROSS_FITTED, "concordant", 1),
        (access.CROSS_FITTED_SUPPRESSION, "suppression", -1),
    )
    clauses = [
        _held_out(entry, name, sign)
        for quantity, name, sign in quantities
        if finite(access.value(entry := access.effect(record, quantity), "estimate"))
    ]
    if not clauses:
        return ""
    return f"On rows they have not learned from, {'; '.join(clauses)}."


def _held_out(entry: Entry | None, name: str, sign: int) -> str:
    text = f"the {name} composite carries {_with_interval(entry)}"
    if not finite(access.value(entry, "lower")):
        return text
    if not access.excludes_zero(entry):
        return f"{text}, not distinguishable from zero"
    if sign * access.value(entry, "estimate") < 0:
        return f"{text}, the opposite sign to the one it was learned for"
    return f"{text}, which holds up out of sample (one composite, not the net effect)"


def _one_at_a_time(record: Record) -> str:
    summary = record.document["mediator_summary"]
    count, q05, q10 = summary["count"], summary["q05"], summary["q10"]
    if not count or access.is_single(record):  # the test above has said it
        return ""
    if not q10:
        return f"One at a time, none of the {count} mediators passes both paths at a 10% FDR."
    lead = access.lead_mediators(record, 0.05 if q05 else 0.10)[:6]
    counts = f"{q05} of {count} mediators pass both paths at a 5% FDR ({q10} at 10%)"
    return f"One at a time, {counts}" + (f"; the first are {', '.join(lead)}." if lead else ".")


def _restriction(record: Record) -> str:
    if not access.is_dual(record):
        return ""
    return (
        "With more mediators than residual degrees of freedom (dual), composites are optimal "
        "within the row space of the mediators only and fit the sample without residual: no "
        "debiased parts with intervals and no intersection-union test exist."
    )


def _causal(record: Record) -> str:
    return (
        "A causal reading needs exposure before mediators before outcome, a linear model, and no "
        "unmeasured confounding of any of them."
    )


def _with_interval(entry: Entry | None) -> str:
    limits = interval(access.value(entry, "lower"), access.value(entry, "upper"))
    text = number(access.best(entry))
    return f"{text} {limits}" if limits != interval(None, None) else text


def _through(record: Record) -> str:
    names = access.mediator_names(record)
    if not access.is_single(record):
        return "all mediators together"
    return names[0] if len(names) == 1 else "the one dimension of the mediators"


def _exposure(record: Record) -> str:
    return record.document["data"]["exposure"]["name"]


def _outcome(record: Record) -> str:
    return record.document["data"]["outcome"]["name"]


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
    no_part = "NO_PARTS" in entry.get("notes", ())
    if field == "effects" and finite(entry["estimate"]) and not no_part:
        return f"{entry['label']}: interval"
    return entry["label"]
