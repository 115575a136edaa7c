"""A small table of an analysis: rows to read, to look up by name, and to take to pandas."""

from collections.abc import Mapping, Sequence
from typing import Any, overload

from jaxmed.reports.sections import TidyTable
from jaxmed.reports.tidy import table_text

__all__ = ["Table", "data_frame"]

Row = Mapping[str, Any]


def data_frame(table: Any) -> Any:
    """A pandas DataFrame; raises ImportError with the remedy where pandas is missing."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_pandas needs pandas: pip install 'jaxmed[io]'") from error
    return pandas.DataFrame(table)


class Table(Sequence[Row]):
    """Rows of named values, in the order of a report.

    Attributes:
      rows: one mapping per row.
      index: the column that names a row; of several rows of one name the first is found by it.
      shown: columns of the text form; all if empty.
    """

    def __init__(self, rows: Sequence[Row], index: str, shown: Sequence[str] = ()) -> None:
        """See the attributes."""
        self.rows, self.index, self.shown = tuple(rows), index, tuple(shown)

    @overload
    def __getitem__(self, which: int | str) -> Row: ...

    @overload
    def __getitem__(self, which: slice) -> "Table": ...

    def __getitem__(self, which: int | str | slice) -> "Row | Table":
        """A row by position or name, or a table of some rows.

        Raises:
          KeyError: no row of that name, with the names there are.
        """
        if isinstance(which, slice):
            return Table(self.rows[which], self.index, self.shown)
        if not isinstance(which, str):
            return self.rows[which]
        for row in self.rows:
            if row[self.index] == which:
                return row
        names = list(dict.fromkeys(str(row[self.index]) for row in self.rows))
        raise KeyError(f"no {self.index} {which!r}; there are {names}")

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def where(self, **values: Any) -> "Table":
        """The rows that have these values: `effects.where(method="ols")`."""
        found = [r for r in self.rows if all(r.get(name) == v for name, v in values.items())]
        return Table(found, self.index, self.shown)

    def to_pandas(self) -> Any:
        """A pandas DataFrame with a row per row, indexed by `index`.

        Raises:
          ImportError: pandas is not installed (extra `io`).
        """
        if not self.rows:
            return data_frame([])
        return data_frame([dict(row) for row in self.rows]).set_index(self.index)

    def __repr__(self) -> str:
        """The table in columns of text."""
        if not self.rows:
            return "(no rows)"
        columns = self.shown or tuple(self.rows[0])
        return table_text(TidyTable({name: name for name in columns}, self.rows))
