"""Tables from files, chosen by suffix; nothing in a file is ever executed.

Text (.csv .tsv .txt, also packed as .gz .bz2 .xz .zst .zip), .parquet, .xlsx (.xls .xlsb .ods),
.npz, .h5ad and .h5mu. What a text file is packed with is told by its first bytes, not by its name.
"""

import dataclasses
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.budget import default_budget
from jaxmed.data import delimited
from jaxmed.data.annotated import annotated_table
from jaxmed.data.archive import read_arrays
from jaxmed.data.columns import Cells, Factor
from jaxmed.data.library import library, parsed
from jaxmed.data.naming import name_columns
from jaxmed.data.spreadsheet import spreadsheet_table
from jaxmed.data.tables import Table, arrow_table, mapping_table, of_columns
from jaxmed.data.unpack import digest_of, unpacked, zip_size
from jaxmed.data.validation import InvalidDataError

__all__ = [
    "DEFAULTS",
    "PACKED",
    "TEXT",
    "FileOptions",
    "kind_of",
    "open_table",
    "read_table",
    "text_cells",
]

TEXT = (".csv", ".tsv", ".txt", ".tab")
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
OTHERS = (".parquet", ".npz", ".h5ad", ".h5mu")
KNOWN = (
    *TEXT,
    *(f".csv{packed}" for packed in PACKED),
    ".parquet",
    ".xlsx",
    ".npz",
    ".h5ad",
    ".h5mu",
)


@dataclasses.dataclass(frozen=True)
class FileOptions:
    """How a file is to be read where it does not say so itself; None is found.

    Attributes:
      sep: separator of a text file.
      decimal: mark of decimals in text, "." or ",".
      encoding: of a text file.
      na: texts that mean missing, beside empty cells, NA, NaN, NULL and their like.
      factors: columns that are categories although they hold numbers.
      layer: of AnnData: where the mediators are, instead of X.
      obsm: of AnnData: the matrix that holds the mediators, instead of X.
      var_names: of AnnData: the column of var that names the mediators.
      sheet: of a spreadsheet: its name; the first one by default.
      memory: bytes that the table may take; a quarter of the machine's by default.
    """

    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    na: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()
    layer: str | None = None
    obsm: str | None = None
    var_names: str | None = None
    sheet: str | None = None
    memory: int | None = None

    @property
    def budget(self) -> int:
        """Bytes that the table may take."""
        return default_budget() if self.memory is None else self.memory

    def cells(self, first_row: int, decimal: str | None = None) -> Cells:
        """How cells of this file are read."""
        return Cells(decimal or self.decimal or ".", self.na, self.factors, first_row)


DEFAULTS = FileOptions()


def kind_of(path: Path) -> str:
    """The suffix that tells the format, without that of a packed text.

    Raises:
      InvalidDataError: an unknown one, with those there are.
    """
    name = path.name.lower()
    for packed in PACKED:
        if name.endswith(packed):
            name = name.removesuffix(packed)
            return next((suffix for suffix in TEXT if name.endswith(suffix)), ".csv")
    found = next((s for s in (*TEXT, *SHEETS, *OTHERS) if name.endswith(s)), None)
    if found is None:
        raise InvalidDataError(f"{path.name}: unknown file type; known are {', '.join(KNOWN)}")
    return found


def open_table(path: str | Path, options: FileOptions = DEFAULTS) -> Table:
    """The columns of a file, read when they are asked for; its SHA-256 and dialect in `origin`.

    Raises:
      FileNotFoundError: no such file.
      ImportError: the extra that reads this format is not installed; it is named.
      InvalidDataError: an unknown suffix, or a damaged or hostile file, with the line where it is
        text.
    """
    path = Path(path)
    kind = kind_of(path)
    _check_there(path)
    _check_options(path, kind, options)
    origin: dict[str, Any] = {"file": path.name, "sha256": digest_of(path)}
    if kind in TEXT:
        return _text(path, options, origin)
    cells = options.cells(1)
    if kind == ".npz":
        return mapping_table(read_arrays(path, options.budget), cells, origin)
    if kind == ".parquet":
        return arrow_table(_parquet(path, options), cells, origin)
    if kind in SHEETS:
        _check_size(path, zip_size(path), options)
        return spreadsheet_table(path, options.sheet, options.cells(2), origin)
    return annotated_table(
        _annotated(path, kind, options),
        cells,
        layer=options.layer,
        obsm=options.obsm,
        var_names=options.var_names,
        origin=origin,
    )


def _check_there(path: Path) -> None:
    if path.is_dir():
        raise InvalidDataError(f"{path} is a folder: name the file")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")


