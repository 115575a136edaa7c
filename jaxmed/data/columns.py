"""Columns of any table: numbers with NaN, dates with NaT, or a Factor of levels."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Factor:
    """A categorical column."""

    codes: np.ndarray  # [n] int, index into levels; -1 where missing
    levels: tuple[str, ...]
    declared: bool = False  # somebody said that it is one: a categorical type, or `factor=`

    def take(self, rows: np.ndarray) -> "Factor":
        """The rows of a mask, with the levels that are left."""
        codes = self.codes[rows]
        used = np.unique(codes[codes >= 0])
        renumbered = np.full(len(self.levels) + 1, -1)
        renumbered[used] = np.arange(used.size)
        levels = tuple(self.levels[j] for j in used)
        return Factor(renumbered[codes], levels, self.declared)

    def counts(self) -> dict[str, int]:
        """Rows of each level."""
        found = np.bincount(self.codes[self.codes >= 0], minlength=len(self.levels))
        return dict(zip(self.levels, found.tolist(), strict=True))


_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
# An array holds numbers (NaN missing) or datetime64 (NaT missing).
Column = np.ndarray | Factor


@dataclasses.dataclass(frozen=True)
class Cells:
    """How cells are read that could mean more than one thing; the same for all doors."""

    decimal: str = "."  # the mark of decimals in text, "." or ","
    na: tuple[str, ...] = ()  # texts that mean missing, beside those of `text.MISSING`
    factors: tuple[str, ...] = ()  # columns that are categories whatever they hold
    first_row: int = 0  # what the first row of data is called in messages

    def __post_init__(self) -> None:
        """Checks the mark."""
        if self.decimal not in (".", ","):
            raise ValueError(f'decimal is "." or ",", not {self.decimal!r}')

    @property
    def na_numbers(self) -> tuple[float, ...]:
        """Numbers that mean missing: -9 also where it is written -9.0 or stored as a number."""
        return tuple(float(text) for text in self.na if _PLAIN.fullmatch(text))


PLAIN = Cells()


@dataclasses.dataclass(frozen=True)
class Raw:
    """A column as read, before its role is known."""

    values: Column
    note: str = ""  # what was converted on the way, in words
    trouble: str = ""  # why it is neither numbers nor a category; an error in most roles


def take(column: Column, rows: np.ndarray) -> Column:
    """The rows of a mask."""
    return column.take(rows) if isinstance(column, Factor) else column[rows]


def missing(column: Column) -> np.ndarray:
    """True where the column has no value [n]."""
    if isinstance(column, Factor):
        return column.codes < 0
    if column.dtype.kind == "M":
        return np.isnat(column)
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(column.shape[0], bool)


def unmark(values: np.ndarray, cells: Cells) -> np.ndarray:
    """Numbers [n] or [n, k] with those that mean missing as NaN."""
    marks = cells.na_numbers
    if not marks or values.dtype.kind not in "iuf":
        return values
    marked = np.isin(values, np.asarray(marks, values.dtype if values.dtype.kind == "f" else float))
    if not marked.any():
        return values
    return np.where(marked, np.nan, values if values.dtype.kind == "f" else values.astype(float))


def label_of(value: float | int) -> str:
    """A number as the name of a level or of a row: 3 for 3.0."""
    number = float(value)
    return str(int(value)) if number.is_integer() else repr(number)


def date_label(value: np.datetime64) -> str:
    """A date as 2020-01-31, with its time where it has one."""
    text = str(value.astype("datetime64[us]"))
    return text.removesuffix("T00:00:00.000000").removesuffix(".000000")


def factor_of(column: np.ndarray, *, declared: bool = True) -> Factor:
    """Numbers or dates [n] as a category, levels in their order."""
    gone = missing(column)
    present, codes = np.unique(column[~gone], return_inverse=True)
    filled = np.full(column.shape[0], -1)
    filled[~gone] = codes
    if column.dtype.kind == "M":
        return Factor(filled, tuple(date_label(value) for value in present), declared)
    return Factor(filled, tuple(label_of(value) for value in present.tolist()), declared)


@dataclasses.dataclass(frozen=True)
class Coded:
    """Covariates as numbers."""

    columns: np.ndarray | None  # [n, q]; None if there are none
    names: tuple[str, ...]
    dummies: dict[str, tuple[str, ...]]  # categorical covariate -> its 0/1 columns
    references: dict[str, str]  # categorical covariate -> the level left out
    counts: dict[str, dict[str, int]]  # categorical covariate -> rows of each level


def design_matrix(fields: Mapping[str, Column], covariates: Sequence[str]) -> Coded:
    """Covariates [n, q] with categorical ones as 0/1 columns, the first level left out."""
    parts: list[np.ndarray] = []
    names: list[str] = []
    coded = Coded(None, (), {}, {}, {})
    for name in covariates:
        column = fields[name]
        if not isinstance(column, Factor):
            parts.append(column)
            names.append(name)
            continue
        coded.references[name] = column.levels[0] if column.levels else ""
        coded.dummies[name] = tuple(f"{name}[{level}]" for level in column.levels[1:])
        coded.counts[name] = column.counts()
        parts += [column.codes == j for j in range(1, len(column.levels))]
        names += coded.dummies[name]
    if not parts:
        return coded
    return dataclasses.replace(coded, columns=np.column_stack(parts), names=tuple(names))
