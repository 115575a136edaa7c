"""The terminal summary of one record."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxmed.reports import access
from jaxmed.reports.design import design_lines
from jaxmed.reports.direction import sides_line
from jaxmed.reports.format import (
    MISSING,
    count,
    degrees_of_freedom,
    finite,
    interval,
    names,
    number,
    p_statement,
    p_value,
    percent,
    share,
    shorten,
    visible,
)
from jaxmed.reports.missing import missing_parts
from jaxmed.reports.record import Record
from jaxmed.reports.shares import LOG_ODDS, composite_share, on_log_odds, withheld
from jaxmed.reports.split_spread import split_lines
from jaxmed.reports.verdict import question, verdict

WIDTH = 98
ONE_COMPOSITE = "In one dimension every composite is the mediator itself: there is none to learn."
# What a test looks at, in a few words; the full null hypothesis is in the report.
_TESTED = {
    access.COSINE: "alignment of the paths",
    access.CORRECTED: "alignment of the paths",
    access.PERMUTATION: "alignment of the paths",
    access.TOTAL_TEST: "net indirect effect",
    access.ROBUST_TOTAL: "net indirect effect",
    access.DUAL_TOTAL: "outcome effects follow exposure effects",
    access.JOINT: "net indirect effect, one-path nulls",
    access.INTERSECTION_UNION: "existence of both paths",
}
# Effects that are parts of the one above them, by depth in the decomposition.
_DEPTH = {
    access.DIRECT: 1,
    access.INDIRECT: 1,
    access.SHARE: 1,
    access.UPWARD: 1,
    access.DOWNWARD: 1,
}


def summary(record: Record) -> str:
    """A readable account of the analysis in lines of at most 100 columns.

    What answers the question comes first and fills a screen: the first paragraph, effects, tests
    and leading mediators.
    """
    parts = (
        _answer,
        _effects,
        _tests,
        _mediators,
        _threats,
        _composites,
        _paths,
        _missing,
        _warnings,
        _data,
        _reading,
    )
    blocks = ("\n".join(part(record)) for part in parts)
    return "\n\n".join(block for block in blocks if block)


def _answer(record: Record) -> Iterator[str]:
    yield from _wrap(question(record), "")
    yield "=" * min(len(question(record)), WIDTH)
    found = verdict(record)
    yield from _wrap(f"{found.headline}.", "")
    yield ""
    yield from _wrap(" ".join(found.paragraph), "")


def _data(record: Record) -> Iterator[str]:
    data = record.document["data"]
    yield from _wrap("; ".join(data["lines"]) + ".", "Data: ")
    dropped = data["dropped_mediators"]
    if dropped:
        text = f"{count(len(dropped), 'mediator')} left out: {names([d['name'] for d in dropped])}."
        yield from _wrap(text, "      ")
    for line in design_lines(record.document):
        yield from _wrap(line, "")


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
    log_odds = [on_log_odds(record.document, e) for e in entries]
    units = [e["unit"] for e, odds in zip(entries, log_odds, strict=True) if e["unit"] and not odds]
    level = percent(access.level(record))
    head = ", ".join(["Effects", *units[:1]])
    scale = f"; log odds: {LOG_ODDS}, and no part of the total effect" if any(log_odds) else ""
    yield from _wrap(f"{head}{scale}", "")
    # A single mediator has no weights that were chosen on these rows.
    head = "" if access.is_single(record) else f"{'in sample':>10}"
    yield f"  {'':<29}{'by':<25}{'estimate':>9}  {f'{level} interval':<22}{head}".rstrip()
    for entry, odds in zip(entries, log_odds, strict=True):
        label = "  " * _DEPTH.get(entry["quantity"], 0) + entry["label"]
        estimate, limits = effect_texts(record, entry)
        naive = number(entry["naive"])
        note = "" if naive == MISSING or not head else f"{naive:>10}"
        note = f"{'log odds':>10}" if odds and entry["quantity"] != access.SHARE else note
        yield (
            f"  {shorten(label, 28):<29}{shorten(entry['method_label'], 24):<25}{estimate:>9}  "
            f"{limits:<22}{note}"
        ).rstrip()
    yield from _wrap(sides_line(record), "  ")
    for line in split_lines(record):
        yield from _wrap(line, "  ")


def effect_texts(record: Record, entry: access.Entry) -> tuple[str, str]:
    """Estimate and interval of an effect, those of a share as percentages, dashes if withheld."""
    if entry["quantity"] != access.SHARE:
        return number(entry["estimate"]), interval(entry["lower"], entry["upper"])
    if withheld(record.document, entry):
        return MISSING, MISSING
    lower, upper = entry["lower"], entry["upper"]
    known = finite(lower) and finite(upper)
    limits = f"[{share(lower)}, {share(upper)}]" if known else MISSING
    return share(entry["estimate"]), limits


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
    composites = record.document["composites"]
    if not composites:
        return
    if access.is_single(record):
        yield from _wrap(ONE_COMPOSITE, "")
        return
    label = access.label_of(record)
    entries = [e | composite_share(record.document, e) for e in composites]
    yield (
        f"Composites, in sample{'':<3}{'exposure':>10}{'outcome':>10}{'indirect':>10}{'direct':>10}"
        f"{'mediated':>10}{'index':>8}  top"
    )
    for entry in entries:
        numbers = "".join(
            f"{number(entry[field]):>10}"
            for field in ("exposure_effect", "outcome_effect", "indirect", "direct")
        )
        mediated = share(entry["proportion_mediated"])
        top = shorten(label[entry["top"][0]], 16) if entry["top"] else ""
        row = (
            f"  {shorten(entry['label'], 21):<22}{numbers}{mediated:>10}{number(entry['index']):>8}"
        )
        yield f"{row}  {top}".rstrip()
    for why in dict.fromkeys(filter(None, (e["proportion_reason"] for e in entries))):
        yield from _wrap(why, f"  mediated {MISSING}: ")


def _mediators(record: Record) -> Iterator[str]:
    table = record.mediators
    needed = ("name", "alpha", "beta", "indirect", "p_value")
    if any(name not in table for name in needed):
        return
    lead = record.document["mediator_summary"]["lead"][:5]
    if not lead:
        return
    position = {name: i for i, name in enumerate(access.mediator_names(record))}
    adjusted, label = access.column(record, "q_value"), access.mediator_labels(record)
    heads = f"{'alpha':>10}{'beta':>11}{'product':>11}{'p':>10}{'q':>10}"
    yield f"{'Lead mediators, one at a time':<36}{heads}"
    for name in lead:
        i = position.get(name)
        if i is None:
            continue
        yield (
            f"  {shorten(label[i], 32):<34}{number(float(table['alpha'][i])):>10}"
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


def _threats(record: Record) -> Iterator[str]:
    entries = access.threats(record, "stop", "warn", "note")
    if entries:
        yield "Threats to validity"
    for entry in entries:
        remedy = f" Remedy: {entry['remedy']}" if entry["remedy"] else ""
        yield from _wrap(f"{entry['sentence']}{remedy}", f"  {entry['severity']:<5}")


def _reading(record: Record) -> Iterator[str]:
    for sentence in verdict(record).remarks:
        yield from _wrap(sentence, "")


def _wrap(text: str, lead: str) -> Sequence[str]:
    # Line breaks are blanks to textwrap; what else a terminal would obey is shown, not sent.
    text = visible(text, keep="\n")
    return textwrap.wrap(
        text, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead), break_on_hyphens=False
    )


def files_written(paths: Sequence[Path]) -> str:
    """One line for every file that was written, the page first."""
    pages = [path for path in paths if path.suffix == ".html"]
    return "\n".join(f"wrote {path}" for path in (*pages, *(p for p in paths if p not in pages)))


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
