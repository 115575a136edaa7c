"""Panels of series with Monte Carlo bars, as the figures of a simulation study need them."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmed.reports.style import (
    ACCENT,
    DOWNWARD,
    FAINT,
    INK,
    MUTED,
    UPWARD,
    finish,
    new_figure,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PALETTE", "Panel", "Series", "panels_figure"]

# Okabe and Ito's colours in an order that keeps neighbours apart in lightness.
PALETTE = (UPWARD, DOWNWARD, ACCENT, "#CC79A7", "#E69F00", "#56B4E9", INK)

Values = Sequence[float] | np.ndarray
_BAR = 1.96  # standard errors: a bar covers 95 %


@dataclasses.dataclass(frozen=True)
class Series:
    """One line, or one cloud of points.

    Attributes:
      label: in the legend; empty for none.
      x: positions.
      y: values.
      errors: Monte Carlo standard errors, drawn as bars of 1.96 to either side where they are
        larger than the marker; or None.
      color: any of matplotlib's.
      line: "-", "--", ":" or "" for points alone.
      marker: "o", "s", "" for none.
      size: of the marker, points.
      opacity: in (0, 1].
    """

    label: str
    x: Values
    y: Values
    errors: Values | None = None
    color: str = INK
    line: str = "-"
    marker: str = "o"
    size: float = 4.0
    opacity: float = 1.0


@dataclasses.dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
      title: of the panel.
      x_label: with unit.
      y_label: with unit.
      series: drawn in order.
      diagonal: a line y = x to compare with.
      band: (x, lower, upper) of a shaded band behind everything; or None.
      levels: (y, name) of thin horizontal lines.
      marks: (x, name) of thin vertical lines.
      log_x: logarithmic first axis.
      x_limits: or None.
      y_limits: or None.
      x_ticks: (position, name) instead of the automatic ones; or None.
      legend: place of the legend ("best", "upper left", ...); empty for none.
      legend_columns: of the legend.
      names: (x, y, text) written into the panel.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    diagonal: bool = False
    band: tuple[Values, Values, Values] | None = None
    levels: Sequence[tuple[float, str]] = ()
    marks: Sequence[tuple[float, str]] = ()
    log_x: bool = False
    x_limits: tuple[float, float] | None = None
    y_limits: tuple[float, float] | None = None
    x_ticks: Sequence[tuple[float, str]] | None = None
    legend: Any = "best"
    legend_columns: int = 1
    names: Sequence[tuple[float, float, str]] = ()


def panels_figure(
    rows: Sequence[Sequence[Panel]], *, width: float = 11.0, height: float = 3.6
) -> "Figure":
    """Panels in rows, every row with the same number of them.

    Args:
      rows: of panels.
      width: of the figure, inches.
      height: of one row, inches.

    Raises:
      MissingExtraError: matplotlib is not installed.
    """
    with style():
        figure = new_figure(width, height * len(rows))
        grid = figure.subplots(len(rows), len(rows[0]), squeeze=False)
        for panels, line in zip(rows, grid, strict=True):
            for panel, axes in zip(panels, line, strict=True):
                _draw(axes, panel)
        return finish(figure)


def _draw(axes: "Axes", panel: Panel) -> None:
    if panel.log_x:
        axes.set_xscale("log")
    if panel.band is not None:
        axes.fill_between(*panel.band, color=FAINT, linewidth=0, zorder=0)  # type: ignore[arg-type]
    for series in panel.series:
        _series(axes, series)
    if panel.diagonal:
        axes.axline((0, 0), slope=1, color=MUTED, linewidth=0.8, zorder=1)
    _limits(axes, panel)
    for y, name in panel.levels:
        axes.axhline(y, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        _remark(axes, 0.99, y, name, axes.get_yaxis_transform(), ha="right", va="bottom")
    for x, name in panel.marks:
        axes.axvline(x, color=MUTED, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        _remark(axes, x, 0.99, f" {name}", axes.get_xaxis_transform(), ha="left", va="top")
    for x, y, name in panel.names:
        axes.annotate(name, (x, y), xytext=(6, 6), textcoords="offset points", color=INK)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    if panel.legend and any(series.label for series in panel.series):
        axes.legend(loc=panel.legend, ncols=panel.legend_columns)


def _series(axes: "Axes", series: Series) -> None:
    look: dict[str, Any] = {
        "color": series.color,
        "linestyle": series.line or "none",
        "linewidth": 1.4,
        "marker": series.marker or "none",
        "markersize": series.size,
        "markeredgewidth": 0,
        "alpha": series.opacity,
        "label": series.label or None,
    }
    if series.errors is None:
        axes.plot(series.x, series.y, **look)
        return
    bars = [_BAR * error for error in series.errors]
    axes.errorbar(series.x, series.y, yerr=bars, elinewidth=1.0, **look)


def _limits(axes: "Axes", panel: Panel) -> None:
    if panel.x_limits is not None:
        axes.set_xlim(*panel.x_limits)
    if panel.y_limits is not None:
        axes.set_ylim(*panel.y_limits)
    if panel.x_ticks is not None:
        axes.set_xticks([x for x, _ in panel.x_ticks], [name for _, name in panel.x_ticks])
        axes.minorticks_off()


def _remark(axes: "Axes", x: float, y: float, text: str, transform: Any, ha: Any, va: Any) -> None:
    axes.text(x, y, text, transform=transform, ha=ha, va=va, fontsize=8, color=MUTED)
