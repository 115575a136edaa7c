"""Reports of several methods on one data set: terminal text, csv, json and a page."""

import base64
import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.atomic import atomic_write
from jaxmed.reports import figures as drawing
from jaxmed.reports import format as fmt
from jaxmed.reports.comparison_figure import comparison_figure
from jaxmed.reports.csv_text import columns_csv
from jaxmed.reports.design import data_paragraph, design_lines, file_facts
from jaxmed.reports.document import environment
from jaxmed.reports.proportion import proportion_reasons, proportion_tables
from jaxmed.reports.record import result_json
from jaxmed.reports.sections import Section, TidyTable
from jaxmed.reports.tidy import table_cells, table_csv, table_text

__all__ = [
    "endings_text",
    "flat_rows",
    "save_comparison",
    "summary_of_comparison",
]

EFFECTS = {"indirect": "Total indirect effect", "direct": "Direct effect", "total": "Total effect"}
VOTES = 25
WIDTH = 98
Document = dict[str, Any]


def endings_text(failed: Mapping[str, int]) -> str:
    """Failed resamples by status: "RANK_DEFICIENT 3, NONFINITE 1"; "0" where none failed."""
    return ", ".join(f"{name} {count}" for name, count in failed.items()) or "0"


def flat_rows(document: Document) -> list[dict[str, Any]]:
    """Rows of the csv file: as in the document, failed resamples and names of notes as text."""
    texts = {"failed": endings_text, "notes": " ".join}
    return [
        row | {name: text(row[name]) for name, text in texts.items() if name in row}
        for row in document["table"]
    ]


def summary_of_comparison(document: Document) -> str:
    """Effects with intervals, how each method ended, and notes, for a terminal."""
    said = [*design_lines(document), *data_paragraph(document)]
    first = [textwrap.fill(s, WIDTH, break_on_hyphens=False) for s in said]
    lines = [*first, *([""] if first else []), _head(document)]
    for title, table in _tables(document):
        lines += ["", title, table_text(table)]
    lines += ["", "Methods", table_text(_method_table(document))]
    notes = [f"{who}: {text}" for who, text in _notes(document)]
    warnings = [f"warning: {text}" for text in document["warnings"]]
    chosen = document.get("choice", {}).get("sentences", ())
    sentences = [*chosen, *_without_resamples(document), *notes, *warnings]
    lines += ["", *(textwrap.fill(s, WIDTH, break_on_hyphens=False) for s in sentences)]
    return "\n".join(lines).rstrip()


def save_comparison(
    document: Document,
    mediators: Mapping[str, np.ndarray],
    directory: str | Path,
    *,
    figures: bool = True,
    sections: Sequence[Section] = (),
) -> list[Path]:
    """Writes NAME.csv, NAME.json, NAME_mediators.csv, NAME.png, NAME.svg and report.html.

    NAME is "compare", "effects" or "gahmn", from the schema of the document.

    Args:
      document: of the result.
      mediators: columns of the long table.
      directory: made where it does not exist.
      figures: False writes tables alone.
      sections: further figures and tables of the page, each with files of its own.
    Returns:
      The paths written, report.html last.

    Raises:
      MissingExtraError: matplotlib or jinja2 is not installed.
    """
    stem = document["schema"].split(".")[-1]
    rows = flat_rows(document)
    files = {
        f"{stem}.csv": table_csv(TidyTable({name: name for name in rows[0]}, rows)).encode(),
        f"{stem}.json": (result_json(document) + "\n").encode(),
        f"{stem}_mediators.csv": columns_csv(mediators).encode(),
    }
    image = None
    if figures:
        figure = comparison_figure(document)
        image = drawing.svg(figure)
        files |= {f"{stem}.png": drawing.png(figure), f"{stem}.svg": image}
    shown = []
    for section in sections:
        drawn = None
        if figures and section.figure is not None:
            made = section.figure()
            drawn = drawing.svg(made)
            files |= {f"{section.name}.png": drawing.png(made), f"{section.name}.svg": drawn}
        if section.table is not None:
            files[f"{section.name}.csv"] = table_csv(section.table).encode()
        shown.append((section, drawn))
    files["report.html"] = _page(document, mediators, stem, image, shown).encode()
    return [atomic_write(Path(directory) / name, content) for name, content in files.items()]


def _page(
    document: Document,
    mediators: Mapping[str, np.ndarray],
    stem: str,
    image: bytes | None,
    sections: Sequence[tuple[Section, bytes | None]],
) -> str:
    settings, data = document["settings"], document["data"]
    votes = _votes(document, mediators)
    facts = {
        **file_facts(data),
        "rows, mediators, covariates": f"{data['rows_used']}, {data['num_mediators']}, "
        f"{data['num_covariates']}",
        **settings,
        **document["software"],
        "schema": f"{document['schema']} {document['schema_version']}",
    }
    return (
        environment()
        .get_template("comparison.html.j2")
        .render(
            title="Effects by method" if stem == "compare" else "Direct and indirect effect",
            question=f"{settings['exposure']} → {data['num_mediators_analysed']} mediators → "
            f"{settings['outcome']}",
            sentences=[*design_lines(document), *_sentences(document)],
            warnings=document["warnings"],
            svg=_inline(image),
            sections=[
                {
                    "title": section.title,
                    "text": section.text,
                    "svg": _inline(drawn),
                    "caption": section.caption,
                    "table": None if section.table is None else table_cells(section.table),
                }
                for section, drawn in sections
            ],
            caption=_caption(document),
            effects=[(title, table_cells(table)) for title, table in _tables(document)],
            methods=table_cells(_method_table(document)),
            notes=_notes(document),
            votes=table_cells(votes) if votes.rows else None,
            lines=data["lines"],
            dropped=data["dropped_mediators"],
            facts=facts,
            stem=stem,
        )
    )


