"""Page of the coverage study: ranges, every setting, and limits from end to end."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxmed.inference.bootstrap_intervals import Bootstrap
from jaxmed.reports.sections import Section, TidyTable
from jaxmed.reports.study_figures import PALETTE, Panel, Series, panels_figure
from jaxmed.studies.composite_inference import printed
from jaxmed.studies.composite_inference.designs import (
    COVERAGE_SHAPES,
    SETTINGS,
    SINGLE,
    SINGLE_SETTINGS,
    Setting,
    Shape,
    label,
    number,
    shape_name,
)
from jaxmed.studies.composite_inference.limits import LIMITS, limit_cell
from jaxmed.studies.optimal_composite.columns import pair
from jaxmed.sweeps.reducers import Rate

__all__ = ["ACCEPTED", "BOOTSTRAPS", "MIRRORED", "report"]

ACCEPTED, MIRRORED = "inversion", "bootstrap"  # first parts of the names of cells
BOOTSTRAPS: tuple[Bootstrap, ...] = ("percentile", "basic")
PARTS = ("total", "concordant", "suppression")
DRAWN: Sequence[Shape] = ((60, 2), (200, 20), (200, 80))


def report(results: Mapping[str, Any], once: Mapping[str, Any]) -> Sequence[Section]:
    """Sections of the study's page."""
    del once
    return [_ranges(results), _every(results), _limits(results)]


def _covered(
    results: Mapping[str, Any], shape: Shape, setting: Setting, part: str, method: str = ACCEPTED
) -> tuple[float, float] | None:
    """Coverage and its Monte Carlo standard error; None for a part of a single mediator."""
    kind, column = (ACCEPTED, part) if method == ACCEPTED else (MIRRORED, f"{part}, {method}")
    found = results.get(f"{kind}/{shape_name(shape)}")
    missed: Rate | None = None if found is None else found.values.get(f"{label(setting)}/{column}")
    return None if missed is None else (1 - missed.rate, missed.standard_error)


def _ranges(results: Mapping[str, Any]) -> Section:
    rows = []
    for shape in (*COVERAGE_SHAPES, *SINGLE):
        row: dict[str, Any] = dict(zip("np", shape, strict=True))
        settings = SINGLE_SETTINGS if shape in SINGLE else SETTINGS
        for part in PARTS:
            for method in (ACCEPTED, *BOOTSTRAPS):
                found = [
                    (covered, setting)
                    for setting in settings
                    if (covered := _covered(results, shape, setting, part, method)) is not None
                ]
                if found:
                    least, where = min(found)
                    row |= {f"{part}_{method}_least": least, f"{part}_{method}_where": label(where)}
                    row[f"{part}_{method}_most"] = max(found)[0]
        there = printed.WORST_PARTS.get(shape, ("", ""))
        row |= {"percentile_printed": there[0], "inversion_printed": there[1]}
        rows.append(row)
    columns = {"n": "n", "p": "p"}
    for part in PARTS:
        for method in (ACCEPTED, *BOOTSTRAPS):
            columns |= {f"{part}_{method}_least": f"{part}, {method}: least"}
            columns |= {f"{part}_{method}_where": "where", f"{part}_{method}_most": "most"}
    columns |= {
        "inversion_printed": "parts, specification: inversion",
        "percentile_printed": "percentile",
    }
    text = (
        "Coverage of 95% intervals, least and most over 27 settings of strengths and alignment. "
        "By inversion: 10,000 data sets (at scale 1) by acceptance of the truth; percentile and "
        "basic intervals of the exact-law bootstrap: 1,000. All from 500 draws of the law.",
        "At a value of 0, or at one that cannot be told from it, an interval of a part has one "
        "tail only and covers .975 and more.",
        "A single mediator (p = 1) has no parts; its total has the product interval.",
        "The specification's percentile intervals come from a law whose strengths were not raised "
        "to the product that the estimate of the total asks for; ours are those of the library.",
    )
    return Section(
        "coverage",
        "Range over the settings",
        text,
        TidyTable(columns, rows, "Where: kA kY c0 of the least."),
    )


