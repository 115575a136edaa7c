"""The terminal summary of one record."""

import textwrap
from collections.abc import Iterator, Sequence

from jaxmed.reports import access
from jaxmed.reports.design import design_lines
from jaxmed.reports.format import (
    MISSING,
    count,
    degrees_of_freedom,
    interval,
    names,
    number,
    p_statement,
    p_value,
    percent,
    shorten,
)
from jaxmed.reports.record import Record
from jaxmed.reports.split_spread import split_lines
from jaxmed.reports.verdict import missing_parts, question, verdict

WIDTH = 98
ONE_COMPOSITE = "In one dimension every composite is the mediator itself: there is none to learn."
# What a test looks at, in a few words; the full null hypothesis is in the report.
_TESTED = {
    access.COSINE: "alignment of the paths",
    access.CORRECTED: "alignment of the paths",
    access.PERMUTATION: "alignment of the paths",
    access.TOTAL_TEST: "net indirect effect",
    access.ROBUST_TOTAL: "net indirect effect",
    access.DUAL_TOTAL: "net indirect effect",
    access.JOINT: "one path is null",
    access.INTERSECTION_UNION: "existence of both paths",
}
# Effects that are parts of the one above them, by depth in the decomposition.
_DEPTH = {access.DIRECT: 1, access.INDIRECT: 1, access.CONCORDANT: 2, access.SUPPRESSION: 2}
_SIGN = {
    access.DIRECT: "= ",
    access.INDIRECT: "+ ",
    access.CONCORDANT: "= ",
    access.SUPPRESSION: "+ ",
}


def summary(record: Record) -> str:
    """A readable account of the analysis: at most about 60 lines of at most 100 columns."""
    parts = (
        _covariates,
        _head,
        _paths,
        _effects,
        _tests,
        _composites,
        _mediators,
        _missing,
        _warnings,
        _reading,
    )
    blocks = ("\n".join(part(record)) for part in parts)
    return "\n\n".join(block for block in blocks if block)


def _covariates(record: Record) -> Iterator[str]:
    for line in design_lines(record.document):
        yield from _wrap(line, "")


def _head(record: Record) -> Iterator[str]:
    data = record.document["data"]
    yield from _wrap(question(record), "")
    yield "=" * min(len(question(record)), WIDTH)
    yield from _wrap("; ".join(data["lines"]) + ".", "Data: ")
    dropped = data["dropped_mediators"]
    if dropped:
        text = f"{count(len(dropped), 'mediator')} left out: {names([d['name'] for d in dropped])}."
        yield from _wrap(text, "      ")


def _paths(record: Record) -> Iterator[str]:
    paths = record.document["paths"]
    yield from _wrap(regime_sentence(record), "")
    clauses = []
    if not access.is_single(record):
        degrees = number(paths["angle_degrees"])
        clauses.append(f"cosine {number(paths['cosine'])} (angle {degrees} degrees)")
    if not access.is_dual(record):
        clauses.append(
            f"share explained: exposure by mediators {percent(paths['exposure_r2'])}, "
            f"outcome by mediators given exposure {percent(paths['outcome_r2'])} (in sample)"
        )
    yield from _wrap("; ".join(clauses) + ".", "Paths: ")


def regime_sentence(record: Record) -> str:
    """The regime in words."""
    paths, data = record.document["paths"], record.document["data"]
    rows = f"{count(data['num_mediators'], 'mediator')}, {count(data['rows_used'], 'row')}"
    if access.is_dual(record):
        return (
            f"Dual regime: {rows}. More mediators than residual degrees of freedom: the "
            "optimum is taken within the row space of the mediators and depends on their scale."
        )
    spare = degrees_of_freedom(paths["residual_df"])
    return f"Primal regime: {rows}, {spare} residual degrees of freedom for the two paths."


def _effects(record: Record) -> Iterator[str]:
    entries = access.effects_shown(record)
    if not entries:
        return
    unit = next((e["unit"] for e in entries if e["unit"]), "")
    level = percent(access.level(record))
    yield from _wrap(f"Effects, {unit}" if unit else "Effects", "")
    # A single mediator has no weights that were chosen on these rows.
    head = "" if access.is_single(record) else f"{'in-sample':>10}"
    yield f"  {'':<34}{'estimate':>10}  {f'{level} interval':<24}{head}".rstrip()
    for entry in entries:
        label = "  " * _DEPTH.get(entry["quantity"], 0) + _SIGN.get(entry["quantity"], "")
        limits = interval(entry["lower"], entry["upper"])
        naive = number(entry["naive"])
        note = "" if naive == MISSING or not head else f"{naive:>10}"
        yield (
            f"  {shorten(label + entry['label'], 33):<34}{number(entry['estimate']):>10}  "
            f"{limits:<24}{note}"
        ).rstrip()
    for line in split_lines(record):
        yield from _wrap(line, "  ")