def _check_size(path: Path, size: int, options: FileOptions) -> None:
    """Refuses a table that takes more than its budget, before it is read."""
    limit = options.budget
    if size > limit:
        raise InvalidDataError(
            f"{path.name} takes {size:,} bytes, beyond the {limit:,} bytes of memory it may take: "
            "allow more with memory=BYTES"
        )


def _annotated(path: Path, kind: str, options: FileOptions = DEFAULTS) -> Any:
    if kind == ".h5ad":
        anndata = library("anndata", "anndata", kind)
        closed = parsed(path, lambda: anndata.read_h5ad(path, backed="r"))
        _check_size(path, 8 * closed.n_obs * closed.n_vars, options)
        closed.file.close()
    module = library("mudata" if kind == ".h5mu" else "anndata", "anndata", kind)
    read = module.read_h5mu if kind == ".h5mu" else module.read_h5ad
    return parsed(path, lambda: read(path))


def _check_options(path: Path, kind: str, options: FileOptions) -> None:
    """Raises InvalidDataError for an option that this format does not have."""
    groups = {
        TEXT: ("sep", "encoding"),
        SHEETS: ("sheet",),
        (".h5ad", ".h5mu"): ("layer", "obsm", "var_names"),
    }
    for kinds, names in groups.items():
        for name in names:
            if getattr(options, name) is not None and kind not in kinds:
                raise InvalidDataError(
                    f"{path.name}: {name}=NAME goes with {', '.join(kinds)} only"
                )


def _text(path: Path, options: FileOptions, origin: dict[str, Any]) -> Table:
    content = unpacked(path, options.budget)
    found = delimited.text_table(
        content,
        path.name,
        separator=options.sep,
        decimal=options.decimal,
        encoding=options.encoding,
        na=options.na,
    )
    cells = text_cells(options, found.dialect.decimal)

    def read_at(name: str, position: int, cells: Cells) -> Any:
        return delimited.read_column(name, found.columns[position], cells)

    naming = name_columns(
        found.names, lambda j: read_at(found.names[j] or f"Unnamed: {j}", j, cells).values
    )
    origin = origin | {"dialect": found.dialect.to_dict(), "lines": [found.dialect.sentence()]}
    return of_columns(
        naming, found.rows, read_at, cells, stored=lambda j: found.columns[j], origin=origin
    )


def text_cells(options: FileOptions, decimal: str) -> Cells:
    """How the cells of a text file in a dialect are read."""
    return options.cells(delimited.FIRST_ROW, decimal)


def _parquet(path: Path, options: FileOptions) -> Any:
    parquet = library("pyarrow.parquet", "io", ".parquet")
    with parsed(path, lambda: parquet.ParquetFile(path)) as file:
        _check_size(path, 8 * file.metadata.num_rows * file.metadata.num_columns, options)
        return parsed(path, file.read)


def read_table(path: str | Path, options: FileOptions = DEFAULTS) -> Any:
    """A table that `from_frame` takes, from a file of any known format.

    A text file, a spreadsheet and .parquet give a pandas DataFrame, whose columns are numbers,
    dates or texts as their values are. An .npz gives a dict of arrays, an .h5ad AnnData.

    Args:
      path: see the head of this module.
      options: how the file is to be read.

    Raises:
      FileNotFoundError, ImportError, InvalidDataError: as `open_table`.
    """
    path = Path(path)
    kind = kind_of(path)
    _check_there(path)
    if kind == ".npz":
        return read_arrays(path, options.budget)
    if kind in (".h5ad", ".h5mu"):
        name = "mudata" if kind == ".h5mu" else "anndata"
        module = library(name, "anndata", kind)
        return parsed(
            path, lambda: (module.read_h5mu if kind == ".h5mu" else module.read_h5ad)(path)
        )
    pandas = library("pandas", "io", kind)
    if kind == ".parquet":
        return parsed(path, lambda: pandas.read_parquet(path, engine="pyarrow"))
    table = open_table(path, options)
    for name in table.doubled:
        warnings.warn(
            f"{path.name}: {name!r} is the heading of two columns: left out", stacklevel=2
        )
    return pandas.DataFrame({name: _values(table, name) for name in table.names})


def _values(table: Table, name: str) -> np.ndarray:
    values = table.read(name).values
    if isinstance(values, Factor):
        return np.array([*values.levels, np.nan], object)[values.codes]
    if values.dtype.kind != "f" or table.identify is None:
        return values
    whole = np.isfinite(values).all() and (values == np.round(values)).all()
    if not whole:
        return values
    # 1 and 1.0 are the same number, but a table shows them as its file does.
    plain = all(re.fullmatch(r"[+-]?\d+", level) for level in table.identify(name).levels)
    return values.astype(int) if plain else values
