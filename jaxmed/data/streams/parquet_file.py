"""Parquet in blocks of rows or of columns (pyarrow)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.readers import library, parsed
from jaxmed.data.tables import Table, as_table
from jaxmed.data.validation import InvalidDataError

__all__ = ["ParquetSource"]

# Bytes of a row group above which its column chunks are read page by page.
LARGE_GROUP = 256 * 2**20
PAGE_BUFFER = 64 * 2**10


class ParquetSource:
    """Columns are stored apart: only those asked for are read."""

    def __init__(self, path: Path) -> None:
        """Reads the schema only."""
        self.path = path
        self._arrow = library("pyarrow", "io", ".parquet")
        self._parquet = library("pyarrow.parquet", "io", ".parquet")
        library("pandas", "io", ".parquet")
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
        self.features: tuple[str, ...] = tuple(self._schema.names)
        if len(set(self.features)) < len(self.features):
            raise InvalidDataError(f"{path.name}: two columns have the same name")

    @property
    def nbytes(self) -> int:
        """See `Source`."""
        return 8 * self._rows * len(self.features)

    def table(self, fields: Sequence[str]) -> Table:
        """See `Source`."""
        known = [name for name in fields if name in self.features]
        with self._open() as file:
            frame = parsed(self.path, lambda: file.read(known).to_pandas())
        inner = as_table(frame)
        return Table(self._rows, self.features, self.features, inner.read, inner.read_features)

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
                        values = part.column(j).to_numpy(zero_copy_only=False)
                        block[filled : filled + count, position] = values
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
            result[:, position] = found.column(name).to_numpy(zero_copy_only=False)
        return result

    def _open(self) -> Any:
        buffer = PAGE_BUFFER if getattr(self, "_large", False) else 0
        # No memory map: its pages would count as memory of this process.
        return parsed(self.path, lambda: self._parquet.ParquetFile(self.path, buffer_size=buffer))

    def dtype(self, names: Sequence[str]) -> np.dtype:
        """See `Source`."""
        types = self._arrow.types
        single = True
        for name in names:
            kind = self._schema.field(name).type
            if not (types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)):
                raise TypeError(f"mediator {name!r} holds {kind}: mediators are numbers")
            single &= str(kind) in ("float", "halffloat")
        return np.dtype("f4") if single else np.dtype("f8")
