"""One reader for the columns of every door: values decide, not how a library stores them."""

import dataclasses
import datetime
import decimal
import numbers
import re
from collections import Counter
from typing import Any

import numpy as np

from jaxmed.data import validation
from jaxmed.data.columns import (
    PLAIN,
    Cells,
    Column,
    Factor,
    Raw,
    date_label,
    factor_of,
    label_of,
    unmark,
)
from jaxmed.data.library import library
from jaxmed.data.text import (
    ISO_DATE,
    LOGICAL,
    iso_date,
    read_codes,
    read_text,
    text_factor,
    too_large,
)

HALF = 0.5

__all__ = [
    "arrow_codes",
    "arrow_values",
    "from_arrow",
    "from_array",
    "from_pandas",
    "from_polars",
    "identifiers",
    "mostly_repeated",
]


def from_array(name: str, values: Any, cells: Cells = PLAIN) -> Raw:
    """A column of an array of any dtype: numbers, text, logical values, dates or Python objects.

    Raises:
      TypeError: values that are none of these, with the first of them and its row.
      ShapeError: not one-dimensional.
    """
    if isinstance(values, np.ma.MaskedArray):
        values = _filled(values)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise validation.ShapeError(f"{name!r} has rows of different lengths") from error
    if array.ndim != 1:
        raise validation.ShapeError(f"{name!r} has shape {array.shape}: a column [n] is needed")
    if array.dtype.kind == "S":
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise TypeError(f"{name!r} holds bytes that are no UTF-8: decode them") from error
    if array.dtype.kind == "U":
        return read_text(name, array.tolist(), cells)
    if array.dtype == object:
        return _objects(name, array, cells)
    if array.dtype.kind == "M":
        return _declared(name, Raw(array.astype("datetime64[us]"), "dates"), cells)
    if array.dtype.kind == "m":
        raise TypeError(f"{name!r} holds time spans: divide by a unit, as in hours, to get numbers")
    array = validation.host_array(array, (name,))
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        large = (array > validation.LARGEST_EXACT_INTEGER) | (
            array < -validation.LARGEST_EXACT_INTEGER
        )
        if large.any():
            row = int(large.argmax())
            example = f"'{array[row]}' (row {row + cells.first_row})"
            return Raw(factor_of_integers(array), "", too_large(name, example))
    return _declared(name, Raw(unmark(array, cells)), cells)


def factor_of_integers(array: np.ndarray) -> Factor:
    """Integers of any size as a category: their digits are their names."""
    present, codes = np.unique(array, return_inverse=True)
    return Factor(codes, tuple(str(value) for value in present.tolist()))


def _declared(name: str, raw: Raw, cells: Cells) -> Raw:
    """A category where `factor=` says so."""
    if name not in cells.factors or isinstance(raw.values, Factor):
        return raw
    return Raw(factor_of(raw.values))


def _filled(values: np.ma.MaskedArray) -> np.ndarray:
    """Masked cells as missing values."""
    hidden = np.ma.getmaskarray(values)
    if values.dtype.kind in "biuf":
        plain = np.asarray(values.data, float)
        return np.where(hidden, np.nan, plain) if hidden.any() else np.asarray(values.data)
    plain = np.asarray(values.data).astype(object)
    plain[hidden] = None
    return plain


def _objects(name: str, array: np.ndarray, cells: Cells) -> Raw:
    """Python objects: missing markers of any library, then one kind for all the others."""
    gone = np.array([_is_none(value) for value in array], bool)
    present = array[~gone]
    kinds = {_kind(value) for value in present.tolist()}
    if None in kinds:
        row = next(j for j, v in enumerate(array) if not _is_none(v) and _kind(v) is None)
        raise TypeError(
            f"{name!r} has dtype object and holds {type(array[row]).__name__} {array[row]!r} in "
            f"row {row + cells.first_row}: numbers or text are needed"
        )
    if not kinds:
        return Raw(np.full(array.size, np.nan))
    if kinds == {"date"}:
        days = np.full(array.size, np.datetime64("NaT", "us"), "datetime64[us]")
        days[~gone] = [_moment(value) for value in present.tolist()]
        return _declared(name, Raw(days, "dates"), cells)
    if kinds <= {"number", "logical"}:
        return _object_numbers(name, array, gone, cells)
    # Text, perhaps among numbers: a spreadsheet's "n.d." in a column of numbers.
    texts = [None if none else _text(value) for value, none in zip(array, gone, strict=True)]
    return read_text(name, texts, cells)


