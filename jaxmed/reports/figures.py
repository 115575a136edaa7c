"""All figures of one record."""

import contextlib
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jaxmed.reports import access
from jaxmed.reports.checks import checks, has_checks
from jaxmed.reports.decomposition import decomposition
from jaxmed.reports.format import visible
from jaxmed.reports.mediator_figures import alpha_beta, top_weights
from jaxmed.reports.path_plane import path_plane
from jaxmed.reports.record import Record
from jaxmed.reports.scores import scores
from jaxmed.reports.style import require, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "all_figures",
    "alpha_beta",
    "checks",
    "decomposition",
    "path_plane",
    "png",
    "scores",
    "svg",
    "top_weights",
]

PNG_DPI = 160
PNG_EFFORT = 2  # of zlib: a third of the time of its default, for files a fifth larger
_COMMENT = re.compile(r"[ \t]*<!--.*?-->\n?", re.DOTALL)


def all_figures(record: Record) -> "dict[str, Figure]":
    """Every figure by name, in the order of the report.

    Raises:
      MissingExtraError: matplotlib is not installed.
    """
    # A single mediator has no plane of paths and no weights.
    single = access.is_single(record)
    makers = (decomposition, alpha_beta)
    if not single:
        makers = (decomposition, path_plane, alpha_beta, top_weights)
    if record.rows:  # an analysis of moments has no rows to score or to check
        makers = (*makers, scores)
    if has_checks(record):
        makers = (*makers, checks)
    return {maker.__name__: maker(record) for maker in makers}


# `Figure.savefig` draws everything twice, in case a layout is still to come: here the canvases are
# called, since `style.finish` has fixed the layout. They leave the resolution to be restored.
@contextlib.contextmanager
def _at(figure: "Figure", dpi: float) -> Iterator[None]:
    own = figure.dpi
    figure.set_dpi(dpi)
    try:
        yield
    finally:
        figure.set_dpi(own)


def svg(figure: "Figure") -> bytes:
    """The figure as SVG, the same bytes for the same record."""
    with style(), _at(figure, figure.dpi):
        buffer = io.StringIO(newline="")
        canvas = require("matplotlib.backends.backend_svg", "a figure").FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": "jaxmed"})
    # Letters are paths; matplotlib repeats the text in comments, where XML forbids some of it.
    return visible(_COMMENT.sub("", buffer.getvalue()), keep="\n\t").encode()


def png(figure: "Figure") -> bytes:
    """The figure as PNG at 160 dots per inch."""
    with style(), _at(figure, PNG_DPI):
        buffer = io.BytesIO()
        canvas = require("matplotlib.backends.backend_agg", "a figure").FigureCanvasAgg(figure)
        canvas.print_png(
            buffer, metadata={"Software": "jaxmed"}, pil_kwargs={"compress_level": PNG_EFFORT}
        )
    return buffer.getvalue()
