"""Page of the size study: ranges over the nulls beside the specification's, then every null."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxmed.reports.sections import Section, TidyTable
from jaxmed.reports.study_figures import PALETTE, Panel, panels_figure
from jaxmed.studies.composite_inference import printed
from jaxmed.studies.composite_inference.designs import (
    NULLS,
    SINGLE,
    SIZE_SHAPES,
    Shape,
    label,
    nulls_of,
    number,
    shape_name,
)
from jaxmed.studies.optimal_composite.columns import rate_pair
from jaxmed.studies.optimal_composite.cosine_cells import rate_series
from jaxmed.sweeps.reducers import Rate

__all__ = ["report"]

# Column of the table -> test, and the level at which it is counted.
COLUMNS = {
    "joint": ("joint", "five"),
    "closed": ("W", "five"),
    "law": ("exact law", "five"),
    "law_one": ("exact law", "one"),
}
HEADINGS = {
    "joint": "joint test",
    "closed": "W, t",
    "law": "W, exact law",
    "law_one": "W, exact law, at .01",
}
DRAWN: Sequence[Shape] = ((100, 10), (200, 20), (200, 80))


def report(results: Mapping[str, Any], once: Mapping[str, Any]) -> Sequence[Section]:
    """Sections of the study's page."""
    del once
    return [_ranges(results), _every(results)]


def _rates(results: Mapping[str, Any], shape: Shape, column: str) -> list[Rate]:
    test, level = COLUMNS[column]
    found = results[shape_name(shape)][level]
    return [found[f"{label(null)}/{test}"] for null in nulls_of(shape)]


def _ranges(results: Mapping[str, Any]) -> Section:
    rows = []
    for shape in (*SIZE_SHAPES, *SINGLE):
        row: dict[str, Any] = dict(zip("np", shape, strict=True))
        for column in COLUMNS:
            rates = sorted(_rates(results, shape, column), key=lambda rate: rate.rate)
            row |= {f"{column}_least": rate_pair(rates[0]), f"{column}_most": rate_pair(rates[-1])}
        there = printed.SIZES.get(shape, ("",) * len(COLUMNS))
        row |= {f"{c}_printed": text for c, text in zip(COLUMNS, there, strict=True)}
        rows.append(row)
    columns = {"n": "n", "p": "p"}
    for column, heading in HEADINGS.items():
        columns |= {
            f"{column}_least": f"{heading}: least",
            f"{column}_most": "most",
            f"{column}_printed": "specification",
        }
    text = (
        "Rejection rates at .05 (last columns: .01), least and most over 16 nulls of the total "
        "indirect effect: both paths null, one of them null, and two active paths at 90 degrees.",
        "W is conservative where both paths are weak and mediators few; its exact law mends that. "
        "The joint test is made for nulls of one path, and rejects up to three times too often "
        "where two active paths are orthogonal. A single mediator (p = 1) has one test, the joint "
        "significance of its two coefficients, in all columns, and no null with two active paths.",
    )
    note = (
        "The most of 16 rates lies about 2 Monte Carlo standard errors above a common value. "
        "Specification: the range that the inference specification reports."
    )
    return Section("size", "Range over the nulls", text, TidyTable(columns, rows, note))


def _every(results: Mapping[str, Any]) -> Section:
    rows = []
    for shape in (*SIZE_SHAPES, *SINGLE):
        found = {column: _rates(results, shape, column) for column in COLUMNS}
        for i, (k_a, k_y, _) in enumerate(nulls_of(shape)):
            row: dict[str, Any] = {"n": shape[0], "p": shape[1], "k_a": k_a, "k_y": k_y}
            rows.append(row | {column: rate_pair(rates[i]) for column, rates in found.items()})
    columns = {"n": "n", "p": "p", "k_a": "kA", "k_y": "kY", **HEADINGS}
    text = ("kA and kY are the strengths of the exposure path and of the outcome path; c0 = 0.",)
    caption = (
        "Size at .05 by null (kA over kY). Bars: 95 % Monte Carlo intervals, mostly hidden by "
        "the markers."
    )
    return Section(
        "size-by-null",
        "Every null",
        text,
        TidyTable(columns, rows, "In parentheses: Monte Carlo standard errors."),
        lambda: _figure(results),
        caption,
    )


def _figure(results: Mapping[str, Any]) -> Any:
    ticks = [(i, f"{number(null[0])}\n{number(null[1])}") for i, null in enumerate(NULLS)]
    panels = []
    for shape in DRAWN:
        series = [
            rate_series(
                HEADINGS[column], range(len(NULLS)), _rates(results, shape, column), PALETTE[i]
            )
            for i, column in enumerate(("joint", "closed", "law"))
        ]
        panel = Panel(
            "n = {}, p = {}".format(*shape),
            "kA over kY",
            "size at .05",
            series,
            levels=((0.05, ".05"),),
            x_ticks=ticks,
            y_limits=(0.0, 0.16),
            legend="upper left",
        )
        panels.append([panel])
    return panels_figure(panels, height=3.0)
