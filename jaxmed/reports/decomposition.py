"""Total effect = direct + concordant + suppression, with what is known about each."""

from typing import TYPE_CHECKING

from jaxmed.reports import access
from jaxmed.reports.access import Entry
from jaxmed.reports.format import MISSING, finite, interval, number, percent, shorten, typographic
from jaxmed.reports.record import Record
from jaxmed.reports.style import (
    ACCENT,
    CONCORDANT,
    FAINT,
    INK,
    MUTED,
    SUPPRESSION,
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
    access.CONCORDANT: CONCORDANT,
    access.SUPPRESSION: SUPPRESSION,
    access.CROSS_FITTED: ACCENT,
    access.CROSS_FITTED_SUPPRESSION: ACCENT,
}
_BRIDGE = (access.DIRECT, access.CONCORDANT, access.SUPPRESSION)


def decomposition(record: Record) -> "Figure":
    """Effects with intervals above the bridge that adds them up.

    Filled markers are estimates, hollow ones in-sample values of optimised weights, which flatter.
    Where an interval does not exist the in-sample value stands alone and says so.
    """
    with style():
        entries = access.effects_shown(record)
        if not any(finite(access.best(e)) for e in entries):
            return message_figure(
                "Decomposition of the total effect", "No effect could be computed."
            )
        parts, kind = _bridge_parts(record)
        rows = 0.46 * len(entries)
        bridge = 0.36 * (len(parts) + 1) if parts else 0.0
        figure = new_figure(8.2, rows + bridge + 1.75)
        if parts:
            upper, lower = figure.subplots(
                2, 1, sharex=True, height_ratios=[rows + 0.4, bridge + 0.3]
            )
            _bridge(lower, parts, access.best(access.effect(record, access.TOTAL)))
            lower.set_title(f"How they add up: {kind}")
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
    axes.set_yticks(range(len(entries)), [_label(e) for e in entries])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _key(axes, entries, percent(access.level(record)))


def _label(entry: Entry) -> str:
    depth = {access.DIRECT: 1, access.INDIRECT: 1, access.CONCORDANT: 2, access.SUPPRESSION: 2}
    return "    " * depth.get(entry["quantity"], 0) + shorten(entry["label"], 34)


def _align_left(*panels: "Axes") -> None:
    """Row labels start on one line, so that indents show what is part of what."""
    labels = [text for axes in panels for text in axes.get_yticklabels()]
    widest = max(text.get_window_extent().width for text in labels)
    for axes in panels:
        axes.tick_params(axis="y", pad=8 + widest * 72 / axes.get_figure().dpi)  # type: ignore[union-attr]
        for text in axes.get_yticklabels():
            text.set_horizontalalignment("left")


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
    if finite(estimate):
        axes.plot(estimate, height, "o", color=color, mec="white", mew=0.9, ms=8.5, zorder=4)
        text = number(estimate)
        limits = interval(lower, upper)
        text += "" if limits == MISSING else f"  {limits}"
    else:
        text = f"{number(naive)}  in sample only" if finite(naive) else "does not exist here"
    axes.annotate(
        typographic(text),
        (1.0, height),
        (8, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
        color=INK if finite(estimate) else MUTED,
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


def _bridge_parts(record: Record) -> tuple[list[tuple[str, str, float]], str]:
    """(quantity, label, size) of the parts and what kind of values they are.

    Empty where one is unknown or they do not add up.
    """
    single = access.is_single(record)
    bridge = (access.DIRECT, access.INDIRECT) if single else _BRIDGE
    labels = ("Direct", "+ indirect") if single else ("Direct", "+ concordant", "+ suppression")
    entries = [access.effect(record, name) for name in bridge]
    total = access.best(access.effect(record, access.TOTAL))
    for field, kind in (("estimate", "estimates"), ("naive", "in-sample values")):
        sizes = [access.value(entry, field) for entry in entries]
        if not finite(sizes[0]):
            sizes[0] = total - sum(sizes[1:])
        gap = abs(sum(sizes) - total)
        if all(map(finite, sizes)) and gap <= 0.02 * max(map(abs, (*sizes, total))):
            return list(zip(bridge, labels, sizes, strict=True)), kind
    return [], ""


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
