"""Public centres and scales of columns, which noise needs, from a file."""

import csv
import json
from pathlib import Path
from typing import Any

from jaxmed.federated.archive import SiteFileError

__all__ = ["read_bounds"]


def read_bounds(path: str | Path) -> dict[str, tuple[float, float]]:
    """Column -> (centre, scale).

    Args:
      path: .csv with the header `column,centre,scale`, or .json: {"column": [centre, scale]}.
    Raises:
      SiteFileError: another form, no numbers, or a column twice.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _of_json(text) if path.suffix.lower() == ".json" else _of_csv(text)
        bounds = {str(name): (float(centre), float(scale)) for name, centre, scale in rows}
    except (ValueError, TypeError, KeyError) as error:
        raise SiteFileError(
            path.name, "bounds", f"cannot be read ({error!r})",
            "a csv has the header column,centre,scale; a json column: [centre, scale]",
        ) from error  # fmt: skip
    if len(bounds) < len(rows):
        raise SiteFileError(path.name, "bounds", "a column is there twice", "keep one")
    return bounds


def _of_json(text: str) -> list[tuple[Any, Any, Any]]:
    return [(name, *pair) for name, pair in json.loads(text).items()]  # type: ignore[misc]


def _of_csv(text: str) -> list[tuple[Any, Any, Any]]:
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or ()) != ("column", "centre", "scale"):
        raise ValueError(f"header {reader.fieldnames}")
    return [(row["column"], row["centre"], row["scale"]) for row in reader]
