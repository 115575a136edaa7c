"""A matrix of mediators in .npy, memory-mapped, beside a table with the other columns."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jaxmed.data.readers import DEFAULTS, FileOptions, open_table
from jaxmed.data.tables import Table
from jaxmed.data.unpack import digest_of
from jaxmed.data.validation import InvalidDataError, ShapeError

__all__ = ["NpySource"]


class NpySource:
    """Mediators m1..mp are the columns of the matrix [n, p], in either memory order."""

    def __init__(self, path: Path, table: Path, options: FileOptions = DEFAULTS) -> None:
        """Reads the header, which is checked against the size of the file, and the table."""
        self.path = path
        self._matrix = _mapped(path)
        rows, columns = self._matrix.shape
        self.features = tuple(f"m{j + 1}" for j in range(columns))
        self._position = {name: j for j, name in enumerate(self.features)}
        self._table = open_table(table, options)
        if self._table.rows != rows:
            raise ShapeError(
                f"{path.name} has {rows} rows, {table.name} has {self._table.rows}: the rows of "
                "both are the same, in the same order"
            )

    def dtype(self, names: Sequence[str] = ()) -> np.dtype:
        """See `Source`; all features have one dtype."""
        del names
        return np.dtype("f4") if self._matrix.dtype in (np.float16, np.float32) else np.dtype("f8")

    @property
    def nbytes(self) -> int:
        """See `Source`."""
        return 8 * self._matrix.size

    def table(self, fields: Sequence[str]) -> Table:
        """See `Source`."""
        del fields
        matrix = {"file": self.path.name, "sha256": digest_of(self.path)}
        origin = {**self._table.origin, "beside": [matrix]}
        return dataclasses.replace(self._table, features=self.features, origin=origin)

    def row_blocks(
        self, names: Sequence[str], size: int, start: int, stop: int
    ) -> Iterator[np.ndarray]:
        """See `Source`."""
        chosen = self._chosen(names)
        for first in range(start, stop, size):
            yield np.array(self._matrix[first : min(first + size, stop), chosen], self.dtype())

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """See `Source`."""
        return np.array(self._matrix[:, self._chosen(names)], self.dtype())

    def _chosen(self, names: Sequence[str]) -> slice | np.ndarray:
        """A slice where the columns are neighbours: positions would be copied one by one."""
        positions = np.array([self._position[name] for name in names])
        if (np.diff(positions) == 1).all():
            return slice(int(positions[0]), int(positions[-1]) + 1)
        return positions


def _mapped(path: Path) -> np.ndarray:
    """The matrix as a read-only memory map; nothing is allocated, whatever the header says."""
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy parses the header as Python text, with errors of any type
        raise InvalidDataError(f"{path.name}: not a readable .npy matrix ({error})") from error
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or 0 in matrix.shape:
        raise ShapeError(f"{path.name}: a matrix [rows, mediators] is needed")
    if matrix.dtype.kind not in "biuf" or matrix.dtype.itemsize > 8:
        raise InvalidDataError(f"{path.name}: holds {matrix.dtype}; mediators are numbers")
    if math.prod(matrix.shape) * matrix.dtype.itemsize > path.stat().st_size:
        raise InvalidDataError(f"{path.name}: the file is shorter than its header says")
    return matrix
