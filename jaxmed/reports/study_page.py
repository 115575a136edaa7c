"""The page, the tables and the text of one study."""

import base64
import dataclasses
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxmed.data.atomic import atomic_write
from jaxmed.reports import figures as drawing
from jaxmed.reports import format as fmt
from jaxmed.reports.document import environment
from jaxmed.reports.endings import ending_rows, ending_table
from jaxmed.reports.sections import Section, TidyTable
from jaxmed.reports.tidy import table_cells, table_csv, table_text

__all__ = ["StudyReport", "save_study", "study_html", "study_text"]

WIDTH = 98
MONTE_CARLO = (
    "A number in parentheses is the Monte Carlo standard error of the number before it: the "
    "standard deviation that number would have if the whole simulation were repeated with other "
    "seeds. It shrinks with the square root of the number of replicates; differences of two or "
    "three standard errors are within reach of chance. Numbers without one are not simulated, or "
    "are counts."
)


@dataclasses.dataclass(frozen=True)
class StudyReport:
    """What a study's page is made of.

    Attributes:
      title: one line.
      plan: of the run (sweeps.plan): counts, seed, precision, versions.
      sections: in order.
      results: cell name -> result of its reducer, read for how replicates ended.
    """

    title: str
    plan: Mapping[str, Any]
    sections: Sequence[Section]
    results: Mapping[str, Any]


def save_study(report: StudyReport, directory: str | Path, *, figures: bool = True) -> list[Path]:
    """Writes report.html, report.txt, tables/*.csv and figures/*.png and *.svg.

    Args:
      report: of the study.
      directory: made where it does not exist; files of the same names are replaced.
      figures: False leaves them out, in the page too.

    Returns:
      The paths written, report.html last.

    Raises:
      MissingExtraError: jinja2, or matplotlib for a figure, is not installed.
      ValueError: two sections of one name, or a name that is no file name.
    """
    _check_names(report.sections)
    files: dict[str, bytes] = {"report.txt": (study_text(report) + "\n").encode()}
    images: dict[str, bytes] = {}
    for section in report.sections:
        if section.table is not None:
            files[f"tables/{section.name}.csv"] = table_csv(section.table).encode()
        if figures and section.figure is not None:
            figure = section.figure()
            images[section.name] = drawing.svg(figure)
            files[f"figures/{section.name}.png"] = drawing.png(figure)
            files[f"figures/{section.name}.svg"] = images[section.name]
    rows = ending_rows(report.results)
    if rows:
        files["tables/statuses.csv"] = table_csv(TidyTable({k: k for k in rows[0]}, rows)).encode()
    files["report.html"] = study_html(report, images).encode()
    return [atomic_write(Path(directory) / name, content) for name, content in files.items()]


def study_html(report: StudyReport, images: Mapping[str, bytes]) -> str:
    """One self-contained page.

    Args:
      report: of the study.
      images: section name -> SVG.

    Raises:
      MissingExtraError: jinja2 is not installed.
    """
    endings = ending_table(ending_rows(report.results))
    return (
        environment()
        .get_template("study.html.j2")
        .render(
            title=report.title,
            name=report.plan["study"]["name"],
            counts=_counts(report.plan),
            monte_carlo=MONTE_CARLO,
            sections=[_section(section, images.get(section.name)) for section in report.sections],
            endings=table_cells(endings) if endings.rows else None,
            facts=_facts(report.plan),
        )
    )


def study_text(report: StudyReport) -> str:
    """Every table, for a terminal."""
    return fmt.visible("\n\n".join(_blocks(report)), keep="\n")


def _blocks(report: StudyReport) -> Iterator[str]:
    yield f"{report.title}\n{'=' * len(report.title)}"
    yield _wrapped(f"{report.plan['study']['name']}: {_counts(report.plan)}")
    for section in report.sections:
        yield f"{section.title}\n{'-' * len(section.title)}"
        yield from map(_wrapped, section.text)
        if section.table is not None:
            yield table_text(dataclasses.replace(section.table, note=""))
            if section.table.note:
                yield _wrapped(section.table.note)
    endings = ending_table(ending_rows(report.results))
    if endings.rows:
        yield f"How replicates ended\n\n{table_text(dataclasses.replace(endings, note=''))}"
    yield _wrapped(MONTE_CARLO)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


def _check_names(sections: Sequence[Section]) -> None:
    seen = {"statuses"}
    for section in sections:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", section.name):
            raise ValueError(f"section name {section.name!r} is no plain file name")
        if section.name in seen:
            raise ValueError(f"two sections are called {section.name!r}")
        seen.add(section.name)


def _section(section: Section, image: bytes | None) -> dict[str, Any]:
    return {
        "name": section.name,
        "title": section.title,
        "text": [fmt.typographic_numbers(text) for text in section.text],
        "table": None if section.table is None else table_cells(section.table),
        "svg": None if image is None else base64.b64encode(image).decode("ascii"),
        "caption": fmt.typographic_numbers(section.caption),
    }


def _counts(plan: Mapping[str, Any]) -> str:
    """Cells, replicates and seed in a sentence."""
    counts = [cell["count"] for cell in plan["cells"]]
    each = f"{min(counts):,}"
    if min(counts) < max(counts):
        each += f" to {max(counts):,}"
    scale = "" if plan["scale"] == 1 else f" (scale {plan['scale']:g} of the full study)"
    return (
        f"{fmt.count(len(counts), 'cell')} of {each} replicates, {sum(counts):,} in all{scale}; "
        f"seed {plan['seed']}, {plan['precision']}."
    )


def _facts(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    source = plan["study"]["source"]
    where = source.get("file") or source.get("registered") or "a Python session"
    return [
        ("study", f"{plan['study']['name']} ({where})"),
        ("scale, seed, precision", f"{plan['scale']:g}, {plan['seed']}, {plan['precision']}"),
        ("platform, thread pool", f"{plan['platform']}, {plan['nproc']}"),
        *plan["versions"].items(),
        ("configuration", plan["config"]),
    ]
