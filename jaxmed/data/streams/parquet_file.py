"""Parquet in blocks of rows or of columns (pyarrow)."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data import column_reader
from jaxmed.data.columns import Cells, Raw, unmark
from jaxmed.data.library import library, parsed
from jaxmed.data.naming import name_columns
from jaxmed.data.readers import DEFAULTS, FileOptions
from jaxmed.data.roles import numbers_of
from jaxmed.data.tables import Table, of_columns
from jaxmed.data.unpack import digest_of

__all__ = ["ParquetSource"]

# Bytes of a row group above which its column chunks are read page by page.
LARGE_GROUP = 256 * 2**20
PAGE_BUFFER = 64 * 2**10


class ParquetSource:
    """Columns are stored apart: only those asked for are read."""

    def __init__(self, path: Path, options: FileOptions = DEFAULTS) -> None:
        """Reads the schema, and columns without a heading."""
        self.path = path
        self._cells = options.cells(1)
        self._arrow = library("pyarrow", "io", ".parquet")
        self._parquet = library("pyarrow.parquet", "io", ".parquet")
        with self._open() as file:
            self._schema = file.schema_arrow
            self._rows = file.metadata.num_rows
            self._groups = [
                file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)
            ]
            sizes = (
                file.metadata.row_group(i).total_byte_size
                for i in range(file.metadata.num_row_groups)
            )
            self._large = max(sizes, default=0) > LARGE_GROUP
        names = [str(name) for name in self._schema.names]
        metadata = self._schema.pandas_metadata or {}
        self._declared = bool(metadata)
        index = [name for name in metadata.get("index_columns", ()) if isinstance(name, str)]
        self._naming = name_columns(names, lambda j: self._read(names[j]), index)
        self.features: tuple[str, ...] = self._naming.fields

    def _read(self, name: str) -> Any:
        """A column without a heading, to tell what it is."""
        with self._open() as file:
            found = parsed(self.path, lambda: file.read([name]))
        return column_reader.from_arrow(name, found.column(0), self._cells).values

    @property
    def nbytes(self) -> int:
        """See `Source`."""
        return 8 * self._rows * len(self.features)

    def table(self, fields: Sequence[str]) -> Table:
        """See `Source`."""
        known = [name for name in fields if name in self._naming.position]
        with self._open() as file:
            found = parsed(self.path, lambda: file.read(known))

        def read_at(name: str, position: int, cells: Cells) -> Raw:
            del position  # of the file; the table read holds the columns asked for only
            return column_reader.from_arrow(
                name, found.column(name), cells, declared=self._declared
            )

        origin = {"file": self.path.name, "sha256": digest_of(self.path)}
        return of_columns(self._naming, self._rows, read_at, self._cells, origin=origin)

    def row_blocks(
        self, names: Sequence[str], size: int, start: int, stop: int
    ) -> Iterator[np.ndarray]:
        """See `Source`."""
        dtype = self.dtype(names)
        ends = np.cumsum(self._groups)
        groups = np.flatnonzero((ends > start) & (ends - self._groups < stop))
        if not groups.size:
            return
        at = int(ends[groups[0]] - self._groups[groups[0]])
        block, filled = np.empty((size, len(names)), dtype, order="F"), 0
        with self._open() as file:
            for batch in self._batches(file, names, size, groups.tolist()):
                first, last = max(start - at, 0), min(stop - at, batch.num_rows)
                at += batch.num_rows
                order = [batch.schema.get_field_index(name) for name in names]
                while first < last:
                    count = min(last - first, size - filled)
                    part = batch.slice(first, count)
                    for position, j in enumerate(order):
                        block[filled : filled + count, position] = self._numbers(
                            names[position], part.column(j), at - batch.num_rows + first
                        )
                    first, filled = first + count, filled + count
                    if filled == size:
                        yield block
                        block, filled = np.empty_like(block), 0
        if filled:
            yield block[:filled]

    def _batches(
        self, file: Any, names: Sequence[str], size: int, groups: Sequence[int]
    ) -> Iterator[Any]:
        """Record batches, one row group after the other: all at once would stay in memory."""
        for group in groups:
            batches = file.iter_batches(size, row_groups=[group], columns=list(names))
            while (batch := parsed(self.path, lambda b=batches: next(b, None))) is not None:
                yield batch

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """See `Source`."""
        result = np.empty((self._rows, len(names)), self.dtype(names), order="F")
        with self._open() as file:
            found = parsed(self.path, lambda: file.read(list(names)))
        for position, name in enumerate(names):
            result[:, position] = self._numbers(name, found.column(name))
        return result

    def _numbers(self, name: str, column: Any, row: int = 0) -> np.ndarray:
        """A column from a row on as numbers; plain ones without a look at single values."""
        types = self._arrow.types
        if types.is_floating(column.type):
            return unmark(column.to_numpy(zero_copy_only=False), self._cells)
        cells = dataclasses.replace(self._cells, first_row=self._cells.first_row + row)
        raw = column_reader.from_arrow(name, column, cells, declared=self._declared)
        return numbers_of(name, raw, "mediator")

    def _open(self) -> Any:
        buffer = PAGE_BUFFER if getattr(self, "_large", False) else 0
        # No memory map: its pages would count as memory of this process.
        return parsed(self.path, lambda: self._parquet.ParquetFile(self.path, buffer_size=buffer))

    def dtype(self, names: Sequence[str]) -> np.dtype:
        """See `Source`."""
        single = (str(self._schema.field(name).type) in ("float", "halffloat") for name in names)
        return np.dtype("f4") if all(single) else np.dtype("f8")
