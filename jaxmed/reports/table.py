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
      named_by: the column that names a row; of several rows of one name the first is found by it.
      shown: columns of the text form; all if empty.
    """

    def __init__(self, rows: Sequence[Row], named_by: str, shown: Sequence[str] = ()) -> None:
        """See the attributes."""
        self.rows, self.named_by, self.shown = tuple(rows), named_by, tuple(shown)

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
            return Table(self.rows[which], self.named_by, self.shown)
        if not isinstance(which, str):
            return self.rows[which]
        for row in self.rows:
            if row[self.named_by] == which:
                return row
        names = list(dict.fromkeys(str(row[self.named_by]) for row in self.rows))
        raise KeyError(f"no {self.named_by} {which!r}; there are {names}")

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def where(self, **values: Any) -> "Table":
        """The rows that have these values: `effects.where(method="ols")`."""
        found = [r for r in self.rows if all(r.get(name) == v for name, v in values.items())]
        return Table(found, self.named_by, self.shown)

    def to_pandas(self) -> Any:
        """A pandas DataFrame with a row per row, indexed by `named_by`.

        Raises:
          ImportError: pandas is not installed (extra `io`).
        """
        if not self.rows:
            return data_frame([])
        return data_frame([dict(row) for row in self.rows]).set_index(self.named_by)

    def __repr__(self) -> str:
        """The table in columns of text."""
        if not self.rows:
            return "(no rows)"
        columns = self.shown or tuple(self.rows[0])
        return table_text(TidyTable({name: name for name in columns}, self.rows))
