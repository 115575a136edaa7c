"""Which columns of a table have a name that stands for them: indices and doubles set aside."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxmed.data.columns import Column, Factor, missing

__all__ = ["Naming", "doubled_names", "doubled_sentences", "name_columns"]

# What pandas and readr call a column whose heading is empty.
UNNAMED = re.compile(r"Unnamed: \d+(?:\.\d+)?|\.\.\.\d+|__index_level_\d+__|")


SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Naming:
    """Columns by name."""

    position: Mapping[str, int]  # every column that can be asked for
    fields: tuple[str, ...]  # those that a glob may pick
    doubled: Mapping[str, tuple[int, ...]]  # name -> its places, counted from 1
    aside: tuple[str, ...]  # sentences on columns that no glob picks


def name_columns(
    names: Sequence[str], column: Callable[[int], Column], hidden: Sequence[str] = ()
) -> Naming:
    """Names of the columns of a table, in their order.

    A column without a heading is no variable: where it comes first and counts the rows, or names
    each of them, it is the index that R and pandas write. It can be asked for as "Unnamed: 0".

    Args:
      names: headings, "" where there is none.
      column: reads the column at a position; asked for only where it has no heading.
      hidden: names that the file itself calls row names.
    """
    position: dict[str, int] = {}
    fields: list[str] = []
    aside: list[str] = []
    for j, heading in enumerate(names):
        if UNNAMED.fullmatch(heading):
            name = heading or f"Unnamed: {j}"
            aside.append(_without_name(j, name, column(j)))
        else:
            name = heading
            if name in hidden:
                aside.append(f"{name!r} is the table's index: left out unless named")
            else:
                fields.append(name)
        position.setdefault(name, j)
    doubled = {
        name: where for name, where in doubled_names(names).items() if not UNNAMED.fullmatch(name)
    }
    aside += doubled_sentences(doubled)
    for name in doubled:
        position.pop(name)
    fields = [name for name in dict.fromkeys(fields) if name not in doubled]
    return Naming(position, tuple(fields), doubled, tuple(aside))


def doubled_names(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Names that stand more than once, with their places counted from 1."""
    places: dict[str, list[int]] = {}
    for j, name in enumerate(names):
        places.setdefault(name, []).append(j + 1)
    return {name: tuple(where) for name, where in places.items() if len(where) > 1}


def doubled_sentences(doubled: Mapping[str, tuple[int, ...]]) -> list[str]:
    """A sentence for each of a few names that two columns have, one for many."""
    if len(doubled) > SHOWN:
        names = ", ".join(map(repr, list(doubled)[:SHOWN]))
        return [
            f"{len(doubled)} names are the heading of two columns or more: {names} and "
            f"{len(doubled) - SHOWN} others are left out"
        ]
    return [
        f"{name!r} is the heading of columns {_and(where)}: left out"
        for name, where in doubled.items()
    ]


def _and(where: Sequence[int]) -> str:
    return ", ".join(map(str, where[:-1])) + f" and {where[-1]}"


def _without_name(j: int, name: str, values: Column) -> str:
    place = f"column {j + 1} has no heading"
    if missing(values).all():
        return f"{place} and no values: left out"
    if j == 0 and _counts(values):
        return f"{place} and counts the rows: left out (as {name!r} it can be named)"
    if isinstance(values, Factor) and len(values.levels) == len(values.codes):
        return f"{place} and names each row: left out (as {name!r} it can be named)"
    return f"{place}: left out (as {name!r} it can be named)"


def _counts(values: Column) -> bool:
    """True for 0, 1, 2, ... or 1, 2, 3, ..."""
    if isinstance(values, Factor) or values.dtype.kind not in "iuf" or not values.size:
        return False
    numbers = values.astype(float)
    return bool(numbers[0] in (0, 1) and (np.diff(numbers) == 1).all())
