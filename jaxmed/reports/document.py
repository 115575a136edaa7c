"""One self-contained HTML page: figures inside, no script, nothing loaded from anywhere."""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmed.reports import access
from jaxmed.reports import figures as drawing
from jaxmed.reports import format as fmt
from jaxmed.reports.captions import CAPTIONS, caption
from jaxmed.reports.design import design_lines, file_facts
from jaxmed.reports.direction import by_side, composite_title, cross_fitted, side, sides_line
from jaxmed.reports.missing import missing_parts
from jaxmed.reports.record import Record
from jaxmed.reports.shares import LOG_ODDS, composite_share, on_log_odds
from jaxmed.reports.split_spread import split_lines
from jaxmed.reports.style import require
from jaxmed.reports.text import ONE_COMPOSITE, effect_texts, regime_sentence
from jaxmed.reports.verdict import question, verdict
from jaxmed.reports.wording import share_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP_MEDIATORS = 50
MARGINAL = ("alpha", "alpha_se", "beta", "beta_se", "indirect", "p_value", "q_value")
JOINT = ("joint_beta", "joint_indirect", "joint_lower", "joint_upper", "joint_q")


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
    single = access.is_single(record)
    return {
        "question": question(record).replace("->", "→"),
        "headline": fmt.typographic_numbers(found.headline),
        "paragraph": fmt.typographic_numbers(" ".join(found.paragraph)),
        "reading": list(
            filter(None, (sides_line(record), *found.remarks, regime_sentence(record)))
        ),
        "design": [fmt.typographic_numbers(line) for line in design_lines(document)],
        "dual": access.is_dual(record),
        "keys": _key_numbers(record),
        "figures": [_figure(record, name, image) for name, image in images.items()],
        "level": access.level(record),
        "threats": access.threats(record, "stop", "warn", "note"),
        "mediators": _top_mediators(record),
        "joint": "joint_beta" in record.mediators,
        "splits": [fmt.typographic_numbers(line) for line in split_lines(record)],
        "missing": missing_parts(record),
        **{field: document[field] for field in ("data", "paths", "mediator_summary")},
        "effects": [_effect_row(record, entry) for entry in access.effects_shown(record)],
        "tests": access.tests_shown(record),
        "composites": [] if single else [_composite_row(record, e) for e in document["composites"]],
        "one_composite": ONE_COMPOSITE if single else "",
        **{field: document[field] for field in ("warnings", "settings", "software")},
        **{field: document[field] for field in ("choice", "citations")},
        "why": [fmt.typographic_numbers(line) for line in document["choice"]["sentences"]],
        "methods_text": [fmt.typographic_numbers(line) for line in document["methods_text"]],
        "files": file_facts(document["data"]),
        "schema": f"{document['schema']} {document['schema_version']}",
    }


def _effect_row(record: Record, entry: access.Entry) -> dict[str, Any]:
    estimate, limits = map(fmt.typographic, effect_texts(record, entry))
    scale = f", {LOG_ODDS}" if on_log_odds(record.document, entry) else ""
    texts = {"estimate_text": estimate, "limits_text": limits}
    return entry | texts | {"method_label": f"{entry['method_label']}{scale}"}


def _composite_row(record: Record, entry: access.Entry) -> dict[str, Any]:
    label = access.label_of(record)
    title = composite_title(record, access.composite_key(entry))
    share = composite_share(record.document, entry)
    return entry | share | {"label": title, "top": [label[name] for name in entry["top"]]}


def _figure(record: Record, name: str, image: bytes) -> dict[str, str]:
    encoded = base64.b64encode(image).decode("ascii")
    title, _ = CAPTIONS.get(name, (name, ""))
    return {"name": name, "title": title, "caption": caption(record, name), "svg": encoded}


