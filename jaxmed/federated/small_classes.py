"""Classes of few persons that sums give away: of one column, and of two together.

The mean of a 0/1 column is a count, the co-moment of two a cell of their table; and the product of
two columns, each about a value that is frequent in it, is a sum over those who differ from both.
"""

from collections.abc import Sequence

import numpy as np

from jaxmed.federated.persons import Persons, effective_number

__all__ = ["SmallClass", "small_class"]

# A column of at most so many values gives its counts away by sum and sum of squares.
FEW_VALUES = 3
SHARED, DIFFERS = "with one of its values", "with other than one of its frequent values"
_Class = tuple[str, str, np.ndarray]  # column, what it is, rows [n]
SmallClass = tuple[str, float, str]  # column or pair, persons, what they are few in


def small_class(
    names: Sequence[str], columns: np.ndarray, persons: Persons, least: int
) -> SmallClass | None:
    """The first class of fewer persons than `least`, but not of none.

    Args:
      names: of the columns.
      columns: [n, d].
      persons: of the rows; a person is counted once however many rows show it, and persons of
        little weight beside others in a class count for little: (sum w)^2 / sum w^2.
      least: persons that a class needs.
    """
    found: list[_Class] = []
    for name, column in zip(names, columns.T, strict=True):
        shared, number = _frequent(column, persons)
        if number <= FEW_VALUES:
            few = _few(np.stack(shared, axis=1), persons, least)
            if few is not None:
                return repr(name), few, SHARED
        what = SHARED if number == 2 else DIFFERS
        found += [(name, what, ~rows) for rows in shared]
    return _of_two([*found, *_left_out(names, columns)], persons, least) if found else None


def _frequent(column: np.ndarray, persons: Persons) -> tuple[list[np.ndarray], int]:
    """Rows of the most frequent values that rows share, by weight, and the number of values."""
    values, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    order = np.argsort(-np.bincount(places, persons.weights), kind="stable")[:FEW_VALUES]
    alone = len(values) > FEW_VALUES
    return [places == v for v in order if counts[v] > 1 or not alone], len(values)


def _few(classes: np.ndarray, persons: Persons, least: int) -> float | None:
    """The smallest number of persons in a class [n, k], where that is too small."""
    counts = effective_number(persons.add_up(classes * persons.weights[:, None]))
    small = counts[_is_small(counts, least)]
    return float(small.min()) if small.size else None


def _left_out(names: Sequence[str], columns: np.ndarray) -> list[_Class]:
    """Reference levels of the 0/1 columns "x[b]", "x[c]" of one variable x."""
    totals: dict[str, np.ndarray] = {}
    for name, column in zip(names, columns.T, strict=True):
        if name.endswith("]") and "[" in name and len(np.unique(column)) == 2:
            variable = name.split("[")[0]
            totals[variable] = totals.get(variable, 0) + (column == column.max()).astype(int)
    return [
        (f"{variable}, level left out", SHARED, total == 0)
        for variable, total in totals.items()
        if total.max() == 1
    ]


def _of_two(found: Sequence[_Class], persons: Persons, least: int) -> SmallClass | None:
    """Persons in both of two classes; of a class with itself, its own."""
    counts = _together(np.stack([rows for _, _, rows in found], axis=1), persons)
    small = _is_small(counts, least)
    if not small.any():
        return None
    alone = np.flatnonzero(np.diagonal(small))
    if alone.size:
        name, what, _ = found[alone[0]]
        return repr(name), float(counts[alone[0], alone[0]]), what
    i, j = np.argwhere(small)[0]
    pair = f"{found[i][0]!r} with {found[j][0]!r}"
    return pair, float(counts[i, j]), "in one of their cells"


def _together(classes: np.ndarray, persons: Persons) -> np.ndarray:
    """Effective persons with a row in two classes; [k, k]."""
    if persons.single:
        numbers, weights = classes.astype(float), persons.weights[:, None]
        square = numbers.T @ (numbers * weights**2)
        total = (numbers.T @ (numbers * weights)) ** 2
        return np.divide(total, square, out=np.zeros_like(square), where=square > 0)
    both = (classes & column[:, None] for column in classes.T)
    weights = persons.weights[:, None]
    return np.stack([effective_number(persons.add_up(rows * weights)) for rows in both])


def _is_small(counts: np.ndarray, least: int) -> np.ndarray:
    return (counts > 0) & (counts < least * (1 - 1e-9))
