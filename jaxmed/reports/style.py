"""One look for all figures: rc context, colour-blind-safe palette, figures without pyplot."""

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jaxmed.reports.format import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours; the two signs also differ in lightness and are always named.
UPWARD = "#0072B2"
DOWNWARD = "#D55E00"
ACCENT = "#009E73"
INK = "#1F2933"
MUTED = "#6B7785"
FAINT = "#D5DBE1"
PAPER = "#FFFFFF"
# Above this many points a scatter is drawn as pixels inside the SVG.
MANY = 2000

_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same figure on every machine
    "font.size": 9.5,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.color": INK,
    "text.parse_math": False,  # a mediator may be called "$x$"
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "path",
    "svg.hashsalt": "jaxmed",
}


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


def require(module: str, purpose: str) -> Any:
    """Imports an optional module.

    Raises:
      MissingExtraError: it is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {module.split('.')[0]}: pip install 'jaxmed[plot,report]'"
        ) from error


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The rc settings of every figure, restored afterwards."""
    matplotlib = require("matplotlib", "a figure")
    with matplotlib.rc_context(_RC), warnings.catch_warnings():
        # Names in scripts that the font does not have are drawn as boxes; tables have them.
        warnings.filterwarnings("ignore", r"Glyph \d+", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support", UserWarning)
        yield


def new_figure(width: float, height: float) -> "Figure":
    """A figure in inches that no pyplot state knows, so nothing leaks and no display is needed."""
    figure = require("matplotlib.figure", "a figure").Figure(
        figsize=(width, height), layout="constrained"
    )
    require("matplotlib.backends.backend_agg", "a figure").FigureCanvasAgg(figure)
    return figure


def finish(figure: "Figure") -> "Figure":
    """Lays the figure out while the style holds (ticks are made lazily), then fixes the layout.

    A layout that runs again at every drawing would move labels and change the SVG a little.
    """
    engine = figure.get_layout_engine()
    assert engine is not None  # every figure is made by `new_figure`
    # Two passes in itself; a third and a fourth moved nothing by a hundredth of a pixel.
    engine.execute(figure)
    figure.set_layout_engine("none")
    return figure


def message_figure(title: str, text: str) -> "Figure":
    """A figure that says why there is nothing to draw."""
    figure = new_figure(6.4, 2.0)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_title(title)
    axes.text(0, 0.6, text, transform=axes.transAxes, color=MUTED, va="center", wrap=True)
    return finish(figure)


def sign_colors(values: Any) -> list[str]:
    """Colour of the sign of each alpha * beta; grey where it is unknown or zero."""
    return [UPWARD if v > 0 else DOWNWARD if v < 0 else MUTED for v in values]


def opacity(count: int) -> float:
    """Points grow fainter with their number, so that density shows; 0.6 up to 500 points."""
    return max(0.04, min(0.6, 0.6 * (500 / count) ** 0.6))


def axis_name(text: str, width: int = 46) -> str:
    """A variable's name, short enough for an axis."""
    return shorten(text, width)


def note(axes: "Axes", text: str) -> None:
    """A small grey remark below the axes."""
    axes.annotate(
        text,
        (0, 0),
        (0, -34),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
        color=MUTED,
        va="top",
    )
