"""What a column has to be in its role: numbers, a 0/1 coding, covariates, or a refusal in words."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmed.data.columns import Column, Factor, Raw
from jaxmed.data.mediation_data import NanPolicy
from jaxmed.data.text import LOGICAL, NUMBER
from jaxmed.data.validation import InvalidDataError

__all__ = ["Coding", "Roles", "code_two_levels", "is_numeric", "merge_rare", "numbers_of", "usable"]

# A factor of more levels than this, or than a tenth of the rows, names rows rather than groups.
MOST_LEVELS = 20
ROWS_PER_LEVEL = 10
MANY_LEVELS = 30  # told of
SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Roles:
    """Which columns of a table are what, and which of its rows count; see `from_frame`."""

    exposure: str
    outcome: str
    mediators: str | Sequence[str]
    covariates: str | Sequence[str] = ()
    weights: str | None = None
    where: str | None = None
    contrast: tuple[Any, Any] | None = None
    nan_policy: NanPolicy = "error"
    merge_rare: int = 0
    # Instead of a contrast, levels of the exposure, which becomes their number from 0.
    levels: Sequence[Any] = ()


@dataclasses.dataclass(frozen=True)
class Coding:
    """A column of two levels as 0 and 1."""

    values: np.ndarray  # [n] NaN where missing
    reference: str  # the level coded 0
    other: str  # the level coded 1


def usable(raw: Raw) -> Column:
    """The column, unless it is a damaged column of numbers.

    Raises:
      InvalidDataError: the trouble found when it was read.
    """
    if raw.trouble:
        raise InvalidDataError(raw.trouble)
    return raw.values


def is_numeric(column: Factor) -> bool:
    """True for a category whose levels are all numbers, or TRUE and FALSE."""
    return bool(column.levels) and all(
        level in LOGICAL or NUMBER.fullmatch(level) for level in column.levels
    )


def numbers_of(name: str, raw: Raw, role: str) -> np.ndarray:
    """The column as numbers [n], NaN where missing.

    Raises:
      InvalidDataError: text that is nearly numbers, with the values that are none.
      TypeError: categories or dates.
    """
    values = usable(raw)
    if isinstance(values, Factor):
        if values.declared and is_numeric(values):
            numbers = [LOGICAL.get(level, level) for level in values.levels]
            return np.array([*map(float, numbers), np.nan])[values.codes]
        shown = ", ".join(map(repr, values.levels[:SHOWN]))
        more = ", ..." if len(values.levels) > SHOWN else ""
        what = f"{role} {name!r}" if role == "mediator" else f"the {role} {name!r}"
        raise TypeError(f"{what} holds text or categories {shown}{more}: numbers are needed")
    if values.dtype.kind == "M":
        raise TypeError(
            f"the {role} {name!r} holds dates: numbers are needed, as days since a date (dates "
            "serve to choose rows)"
        )
    return values


def code_two_levels(name: str, values: Column, rows: np.ndarray) -> Coding | None:
    """A category of two levels on the rows [n] (mask) as 0/1; None for anything else."""
    if not isinstance(values, Factor):
        return None
    used = values.take(rows)
    if len(used.levels) != 2 or (used.declared and is_numeric(used)):
        return None
    reference, other = used.levels
    codes = np.full(len(values.levels) + 1, np.nan)
    codes[values.levels.index(reference)], codes[values.levels.index(other)] = 0.0, 1.0
    return Coding(codes[values.codes], reference, other)


def check_covariate(name: str, values: Column) -> list[str]:
    """Refuse what cannot be a covariate; sentences on what may be meant otherwise.

    Raises:
      InvalidDataError: a category with so many levels that it names rows.
      TypeError: dates.
    """
    if not isinstance(values, Factor):
        if values.dtype.kind == "M":
            raise TypeError(
                f"covariate {name!r} holds dates: use days since a date, or years, as numbers"
            )
        return _category_by_name(name, values)
    n, count = int((values.codes >= 0).sum()), len(values.levels)
    if count > max(MOST_LEVELS, n / ROWS_PER_LEVEL) or (count > 2 and count >= 0.9 * n):
        raise InvalidDataError(
            f"covariate {name!r} has {count} levels in {n} rows: an identifier? Leave it out; rare "
            f"levels of a category are merged with merge_rare={ROWS_PER_LEVEL}"
        )
    many = (
        [
            f"{name!r} has {count} levels, each a column of its own: rare ones are merged with "
            f"merge_rare={ROWS_PER_LEVEL}"
        ]
        if count > MANY_LEVELS
        else []
    )
    few = [f"{level!r} ({k})" for level, k in values.counts().items() if k < 3]
    if not few:
        return many
    more = f" and {len(few) - SHOWN} more" if len(few) > SHOWN else ""
    return [
        *many,
        f"{name!r} has levels with fewer than 3 rows: {', '.join(few[:SHOWN])}{more}; they are "
        "merged with merge_rare=5",
    ]


GROUPING = ("site", "batch", "plate", "centre", "center", "hospital", "clinic", "chip", "array")


def _category_by_name(name: str, values: np.ndarray) -> list[str]:
    if not any(word in name.lower() for word in GROUPING):
        return []
    present = (
        np.unique(values[~np.isnan(values)]) if values.dtype.kind == "f" else np.unique(values)
    )
    if not 2 < present.size <= 6 or not np.array_equal(present, np.round(present)):
        return []
    return [
        f"{name!r} holds {present[0]:g}..{present[-1]:g} and is used as a number: a category? "
        f'factor="{name}"'
    ]


def merge_rare(values: Column, least: int) -> tuple[Column, str]:
    """Levels with fewer rows than `least` as one, and what was merged; others in their order.

    The merged level takes in the next rarest ones until it has enough rows.
    """
    if not isinstance(values, Factor) or least <= 1:
        return values, ""
    counts = values.counts()
    rarest = sorted(counts, key=lambda level: counts[level])
    rare: list[str] = []
    for level in rarest:
        together = sum(counts[name] for name in rare)
        if (counts[level] < least or 0 < together < least) and len(rare) + 2 <= len(rarest):
            rare.append(level)
    if len(rare) < 2:
        return values, ""
    merged = " or ".join(sorted(rare)) if len(rare) <= 3 else "other"
    while merged in values.levels and merged not in rare:
        merged += "*"
    levels = [level for level in values.levels if level not in rare] + [merged]
    place = {level: levels.index(merged if level in rare else level) for level in values.levels}
    codes = np.array([*(place[level] for level in values.levels), -1])[values.codes]
    joined = Factor(codes, tuple(levels), values.declared)
    return joined, f"{', '.join(sorted(rare))} as {merged!r}"
