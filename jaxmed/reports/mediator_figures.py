"""Figures of single mediators: the heaviest weights, and alpha against beta of all."""

from typing import TYPE_CHECKING

import numpy as np

from jaxmed.reports import access
from jaxmed.reports.direction import DIRECTIONS, composite_title
from jaxmed.reports.format import shorten
from jaxmed.reports.label_placement import place_labels
from jaxmed.reports.record import Record
from jaxmed.reports.style import (
    DOWNWARD,
    FAINT,
    INK,
    MANY,
    MUTED,
    UPWARD,
    axis_name,
    finish,
    message_figure,
    new_figure,
    require,
    sign_colors,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOP = 20
LABELS = 12


def top_weights(record: Record) -> "Figure":
    """The largest |weight per sd| of the first composite and of its counterpart of the other sign.

    Bars are coloured by the sign of the mediator's own alpha * beta: a composite's weight depends
    on the other mediators, and may differ in sign from what the mediator does alone.
    """
    with style():
        keys = _first_method(record)
        if not keys:
            return message_figure("Largest weights", "No composite was computed.")
        rows = min(TOP, len(access.mediator_names(record)))
        figure = new_figure(4.7 * len(keys) + (0.6 if len(keys) == 1 else 0), 0.235 * rows + 1.75)
        panels = figure.subplots(1, len(keys), squeeze=False)[0]
        for axes, key in zip(panels, keys, strict=True):
            _weight_bars(axes, record, key)
        _sign_legend(figure)
        return finish(figure)


def _first_method(record: Record) -> list[str]:
    keys = access.weight_columns(record)
    finite = [k for k in keys if np.isfinite(access.column(record, f"weight_per_sd_{k}")).any()]
    if not finite:
        return []
    first = finite[0]
    method, _, direction = first.rpartition("_")
    if direction not in DIRECTIONS:
        return [first]
    return [key for key in finite if key.rpartition("_")[0] == method][:2]


def _weight_bars(axes: "Axes", record: Record, key: str) -> None:
    weights = np.nan_to_num(access.column(record, f"weight_per_sd_{key}"))
    names = access.mediator_labels(record)
    order = np.argsort(-np.abs(weights), kind="stable")[: min(TOP, len(names))]
    adjusted = access.column(record, "q_value")[order]
    height = np.arange(len(order))
    axes.barh(
        height,
        weights[order],
        height=0.7,
        color=sign_colors(access.column(record, "indirect")[order]),
    )
    axes.axvline(0, color=MUTED, lw=0.8)
    labels = [
        shorten(names[i], 26) + (" *" if q < 0.05 else "")
        for i, q in zip(order, adjusted, strict=True)
    ]
    axes.set_yticks(height, labels)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=FAINT, lw=0.6)
    axes.set_xlabel("weight per sd of the mediator")
    axes.set_title(composite_title(record, key))


def _sign_legend(figure: "Figure") -> None:
    patch = require("matplotlib.patches", "a figure").Patch
    handles = [patch(color=UPWARD), patch(color=DOWNWARD), patch(alpha=0)]
    labels = ["its own α·β is positive", "its own α·β is negative", "*  q < .05 on both paths"]
    figure.legend(handles, labels, loc="outside lower center", ncols=3)


def alpha_beta(record: Record) -> "Figure":
    """Exposure -> mediator against mediator -> outcome for every mediator, one at a time.

    Per standard deviation of each mediator where `sd` is known, in their own units otherwise.
    """
    with style():
        alpha, beta = access.column(record, "alpha"), access.column(record, "beta")
        sd = access.column(record, "sd")
        scaled = bool(np.isfinite(sd).any())
        if scaled:
            with np.errstate(divide="ignore", invalid="ignore"):
                alpha, beta = alpha / sd, beta * sd
        seen = np.isfinite(alpha) & np.isfinite(beta)
        if not seen.any():
            return message_figure("Mediators one at a time", "No mediator could be estimated.")
        figure = new_figure(7.6, 5.6)
        axes = figure.subplots()
        _quadrants(axes, alpha[seen], beta[seen])
        _points(axes, record, alpha, beta, seen)
        _axis_labels(axes, record, scaled)
        chosen = _labelled(record, seen)
        names = access.mediator_labels(record)
        finish(figure)
        points = np.column_stack([alpha, beta])
        strong = seen & (access.column(record, "q_value") < 0.10)
        labels = [shorten(names[i], 24) for i in chosen]
        place_labels(axes, points[chosen], labels, points[strong], points[seen & ~strong])
        return figure


