"""Writes one record to a directory, each file whole or not at all."""

from pathlib import Path

from jaxmed.data.atomic import atomic_write
from jaxmed.reports import document
from jaxmed.reports import figures as drawing
from jaxmed.reports.csv_text import columns_csv
from jaxmed.reports.record import Record


def save(record: Record, directory: str | Path, *, figures: bool = True) -> list[Path]:
    """Writes result.json, mediators.csv, figures/*.png and *.svg, and report.html.

    Args:
      record: the analysis.
      directory: made where it does not exist; files of the same names are replaced.
      figures: False leaves out the figures, in the report too.

    Returns:
      The paths written, report.html last.

    Raises:
      MissingExtraError: matplotlib or jinja2 is not installed.
    """
    folder = Path(directory)
    drawn = drawing.all_figures(record) if figures else {}
    images = {name: drawing.svg(figure) for name, figure in drawn.items()}
    page = document.page(record, images)
    files = {
        "result.json": (record.to_json() + "\n").encode(),
        "mediators.csv": columns_csv(record.mediators).encode(),
    }
    for name, figure in drawn.items():
        files[f"figures/{name}.png"] = drawing.png(figure)
        files[f"figures/{name}.svg"] = images[name]
    files["report.html"] = page.encode()
    return [atomic_write(folder / name, content) for name, content in files.items()]