def _key_numbers(record: Record) -> list[tuple[str, str, str]]:
    """(label, number, remark) of what to look at first; what does not exist has none."""
    single = access.is_single(record)
    names = [access.DUAL_TOTAL, access.PERMUTATION] if access.is_dual(record) else []
    keys = [
        *(_effect_card(record, name) for name in (access.TOTAL, access.DIRECT, access.INDIRECT)),
        _share_card(record),
        *(() if single else (_part_card(record, direction) for direction in by_side(record))),
        *(
            _test_card(record, name)
            for name in (access.TOTAL_TEST, access.INTERSECTION_UNION, *names)
        ),
        None if single else _cosine_card(record),
        None if single else _mediators_card(record),
    ]
    return [(a, fmt.typographic(b), fmt.typographic_numbers(c)) for a, b, c in filter(None, keys)]


def _effect_card(record: Record, quantity: str) -> tuple[str, str, str] | None:
    entry = access.effect(record, quantity)
    if not access.exists(entry):
        return None
    assert entry is not None  # it has an estimate
    scale = LOG_ODDS if on_log_odds(record.document, entry) else ""
    remark = "; ".join(filter(None, (scale, _interval_of(entry))))
    if quantity != access.TOTAL:
        remark = "; ".join(filter(None, (entry["method_label"], remark)))
    return entry["label"], fmt.number(entry["estimate"]), remark


def _interval_of(entry: access.Entry) -> str:
    limits = fmt.interval(entry["lower"], entry["upper"])
    return "" if limits == fmt.MISSING else f"{fmt.percent(entry['level'])} interval {limits}"


def _share_card(record: Record) -> tuple[str, str, str] | None:
    entry = access.effect(record, access.SHARE)
    if entry is None or not share_text(record, entry):
        return None
    estimate, limits = effect_texts(record, entry)
    return entry["label"], estimate, f"{entry['method_label']}; Fieller interval {limits}"


def _part_card(record: Record, direction: str) -> tuple[str, str, str] | None:
    """The cross-fitted part of one direction, else the debiased one."""
    entry = cross_fitted(record, direction) or access.effect(record, direction)
    if entry is None or not access.exists(entry):
        return None
    label = ", ".join(filter(None, (entry["label"], side(record, direction))))
    return label, fmt.number(entry["estimate"]), _interval_of(entry)


def _cosine_card(record: Record) -> tuple[str, str, str] | None:
    paths = record.document["paths"]
    if not fmt.finite(paths["cosine"]):
        return None
    angle = f"{fmt.number(paths['angle_degrees'])}° between the paths"
    p = access.value(access.test(record, access.COSINE), "p_value")
    remark = f"{angle}, {fmt.p_statement(p)}" if fmt.finite(p) else angle
    return "Cosine of the paths", fmt.number(paths["cosine"]), remark


def _mediators_card(record: Record) -> tuple[str, str, str] | None:
    summary = record.document["mediator_summary"]
    if not summary["count"]:
        return None
    return "Mediators, q < .05", str(summary["q05"]), f"of {summary['count']}, one at a time"


def _test_card(record: Record, name: str) -> tuple[str, str, str] | None:
    entry = access.test(record, name)
    if entry is None or not fmt.finite(access.value(entry, "p_value")):
        return None
    text = fmt.p_value(entry["p_value"])
    return entry["label"], f"p {text}" if text.startswith("<") else f"p = {text}", ""


def _top_mediators(record: Record) -> list[dict[str, Any]]:
    """The mediators of smallest p-value, as plain values."""
    names, labels = access.mediator_names(record), access.mediator_labels(record)
    p = access.column(record, "p_value")
    order = np.argsort(np.where(np.isnan(p), np.inf, p), kind="stable")[:TOP_MEDIATORS]
    keys = [] if access.is_single(record) else access.weight_columns(record)
    columns = {field: access.column(record, field) for field in (*MARGINAL, *JOINT)}
    if keys:
        columns["weight"] = access.column(record, f"weight_per_sd_{keys[0]}")
    return [
        {"label": labels[i], "name": names[i] if names[i] != labels[i] else ""}
        | {field: float(values[i]) for field, values in columns.items()}
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
