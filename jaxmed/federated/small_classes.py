"""Classes of few persons that counts give away: of one column, of two, and of the level left out.

The mean of a 0/1 column is a count, and the co-moment of two such columns a cell of their table.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from jaxmed.federated.influence import Persons

__all__ = ["SmallClass", "small_class"]

# A column of at most so many values gives its counts away by sum and sum of squares.
FEW_VALUES = 3
SmallClass = tuple[str, int, str]  # column or pair, persons, what they are few in


def small_class(
    names: Sequence[str], columns: np.ndarray, persons: Persons, least: int
) -> SmallClass | None:
    """The first class of fewer persons than `least`, but not of none.

    Args:
      names: of the columns.
      columns: [n, d].
      persons: of the rows; a person is counted once however many rows show it.
      least: persons that a class needs.
    """
    two = []
    for name, column in zip(names, columns.T, strict=True):
        values, places = np.unique(column, return_inverse=True)
        few = _of_one(places, len(values), persons, least)
        if few is not None:
            return (repr(name), *few)
        if len(values) == 2:
            two.append((name, places == 1))
    return _of_two([*two, *_left_out(two)], persons, least)


def _of_one(
    places: np.ndarray, number: int, persons: Persons, least: int
) -> tuple[int, str] | None:
    if number <= FEW_VALUES:
        fewest = min(_number(places == value, persons) for value in range(number))
        if fewest < least:
            return fewest, "share a value of it"
    mode = np.argmax(np.bincount(places))
    others = _number(places != mode, persons)
    if 0 < others < least:
        return others, "differ from its most frequent value"
    return None


def _number(rows: np.ndarray, persons: Persons) -> int:
    """Persons with one of these rows [n] bool."""
    if persons.single:
        return int(np.count_nonzero(rows))
    return len(np.unique(persons.codes[rows]))


def _left_out(two: Iterable[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
    """Reference levels of the 0/1 columns "x[b]", "x[c]" of one variable x."""
    groups: dict[str, np.ndarray] = {}
    for name, column in two:
        if name.endswith("]") and "[" in name:
            variable = name.split("[")[0]
            groups[variable] = groups.get(variable, 0) + column.astype(int)
    return [
        (f"{variable}, level left out", total == 0)
        for variable, total in groups.items()
        if total.max() == 1
    ]


def _of_two(two: list[tuple[str, np.ndarray]], persons: Persons, least: int) -> SmallClass | None:
    """Cells of every pair of two-valued columns."""
    if not two:
        return None
    ones = np.stack([column for _, column in two], axis=1)
    sides = (ones, ~ones)
    # A column with itself has its own two cells and twice an empty one.
    cells = np.stack([_together(a, b, persons) for a in sides for b in sides])
    small = (cells > 0) & (cells < least)
    if not small.any():
        return None
    which, i, j = (int(k) for k in np.argwhere(small)[0])
    pair = f"{two[i][0]!r}" if i == j else f"{two[i][0]!r} with {two[j][0]!r}"
    return pair, int(cells[which, i, j]), "are in one of its cells"


def _together(a: np.ndarray, b: np.ndarray, persons: Persons) -> np.ndarray:
    """Persons with a row that is in column i of a and in column j of b [n, k]; [k, k]."""
    if persons.single:
        return np.rint(a.T.astype(float) @ b.astype(float)).astype(int)
    rows = (persons.add_up((b & column[:, None]).astype(int)) for column in a.T)
    return np.stack([(counts > 0).sum(axis=0) for counts in rows])
