"""Columns of any table as numbers with NaN, or as a Factor of levels."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxmed.data import validation


@dataclasses.dataclass(frozen=True)
class Factor:
    """A categorical column."""

    codes: np.ndarray  # [n] int, index into levels; -1 where missing
    levels: tuple[str, ...]

    def take(self, rows: np.ndarray) -> "Factor":
        """The rows of a mask, with the levels that are left."""
        codes = self.codes[rows]
        used = np.unique(codes[codes >= 0])
        renumbered = np.full(len(self.levels) + 1, -1)
        renumbered[used] = np.arange(used.size)
        return Factor(renumbered[codes], tuple(self.levels[j] for j in used))


Column = np.ndarray | Factor


@dataclasses.dataclass(frozen=True)
class Raw:
    """A column as its library holds it, before missing values are judged."""

    values: Column
    has_na: bool = False  # a missing marker other than NaN (pandas.NA) was turned into NaN


def take(column: Column, rows: np.ndarray) -> Column:
    """The rows of a mask."""
    return column.take(rows) if isinstance(column, Factor) else column[rows]


def missing(column: Column) -> np.ndarray:
    """True where the column has no value [n]."""
    if isinstance(column, Factor):
        return column.codes < 0
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(column.shape[0], bool)


def from_array(name: str, values: Any) -> Raw:
    """A column of a NumPy array: numbers as they are, strings as a Factor.

    Raises:
      TypeError: neither numbers nor strings (masked, longdouble, dates, mixed objects).
      ShapeError: not one-dimensional.
    """
    if not isinstance(values, np.ma.MaskedArray):
        values = np.asarray(values)
        if values.ndim != 1:
            raise validation.ShapeError(
                f"{name!r} has shape {values.shape}: a column [n] is needed"
            )
        if values.dtype.kind == "U" or (values.dtype == object and _all_text(values)):
            return Raw(_factor_of_text(values))
    array = validation.host_array(values, (name,))
    # Here, before columns are promoted to one dtype, which would hide the trouble.
    validation.check_integers(array, (name,))
    return Raw(array)


def from_pandas(name: str, series: Any) -> Raw:
    """A pandas column: numbers, booleans, nullable numbers, strings or categories."""
    dtype = series.dtype
    if hasattr(dtype, "categories"):
        levels = tuple(str(level) for level in dtype.categories)
        return Raw(Factor(series.cat.codes.to_numpy().astype(int), levels))
    if isinstance(dtype, np.dtype):
        return from_array(name, series.to_numpy())
    if getattr(dtype, "kind", "O") in "biuf":
        if not series.isna().any():
            return from_array(name, series.to_numpy(dtype=dtype.numpy_dtype))
        from_array(name, series.dropna().to_numpy(dtype=dtype.numpy_dtype))
        return Raw(series.to_numpy(dtype=float, na_value=np.nan), has_na=True)
    return from_array(name, series.to_numpy(dtype=object, na_value=np.nan))


def from_polars(name: str, series: Any) -> Raw:
    """A polars column; null is a missing value."""
    kind = str(series.dtype)
    if kind.startswith(("String", "Categorical", "Enum")):
        return from_array(name, np.array(series.to_list(), dtype=object))
    if kind == "Boolean" and series.null_count():
        return Raw(np.array([np.nan if v is None else float(v) for v in series.to_list()]))
    return from_array(name, series.to_numpy())


def _all_text(values: np.ndarray) -> bool:
    """True where every value is a string or missing, and one at least is a string."""
    texts = [isinstance(value, str) for value in values]
    return any(texts) and all(t or _is_none(v) for t, v in zip(texts, values, strict=True))


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _factor_of_text(values: np.ndarray) -> Factor:
    present = np.array([isinstance(value, str) for value in values])
    levels, codes = np.unique(values[present].astype(str), return_inverse=True)
    filled = np.full(values.shape[0], -1)
    filled[present] = codes
    return Factor(filled, tuple(levels.tolist()))


def design_matrix(
    fields: Mapping[str, Column], covariates: Sequence[str]
) -> tuple[np.ndarray | None, tuple[str, ...], dict[str, tuple[str, ...]], dict[str, str]]:
    """Covariates [n, q] with categorical ones as 0/1 columns, the first level left out.

    Returns:
      The columns (None if there are none), their names, the 0/1 columns of each categorical
      covariate, and the level of each that was left out.
    """
    parts: list[np.ndarray] = []
    names: list[str] = []
    dummies: dict[str, tuple[str, ...]] = {}
    references: dict[str, str] = {}
    for name in covariates:
        column = fields[name]
        if not isinstance(column, Factor):
            parts.append(column)
            names.append(name)
            continue
        references[name] = column.levels[0] if column.levels else ""
        dummies[name] = tuple(f"{name}[{level}]" for level in column.levels[1:])
        parts += [column.codes == j for j in range(1, len(column.levels))]
        names += dummies[name]
    if not parts:
        return None, (), dummies, references
    return np.column_stack(parts), tuple(names), dummies, references