def _object_numbers(name: str, array: np.ndarray, gone: np.ndarray, cells: Cells) -> Raw:
    bound = validation.LARGEST_EXACT_INTEGER
    for row, value in enumerate(array.tolist()):
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if whole and abs(int(value)) > bound:
            texts = [None if none else _text(v) for v, none in zip(array, gone, strict=True)]
            example = f"'{value}' (row {row + cells.first_row})"
            return Raw(text_factor(name, texts, cells), "", too_large(name, example))
    values = np.full(array.size, np.nan)
    values[~gone] = [float(value) for value in array[~gone].tolist()]
    if not gone.any() and {type(v) for v in array.tolist()} <= {bool, np.bool_}:
        return _declared(name, Raw(values.astype(bool)), cells)
    return _declared(name, Raw(unmark(values, cells)), cells)


def _is_none(value: Any) -> bool:
    """None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating | decimal.Decimal) and value != value


def _kind(value: Any) -> str | None:
    if isinstance(value, bool | np.bool_):
        return "logical"
    if isinstance(value, numbers.Real | decimal.Decimal) and type(value) is not np.longdouble:
        return "number"
    if isinstance(value, datetime.date | np.datetime64):
        return "date"
    return "text" if isinstance(value, str) else None


def _moment(value: Any) -> np.datetime64:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")


def _text(value: Any) -> str:
    """A cell as a csv would hold it."""
    if isinstance(value, bool | np.bool_):
        return "TRUE" if value else "FALSE"
    if isinstance(value, numbers.Real | decimal.Decimal):
        whole = isinstance(value, numbers.Integral)
        return str(int(value)) if whole else label_of(float(value))
    if isinstance(value, datetime.date | np.datetime64):
        return date_label(_moment(value))
    return str(value)


def from_pandas(
    name: str, series: Any, cells: Cells = PLAIN, *, declared_categories: bool = True
) -> Raw:
    """A pandas column of any dtype: NumPy, nullable, Arrow, sparse, categorical, object.

    Args:
      name: of the column, for messages.
      series: the column.
      cells: how ambiguous cells are read.
      declared_categories: False where the library makes categories of all text by itself: then
        only an order that is not the alphabet's was somebody's choice.
    """
    dtype = series.dtype
    if hasattr(dtype, "categories"):
        codes, levels = series.cat.codes.to_numpy().astype(int), list(dtype.categories)
        chosen = declared_categories or dtype.ordered or not _by_itself(levels)
        return _categories(name, codes, levels, cells, chosen)
    if type(dtype).__name__ == "ArrowDtype":
        return from_arrow(name, series.array.__arrow_array__(), cells)
    if hasattr(series, "sparse"):
        series = series.sparse.to_dense()
        dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return from_array(name, series.to_numpy(), cells)
    kind = getattr(dtype, "kind", "O")
    if kind in "biu":
        gone = series.isna().to_numpy()
        plain = series.fillna(False if kind == "b" else 0).to_numpy(dtype=dtype.numpy_dtype)
        return _with_nulls(name, plain, gone, cells)
    if kind == "f":
        return from_array(name, series.to_numpy(dtype=dtype.numpy_dtype, na_value=np.nan), cells)
    if kind == "M":
        moments = series.dt.tz_convert("UTC").dt.tz_localize(None) if _zoned(series) else series
        return from_array(name, moments.to_numpy(dtype="datetime64[us]"), cells)
    return from_array(name, series.to_numpy(dtype=object, na_value=None), cells)


def _zoned(series: Any) -> bool:
    return getattr(series.dt, "tz", None) is not None


def _by_itself(levels: list[Any]) -> bool:
    """True for an order that AnnData gives to categories which it makes of text."""
    natsort = library("natsort", "anndata", ".h5ad")
    return levels in (sorted(levels, key=str), natsort.natsorted(levels))


def _categories(
    name: str, codes: np.ndarray, categories: list[Any], cells: Cells, declared: bool
) -> Raw:
    """A categorical type: its own order of levels is kept where somebody chose it."""
    gone = [j for j, level in enumerate(categories) if _is_none(level)]
    if gone:
        kept = [j for j in range(len(categories)) if j not in gone]
        moved = np.full(len(categories) + 1, -1)
        moved[kept] = np.arange(len(kept))
        codes, categories = moved[codes], [categories[j] for j in kept]
    texts = [_text(level) for level in categories]
    if declared or not all(isinstance(level, str) for level in categories):
        return Raw(Factor(codes, tuple(texts), declared=True))
    return read_codes(name, codes, texts, cells)


def from_polars(name: str, series: Any, cells: Cells = PLAIN) -> Raw:
    """A polars column; null is a missing value."""
    kind = str(series.dtype)
    if kind.startswith("Enum"):
        levels = list(series.dtype.categories)
        places = {level: j for j, level in enumerate(levels)}
        codes = np.array([-1 if v is None else places[v] for v in series.to_list()], int)
        return _categories(name, codes, levels, cells, True)
    if kind.startswith("Float"):
        return from_array(name, series.to_numpy(), cells)
    if kind.startswith(("Int", "UInt", "Boolean")) and not kind.endswith("128"):
        gone = series.is_null().to_numpy()
        zero = False if kind == "Boolean" else 0
        return _with_nulls(name, series.fill_null(zero).to_numpy(), gone, cells)
    return from_array(name, _object_array(series.to_list()), cells)


def from_arrow(name: str, column: Any, cells: Cells = PLAIN, *, declared: bool = False) -> Raw:
    """A pyarrow column (ChunkedArray or Array) of any type.

    Args:
      name: of the column, for messages.
      column: the column.
      cells: how ambiguous cells are read.
      declared: dictionaries are categories that somebody declared, in their order.
    """
    kind = str(column.type)
    if kind.startswith("dictionary"):
        codes, levels = arrow_codes(column)
        return _categories(name, codes, levels, cells, declared or column.type.ordered)
    if kind in ("float", "double", "halffloat"):
        return from_array(name, arrow_values(column), cells)
    if kind.startswith(("int", "uint", "bool")):
        gone = arrow_values(column.is_null())
        zero = False if kind == "bool" else 0
        return _with_nulls(name, arrow_values(column.fill_null(zero)), gone, cells)
    return from_array(name, _object_array(column.to_pylist()), cells)


def arrow_codes(column: Any) -> tuple[np.ndarray, list[Any]]:
    """A dictionary column of pyarrow as codes [n] (-1 missing) and its values."""
    whole = column.unify_dictionaries() if hasattr(column, "chunks") else column
    chunks = whole.chunks if hasattr(whole, "chunks") else [whole]
    levels = chunks[0].dictionary.to_pylist() if chunks else []
    parts = [arrow_values(chunk.indices.fill_null(-1)) for chunk in chunks]
    return (np.concatenate(parts).astype(int) if parts else np.zeros(0, int)), levels


def arrow_values(column: Any) -> np.ndarray:
    """An Arrow column as NumPy's; only Array has the argument, and copies only with it."""
    return column.to_numpy() if hasattr(column, "chunks") else column.to_numpy(zero_copy_only=False)


