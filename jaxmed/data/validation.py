"""Checks of host arrays: misuse becomes a typed error that names the column and the remedy."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Beyond these magnitudes products of two columns leave the range of float32.
FLOAT32_LARGEST = 1e15
FLOAT32_SMALLEST_RMS = 1e-15
LARGEST_EXACT_INTEGER = 2**53
# About 4 MB of rows at a time: the temporaries of a check stay in cache.
BLOCK_BYTES = 1 << 22
# A column that is constant at its source and went through arithmetic (a unit conversion, a sum of
# shares) keeps a spread of some rounding errors relative to its size. Standardising it would blow
# these up to a full mediator. Above the bound float64 data keep at least 4 significant digits; in
# float32 the bound stays at 64 rounding errors, as a year 2020 +- 1 has a spread of 5e-4.
ROUNDING_SPREAD = {np.dtype("f4"): 8e-6, np.dtype("f8"): 1e-12}


class ShapeError(ValueError):
    """Array shapes do not fit together, or leave nothing to estimate."""


class InvalidDataError(ValueError):
    """The values cannot be analysed: missing, infinite, constant, out of range or unreadable."""


def is_traced(*arrays: Any) -> bool:
    """True where any of the arrays is a tracer, whose values cannot be looked at."""
    for array in arrays:
        if isinstance(array, jax.Array):
            try:
                array.devices()
            except jax.errors.ConcretizationTypeError:
                return True
    return False


def default_float() -> np.dtype:
    """JAX's default float: float64 where x64 is enabled, else float32."""
    return np.dtype(jnp.result_type(float))


def common_float(*dtypes: Any) -> np.dtype:
    """The one dtype of a data set.

    float32 and float64 inputs promote as in JAX; integers, booleans and half precision have no say
    beside them and become the default float on their own. Where x64 is off this is float32.
    """
    full = [np.dtype(d) for d in dtypes if np.dtype(d) in (np.dtype("f4"), np.dtype("f8"))]
    widest = np.result_type(*full) if full else default_float()
    return np.dtype("f4") if default_float() == np.float32 else np.dtype(widest)


