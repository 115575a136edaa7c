"""One self-contained HTML page: figures inside, no script, nothing loaded from anywhere."""

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmed.reports import access
from jaxmed.reports import figures as drawing
from jaxmed.reports import format as fmt
from jaxmed.reports.captions import CAPTIONS, caption
from jaxmed.reports.design import design_lines, file_facts
from jaxmed.reports.record import Record
from jaxmed.reports.split_spread import split_lines
from jaxmed.reports.style import require
from jaxmed.reports.text import ONE_COMPOSITE, regime_sentence
from jaxmed.reports.verdict import missing_parts, question, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP_MEDIATORS = 50


def html(record: Record, figures: "Mapping[str, Figure]") -> str:
    """The report as one HTML page.

    Args:
      record: the analysis.
      figures: by name, as from `figures.all_figures`; may be empty.

    Raises:
      MissingExtraError: jinja2 is not installed.
    """
    return page(record, {name: drawing.svg(figure) for name, figure in figures.items()})


def page(record: Record, images: Mapping[str, bytes]) -> str:
    """The report from figures that are already SVG; see `html`."""
    return environment().get_template("report.html.j2").render(_context(record, images))


def index_html(entries: Sequence[tuple[str, str, str]], title: str = "Mediation reports") -> str:
    """A page that leads to several reports.

    Args:
      entries: (title, relative link, one-line verdict) of each.
      title: of the page.

    Raises:
      MissingExtraError: jinja2 is not installed.
    """
    return environment().get_template("index.html.j2").render(title=title, entries=entries)


def environment() -> Any:
    """The templates of all pages, with what they know to format."""
    jinja2 = require("jinja2", "an HTML report")
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("jaxmed.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_on_page,
    )
    templates.filters |= {
        "number": lambda value, digits=3: fmt.typographic(fmt.number(value, digits)),
        "p": lambda value: fmt.typographic(fmt.p_value(value)),
        "percent": lambda value: fmt.typographic(fmt.percent(value)),
        "df": fmt.degrees_of_freedom,
        "setting": _setting,
    }
    templates.globals["interval"] = lambda a, b: fmt.typographic(fmt.interval(a, b))
    return templates


def _context(record: Record, images: Mapping[str, bytes]) -> dict[str, Any]:
    document = record.document
    found = verdict(record)
    return {
        "question": question(record).replace("->", "→"),
        "headline": found.headline,
        "sentences": [fmt.typographic_numbers(text) for text in found.sentences],
        "design": [fmt.typographic_numbers(line) for line in design_lines(document)],
        "regime": regime_sentence(record),
        "dual": access.is_dual(record),
        "keys": _key_numbers(record),
        "figures": [_figure(record, name, image) for name, image in images.items()],
        "level": access.level(record),
        "mediators": _top_mediators(record),
        "splits": [fmt.typographic_numbers(line) for line in split_lines(record)],
        "missing": missing_parts(record),
        **{field: document[field] for field in ("data", "paths", "mediator_summary")},
        "effects": access.effects_shown(record),
        "tests": access.tests_shown(record),
        "composites": [] if access.is_single(record) else document["composites"],
        "one_composite": ONE_COMPOSITE if access.is_single(record) else "",
        **{field: document[field] for field in ("warnings", "settings", "software")},
        "files": file_facts(document["data"]),
        "schema": f"{document['schema']} {document['schema_version']}",
    }


def _figure(record: Record, name: str, image: bytes) -> dict[str, str]:
    encoded = base64.b64encode(image).decode("ascii")
    title, _ = CAPTIONS.get(name, (name, ""))
    return {"name": name, "title": title, "caption": caption(record, name), "svg": encoded}


def _key_numbers(record: Record) -> list[tuple[str, str, str]]:
    """(label, number, remark) of what to look at first."""
    paths, summary = record.document["paths"], record.document["mediator_summary"]
    cosine = access.test(record, access.COSINE)
    angle = f"{fmt.number(paths['angle_degrees'])}° between the paths, "
    angle += fmt.p_statement(access.value(cosine, "p_value"))
    single = access.is_single(record)
    keys = [
        _effect_card(record, access.TOTAL),
        _effect_card(record, access.INDIRECT),
        None if single else ("Cosine of the paths", fmt.number(paths["cosine"]), angle),
        _test_card(record, access.DUAL_TOTAL),
        _test_card(record, access.PERMUTATION) if access.is_dual(record) else None,
        _test_card(record, access.TOTAL_TEST),
        _test_card(record, access.INTERSECTION_UNION),
        _effect_card(record, access.CROSS_FITTED),
        None
        if single
        else ("Mediators, q < .05", str(summary["q05"]), f"of {summary['count']}, one at a time"),
    ]
    return [(a, fmt.typographic(b), fmt.typographic_numbers(c)) for a, b, c in filter(None, keys)]


def _effect_card(record: Record, quantity: str) -> tuple[str, str, str] | None:
    entry = access.effect(record, quantity)
    if entry is None or not fmt.finite(access.value(entry, "estimate")):
        return None
    limits = fmt.interval(entry["lower"], entry["upper"])
    remark = "" if limits == fmt.MISSING else f"{fmt.percent(entry['level'])} interval {limits}"
    return entry["label"], fmt.number(entry["estimate"]), remark


def _test_card(record: Record, name: str) -> tuple[str, str, str] | None:
    entry = access.test(record, name)
    if entry is None or not fmt.finite(access.value(entry, "p_value")):
        return None
    text = fmt.p_value(entry["p_value"])
    return entry["label"], f"p {text}" if text.startswith("<") else f"p = {text}", ""


def _top_mediators(record: Record) -> list[dict[str, Any]]:
    """The mediators of smallest p-value, as plain values."""
    names = access.mediator_names(record)
    p = access.column(record, "p_value")
    order = np.argsort(np.where(np.isnan(p), np.inf, p), kind="stable")[:TOP_MEDIATORS]
    keys = [] if access.is_single(record) else access.weight_columns(record)
    fields = ["alpha", "alpha_se", "beta", "beta_se", "indirect", "p_value", "q_value"]
    columns = {field: access.column(record, field) for field in fields}
    if keys:
        columns["weight"] = access.column(record, f"weight_per_sd_{keys[0]}")
    return [
        {"name": names[i]} | {field: float(values[i]) for field, values in columns.items()}
        for i in order
    ]


def _on_page(value: Any) -> Any:
    """What a page shows of a value: any text, but no control characters and no endless words."""
    plain = isinstance(value, str) and not hasattr(value, "__html__")
    return fmt.short_words(fmt.visible(value, keep="\n")) if plain else value


def _setting(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_setting(item) for item in value) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_setting(item)}" for key, item in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
