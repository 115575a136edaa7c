"""One face for the tables that analysts bring: pandas, polars, pyarrow, AnnData, dict of arrays.

A library is recognised by the name of its module, so that none is imported here. Every door reads
its columns with `column_reader`, so that a column means the same whichever way it comes in.
"""

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxmed.data import column_reader, columns, validation
from jaxmed.data.columns import PLAIN, Cells, Factor, Raw
from jaxmed.data.naming import Naming, name_columns
from jaxmed.data.roles import numbers_of
from jaxmed.data.sparse import from_sparse

__all__ = ["Block", "Table", "UnknownColumnError", "as_table", "dense", "stacked"]


class UnknownColumnError(validation.InvalidDataError):
    """A column that the table does not have."""


@dataclasses.dataclass(frozen=True)
class Block:
    """Numeric columns side by side."""

    values: np.ndarray  # [n, p]
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)  # column -> conversion


@dataclasses.dataclass(frozen=True)
class Table:
    """Named columns of equal length."""

    rows: int
    fields: tuple[str, ...]  # where exposure, outcome, covariates and weights are looked for
    features: tuple[str, ...]  # where mediators are looked for
    read: Callable[[str], Raw]  # one of fields or features
    read_features: Callable[[Sequence[str], np.ndarray], Block]  # of names [p] and a row mask
    hidden: tuple[str, ...] = ()  # columns that are found by name, and by no glob
    doubled: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    aside: tuple[str, ...] = ()  # sentences on columns left out
    cells: Cells = PLAIN
    origin: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # file, sha256, dialect
    identify: Callable[[str], Factor] | None = None  # texts of a column as they are stored
    # Does a field hold most of its values twice or more, as it is stored? None for a stream, whose
    # other columns are not at hand.
    repeats: Callable[[str], bool] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that can be asked for."""
        return tuple(dict.fromkeys((*self.fields, *self.features, *self.hidden)))

    def find(self, name: str, role: str) -> str:
        """The name itself if the table has one column of that name.

        Raises:
          UnknownColumnError: with the nearest names.
          InvalidDataError: two columns have this name.
        """
        name = str(name)
        check_single(name, self.doubled, role)
        if name in self.names:
            return name
        raise unknown(name, tuple(dict.fromkeys((*self.fields, *self.features))), role)

    def row_names(self, name: str) -> list[str]:
        """A column as identifiers of rows, "" where missing."""
        if self.identify is not None:
            return column_reader.identifiers(self.identify(name))
        return column_reader.identifiers(self.read(name).values)


def check_single(name: str, doubled: Mapping[str, tuple[int, ...]], role: str) -> None:
    """Raises InvalidDataError where two columns have the name."""
    if name in doubled:
        where = " and ".join(map(str, doubled[name]))
        raise validation.InvalidDataError(
            f"{role}: two columns are called {name!r} (columns {where}): rename one"
        )


def unknown(name: str, available: Sequence[str], role: str) -> UnknownColumnError:
    """The error of a name that no column has, with the nearest ones."""
    near = difflib.get_close_matches(name, available, n=3, cutoff=0.5)
    if not near:
        lower = {candidate.lower(): candidate for candidate in available}
        near = [lower[n] for n in difflib.get_close_matches(name.lower(), list(lower), n=3)]
    hint = f"did you mean {', '.join(map(repr, near))}?" if near else listing(available)
    return UnknownColumnError(f"{role}: there is no column {name!r}; {hint}")


def listing(available: Sequence[str]) -> str:
    """The first columns of a table, for messages."""
    shown = ", ".join(map(repr, available[:8]))
    return f"columns are {shown}{', ...' if len(available) > 8 else ''}"


def as_table(frame: Any, cells: Cells = PLAIN) -> Table:
    """The table behind any supported frame.

    Args:
      frame: pandas or polars DataFrame, pyarrow Table, AnnData, MuData, mapping of arrays
        (a matrix [n, k] called M is k columns M_1 to M_k), or a Table already.
      cells: how ambiguous cells are read.

    Raises:
      TypeError: none of these.
    """
    library = type(frame).__module__.split(".")[0]
    if isinstance(frame, Table):
        return frame
    if library == "pandas" and hasattr(frame, "columns"):
        return _pandas(frame, cells)
    if library == "polars" and hasattr(frame, "get_column"):
        return _polars(frame, cells)
    if library == "pyarrow" and hasattr(frame, "column_names"):
        return arrow_table(frame, cells)
    if library in ("anndata", "mudata"):
        from jaxmed.data.annotated import annotated_table  # built on this module

        return annotated_table(frame, cells)
    if isinstance(frame, Mapping):
        return mapping_table(frame, cells)
    raise TypeError(
        f"{type(frame).__module__}.{type(frame).__name__} is not a table that from_frame "
        "reads: give a pandas or polars DataFrame (collect a LazyFrame first), a pyarrow Table, "
        "AnnData or a dict of arrays"
    )


def of_columns(
    naming: Naming,
    rows: int,
    read_at: Callable[[str, int, Cells], Raw],
    cells: Cells,
    *,
    fast: Callable[[Sequence[int], np.ndarray], np.ndarray | None] | None = None,
    stored: Callable[[int], Any] | None = None,
    origin: Mapping[str, Any] | None = None,
) -> Table:
    """A table whose columns are all alike.

    Args:
      naming: its names.
      rows: number of rows.
      read_at: reads the column of a name at a position.
      cells: how ambiguous cells are read.
      fast: all columns at some positions in one piece, or None where that cannot be.
      stored: the column at a position as its library holds it, where all of them are at hand.
      origin: where it comes from.
    """

    def read(name: str) -> Raw:
        return read_at(name, naming.position[name], cells)

    def identify(name: str) -> Factor:
        own = dataclasses.replace(cells, factors=(*cells.factors, name))
        found = read_at(name, naming.position[name], own).values
        return found if isinstance(found, Factor) else columns.factor_of(found)

    def read_features(wanted: Sequence[str], mask: np.ndarray) -> Block:
        found = None
        if fast is not None and not cells.na:
            found = fast([naming.position[name] for name in wanted], mask)
        return Block(found) if found is not None else stacked(read, wanted, mask)

    def repeats(name: str) -> bool:
        assert stored is not None
        return column_reader.mostly_repeated(stored(naming.position[name]))

    shown = set(naming.fields)
    hidden = tuple(name for name in naming.position if name not in shown)
    return Table(
        rows,
        naming.fields,
        naming.fields,
        read,
        read_features,
        hidden,
        naming.doubled,
        naming.aside,
        cells,
        origin or {},
        identify,
        None if stored is None else repeats,
    )


def stacked(read: Callable[[str], Raw], names: Sequence[str], rows: np.ndarray) -> Block:
    """Columns side by side, each read and checked for numbers.

    Raises:
      TypeError, InvalidDataError: see `roles.numbers_of`.
    """
    arrays, notes = [], {}
    for name in names:
        raw = read(name)
        arrays.append(numbers_of(name, raw, "mediator")[rows])
        if raw.note:
            notes[name] = raw.note
    result = np.empty((int(rows.sum()), len(arrays)), np.result_type(*arrays), order="F")
    for position, values in enumerate(arrays):
        result[:, position] = values
    return Block(result, notes)


def _pandas(frame: Any, cells: Cells) -> Table:
    names = ["" if name is None else str(name) for name in frame.columns]

    def read_at(name: str, position: int, cells: Cells) -> Raw:
        return column_reader.from_pandas(name, frame.iloc[:, position], cells)

    def fast(positions: Sequence[int], mask: np.ndarray) -> np.ndarray | None:
        chosen = frame.iloc[:, list(positions)]
        kinds = set(chosen.dtypes)
        plain = len(kinds) == 1 and next(iter(kinds)) in (np.float32, np.float64)
        return chosen.to_numpy()[mask] if plain else None

    naming = name_columns(names, lambda j: read_at(names[j], j, cells).values)
    return of_columns(
        naming, len(frame), read_at, cells, fast=fast, stored=lambda j: frame.iloc[:, j]
    )


def _polars(frame: Any, cells: Cells) -> Table:
    names = list(frame.columns)

    def read_at(name: str, position: int, cells: Cells) -> Raw:
        return column_reader.from_polars(name, frame.to_series(position), cells)

    naming = name_columns(names, lambda j: read_at(names[j], j, cells).values)
    return of_columns(naming, frame.height, read_at, cells, stored=frame.to_series)


def arrow_table(frame: Any, cells: Cells, origin: Mapping[str, Any] | None = None) -> Table:
    """Of a pyarrow Table; what pandas stored as an index is no column."""
    metadata = frame.schema.pandas_metadata or {}
    index = [name for name in metadata.get("index_columns", ()) if isinstance(name, str)]

    def read_at(name: str, position: int, cells: Cells) -> Raw:
        column = frame.column(position)
        return column_reader.from_arrow(name, column, cells, declared=bool(metadata))

    names = [str(name) for name in frame.column_names]
    naming = name_columns(names, lambda j: read_at(names[j], j, cells).values, index)
    return of_columns(naming, frame.num_rows, read_at, cells, stored=frame.column, origin=origin)


def mapping_table(
    frame: Mapping[str, Any], cells: Cells, origin: Mapping[str, Any] | None = None
) -> Table:
    """Of named arrays: columns [n], and matrices [n, k], which are k numbered columns.

    Raises:
      ShapeError: different lengths, or neither [n] nor [n, k].
    """
    names: list[str] = []
    arrays: list[Any] = []
    for key, values in frame.items():
        array = dense(values)
        shape = np.shape(array)
        if len(shape) == 2:
            names += [f"{key}_{j + 1}" for j in range(shape[1])]
            arrays += [array[:, j] for j in range(shape[1])]
        else:
            names.append(str(key))
            arrays.append(array)
    shapes = [np.shape(array) for array in arrays]
    lengths = [shape for shape in shapes if len(shape) == 1]
    rows = max(dict.fromkeys(lengths), key=lengths.count) if lengths else (0,)
    for name, array in zip(names, arrays, strict=True):
        shape = np.shape(array)
        if len(shape) != 1 or shape != rows:
            raise validation.ShapeError(f"column {name!r} has shape {shape}, others have {rows}")

    def read_at(name: str, position: int, cells: Cells) -> Raw:
        return column_reader.from_array(name, arrays[position], cells)

    naming = name_columns(names, lambda j: read_at(names[j], j, cells).values)
    return of_columns(naming, rows[0], read_at, cells, stored=lambda j: arrays[j], origin=origin)


def dense(values: Any) -> Any:
    """A scipy.sparse matrix as a NumPy array, one column of it as [n]; others as they are."""
    full = from_sparse(values)
    if full is not values:
        return full[:, 0] if full.ndim == 2 and full.shape[1] == 1 else full
    if isinstance(values, list | tuple) and not any(isinstance(v, list | tuple) for v in values):
        array = np.empty(len(values), object)  # without NumPy's guess at a common type
        array[:] = list(values)
        return array
    return values if hasattr(values, "dtype") else np.asarray(values)