def _quadrants(axes: "Axes", alpha: np.ndarray, beta: np.ndarray) -> None:
    x, y = 1.22 * np.max(np.abs(alpha)) or 1.0, 1.22 * np.max(np.abs(beta)) or 1.0
    axes.set_xlim(-x, x)
    axes.set_ylim(-y, y)
    rectangle = require("matplotlib.patches", "a figure").Rectangle
    for left, bottom, color in (
        (0, 0, UPWARD),
        (-x, -y, UPWARD),
        (-x, 0, DOWNWARD),
        (0, -y, DOWNWARD),
    ):
        axes.add_patch(rectangle((left, bottom), x, y, color=color, alpha=0.055, lw=0, zorder=0))
    axes.axhline(0, color=MUTED, lw=0.7, zorder=1)
    axes.axvline(0, color=MUTED, lw=0.7, zorder=1)
    for across, up, text, color in (
        (0.985, 0.985, "upward: α·β > 0", UPWARD),
        (0.015, 0.015, "upward: α·β > 0", UPWARD),
        (0.015, 0.985, "downward: α·β < 0", DOWNWARD),
        (0.985, 0.015, "downward: α·β < 0", DOWNWARD),
    ):
        axes.text(
            across,
            up,
            text,
            transform=axes.transAxes,
            color=color,
            fontsize=8,
            ha="right" if across > 0.5 else "left",
            va="top" if up > 0.5 else "bottom",
        )


def _points(
    axes: "Axes", record: Record, alpha: np.ndarray, beta: np.ndarray, seen: np.ndarray
) -> None:
    q = access.column(record, "q_value")
    strong, weak = seen & (q < 0.05), seen & (q >= 0.05) & (q < 0.10)
    rest = seen & ~strong & ~weak
    colors = np.array(sign_colors(alpha * beta))
    raster = int(seen.sum()) > MANY
    size = 22 if seen.sum() < 300 else 14
    axes.scatter(
        alpha[rest],
        beta[rest],
        s=size,
        color="#9AA5B1",
        alpha=0.55,
        lw=0,
        zorder=2,
        rasterized=raster,
    )
    axes.scatter(
        alpha[weak], beta[weak], s=34, facecolor="white", edgecolor=colors[weak], lw=1.3, zorder=3
    )
    axes.scatter(
        alpha[strong], beta[strong], s=42, color=colors[strong], edgecolor="white", lw=0.7, zorder=4
    )
    line = require("matplotlib.lines", "a figure").Line2D
    handles = [
        line([], [], marker="o", color=INK, mec="white", ms=7, lw=0),
        line([], [], marker="o", mfc="white", mec=INK, mew=1.3, ms=6.5, lw=0),
        line([], [], marker="o", color="#9AA5B1", alpha=0.7, ms=5, lw=0),
    ]
    labels = [
        f"q < .05 ({strong.sum()})",
        f"q < .10 ({weak.sum()} more)",
        f"not significant ({rest.sum()})",
    ]
    axes.legend(
        handles, labels, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, columnspacing=1.2
    )


def _axis_labels(axes: "Axes", record: Record, scaled: bool) -> None:
    data = record.document["data"]
    exposure, outcome = (
        axis_name(data["exposure"]["name"], 24),
        axis_name(data["outcome"]["name"], 30),
    )
    unit = "sd" if scaled else "unit"
    axes.set_xlabel(f"α: change of the mediator ({unit}) per unit of {exposure}")
    axes.set_ylabel(f"β: change of {outcome}\nper {unit} of the mediator, given {exposure}")
    axes.set_title("Every mediator, one at a time", pad=24)


def _labelled(record: Record, seen: np.ndarray) -> list[int]:
    """Lead mediators of q < .10; where there is none, the three of the smallest p-value."""
    position = {name: i for i, name in enumerate(access.mediator_names(record))}
    lead = [position[name] for name in access.lead_mediators(record, 0.10)]
    if not lead:
        p = np.where(seen, access.column(record, "p_value"), np.nan)
        lead = [int(i) for i in np.argsort(p)[:3] if np.isfinite(p[i])]
    return [i for i in lead if seen[i]][:LABELS]
