"""Figures of trained generators: learning curves, and the mediators in three panels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxmed.reports.format import shorten
from jaxmed.reports.study_figures import Panel, Series, panels_figure
from jaxmed.reports.style import (
    INK,
    MUTED,
    axis_name,
    finish,
    message_figure,
    new_figure,
    sign_colors,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["learning_curves", "mediator_panels"]

TOP = 10
BALANCE = 2 * float(np.log(2))
Table = Mapping[str, np.ndarray]


def learning_curves(curves: Mapping[str, Table], window: int) -> "Figure":
    """Critic and generator loss of either block against steps, a line per seed.

    Args:
      curves: block -> {"critic", "generator"} -> [seeds, windows].
      window: steps of one entry.
    """
    panels = []
    for block, table in curves.items():
        for which in ("critic", "generator"):
            lines = np.atleast_2d(table[which])
            steps = window * np.arange(1, lines.shape[1] + 1)
            series = [Series("", steps, line, color=INK, marker="") for line in lines]
            levels = [(BALANCE, "no difference seen")] if which == "critic" else []
            panels.append(
                Panel(
                    f"{block}: {which}",
                    "step",
                    "mean loss of 50 steps",
                    series,
                    levels=levels,
                    legend="",
                )
            )
    return panels_figure([panels[:2], panels[2:]], height=2.9)


def mediator_panels(
    names: Sequence[str],
    moved: np.ndarray,
    moving: np.ndarray,
    indirect: np.ndarray,
    direct: float,
    exposure: str,
    outcome: str,
) -> "Figure":
    """The mediators most affected, those with most influence, and the selected ones.

    Args:
      names: of the mediators [p].
      moved: effect of treated against control on each, in its standard deviations [p].
      moving: effect of one standard deviation of each on the outcome [p].
      indirect: indirect effect of each, treated against control [p]; 0 where not selected.
      direct: effect, treated against control.
      exposure: name.
      outcome: name.
    """
    with style():
        chosen = np.flatnonzero(indirect)
        chosen = chosen[np.argsort(-np.abs(indirect[chosen]))][: 2 * TOP]
        if not np.any(moved) and not np.any(moving):
            return message_figure("Mediators", "The generators keep no mediator.")
        rows = max(TOP, len(chosen) + 1)
        figure = new_figure(12.0, 0.24 * rows + 1.5)
        left, middle, right = figure.subplots(1, 3)
        for axes, values, title, unit in (
            (left, moved, f"Moved by {shorten(exposure, 18)}", "sd of the mediator"),
            (middle, moving, f"Moving {shorten(outcome, 18)}", f"{axis_name(outcome, 30)} per sd"),
        ):
            top = np.argsort(-np.abs(values), kind="stable")[: min(TOP, len(names))]
            top = top[values[top] != 0]
            _bars(axes, [str(names[int(k)]) for k in top], values[top])
            axes.set_title(title)
            axes.set_xlabel(axis_name(unit))
        labels = ["direct effect", *(str(names[int(k)]) for k in chosen)]
        _bars(right, labels, np.concatenate([[direct], indirect[chosen]]))
        right.set_title("Through those selected")
        right.set_xlabel(axis_name(outcome))
        return finish(figure)


def _bars(axes: "Axes", labels: Sequence[str], values: np.ndarray) -> None:
    height = np.arange(len(values))
    if not len(values):
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color=MUTED)
        axes.set_xlim(-1, 1)
    axes.barh(height, values, height=0.7, color=sign_colors(values))
    axes.axvline(0, color=MUTED, lw=0.8)
    axes.locator_params(axis="x", nbins=5)
    axes.set_yticks(height, [shorten(label, 22) for label in labels])
    axes.set_ylim(max(len(values), 1) - 0.4, -0.6)
