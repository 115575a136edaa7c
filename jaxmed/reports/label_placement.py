"""Names beside points, none over another."""

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from jaxmed.reports.style import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels
Obstacles = tuple[tuple[float, np.ndarray], ...]  # cost of hiding one, pixels [n, 2]

# Candidate places in order of preference: near before far, right and left before above and below.
_DISTANCES = (9.0, 20.0, 34.0, 52.0, 74.0, 100.0)
_ANGLES = (20, -20, 160, -160, 60, -60, 120, -120, 90, -90)


def place_labels(
    axes: "Axes", anchors: np.ndarray, names: list[str], strong: np.ndarray, others: np.ndarray
) -> None:
    """Writes each name near its point, with a thin line where it had to move away.

    Args:
      axes: already laid out, so that data coordinates have their final pixels.
      anchors: [k, 2] labelled points in data coordinates, most important first.
      names: k names.
      strong: [m, 2] points that no label should hide.
      others: [n, 2] points that labels avoid where they can.
    """
    to_pixels = axes.transData.transform
    frame = axes.get_window_extent()
    limits = (frame.x0 + 2, frame.y0 + 2, frame.x1 - 2, frame.y1 - 2)
    taken = [_box_of(text.get_window_extent()) for text in axes.texts]
    obstacles = (
        (400.0, to_pixels(strong) if len(strong) else strong),
        (25.0, to_pixels(others) if len(others) else others),
    )
    scale = axes.get_figure().dpi / 72  # type: ignore[union-attr]
    for anchor, name in zip(anchors, names, strict=True):
        text = axes.text(anchor[0], anchor[1], name, fontsize=8.5, color=INK, zorder=7)
        extent = text.get_window_extent()
        size = (extent.width + 4 * scale, extent.height + 2 * scale)
        at = to_pixels(anchor)
        box = _free_box(at, size, limits, taken, obstacles, scale)
        taken.append(box)
        _move(axes, text, at, box, scale)


def _free_box(
    at: np.ndarray,
    size: tuple[float, float],
    limits: Box,
    taken: list[Box],
    obstacles: Obstacles,
    scale: float,
) -> Box:
    best, least = None, math.inf
    for reach, angle in itertools.product(_DISTANCES, _ANGLES):
        box = _candidate(at, size, reach * scale, math.radians(angle))
        outside = not _inside(box, limits)
        overlaps = sum(_overlap(box, other) for other in taken)
        hidden = sum(weight * _count(box, points) for weight, points in obstacles)
        cost = 1e6 * outside + 1e4 * overlaps + hidden + reach
        if cost < least:
            best, least = box, cost
    assert best is not None
    return best


def _candidate(at: np.ndarray, size: tuple[float, float], reach: float, angle: float) -> Box:
    width, height = size
    x, y = at[0] + reach * math.cos(angle), at[1] + reach * math.sin(angle)
    across = math.cos(angle)
    left = x - width / 2 if abs(across) < 0.3 else x if across > 0 else x - width
    return left, y - height / 2, left + width, y + height / 2


def _move(axes: "Axes", text, at: np.ndarray, box: Box, scale: float) -> None:  # noqa: ANN001
    to_data = axes.transData.inverted().transform
    center = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    text.set_position(to_data(center))
    text.set_horizontalalignment("center")
    text.set_verticalalignment("center_baseline")
    near = (min(max(at[0], box[0]), box[2]), min(max(at[1], box[1]), box[3]))
    if math.dist(near, at) > 9 * scale:
        line = np.array([to_data(at), to_data(near)])
        axes.plot(line[:, 0], line[:, 1], color=MUTED, lw=0.7, zorder=5)


def _box_of(extent) -> Box:  # noqa: ANN001
    return extent.x0, extent.y0, extent.x1, extent.y1


def _inside(box: Box, limits: Box) -> bool:
    return (
        box[0] >= limits[0] and box[1] >= limits[1] and box[2] <= limits[2] and box[3] <= limits[3]
    )


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _count(box: Box, points: np.ndarray) -> int:
    if not len(points):
        return 0
    x, y = points[:, 0], points[:, 1]
    return int(np.sum((x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])))
