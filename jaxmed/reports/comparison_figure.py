"""One figure of intervals: direct, indirect and total effect, a row per method."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmed.reports.format import finite, percent, shorten
from jaxmed.reports.style import (
    DOWNWARD,
    FAINT,
    MUTED,
    PAPER,
    UPWARD,
    axis_name,
    finish,
    message_figure,
    new_figure,
    require,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["comparison_figure"]

PANELS = {"direct": "Direct effect", "indirect": "Indirect effect", "total": "Total effect"}
LONGEST = 5.0  # an interval this many times longer than the median one is cut at the panel's edge
ROW = 0.34  # inches
Row = dict[str, Any]


def comparison_figure(document: dict[str, Any]) -> "Figure":
    """Points are estimates; each method's own interval above, that of the bootstrap below it.

    Raises:
      MissingExtraError: matplotlib is not installed.
    """
    rows, settings = document["table"], document["settings"]
    with style():
        if not any(finite(row[part]) for row in rows for part in PANELS):
            return message_figure("Effects by method", "No method has an estimate.")
        figure = new_figure(11.0, ROW * len(rows) + 1.7)
        panels = figure.subplots(1, 3, sharey=True)
        for axes, (part, title) in zip(panels, PANELS.items(), strict=True):
            _panel(axes, rows, part)
            axes.set_title(title)
        first = panels[0]
        first.set_ylim(len(rows) - 0.4, -0.6)
        first.set_yticks(range(len(rows)), [_name(row) for row in rows])
        unit = f"{axis_name(settings['outcome'])} per unit of {axis_name(settings['exposure'])}"
        figure.supxlabel(unit, fontsize=9.5)
        bootstrap = bool(settings.get("bootstrap"))
        figure.legend(
            handles=_key(percent(settings["level"]), bootstrap), loc="outside upper right", ncols=2
        )
        return finish(figure)


def _name(row: Row) -> str:
    name = shorten(row["label"], 28)
    return f"{name} (log odds)" if row["scale"] == "log odds" else name


def _panel(axes: "Axes", rows: Sequence[Row], part: str) -> None:
    low, high = _limits(rows, part)
    axes.set_xlim(low, high)
    axes.axvline(0, color=MUTED, lw=0.8, zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    for height, row in enumerate(rows):
        if height % 2:
            axes.axhspan(height - 0.5, height + 0.5, color=FAINT, alpha=0.25, lw=0, zorder=-1)
        if not finite(row[part]):
            axes.annotate(
                "no estimate",
                (0.03, height),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=8,
                color=MUTED,
                bbox={"fc": PAPER, "ec": "none", "pad": 1.5},
            )
            continue
        _line(axes, row, part, "", height - 0.1, lw=2.6, color=UPWARD)
        _line(axes, row, part, "bootstrap_", height + 0.22, lw=1.1, color=DOWNWARD)
        axes.plot(row[part], height - 0.1, "o", color=UPWARD, mec="white", mew=0.8, ms=6.5)


def _line(
    axes: "Axes", row: Row, part: str, kind: str, height: float, *, lw: float, color: str
) -> None:
    """One interval, cut at the panel's edges with an arrow; nothing where it does not exist."""
    given = [row.get(f"{part}_{kind}{side}") for side in ("lower", "upper")]
    ends = [float(end) for end in given if end is not None and finite(end)]
    if len(ends) < 2:
        return
    low, high = axes.get_xlim()
    margin = 0.015 * (high - low)
    inside = [min(max(end, low + margin), high - margin) for end in ends]
    axes.plot(inside, [height, height], color=color, lw=lw, solid_capstyle="butt", zorder=2)
    for end, shown, arrow in zip(ends, inside, ("<", ">"), strict=True):
        if shown != end:
            axes.plot(shown, height, arrow, color=color, ms=5, zorder=3)
        elif kind:
            axes.plot(shown, height, "|", color=color, ms=6, mew=1.1, zorder=3)


def _limits(rows: Sequence[Row], part: str) -> tuple[float, float]:
    """Limits of a panel: every estimate, 0, and all intervals but very long ones."""
    pairs = [
        (row[f"{part}_{kind}lower"], row[f"{part}_{kind}upper"])
        for row in rows
        for kind in ("", "bootstrap_")
        if finite(row.get(f"{part}_{kind}lower")) and finite(row.get(f"{part}_{kind}upper"))
    ]
    widths = [upper - lower for lower, upper in pairs]
    longest = LONGEST * float(np.median(widths)) if widths else 0.0
    ends = [end for pair in pairs if pair[1] - pair[0] <= longest for end in pair]
    points = [row[part] for row in rows if finite(row[part])]
    low, high = min([0.0, *points, *ends]), max([0.0, *points, *ends])
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _key(level: str, bootstrap: bool) -> list[Any]:
    lines = require("matplotlib.lines", "a figure")
    own = lines.Line2D(
        [],
        [],
        color=UPWARD,
        lw=2.6,
        marker="o",
        mec="white",
        ms=6.5,
        label=f"estimate, the method's own {level} interval",
    )
    if not bootstrap:
        return [own]
    return [
        own,
        lines.Line2D(
            [],
            [],
            color=DOWNWARD,
            lw=1.1,
            marker="|",
            ms=6,
            label=f"{level} percentile interval, same resamples for all",
        ),
    ]