def _with_nulls(name: str, filled: np.ndarray, gone: np.ndarray, cells: Cells) -> Raw:
    """Integers or logical values [n], of which some are missing [n]."""
    raw = from_array(name, filled, cells)
    if not gone.any():
        return raw
    if isinstance(raw.values, Factor):
        return dataclasses.replace(
            raw, values=dataclasses.replace(raw.values, codes=np.where(gone, -1, raw.values.codes))
        )
    return dataclasses.replace(raw, values=np.where(gone, np.nan, raw.values.astype(float)))


def _object_array(values: list[Any]) -> np.ndarray:
    """Without NumPy's guess at a shape, for a column of lists."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def identifiers(column: Column) -> list[str]:
    """A column as names of rows: 17, 17.0 and "17" are one name, "017" is another.

    A missing name is "".
    """
    if not isinstance(column, Factor):
        column = factor_of(column, declared=False)
    names = [_name(level) for level in column.levels] + [""]
    return [names[code] for code in column.codes.tolist()]


def mostly_repeated(column: Any) -> bool:
    """True where more than half of the cells hold a value that comes twice or more.

    By the library that holds the column and as it holds it: a fraction of the time of reading it.
    """
    if hasattr(column, "is_duplicated"):  # polars
        return bool(column.is_duplicated().mean() > HALF)
    if hasattr(column, "duplicated"):  # pandas
        return bool(column.duplicated(keep=False).mean() > HALF)
    if hasattr(column, "value_counts"):  # pyarrow
        counts = arrow_values(column.value_counts().field("counts"))
    else:
        array = np.asarray(column)
        plain = array.dtype != object
        found = np.unique(array, return_counts=True)[1] if plain else [*Counter(array).values()]
        counts = np.asarray(found)
    return bool(counts[counts > 1].sum() > HALF * counts.sum())


def _name(text: str) -> str:
    """One spelling for a number, a logical value or a date, where a name loses nothing by it."""
    if text in LOGICAL:
        return label_of(LOGICAL[text])
    if ISO_DATE.fullmatch(text):
        try:
            return date_label(iso_date(text))
        except ValueError:
            return text
    if re.fullmatch(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", text) is None:
        return text
    value = float(text)
    return label_of(value) if abs(value) <= validation.LARGEST_EXACT_INTEGER else text
