"""Residual and overlap checks: is the outcome's model bent, does the exposure vary everywhere."""

from typing import TYPE_CHECKING

import numpy as np

from jaxmed.reports.format import percent
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
    new_figure,
    opacity,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["checks", "has_checks", "overlap_kind"]

COLUMNS = ("exposure", "outcome", "exposure_residual", "outcome_given_exposure")
GROUPS = 10  # of rows by fitted value, whose mean residuals are joined
LEAST = 5  # rows in a group
BINS = 30
FLAT = 1e-6  # of the exposure's range: predictions that differ by rounding only


def has_checks(record: Record) -> bool:
    """True where the rows have what the figure draws."""
    found = [record.rows.get(name) for name in COLUMNS]
    return all(column is not None and np.isfinite(column).all() for column in found)


def checks(record: Record) -> "Figure":
    """Residuals of the outcome against what is fitted, and the exposure given the covariates.

    The outcome is fitted by exposure and covariates. The exposure is drawn against what the
    covariates predict of it; of a 0/1 exposure the predictions in both groups; without covariates
    its distribution.
    """
    with style():
        figure = new_figure(8.6, 3.7)
        left, right = figure.subplots(1, 2)
        _residuals(left, record)
        _overlap(right, record)
        return finish(figure)


def _residuals(axes: "Axes", record: Record) -> None:
    residual = np.asarray(record.rows["outcome_given_exposure"], float)
    fitted = np.asarray(record.rows["outcome"], float) - residual
    _points(axes, fitted, residual)
    axes.axhline(0, color=MUTED, lw=0.9)
    order = np.argsort(fitted, kind="stable")
    groups = np.array_split(order, max(1, min(GROUPS, fitted.size // LEAST)))
    means = np.array([[values[group].mean() for group in groups] for values in (fitted, residual)])
    axes.plot(*means, color=DOWNWARD, lw=1.8, marker="o", ms=4)
    data = record.document["data"]
    axes.set_xlabel("fitted by exposure and covariates")
    axes.set_ylabel(f"residual of {axis_name(data['outcome']['name'], 30)}")
    axes.set_title("Residuals of the outcome")


def _points(axes: "Axes", x: np.ndarray, y: np.ndarray) -> None:
    many = x.size > MANY
    axes.scatter(
        x, y, s=6 if many else 18, color=UPWARD, alpha=opacity(x.size), lw=0, rasterized=many
    )
    axes.margins(y=0.1)
    axes.grid(color=FAINT, lw=0.5)


def overlap_kind(record: Record) -> str:
    """What the right panel shows: "alone" without covariates, "groups" of two, or "predicted"."""
    exposure, fitted = _exposure(record)
    if np.ptp(fitted) <= FLAT * np.ptp(exposure):
        return "alone"
    return "groups" if np.unique(exposure).size == 2 else "predicted"


def _exposure(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """The exposure and what the covariates predict of it."""
    exposure = np.asarray(record.rows["exposure"], float)
    return exposure, exposure - np.asarray(record.rows["exposure_residual"], float)


def _overlap(axes: "Axes", record: Record) -> None:
    exposure, fitted = _exposure(record)
    name = axis_name(record.document["data"]["exposure"]["name"], 30)
    kind = overlap_kind(record)
    if kind == "alone":
        axes.hist(exposure, bins=BINS, color=UPWARD, alpha=0.7)
        axes.set_xlabel(name)
        axes.set_ylabel("rows")
        axes.set_title("Distribution of the exposure")
        return
    if kind == "groups":
        _groups(axes, exposure, fitted, name)
    else:
        _points(axes, fitted, exposure)
        ends = np.array([fitted.min(), fitted.max()])
        axes.plot(ends, ends, color=INK, lw=1.4)
        axes.set_xlabel("predicted by the covariates")
        axes.set_ylabel(name)
    left = percent(float(1 - np.var(fitted) / np.var(exposure)))
    axes.set_title(f"Overlap: the covariates leave {left} of\nthe variance of the exposure")


def _groups(axes: "Axes", exposure: np.ndarray, fitted: np.ndarray, name: str) -> None:
    bins = np.linspace(fitted.min(), fitted.max(), BINS + 1).tolist()
    for value, color in zip(np.unique(exposure), (MUTED, UPWARD), strict=True):
        part = fitted[exposure == value]
        label = f"{name} = {value:g} (n = {part.size})"
        axes.hist(part, bins=bins, color=color, alpha=0.6, label=label)
    axes.legend(loc="best", borderpad=0)
    axes.set_xlabel(f"{name} as predicted by the covariates")
    axes.set_ylabel("rows")
