"""CSV in blocks of rows (pandas); the text is read once for the fields, once for the mediators."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.readers import csv_options, library, parsed
from jaxmed.data.tables import Table, as_table
from jaxmed.data.validation import InvalidDataError

__all__ = ["CsvSource"]


class CsvSource:
    """No column can be read without its row."""

    def __init__(self, path: Path) -> None:
        """Reads the header only."""
        self.path = path
        self._pandas = library("pandas", "io", ".csv")
        self._options: dict[str, Any] = csv_options(path, self._pandas)
        head = parsed(path, lambda: self._pandas.read_csv(path, nrows=0, **self._options))
        self.features: tuple[str, ...] = tuple(str(name) for name in head.columns)

    @property
    def nbytes(self) -> int:
        """A number and its comma are about as long as a float64; gzip packs text by about four."""
        packed = self.path.suffix.lower() == ".gz"
        return self.path.stat().st_size * (4 if packed else 1)

    def dtype(self, names: Sequence[str]) -> np.dtype:
        """Text has no precision of its own."""
        del names
        return np.dtype("f8")

    def table(self, fields: Sequence[str]) -> Table:
        """See `Source`."""
        known = [name for name in self.features if name in fields] or [self.features[0]]
        frame = parsed(
            self.path,
            lambda: self._pandas.read_csv(
                self.path, usecols=known, low_memory=False, **self._options
            ),
        )
        inner = as_table(frame)
        return Table(inner.rows, self.features, self.features, inner.read, inner.read_features)

    def row_blocks(
        self, names: Sequence[str], size: int, start: int, stop: int
    ) -> Iterator[np.ndarray]:
        """See `Source`."""
        rows = stop - start
        if rows <= 0:
            return
        reader = parsed(
            self.path,
            lambda: self._pandas.read_csv(
                self.path, usecols=list(names), chunksize=size, nrows=rows,
                skiprows=range(1, start + 1), **self._options,
            ),
        )  # fmt: skip
        with reader:
            while (chunk := parsed(self.path, lambda: next(reader, None))) is not None:
                yield self._numbers(chunk, names)

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """Refused: every column would mean reading the whole text."""
        raise InvalidDataError(
            f"{self.path.name}: more mediators than rows are read by columns, which a csv has not: "
            "store it as .parquet, .h5ad or .npy, or raise --memory"
        )

    @staticmethod
    def _numbers(chunk: Any, names: Sequence[str]) -> np.ndarray:
        chosen = chunk[list(names)]
        for name in names:
            if chosen[name].dtype.kind not in "biuf":
                raise TypeError(f"mediator {name!r} holds text: mediators are numbers")
        return chosen.to_numpy(np.float64)
