"""Reports of a train/test evaluation: a terminal table, csv, json and one figure."""

import textwrap
from pathlib import Path
from typing import Any

from jaxmed.data.atomic import atomic_write
from jaxmed.reports import figures as drawing
from jaxmed.reports.csv_text import csv_text
from jaxmed.reports.design import data_paragraph, design_lines
from jaxmed.reports.format import interval, number
from jaxmed.reports.record import result_json
from jaxmed.reports.style import (
    ACCENT,
    DOWNWARD,
    INK,
    MUTED,
    UPWARD,
    axis_name,
    finish,
    new_figure,
    style,
)

COLUMNS = (
    ("indirect", "indirect"),
    ("index", "index"),
    ("exposure_correlation", "cor(A,M)"),
    ("outcome_correlation", "cor(M|A,Y)"),
    ("total", "total"),
    ("proportion_mediated", "mediated"),
    ("auc", "AUC"),
)
WIDTH = 98
COLOURS = (UPWARD, DOWNWARD, ACCENT, MUTED)


def summary_of_evaluation(document: dict[str, Any]) -> str:
    """The table of both parts for a terminal, fifths of the composite below it."""
    settings, data = document["settings"], document["data"]
    said = [*design_lines(document), *data_paragraph(document)]
    lines = [
        *(textwrap.fill(s, WIDTH, break_on_hyphens=False) for s in said),
        f"{settings['exposure']} -> {data['num_mediators_analysed']} mediators -> "
        f"{settings['outcome']}: {data['train_rows']} training rows, {data['test_rows']} test rows "
        f"(seed {settings['seed']})",
    ]
    whole = data.get("total")
    if whole:
        entry = whole["whole"]
        lines.append(
            f"total effect: {number(entry['estimate'])} "
            f"{interval(entry['lower'], entry['upper'])} of the whole table, "
            f"{number(whole['train'])} of the training rows, {number(whole['test'])} of the test "
            "rows"
        )
    wide = max(len(row["label"]) for row in document["table"]) + 2
    head = f"{'':{wide}s}" + "".join(f"{title:>12s}" for _, title in COLUMNS) + f"{'selected':>10s}"
    for part in ("train", "test"):
        lines += ["", f"{part} rows", head]
        for row in _part(document, part):
            cells = "".join(f"{number(row[name]):>12s}" for name, _ in COLUMNS)
            lines.append(f"{row['label']:{wide}s}{cells}{row['selected']:>10d}")
    lines += ["", f"indirect effect on the test rows, {settings['level']:.0%} interval"]
    for row in _part(document, "test"):
        limits = interval(row["lower"], row["upper"])
        lines.append(
            f"{row['label']:{wide}s}{number(row['indirect']):>12s}  {limits}  {row['reason']}"
        )
    lines += ["", "mean outcome by fifths of the composite given the exposure (test rows)"]
    for row in _part(document, "test"):
        cells = "".join(f"{number(mean):>10s}" for mean in row["group_means"])
        lines.append(f"{row['label']:{wide}s}{cells}")
    warnings = [f"warning: {text}" for text in document.get("warnings", ())]
    if warnings:
        lines += ["", *(textwrap.fill(s, WIDTH, break_on_hyphens=False) for s in warnings)]
    return "\n".join(lines)


def table_csv(document: dict[str, Any]) -> str:
    """The table as csv, one row per method and part; `group_1`.. are the fifths' means."""
    rows = []
    for row in document["table"]:
        flat = {name: value for name, value in row.items() if name != "group_means"}
        flat |= {f"group_{i}": mean for i, mean in enumerate(row["group_means"], start=1)}
        rows.append(flat)
    names = list(rows[0])
    return csv_text(names, ([row[name] for name in names] for row in rows))


def evaluation_figure(document: dict[str, Any]) -> Any:
    """Two panels on the test rows.

    Outcome by fifths of each composite, and exposure tracking against outcome prediction.
    """
    rows = [row for row in _part(document, "test") if row["status"] != "EMPTY_SELECTION"]
    settings = document["settings"]
    outcome, exposure = axis_name(settings["outcome"], 30), axis_name(settings["exposure"], 30)
    has_auc = any(row["auc"] == row["auc"] for row in rows)
    with style():
        figure = new_figure(9.0, 3.8)
        left, right = figure.subplots(1, 2)
        for row, colour in zip(rows, COLOURS * len(rows), strict=False):
            fifths = range(1, len(row["group_means"]) + 1)
            left.plot(fifths, row["group_means"], marker="o", color=colour, label=row["label"])
            tracking = row["exposure_correlation"] ** 2
            prediction = row["auc"] if has_auc else row["outcome_correlation"]
            right.scatter([tracking], [prediction], color=colour, s=60, zorder=3)
            right.annotate(
                row["label"],
                (tracking, prediction),
                xytext=(6, 6),
                textcoords="offset points",
                color=INK,
            )
        left.set_xticks(range(1, 6))
        left.set_xlabel(f"fifth of the composite given {exposure}")
        left.set_ylabel(f"mean {outcome}")
        left.set_title("Outcome by composite")
        left.legend()
        right.margins(0.25)
        right.set_xlabel(f"tracking of {exposure}, R²")
        right.set_ylabel(
            f"AUC for {outcome}" if has_auc else f"cor with {outcome} given {exposure}"
        )
        right.set_title("Tracking against prediction")
        return finish(figure)


def save_evaluation(document: dict[str, Any], directory: str | Path) -> list[Path]:
    """Writes evaluation.json, evaluation.csv, evaluation.png and .svg; returns the paths."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    text = result_json(document) + "\n"
    written = [
        atomic_write(directory / "evaluation.json", text.encode()),
        atomic_write(directory / "evaluation.csv", table_csv(document).encode()),
    ]
    figure = evaluation_figure(document)
    for suffix, draw in (("png", drawing.png), ("svg", drawing.svg)):
        written.append(atomic_write(directory / f"evaluation.{suffix}", draw(figure)))
    return written


def _part(document: dict[str, Any], part: str) -> list[dict[str, Any]]:
    return [row for row in document["table"] if row["part"] == part]
