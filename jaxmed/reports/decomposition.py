"""Total effect = direct + upward + downward part: each estimate, and how they add up."""

from typing import TYPE_CHECKING

from jaxmed.reports import access
from jaxmed.reports.access import Entry
from jaxmed.reports.direction import side
from jaxmed.reports.format import MISSING, finite, interval, number, percent, shorten, typographic
from jaxmed.reports.record import Record
from jaxmed.reports.shares import on_log_odds
from jaxmed.reports.style import (
    DOWNWARD,
    FAINT,
    INK,
    MUTED,
    UPWARD,
    finish,
    message_figure,
    new_figure,
    require,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {
    access.TOTAL: INK,
    access.DIRECT: MUTED,
    access.INDIRECT: INK,
    access.UPWARD: UPWARD,
    access.DOWNWARD: DOWNWARD,
    access.CROSS_FITTED: UPWARD,
    access.CROSS_FITTED_DOWNWARD: DOWNWARD,
}
_BRIDGE = (access.DIRECT, access.UPWARD, access.DOWNWARD)
ROW = 0.5  # inches of one effect with its estimator below it


def decomposition(record: Record) -> "Figure":
    """Effects with intervals, a row for each and its estimator, above the bridge that adds them up.

    An effect without an estimate has no row, and without all parts of it there is no bridge.
    Hollow markers are in-sample values of optimised weights beside their estimate; they flatter.
    """
    with style():
        entries = [
            e
            for e in access.effects_shown(record)
            if access.exists(e)
            and e["quantity"] != access.SHARE
            and not on_log_odds(record.document, e)  # no length on this axis
        ]
        if not entries:
            return message_figure(
                "Decomposition of the total effect", "No effect could be computed."
            )
        parts = bridge_parts(record)
        rows = ROW * len(entries)
        bridge = 0.36 * (len(parts) + 1) if parts else 0.0
        figure = new_figure(8.2, rows + bridge + 1.75)
        if parts:
            upper, lower = figure.subplots(
                2, 1, sharex=True, height_ratios=[rows + 0.4, bridge + 0.3]
            )
            total = access.value(access.effect(record, access.TOTAL), "estimate")
            _bridge(lower, parts, total)
            lower.set_title("How the estimates of least squares add up")
        else:
            upper = lower = figure.subplots()
        _forest(upper, entries, record)
        unit = next((e["unit"] for e in entries if e["unit"]), "")
        lower.set_xlabel(shorten(unit, 90))
        if parts:
            upper.tick_params(labelbottom=False, bottom=False)
            upper.spines["bottom"].set_visible(False)
        _align_left(*([upper, lower] if parts else [upper]))
        return finish(figure)


def _forest(axes: "Axes", entries: list[Entry], record: Record) -> None:
    axes.axvline(0, color=MUTED, lw=0.8, zorder=0)
    for height, entry in enumerate(entries):
        _row(axes, height, entry)
    axes.set_ylim(len(entries) - 0.45, -0.6)
    axes.set_yticks(range(len(entries)), [_label(record, e) for e in entries])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _key(axes, entries, percent(access.level(record)))


def _label(record: Record, entry: Entry) -> str:
    """The effect, and in a second line its estimator and which way it goes."""
    quantity: str = entry["quantity"]
    crossed = {
        access.CROSS_FITTED: access.UPWARD,
        access.CROSS_FITTED_DOWNWARD: access.DOWNWARD,
    }
    direction = crossed.get(quantity, quantity)
    below = ", ".join(filter(None, (entry["method_label"], side(record, direction))))
    return f"{shorten(entry['label'], 34)}\n{shorten(below, 44)}"


def _align_left(*panels: "Axes") -> None:
    """Row labels start on one line, so that indents show what is part of what."""
    labels = [text for axes in panels for text in axes.get_yticklabels()]
    widest = max(text.get_window_extent().width for text in labels)
    for axes in panels:
        axes.tick_params(axis="y", pad=8 + widest * 72 / axes.get_figure().dpi)  # type: ignore[union-attr]
        for text in axes.get_yticklabels():
            text.set_horizontalalignment("left")
            text.set_linespacing(1.25)


def _row(axes: "Axes", height: int, entry: Entry) -> None:
    color = _COLORS.get(entry["quantity"], INK)
    estimate, naive = access.value(entry, "estimate"), access.value(entry, "naive")
    lower, upper = access.value(entry, "lower"), access.value(entry, "upper")
    if finite(lower) and finite(upper):
        axes.plot(
            [lower, upper], [height, height], color=color, lw=2.4, solid_capstyle="round", zorder=2
        )
    if finite(naive):
        axes.plot(naive, height, "o", mfc="white", mec=color, mew=1.5, ms=7, zorder=3)
    axes.plot(estimate, height, "o", color=color, mec="white", mew=0.9, ms=8.5, zorder=4)
    limits = interval(lower, upper)
    text = number(estimate) + ("" if limits == MISSING else f"  {limits}")
    axes.annotate(
        typographic(text),
        (1.0, height),
        (8, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
        color=INK,
        annotation_clip=False,
    )


def _key(axes: "Axes", entries: list[Entry], level: str) -> None:
    line = require("matplotlib.lines", "a figure").Line2D
    handles = [line([], [], color=INK, marker="o", mec="white", ms=8, lw=2.4)]
    labels = [f"estimate and {level} interval"]
    if any(finite(access.value(e, "naive")) for e in entries):
        handles.append(line([], [], color=INK, marker="o", mfc="white", mew=1.5, ms=7, lw=0))
        labels.append("in-sample value of optimised weights (flatters)")
    axes.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(-0.02, 0.995), ncols=2, borderpad=0
    )
    axes.set_title("Effects of the exposure", pad=28)


def bridge_parts(record: Record) -> list[tuple[str, str, float]]:
    """(quantity, label, size) of the parts by the estimator that has all of them.

    Empty where one does not exist or they do not add up.
    """
    single = access.is_single(record)
    bridge = (access.DIRECT, access.INDIRECT) if single else _BRIDGE
    labels = ("Direct", "+ indirect") if single else ("Direct", "+ upward", "+ downward")
    last = access.effect(record, access.INDIRECT if single else access.UPWARD)
    method = None if last is None else last["method"]
    sizes = [access.value(access.effect(record, name, method), "estimate") for name in bridge]
    total = access.value(access.effect(record, access.TOTAL), "estimate")
    gap = abs(sum(sizes) - total)
    # Sums of numbers in single precision; more is another estimator's.
    if all(map(finite, (*sizes, total))) and gap <= 0.001 * max(map(abs, (*sizes, total))):
        return list(zip(bridge, labels, sizes, strict=True))
    return []


def _bridge(axes: "Axes", parts: list[tuple[str, str, float]], total: float) -> None:
    axes.axvline(0, color=MUTED, lw=0.8, zorder=0)
    axes.use_sticky_edges = False  # bars keep a margin to the frame
    start = 0.0
    bars = [*parts, (access.TOTAL, "= total", total)]
    for height, (quantity, _, size) in enumerate(bars):
        left = 0.0 if quantity == access.TOTAL else start
        axes.barh(
            height, size, left=left, height=0.58, color=_COLORS[quantity], alpha=0.88, zorder=2
        )
        end = left + size
        if quantity != access.TOTAL:
            axes.plot([end, end], [height - 0.29, height + 1.29], color=FAINT, lw=1.0, zorder=1)
            start = end
        axes.annotate(
            typographic(number(size)),
            (1.0, height),
            (8, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(bars)), [label for _, label, _ in bars])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