def _every(results: Mapping[str, Any]) -> Section:
    rows = []
    for shape in (*COVERAGE_SHAPES, *SINGLE):
        for setting in SINGLE_SETTINGS if shape in SINGLE else SETTINGS:
            k_a, k_y, alignment = setting
            row: dict[str, Any] = {"n": shape[0], "p": shape[1]}
            row |= {"k_a": k_a, "k_y": k_y, "c0": alignment}
            for part in PARTS:
                for method in (ACCEPTED, *BOOTSTRAPS):
                    row[f"{part}_{method}"] = _covered(results, shape, setting, part, method)
            rows.append(row)
    columns = {"n": "n", "p": "p", "k_a": "kA", "k_y": "kY", "c0": "c0"}
    for part in PARTS:
        columns |= {f"{part}_{method}": f"{part}, {method}" for method in (ACCEPTED, *BOOTSTRAPS)}
    note = (
        "In parentheses: Monte Carlo standard errors. Data sets whose basic interval of a part has "
        "no width, since both of its limits were beyond 0, are left out of that column."
    )
    caption = (
        "Coverage of the concordant part by setting (kA over kY over c0), by inversion and by "
        "percentiles, and of the total by inversion. Bars: 95 % Monte Carlo intervals."
    )
    return Section(
        "coverage-by-setting",
        "Every setting",
        (),
        TidyTable(columns, rows, note),
        lambda: _figure(results),
        caption,
    )


def _figure(results: Mapping[str, Any]) -> Any:
    ticks = [(i, "\n".join(map(number, setting))) for i, setting in enumerate(SETTINGS)]
    lines = (
        ("concordant, inversion", "concordant", ACCEPTED),
        ("concordant, percentile", "concordant", "percentile"),
        ("total, inversion", "total", ACCEPTED),
    )
    panels = []
    for shape in DRAWN:
        series = []
        for color, (name, part, method) in zip(PALETTE, lines, strict=False):
            found = [_covered(results, shape, setting, part, method) for setting in SETTINGS]
            values, errors = zip(*(each for each in found if each is not None), strict=True)
            series.append(Series(name, range(len(values)), values, errors, color))
        panel = Panel(
            "n = {}, p = {}".format(*shape),
            "kA over kY over c0",
            "coverage of 95 % intervals",
            series,
            levels=((0.95, ".95"),),
            x_ticks=ticks,
            y_limits=(0.75, 1.005),
            legend="lower right",
        )
        panels.append([panel])
    return panels_figure(panels, height=3.2)


def _limits(results: Mapping[str, Any]) -> Section:
    rows = []
    for shape, setting in LIMITS:
        found = results[limit_cell(shape, setting)]
        for part in PARTS:
            row: dict[str, Any] = {"n": shape[0], "p": shape[1], "setting": label(setting)}
            row["part"] = part
            for method in (ACCEPTED, "percentile"):
                row[f"{method}_covered"] = pair(found[f"{method} {part}/covered"])
                row[f"{method}_width"] = pair(found[f"{method} {part}/width"])
            ours, theirs = (
                found[f"{method} {part}/width"].mean for method in (ACCEPTED, "percentile")
            )
            row["ratio"] = round(ours / theirs, 3)
            rows.append(row)
    columns = {
        "n": "n",
        "p": "p",
        "setting": "kA kY c0",
        "part": "part",
        "inversion_covered": "inversion covers",
        "inversion_width": "mean width",
        "percentile_covered": "percentile covers",
        "percentile_width": "mean width",
        "ratio": "ratio of widths",
    }
    text = (
        "Intervals as they are reported, limits searched to the end: 1,000 data sets a cell (at "
        "scale 1), 800 draws of the law, the same for both kinds of interval.",
    )
    return Section("limits", "Limits from end to end", text, TidyTable(columns, rows))
