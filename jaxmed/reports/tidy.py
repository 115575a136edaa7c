"""Tidy tables as text for a terminal, as CSV, and as cells of a page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxmed.reports.csv_text import csv_text
from jaxmed.reports.format import MISSING, finite, number, typographic
from jaxmed.reports.sections import TidyTable

__all__ = ["cell_text", "is_numeric", "table_cells", "table_csv", "table_text", "with_error"]

_DIGITS = 4


def with_error(value: float, error: float) -> str:
    """A number with its Monte Carlo standard error: "0.0480 (0.0068)".

    The error has two significant digits, the number as many decimals.
    """
    if not finite(value):
        return MISSING
    if not finite(error) or error <= 0:
        return f"{number(value, _DIGITS)} ({number(error) if finite(error) else MISSING})"
    power = int(f"{error:.1e}".split("e")[1])
    decimals = 1 - power
    if decimals > 8 or abs(value) >= 10**6:
        digits = math.floor(math.log10(max(abs(value), error))) - power + 2
        return f"{number(value, digits)} ({number(error, 2)})"
    decimals = max(decimals, 0)
    return f"{value:.{decimals}f} ({error:.{decimals}f})"


def cell_text(value: Any) -> str:
    """One value of a table: text, number, (number, standard error) pair, or nothing."""
    value = _plain(value)
    if value is None:
        return ""
    if isinstance(value, tuple):
        return with_error(*value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**5 else f"{value:,}"
    text = number(value, _DIGITS)
    # No standard error says how many digits are meant: none that says nothing.
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def is_numeric(table: TidyTable, column: str) -> bool:
    """True for a column of numbers, which is aligned to the right."""
    values = [_plain(row.get(column)) for row in table.rows]
    return not any(isinstance(value, str | bool) for value in values)


def table_text(table: TidyTable) -> str:
    """The table in columns of text, its note below it."""
    rows = [[cell_text(row.get(column)) for column in table.columns] for row in table.rows]
    lines = [list(table.columns.values()), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    right = [is_numeric(table, column) for column in table.columns]

    def line(cells: Sequence[str]) -> str:
        padded = [
            text.rjust(width) if numeric else text.ljust(width)
            for text, width, numeric in zip(cells, widths, right, strict=True)
        ]
        return "  ".join(padded).rstrip()

    head, *body = map(line, lines)
    return "\n".join([head, "-" * (sum(widths) + 2 * len(widths) - 2), *body, table.note]).rstrip()


def table_cells(table: TidyTable) -> dict[str, Any]:
    """A table as strings, with which columns are numbers."""
    numeric = {column: is_numeric(table, column) for column in table.columns}

    def text(row: Mapping[str, Any], column: str) -> str:
        shown = cell_text(row.get(column))
        return typographic(shown) if numeric[column] else shown

    return {
        "head": [(heading, numeric[column]) for column, heading in table.columns.items()],
        "rows": [[(text(row, c), numeric[c]) for c in table.columns] for row in table.rows],
        "note": table.note,
    }


def table_csv(table: TidyTable) -> str:
    """The table with all digits; a pair fills two columns, the second ending in `_se`."""
    names = _csv_columns(table)
    lines = []
    for row in table.rows:
        flat: dict[str, Any] = {}
        for column in table.columns:
            value = _plain(row.get(column))
            flat |= dict(zip((column, f"{column}_se"), _pair(value), strict=True))
        lines.append([flat[name] for name in names])
    return csv_text(names, lines)


def _csv_columns(table: TidyTable) -> list[str]:
    names = []
    for column in table.columns:
        names.append(column)
        if any(isinstance(_plain(row.get(column)), tuple) for row in table.rows):
            names.append(f"{column}_se")
    return names


def _pair(value: Any) -> tuple[Any, Any]:
    return value if isinstance(value, tuple) else (value, None)


def _plain(value: Any) -> Any:
    """Python values for those of NumPy and JAX; a pair of either becomes a tuple of floats."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise ValueError(f"a table takes pairs (value, standard error), not {value!r}")
        first, second = (math.nan if item is None else float(item) for item in value)
        return first, second
    return np.asarray(value).item()