def _tests(record: Record) -> Iterator[str]:
    entries = access.tests_shown(record)
    if not entries:
        return
    yield f"Tests  {'':<31}{'statistic':>9} {'df':>10} {'p':>9}  what is tested"
    for entry in entries:
        head = (
            f"  {shorten(entry['label'], 35):<36}{number(entry['statistic']):>9} "
            f"{shorten(degrees_of_freedom(entry['df']), 10):>10} {p_value(entry['p_value']):>9}  "
        )
        if p_value(entry["p_value"]) == MISSING:
            yield head + "not available (see below)"
            continue
        tested = _TESTED.get(entry["test"]) or entry["null"]
        yield head + textwrap.shorten(tested, WIDTH + 2 - len(head), placeholder=" ...")


def _composites(record: Record) -> Iterator[str]:
    entries = record.document["composites"]
    if not entries:
        return
    if access.is_single(record):
        yield from _wrap(ONE_COMPOSITE, "")
        return
    yield (
        f"Composites, in sample{'':<3}{'exposure':>10}{'outcome':>10}{'indirect':>10}{'direct':>10}"
        f"{'mediated':>10}{'index':>8}  top"
    )
    for entry in entries:
        numbers = "".join(
            f"{number(entry[field]):>10}"
            for field in ("exposure_effect", "outcome_effect", "indirect", "direct")
        )
        share = percent(entry["proportion_mediated"])
        top = shorten(entry["top"][0], 16) if entry["top"] else ""
        row = f"  {shorten(entry['label'], 21):<22}{numbers}{share:>10}{number(entry['index']):>8}"
        yield f"{row}  {top}".rstrip()
    for why in dict.fromkeys(filter(None, (e.get("proportion_reason") for e in entries))):
        yield f"  mediated {MISSING}: {why}"


def _mediators(record: Record) -> Iterator[str]:
    table = record.mediators
    needed = ("name", "alpha", "beta", "indirect", "p_value")
    if any(name not in table for name in needed):
        return
    lead = record.document["mediator_summary"]["lead"][:5]
    if not lead:
        return
    position = {name: i for i, name in enumerate(access.mediator_names(record))}
    adjusted = access.column(record, "q_value")
    heads = f"{'alpha':>10}{'beta':>11}{'product':>11}{'p':>10}{'q':>10}"
    yield f"{'Lead mediators, one at a time':<36}{heads}"
    for name in lead:
        i = position.get(name)
        if i is None:
            continue
        yield (
            f"  {shorten(name, 32):<34}{number(float(table['alpha'][i])):>10}"
            f"{number(float(table['beta'][i])):>11}{number(float(table['indirect'][i])):>11}"
            f"{p_value(float(table['p_value'][i])):>10}{p_value(adjusted[i]):>10}"
        )


def _missing(record: Record) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for label, reason in missing_parts(record):
        by_reason.setdefault(reason, []).append(label)
    if by_reason:
        yield f"Does not exist here ({MISSING})"
    for reason, labels in by_reason.items():
        yield from _wrap(f"{names(labels, 8)}: {reason}.", "  ")


def _warnings(record: Record) -> Iterator[str]:
    for text in record.document["warnings"]:
        yield from _wrap(text, "Warning: ")


def _reading(record: Record) -> Iterator[str]:
    found = verdict(record)
    yield f"How to read this: {found.headline}"
    for sentence in found.sentences:
        yield from _wrap(sentence, "  ")


def _wrap(text: str, lead: str) -> Sequence[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead), break_on_hyphens=False
    )


def one_line(record: Record) -> str:
    """Headline and the p-values that carry it, for an index of several analyses."""
    tests = (
        access.TOTAL_TEST,
        access.ROBUST_TOTAL,
        access.INTERSECTION_UNION,
        access.DUAL_TOTAL,
        access.COSINE,
        access.PERMUTATION,
    )
    clauses = [
        f"{entry['label'].lower()} {p_statement(access.value(entry, 'p_value'))}"
        for entry in (access.test(record, name) for name in tests)
        if entry is not None and p_value(access.value(entry, "p_value")) != MISSING
    ]
    headline = verdict(record).headline
    return f"{headline} ({'; '.join(clauses)})" if clauses else headline
