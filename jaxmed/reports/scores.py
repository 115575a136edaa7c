"""The composite as a variable: against the exposure, and against the outcome given the exposure."""

from typing import TYPE_CHECKING

import numpy as np

from jaxmed.reports import access
from jaxmed.reports.direction import DIRECTIONS, composite_title
from jaxmed.reports.format import number, typographic
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
    opacity,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def scores(record: Record) -> "Figure":
    """The two regressions behind each composite of the first method, with least-squares lines.

    Variables are residuals given the covariates; on the right both are also given the exposure.
    Points are the rows that the weights were learned from, so both lines flatter.
    """
    with style():
        keys = _keys(record)
        if not keys:
            return message_figure("Composite scores", "No composite score was computed.")
        figure = new_figure(8.6, 3.5 * len(keys) + 0.2)
        panels = figure.subplots(len(keys), 2, squeeze=False)
        for row, key in zip(panels, keys, strict=True):
            _pair(row, record, key)
        return finish(figure)


def _keys(record: Record) -> list[str]:
    found = [
        k for k in access.score_columns(record) if np.isfinite(record.rows[f"score_{k}"]).all()
    ]
    if not found:
        return []
    method, _, direction = found[0].rpartition("_")
    if direction not in DIRECTIONS:
        return found[:1]
    return [key for key in found if key.rpartition("_")[0] == method][:2]


def _pair(panels: np.ndarray, record: Record, key: str) -> None:
    exposure = np.asarray(record.rows["exposure_residual"], float)
    outcome = np.asarray(record.rows["outcome_given_exposure"], float)
    score = np.asarray(record.rows[f"score_{key}"], float)
    data, label = record.document["data"], access.composite_label(record, key)
    names = axis_name(data["exposure"]["name"], 30), axis_name(data["outcome"]["name"], 30)
    color = DOWNWARD if key.endswith(f"_{access.DOWNWARD}") else UPWARD
    given, entry = _covariates(record), access.composite(record, key)
    alpha, beta = access.value(entry, "exposure_effect"), access.value(entry, "outcome_effect")
    left, right = panels
    groups = _groups(record)
    if groups is None:
        _scatter(left, exposure, score, alpha, color)
        left.set_xlabel(f"{names[0]}{given}")
    else:
        _strips(left, groups, score, color, names[0], _two_values(record))
    left.set_ylabel(f"{label} score{given}")
    left.set_title(f"{composite_title(record, key)}\nexposure to score")
    _note(left, "α", alpha)
    _scatter(right, score - alpha * exposure, outcome, beta, color)
    right.set_xlabel(f"score given {names[0]}")
    right.set_ylabel(f"{names[1]} given {names[0]}")
    right.set_title("score to outcome, given the exposure")
    _note(right, "β", beta)


def _covariates(record: Record) -> str:
    return " (given covariates)" if record.document["data"]["covariates"] else ""


def _scatter(axes: "Axes", x: np.ndarray, y: np.ndarray, slope: float, color: str) -> None:
    many = x.size > MANY
    axes.scatter(
        x, y, s=6 if many else 20, color=color, alpha=opacity(x.size), lw=0, rasterized=many
    )
    ends = np.array([x.min(), x.max()])
    axes.plot(ends, y.mean() + slope * (ends - x.mean()), color=INK, lw=1.8)
    axes.margins(y=0.1)
    axes.grid(color=FAINT, lw=0.5)


def _strips(
    axes: "Axes", groups: np.ndarray, score: np.ndarray, color: str, name: str, low_high: list[str]
) -> None:
    # A fixed jitter: the figure of a record is the same every time.
    jitter = 0.16 * (np.modf(np.arange(score.size) * 0.6180339887)[0] * 2 - 1)
    many = score.size > MANY
    axes.scatter(
        groups + jitter,
        score,
        s=5 if many else 14,
        color=color,
        alpha=opacity(score.size),
        lw=0,
        rasterized=many,
    )
    axes.boxplot(
        [score[groups == 0], score[groups == 1]],
        positions=[0, 1],
        widths=0.5,
        showfliers=False,
        medianprops={"color": INK, "lw": 0},
        boxprops={"color": MUTED},
        whiskerprops={"color": MUTED},
        capprops={"color": MUTED},
        manage_ticks=False,
    )
    means = [score[groups == g].mean() for g in (0, 1)]
    axes.plot([0, 1], means, color=INK, lw=1.8, marker="D", ms=5, mec="white", zorder=5)
    axes.set_xticks(
        [0, 1], [f"{name} = {low_high[g]}\n(n = {np.sum(groups == g)})" for g in (0, 1)]
    )
    axes.set_xlim(-0.5, 1.5)
    axes.margins(y=0.1)
    axes.grid(axis="y", color=FAINT, lw=0.5)


def _groups(record: Record) -> np.ndarray | None:
    """0/1 of an exposure with two values, None of any other."""
    exposure = np.asarray(record.rows["exposure"], float)
    values = np.unique(exposure)
    return (exposure == values[1]).astype(int) if values.size == 2 else None


def _two_values(record: Record) -> list[str]:
    return [f"{value:g}" for value in np.unique(record.rows["exposure"])]


def _note(axes: "Axes", symbol: str, slope: float) -> None:
    axes.text(
        0.98,
        0.98,
        typographic(f"{symbol} = {number(slope)}"),
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontweight="bold",
        bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 1.5},
    )
