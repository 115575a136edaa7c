"""One face for the tables that analysts bring: pandas, polars, AnnData, dict of arrays.

A library is recognised by the name of its module, so that none is imported here.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxmed.data import columns, validation
from jaxmed.data.columns import Raw


@dataclasses.dataclass(frozen=True)
class Table:
    """Named columns of equal length."""

    rows: int
    fields: tuple[str, ...]  # where exposure, outcome, covariates and weights are looked for
    features: tuple[str, ...]  # where mediators are looked for
    read: Callable[[str], Raw]  # one of the fields
    read_features: Callable[[Sequence[str], np.ndarray], "Block"]  # of names [p] and a row mask


@dataclasses.dataclass(frozen=True)
class Block:
    """Numeric columns side by side."""

    values: np.ndarray  # [n, p]
    with_na: tuple[str, ...] = ()  # columns whose missing marker was not NaN but pandas.NA


def as_table(frame: Any) -> Table:
    """The table behind any supported frame.

    Raises:
      TypeError: not a pandas or polars DataFrame, AnnData or mapping of arrays.
      InvalidDataError: two columns have the same name.
    """
    library = type(frame).__module__.split(".")[0]
    if library == "pandas" and hasattr(frame, "columns"):
        table = _pandas(frame)
    elif library == "polars" and hasattr(frame, "get_column"):
        table = _polars(frame)
    elif library == "anndata":
        table = _anndata(frame)
    elif isinstance(frame, Mapping):
        table = _mapping(frame)
    else:
        raise TypeError(
            f"{type(frame).__module__}.{type(frame).__name__} is not a table that from_frame "
            "reads: give a pandas or polars DataFrame (collect a LazyFrame first), "
            "AnnData or a dict of arrays"
        )
    for names in (table.fields, table.features):
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise validation.InvalidDataError(f"two columns are called {twice!r}: rename one")
    return table


def _pandas(frame: Any) -> Table:
    names = tuple(str(name) for name in frame.columns)
    position = {name: j for j, name in enumerate(names)}

    def read(name: str) -> Raw:
        return columns.from_pandas(name, frame.iloc[:, position[name]])

    def read_features(wanted: Sequence[str], rows: np.ndarray) -> Block:
        chosen = frame.iloc[:, [position[name] for name in wanted]]
        if len(set(chosen.dtypes)) == 1 and chosen.dtypes.iloc[0] in (np.float32, np.float64):
            return Block(chosen.to_numpy()[rows])
        return _stack([read(name) for name in wanted], wanted, rows)

    return Table(len(frame), names, names, read, read_features)


def _polars(frame: Any) -> Table:
    names = tuple(frame.columns)

    def read(name: str) -> Raw:
        return columns.from_polars(name, frame.get_column(name))

    def read_features(wanted: Sequence[str], rows: np.ndarray) -> Block:
        return _stack([read(name) for name in wanted], wanted, rows)

    return Table(frame.height, names, names, read, read_features)


def _anndata(adata: Any) -> Table:
    fields = tuple(str(name) for name in adata.obs.columns)
    features = tuple(str(name) for name in adata.var_names)
    position = {name: j for j, name in enumerate(features)}

    def read(name: str) -> Raw:
        return columns.from_pandas(name, adata.obs[name])

    def read_features(wanted: Sequence[str], rows: np.ndarray) -> Block:
        chosen = adata.X[np.flatnonzero(rows)][:, [position[name] for name in wanted]]
        dense = chosen.toarray() if hasattr(chosen, "toarray") else chosen
        block = validation.host_array(dense, wanted)
        validation.check_integers(block, wanted)
        return Block(block)

    if adata.X is None:
        raise validation.InvalidDataError("the AnnData has no X: its mediators are read from X")
    return Table(adata.n_obs, fields, features, read, read_features)


def _mapping(frame: Mapping[str, Any]) -> Table:
    names = tuple(str(name) for name in frame)
    lengths = {str(name): np.shape(frame[name])[:1] for name in frame}
    rows = next(iter(lengths.values()), (0,))
    for name, length in lengths.items():
        if length != rows or not length:
            raise validation.ShapeError(f"column {name!r} has shape {length}, others have {rows}")

    def read(name: str) -> Raw:
        return columns.from_array(name, frame[name])

    def read_features(wanted: Sequence[str], rows: np.ndarray) -> Block:
        return _stack([read(name) for name in wanted], wanted, rows)

    return Table(rows[0], names, names, read, read_features)


def _stack(raw: Sequence[Raw], names: Sequence[str], rows: np.ndarray) -> Block:
    arrays, with_na = [], []
    for column, name in zip(raw, names, strict=True):
        if isinstance(column.values, columns.Factor):
            raise TypeError(f"mediator {name!r} holds text or categories: mediators are numbers")
        if column.has_na and np.isnan(column.values[rows]).any():
            with_na.append(name)
        arrays.append(column.values)
    result = np.empty((int(rows.sum()), len(arrays)), np.result_type(*arrays))
    for position, values in enumerate(arrays):
        result[:, position] = values[rows]
    return Block(result, tuple(with_na))
