"""One face for files that are read in blocks: names, a few columns in memory, and the rest in turn.

Text (.csv, .tsv, .txt, packed or not), .parquet, .h5ad (backed), and .npy: a matrix [n, p] of
mediators, memory-mapped, beside a table with the other columns.
"""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxmed.data.readers import DEFAULTS, PACKED, TEXT, FileOptions, kind_of
from jaxmed.data.tables import Table
from jaxmed.data.validation import InvalidDataError

__all__ = ["ROW_SUFFIXES", "Source", "is_larger", "open_source"]

# suffix -> (module of this package, its class)
_READERS = {
    **dict.fromkeys(TEXT, ("csv_file", "CsvSource")),
    ".parquet": ("parquet_file", "ParquetSource"),
    ".npy": ("npy_file", "NpySource"),
    ".h5ad": ("anndata_file", "AnnDataSource"),
}
ROW_SUFFIXES = (*_READERS, *(f".csv{packed}" for packed in PACKED))


def _suffix(path: Path) -> str | None:
    """The suffix that tells the format, of those that are read in blocks."""
    if path.suffix.lower() == ".npy":
        return ".npy"
    try:
        kind = kind_of(path)
    except InvalidDataError:
        return None
    return kind if kind in _READERS else None


class Source(Protocol):
    """A file whose mediators do not fit in memory."""

    path: Path

    @property
    def features(self) -> tuple[str, ...]:
        """Names that mediators are chosen from."""
        ...

    def dtype(self, names: Sequence[str]) -> np.dtype:
        """float32 where these features are all stored so, else float64.

        Raises:
          TypeError: a feature that holds no numbers, where the format tells.
        """
        ...

    @property
    def nbytes(self) -> int:
        """Of the whole table in float64, about."""
        ...

    def table(self, fields: Sequence[str]) -> Table:
        """These columns in memory, all rows; unknown names are left out."""
        ...

    def row_blocks(
        self, names: Sequence[str], size: int, start: int, stop: int
    ) -> Iterator[np.ndarray]:
        """Rows start..stop of the features [size, k], in order; the last block may be shorter."""
        ...

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """All rows of some features [n, k].

        Raises:
          InvalidDataError: this format is read by rows only.
        """
        ...


def open_source(
    path: str | Path,
    table: str | Path | None = None,
    options: FileOptions = DEFAULTS,
) -> Source:
    """The file as a source, by its suffix.

    Args:
      path: text (.csv, .tsv, .txt, also packed), .parquet, .h5ad or .npy.
      table: of .npy only: the file with exposure, outcome and covariates, in the same row order.
      options: how the file (of .npy: the table) is to be read.

    Raises:
      FileNotFoundError: no such file.
      InvalidDataError: an unknown suffix; a table missing or not wanted; a damaged file.
      ImportError: the extra that reads this format is not installed.
    """
    path = Path(path)
    suffix = _suffix(path)
    if suffix is None:
        raise InvalidDataError(
            f"{path.name}: cannot be read in blocks; {', '.join(ROW_SUFFIXES)} can"
        )
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if (suffix == ".npy") != (table is not None):
        raise InvalidDataError(
            f"{path.name}: a matrix .npy needs a table with exposure and outcome beside it, and "
            "no other file does"
        )
    module, name = _READERS[suffix]
    reader: Any = getattr(importlib.import_module(f"jaxmed.data.streams.{module}"), name)
    return reader(path, options) if table is None else reader(path, Path(table), options)


def is_larger(path: str | Path, limit: int, options: FileOptions = DEFAULTS) -> bool:
    """True where the table of a file would take more than `limit` bytes in memory.

    Formats that are not read in blocks are never larger.
    """
    path = Path(path)
    if _suffix(path) in (None, ".npy"):
        return False
    return open_source(path, options=options).nbytes > limit