def _inline(image: bytes | None) -> str | None:
    return None if image is None else base64.b64encode(image).decode("ascii")


def _head(document: Document) -> str:
    settings, data = document["settings"], document["data"]
    rows = fmt.count(data["rows_used"], "row")
    return (
        f"{settings['exposure']} -> {fmt.count(data['num_mediators_analysed'], 'mediator')} -> "
        f"{settings['outcome']}: {rows}, {fmt.percent(settings['level'])} intervals "
        f"(seed {settings['seed']})"
    )


def _sentences(document: Document) -> list[str]:
    found = [_head(document).replace("->", "→") + "."]
    if document["settings"].get("bootstrap"):
        found.append(
            f"Every method saw the same {document['settings']['bootstrap']} resamples of the rows. "
            "Bootstrap intervals are percentiles of whole refits, selection and tuning included; "
            "the notes say what they are worth."
        )
    found += _without_resamples(document)
    return [*found, *document.get("choice", {}).get("sentences", ())]


def _without_resamples(document: Document) -> list[str]:
    """Of a comparison alone: how its table gets bootstrap intervals."""
    if document["settings"].get("bootstrap") != 0:
        return []
    return [
        "Intervals are each method's own. Resamples of the rows, the same for all methods, add a "
        "second one: bootstrap=200 in Python, --bootstrap 200 on the command line."
    ]


def _caption(document: Document) -> str:
    text = f"Points are estimates, thick lines each method's own {_level(document)} interval"
    if document["settings"].get("bootstrap"):
        text += ", thin lines with caps the percentile interval of the shared bootstrap"
    return text + ". An arrow marks an interval that goes on beyond the panel."


def _level(document: Document) -> str:
    return fmt.percent(document["settings"]["level"])


def _tables(document: Document) -> list[tuple[str, TidyTable]]:
    effects = [(title, _effect_table(document, part)) for part, title in EFFECTS.items()]
    return [*effects, *proportion_tables(document["table"])]


def _effect_table(document: Document, part: str) -> TidyTable:
    columns = {"method": "Method", "estimate": "Estimate", "error": "Std. error"}
    columns["own"] = "Own interval"
    if document["settings"].get("bootstrap"):
        columns["percentile"] = "Bootstrap interval"

    if part == "total" and any(fmt.finite(r.get("gap")) and r["gap"] for r in document["table"]):
        columns["gap"] = "Less least squares'"

    def limits(row: dict[str, Any], kind: str) -> str:
        return fmt.interval(row.get(f"{part}_{kind}lower"), row.get(f"{part}_{kind}upper"))

    rows = [
        {
            "method": row["label"],
            "estimate": fmt.number(row[part], 4),
            "error": fmt.number(row[f"{part}_se"]),
            "own": limits(row, ""),
            "percentile": limits(row, "bootstrap_"),
            "gap": fmt.number(row.get("gap")),
        }
        for row in document["table"]
    ]
    return TidyTable(columns, rows)


def _method_table(document: Document) -> TidyTable:
    columns = {"method": "Method", "selected": "Selected"}
    if "bootstrap" in document["settings"]:
        columns["seconds"] = "Seconds"
    if document["settings"].get("bootstrap"):
        columns |= {"bootstrap_seconds": "Bootstrap s", "failed": "Failed"}
    columns |= {"status": "Status", "interval": "Own interval"}

    def cells(row: dict[str, Any]) -> dict[str, Any]:
        shown = {name: row.get(name) for name in columns} | {"method": row["label"]}
        for name in {"seconds", "bootstrap_seconds"} & set(columns):
            shown[name] = fmt.number(row[name], 2)
        if "failed" in columns:
            shown["failed"] = endings_text(row["failed"]) if row["resamples"] else fmt.MISSING
        return shown

    return TidyTable(columns, [cells(row) for row in document["table"]])


def _notes(document: Document) -> list[tuple[str, str]]:
    """(methods, sentence), methods of one sentence together."""
    found: dict[str, list[str]] = {}
    for row in document["table"]:
        texts = [row["reason"], row.get("note", ""), *proportion_reasons(row)]
        if row.get("resampling", "").startswith(("none:", "row copies")):
            texts.append(f"bootstrap, {row['resampling']}")
        for text in filter(None, texts):
            found.setdefault(text, []).append(row["label"])
    return [(", ".join(who), text) for text, who in found.items()]


def _votes(document: Document, mediators: Mapping[str, np.ndarray]) -> TidyTable:
    """Mediators by the number of methods that select them, methods that keep all left out."""
    columns = {"mediator": "Mediator", "count": "Methods", "names": "Selected by"}
    counted = {
        row["method"]: row["label"]
        for row in document["table"]
        if row["selected"] is not None
        and row["selected"] < document["data"]["num_mediators_analysed"]
    }
    by: dict[str, list[str]] = {}
    for method, mediator, chosen in zip(
        mediators["method"], mediators["mediator"], mediators["selected"], strict=True
    ):
        if chosen and str(method) in counted:
            by.setdefault(str(mediator), []).append(counted[str(method)])
    order = sorted(by, key=lambda mediator: -len(by[mediator]))[:VOTES]
    rows = [{"mediator": m, "count": len(by[m]), "names": ", ".join(by[m])} for m in order]
    table = TidyTable(columns, rows)
    if len(by) > VOTES:
        note = f"The first {VOTES} of {len(by)} mediators that any method selects."
        return dataclasses.replace(table, note=note)
    return table
