"""The one writer of CSV: exact numbers, and texts that no spreadsheet runs as a formula.

That is, none that takes commas for what separates cells. One whose list separator is `;` or a tab,
and which opens the file without asking, can split a text at it and run the rest as a cell of its
own, which no quoting prevents.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = ["as_text", "columns_csv", "csv_text", "given_text"]

# What a spreadsheet takes for the start of a formula, behind what it skips. Apostrophes count, so
# that "=a" and "'=a" stay two names.
_RUNS = re.compile("[\\s\x00-\x1f\x7f-\xa0\u200b\ufeff']*[=+\\-@\uff1d\uff0b\uff0d\uff20]|'*[\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


def as_text(text: str) -> str:
    """A text as a cell that stays text: one that would run gets a leading apostrophe.

    A plain number in a text ("-1") does not run. `given_text` takes the apostrophe off again.
    """
    # Half of a surrogate pair has no bytes in UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    runs = _RUNS.match(text) and not _NUMBER.fullmatch(text)
    return f"'{text}" if runs else text


def given_text(cell: str) -> str:
    """The text of a cell before `as_text`."""
    return cell[1:] if cell.startswith("'") and _RUNS.match(cell[1:]) else cell


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Lines of cells, the header first; texts by `as_text`, None as an empty cell."""
    buffer = io.StringIO(newline="")
    plain = csv.writer(buffer, lineterminator="\n")
    # Before Python 3.13 a lone carriage return goes out bare, and ends the line for a reader.
    quoted = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for row in (header, *rows):
        cells = [as_text(cell) if isinstance(cell, str) else cell for cell in row]
        bare = any(isinstance(cell, str) and "\r" in cell for cell in cells)
        (quoted if bare else plain).writerow(cells)
    return buffer.getvalue()


def columns_csv(columns: Mapping[str, np.ndarray]) -> str:
    """Columns of equal length; shortest digits that read back to the same number, `nan` for none.

    Args:
      columns: name -> numbers or texts [n].
    """
    return csv_text(columns, zip(*map(_cells, columns.values()), strict=True))


def _cells(column: np.ndarray) -> Iterable[Any]:
    # The writer takes str of a NumPy number: its shortest exact form in its own precision.
    return map(str, column) if column.dtype.kind in "OSU" else column
