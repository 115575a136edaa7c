"""Spreadsheets (.xlsx, .xls, .xlsb, .ods) by python-calamine: values as stored, never formulas."""

import dataclasses
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.column_reader import from_array
from jaxmed.data.columns import Cells, Raw, label_of
from jaxmed.data.library import library, parsed
from jaxmed.data.naming import name_columns
from jaxmed.data.tables import Table, of_columns
from jaxmed.data.validation import InvalidDataError

__all__ = ["spreadsheet_table"]

SHOWN = 5
_ERROR = re.compile(rb'<c r="([A-Z]+[0-9]+)"[^>]*\bt="e"')


def spreadsheet_table(
    path: Path, sheet: str | None, cells: Cells, origin: Mapping[str, Any]
) -> Table:
    """The table of one sheet: its first row that is not empty holds the names.

    Raises:
      InvalidDataError: no such sheet, an empty one, a damaged file.
      ImportError: python-calamine is missing.
    """
    calamine = library("python_calamine", "io", path.suffix)
    book = parsed(path, lambda: calamine.CalamineWorkbook.from_path(str(path)))
    sheets = list(book.sheet_names)
    if not sheets:
        raise InvalidDataError(f"{path.name}: holds no sheet")
    name = sheets[0] if sheet is None else sheet
    if name not in sheets:
        raise InvalidDataError(f"{path.name}: there is no sheet {name!r}; sheets are {sheets}")
    grid = parsed(path, lambda: book.get_sheet_by_name(name).to_python(skip_empty_area=False))
    empty = next((i for i, row in enumerate(grid) if any(c != "" for c in row)), len(grid))
    grid = [row for row in grid[empty:] if any(cell != "" for cell in row)]
    cells = dataclasses.replace(cells, first_row=cells.first_row + empty)
    if not grid:
        raise InvalidDataError(f"{path.name}: sheet {name!r} is empty")
    heading = [_heading(cell) for cell in grid[0]]
    columns = [_column([row[j] for row in grid[1:]]) for j in range(len(heading))]
    kept = [j for j, column in enumerate(columns) if heading[j] or _any(column)]
    heading, columns = [heading[j] for j in kept], [columns[j] for j in kept]

    def read_at(name: str, position: int, cells: Cells) -> Raw:
        return from_array(name, columns[position], cells)

    naming = name_columns(
        heading, lambda j: read_at(heading[j] or f"Unnamed: {j}", j, cells).values
    )
    others = f"; {len(sheets) - 1} other sheets are not read" if len(sheets) > 1 else ""
    lines = [f"sheet {name!r}{others}", *_error_cells(path)]
    return of_columns(
        naming,
        len(grid) - 1,
        read_at,
        cells,
        stored=lambda j: columns[j],
        origin={**origin, "sheet": name, "lines": lines},
    )


def _error_cells(path: Path) -> list[str]:
    """A sentence on cells such as #DIV/0!, which are read as missing."""
    if path.suffix.lower() not in (".xlsx", ".xlsm"):
        return []
    with zipfile.ZipFile(path) as book:
        sheets = [n for n in book.namelist() if re.fullmatch(r"xl/worksheets/[^/]+\.xml", n)]
        found = [cell for n in sheets for cell in _ERROR.findall(book.read(n))]
    if not found:
        return []
    shown = ", ".join(cell.decode() for cell in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return [f"cells with an error (#DIV/0! and the like) are read as missing: {shown}{more}"]


def _heading(cell: Any) -> str:
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return label_of(cell)
    return str(cell).strip()


def _column(values: list[Any]) -> np.ndarray:
    """Empty cells as None."""
    array = np.empty(len(values), object)
    array[:] = [None if value == "" else value for value in values]
    return array


def _any(column: np.ndarray) -> bool:
    return any(value is not None for value in column)
