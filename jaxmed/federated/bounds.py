"""Public centres and scales of columns, which noise needs, from a file."""

import codecs
import csv
from pathlib import Path
from typing import Any

from jaxmed.data.documents import parse_document
from jaxmed.data.forms import Each, Mapped, Number
from jaxmed.federated.archive import SiteFileError

__all__ = ["read_bounds"]

_PAIRS = Mapped(Each(Number(), 2, 2))
_FORMS = "a csv has the header column,centre,scale; a json column: [centre, scale]"


def read_bounds(path: str | Path) -> dict[str, tuple[float, float]]:
    """Column -> (centre, scale).

    Args:
      path: .csv with the header `column,centre,scale`, or .json: {"column": [centre, scale]}.
    Raises:
      SiteFileError: another form, no numbers, or a column twice.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        return _of_json(path)
    try:
        rows = _of_csv(path.read_text(encoding="utf-8-sig"))
        bounds = {name: (float(centre), float(scale)) for name, centre, scale in rows}
    except (ValueError, TypeError, KeyError) as error:
        raise SiteFileError(path.name, "bounds", f"cannot be read ({error!r})", _FORMS) from error
    if len(bounds) < len(rows):
        raise SiteFileError(path.name, "bounds", "a column is there twice", "keep one")
    return bounds


def _of_json(path: Path) -> dict[str, tuple[float, float]]:
    raw = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    found = parse_document(raw, _PAIRS, file=path.name, remedy=_FORMS, error=SiteFileError)
    return {name: (float(centre), float(scale)) for name, (centre, scale) in found.items()}


def _of_csv(text: str) -> list[tuple[str, Any, Any]]:
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or ()) != ("column", "centre", "scale"):
        raise ValueError(f"header {reader.fieldnames}")
    return [(row["column"], row["centre"], row["scale"]) for row in reader]