def row_blocks(matrix: np.ndarray) -> list[slice]:
    """Slices of consecutive rows of about `BLOCK_BYTES` each."""
    rows, row_bytes = matrix.shape[0], max(matrix[:1].nbytes, 1)
    step = max(BLOCK_BYTES // row_bytes, 1)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def host_array(values: Any, names: Sequence[str]) -> np.ndarray:
    """`values` as a NumPy array of a numeric dtype.

    Args:
      values: array-like [n] or [n, k].
      names: what to call the columns in an error, one or k names.

    Raises:
      TypeError: masked, object, string, longdouble, complex or date columns.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            f"{names[0]!r} is a masked array, whose mask would be lost: use .filled(numpy.nan) "
            'with nan_policy="drop"'
        )
    array = np.asarray(values)
    if array.dtype == np.longdouble and np.longdouble != np.float64:
        raise TypeError(f"{names[0]!r} is longdouble, which JAX does not have: cast it to float64")
    if array.dtype == object:
        raise TypeError(_object_message(array, names))
    numeric = array.dtype.kind in "biuf" or jnp.issubdtype(array.dtype, jnp.floating)
    if not numeric:
        raise TypeError(
            f"{names[0]!r} has dtype {array.dtype}: numbers are needed (strings may enter as "
            "categorical columns through from_frame)"
        )
    return array


def _object_message(array: np.ndarray, names: Sequence[str]) -> str:
    columns = array[:, None] if array.ndim == 1 else array
    for position in range(columns.shape[1] if columns.ndim == 2 else 0):
        for row, value in enumerate(columns[:, position]):
            if not isinstance(value, (int, float, np.number, np.bool_)):
                name = names[position] if position < len(names) else names[0]
                return (
                    f"{name!r} has dtype object and holds {type(value).__name__} {value!r} in row "
                    f"{row}: numbers are needed (missing values as NaN)"
                )
    return f"{names[0]!r} has dtype object: cast it to float64"


def check_integers(array: np.ndarray, names: Sequence[str]) -> None:
    """Refuse integers that a float64 cannot hold.

    Raises:
      InvalidDataError: an integer beyond 2**53, with its column.
    """
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8 or array.size == 0:
        return
    large = (array > LARGEST_EXACT_INTEGER) | (array < -LARGEST_EXACT_INTEGER)
    if large.any():
        row, name = _first(large, names)
        raise InvalidDataError(
            f"{name!r} holds integers beyond 2**53 (first in row {row}), which floats cannot "
            "represent: is it an identifier? Otherwise subtract an offset first"
        )


def _first(flags: np.ndarray, names: Sequence[str]) -> tuple[int, str]:
    """Row and name of the first flag, columns first."""
    flags = flags.reshape(flags.shape[0], -1)
    column = int(flags.any(axis=0).argmax())
    return int(flags[:, column].argmax()), names[column]


def check_values(array: np.ndarray, names: Sequence[str], dtype: np.dtype) -> None:
    """Refuse what has no finite or no safe representation in `dtype`.

    One pass over the column sums of squares clears nearly all columns; only those it does not
    clear are looked at value by value.

    Raises:
      InvalidDataError: NaN, infinity, or a scale outside the safe range of float32.
    """
    columns = array.reshape(array.shape[0], -1)
    if array.dtype.kind in "biu" and dtype == np.float64:
        return
    squares = np.zeros(columns.shape[1], np.float64)
    with np.errstate(all="ignore"):
        for rows in row_blocks(columns):
            block = columns[rows] if columns.dtype.itemsize >= 4 else columns[rows].astype("f4")
            block = block.astype("f8") if block.dtype.kind in "biu" else block
            squares += np.square(block).sum(axis=0)
    for position in np.flatnonzero(_suspects(squares, columns.shape[0], dtype)):
        _check_column(columns[:, position].astype("f8"), names[int(position)], dtype)


def all_finite(matrix: np.ndarray) -> bool:
    """True where no value [n, k] is NaN or infinite: one product tells, but for sums that overflow.

    A False is to be looked into; a True is certain.
    """
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.ones(len(matrix), matrix.dtype) @ matrix).all())


def infinite_values(name: str, count: int, place: str) -> InvalidDataError:
    """The refusal of infinite values, with the row where the first of them stands."""
    plural = "s" if count > 1 else ""
    return InvalidDataError(
        f"{name!r} holds {count} infinite value{plural} (first in {place}): correct or remove them"
    )


def check_squares(squares: np.ndarray, rows: int, names: Sequence[str], dtype: np.dtype) -> None:
    """The check of scale of `check_values` where sums of squares [k] are at hand already.

    Raises:
      InvalidDataError: NaN, infinity, or a scale outside the safe range of float32.
    """
    suspect = np.flatnonzero(_suspects(squares, rows, dtype) & (squares != 0))
    if suspect.size:
        size = float(np.sqrt(squares[suspect[0]] / rows))
        raise InvalidDataError(
            f"{names[int(suspect[0])]!r} has magnitude {size:.3g}, outside the safe range of "
            f"{dtype}: use float64, or rescale the column"
        )


def _suspects(squares: np.ndarray, rows: int, dtype: np.dtype) -> np.ndarray:
    suspect = ~np.isfinite(squares)
    if dtype == np.float32:
        # Twice the bounds on either side: the sums are rounded, the exact check comes after.
        suspect |= squares > (FLOAT32_LARGEST / 2) ** 2
        suspect |= squares < rows * (2 * FLOAT32_SMALLEST_RMS) ** 2
    return suspect


def _check_column(column: np.ndarray, name: str, dtype: np.dtype) -> None:
    missing, unbounded = np.isnan(column), np.isinf(column)
    if missing.any():
        raise InvalidDataError(
            f"{name!r} holds {int(missing.sum())} NaN (first in row {int(missing.argmax())}): drop "
            'these rows with nan_policy="drop", or impute them'
        )
    if unbounded.any():
        raise infinite_values(name, int(unbounded.sum()), f"row {int(unbounded.argmax())}")
    if dtype != np.float32:
        return
    used = np.abs(column[column != 0])
    if used.size == 0:
        return
    peak = used.max()
    rms = peak * np.sqrt(np.mean(np.square(used / peak)))
    if peak > FLOAT32_LARGEST or rms < FLOAT32_SMALLEST_RMS:
        raise InvalidDataError(
            f"{name!r} has magnitude {max(rms, peak):.3g}, outside the safe range of float32: "
            'enable float64 with jax.config.update("jax_enable_x64", True), or rescale the column'
        )


def check_varies(
    column: np.ndarray,
    weights: np.ndarray | None,
    name: str,
    refusal: Callable[[str, float], InvalidDataError],
) -> None:
    """Refuse a column that is constant up to rounding on the rows with non-zero weight.

    Args:
      column: [n].
      weights: [n] or None.
      name: of the column.
      refusal: the error of its name and value, `constant_exposure` or `constant_outcome`.
    Raises:
      InvalidDataError: the refusal.
    """
    value = _constant(column, weights)
    if value is not None:
        raise refusal(name, value)


def constant_exposure(name: str, value: float) -> InvalidDataError:
    """The refusal of an exposure that has this value throughout."""
    return InvalidDataError(
        f"the exposure {name!r} is constant ({value:g}) on the rows used: there is no effect to "
        "estimate"
    )


def constant_outcome(name: str, value: float) -> InvalidDataError:
    """The refusal of an outcome that has this value throughout."""
    return InvalidDataError(
        f"the outcome {name!r} is constant ({value:g}) on the rows used: there is no effect to "
        "estimate; choose another outcome, or rows on which it varies"
    )


def _constant(column: np.ndarray, weights: np.ndarray | None) -> float | None:
    """The value of a column [n] that is constant up to rounding, else None."""
    used = column if weights is None else column[weights > 0]
    lowest, highest = float(used.min()), float(used.max())
    largest = max(abs(lowest), abs(highest))
    rounding = ROUNDING_SPREAD[used.dtype]
    # The spread is at least the range over sqrt(2 n): computed only where that does not settle it.
    if highest - lowest > rounding * largest * 2 * np.sqrt(used.size):
        return None
    scaled = used.astype(np.float64) / (largest or 1.0)
    return float(used[0]) if scaled.std() <= rounding else None


def case_weights(weights: np.ndarray, name: str = "weights") -> np.ndarray:
    """Case weights scaled to sum to the number of non-zero ones.

    Raises:
      InvalidDataError: a negative weight, or no positive one.
    """
    if (weights < 0).any():
        raise InvalidDataError(
            f"{name!r} holds a negative weight in row {int((weights < 0).argmax())}: case weights "
            "are zero or positive"
        )
    used = weights > 0
    if not used.any():
        raise InvalidDataError(f"{name!r} are all zero: no row is left")
    if np.ptp(weights[used]) == 0:
        return used.astype(weights.dtype)
    relative = weights / weights.max()
    return (relative * (used.sum() / relative.sum(dtype="f8"))).astype(weights.dtype)
