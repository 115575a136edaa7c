"""The plane of the two paths, and the indirect effect of every composite in it."""

import math
from typing import TYPE_CHECKING

import numpy as np

from jaxmed.reports import access
from jaxmed.reports.direction import WORDS, side
from jaxmed.reports.format import finite, number, typographic
from jaxmed.reports.record import Record
from jaxmed.reports.style import (
    DOWNWARD,
    FAINT,
    INK,
    MUTED,
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


def path_plane(record: Record) -> "Figure":
    """Unit exposure path and outcome path, their angle, and the optimal directions.

    The lobe at a direction is as long as the indirect effect of the composite in that direction,
    |cos t cos(t - angle)|: the tip of the upward lobe is the upward MaxIE composite, the tip of the
    other the downward one; MaxCor leans from there. Exposure strengths and outcome strengths have
    different units, so both paths are drawn with length 1.
    """
    with style():
        paths = record.document["paths"]
        cosine, degrees = paths["cosine"], paths["angle_degrees"]
        if not (finite(cosine) and finite(degrees)):
            return message_figure("The two paths", f"No angle: {paths['reason'] or 'not defined'}.")
        if access.is_single(record):
            return message_figure("The two paths", "One dimension: both paths lie on one line.")
        if access.value(paths, "exposure_norm") == 0 or access.value(paths, "outcome_norm") == 0:
            return message_figure("The two paths", "A path is null: it has no direction to draw.")
        figure = new_figure(7.4, 5.6)
        axes = figure.subplots()
        angle = math.radians(degrees)
        _frame(axes)
        _lobes(axes, angle)
        _directions(axes, record, angle)
        _arrows(axes, record, angle)
        _arc(axes, angle, cosine, degrees)
        _legend(axes, record)
        return finish(figure)


def _frame(axes: "Axes") -> None:
    turn = np.linspace(0, 2 * math.pi, 361)
    axes.plot(np.cos(turn), np.sin(turn), color=FAINT, lw=0.9, zorder=0)
    axes.set_aspect("equal")
    axes.set_xlim(-1.32, 1.42)
    axes.set_ylim(-1.18, 1.22)
    axes.set_axis_off()
    axes.set_title("The exposure path and the outcome path")


def _lobes(axes: "Axes", angle: float) -> None:
    turn = np.linspace(0, 2 * math.pi, 481)
    product = np.cos(turn) * np.cos(turn - angle)
    for sign, color in ((1, UPWARD), (-1, DOWNWARD)):
        reach = np.maximum(sign * product, 0)
        axes.fill(
            reach * np.cos(turn), reach * np.sin(turn), color=color, alpha=0.16, lw=0, zorder=1
        )
        axes.plot(
            reach * np.cos(turn), reach * np.sin(turn), color=color, alpha=0.55, lw=0.9, zorder=1
        )


def _directions(axes: "Axes", record: Record, angle: float) -> None:
    maxcor = record.document["paths"].get("maxcor_angle_degrees") or {}
    half = angle / 2
    rows = (
        (access.UPWARD, half, math.cos(half) ** 2, UPWARD, 1),
        (access.DOWNWARD, half - math.pi / 2, math.sin(half) ** 2, DOWNWARD, -1),
    )
    for name, bisector, reach, color, sign in rows:
        _ray(axes, bisector, 1.0, color, "-", 1.5)
        axes.plot(*_at(bisector, reach), "o", color=color, ms=6, mec="white", mew=0.9, zorder=5)
        lean = maxcor.get(name)
        if lean is not None and finite(lean):
            _ray(axes, sign * math.radians(abs(lean)), 1.0, color, (0, (2, 2)), 1.3)


def _ray(axes: "Axes", angle: float, reach: float, color: str, dash: object, width: float) -> None:
    x, y = _at(angle, reach)
    axes.plot([0, x], [0, y], color=color, ls=dash, lw=width, zorder=3)  # type: ignore[arg-type]


def _arrows(axes: "Axes", record: Record, angle: float) -> None:
    data = record.document["data"]
    names = (axis_name(data["exposure"]["name"], 18), axis_name(data["outcome"]["name"], 24))
    for direction, role, name in zip(
        (0.0, angle), ("exposure path", "outcome path"), names, strict=True
    ):
        axes.annotate(
            "",
            _at(direction, 1.0),
            (0, 0),
            zorder=6,
            arrowprops={
                "arrowstyle": "-|>,head_width=0.28,head_length=0.55",
                "color": INK,
                "lw": 2.0,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
        x, y = _at(direction, 1.06)
        side = "left" if x > 0.25 else "right" if x < -0.25 else "center"
        lift = "bottom" if y > 0.25 else "center"
        if angle < 0.25:  # the labels of nearly parallel paths lie below and above each other
            lift = "top" if role == "exposure path" else "bottom"
            y += -0.03 if role == "exposure path" else 0.03
        axes.text(
            x,
            y,
            f"{role}\n{name}",
            ha=side,
            va=lift,
            fontsize=9,
            fontweight="bold",
            linespacing=1.3,
        )


def _arc(axes: "Axes", angle: float, cosine: float, degrees: float) -> None:
    turn = np.linspace(0, angle, 90)
    axes.plot(0.24 * np.cos(turn), 0.24 * np.sin(turn), color=INK, lw=1.2, zorder=6)
    axes.text(
        0.0,
        0.97,
        typographic(f"angle {number(degrees)}°\ncosine {number(cosine)}"),
        transform=axes.transAxes,
        ha="left",
        va="top",
        fontsize=10.5,
        fontweight="bold",
        linespacing=1.4,
    )


def _at(angle: float, reach: float) -> tuple[float, float]:
    return reach * math.cos(angle), reach * math.sin(angle)


def _legend(axes: "Axes", record: Record) -> None:
    lines = require("matplotlib.lines", "a figure")
    paths = record.document["paths"]
    handles = [
        lines.Line2D([], [], color=UPWARD, lw=1.5, marker="o", mec="white"),
        lines.Line2D([], [], color=UPWARD, lw=1.3, ls=(0, (2, 2))),
        lines.Line2D([], [], color=DOWNWARD, lw=1.5, marker="o", mec="white"),
        lines.Line2D([], [], color=DOWNWARD, lw=1.3, ls=(0, (2, 2))),
    ]
    labels = [
        ", ".join(filter(None, (f"{method} {WORDS[direction]}", side(record, direction))))
        for direction in (access.UPWARD, access.DOWNWARD)
        for method in ("MaxIE", "MaxCor")
    ]
    axes.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2)
    strength = (
        f"in-sample strengths\nexposure path {number(paths['exposure_norm'])}\n"
        f"outcome path {number(paths['outcome_norm'])}"
    )
    axes.text(
        0.0,
        0.0,
        strength,
        transform=axes.transAxes,
        fontsize=8,
        color=MUTED,
        va="bottom",
        linespacing=1.4,
    )
