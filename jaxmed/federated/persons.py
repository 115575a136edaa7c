"""Whose rows are whose: what a site releases is looked at by person, not by row."""

import dataclasses

import numpy as np

__all__ = ["Persons", "densest", "effective_number", "weighted_median"]

MANY_ROWS = 100  # of one person


@dataclasses.dataclass(frozen=True)
class Persons:
    """The rows of each person, with the rows' weights."""

    weights: np.ndarray  # [n] > 0
    codes: np.ndarray  # [n] 0 to number - 1; rows of one person stand together
    number: int

    @classmethod
    def of(cls, weights: np.ndarray, codes: np.ndarray) -> "tuple[Persons, np.ndarray]":
        """Persons and the order in which to take the rows [n], from codes of any order."""
        order = np.argsort(codes, kind="stable")
        _, found = np.unique(codes[order], return_inverse=True)
        return cls(weights[order], found, int(found[-1]) + 1), order

    @property
    def single(self) -> bool:
        """Every person has one row."""
        return self.number == len(self.codes)

    def add_up(self, rows: np.ndarray) -> np.ndarray:
        """Sums over the rows of each person; [n, ...] -> [number, ...]."""
        if self.single:
            return rows
        starts = np.searchsorted(self.codes, np.arange(self.number))
        counts = np.diff([*starts, len(self.codes)])
        if counts.max() > MANY_ROWS:
            return np.add.reduceat(rows, starts, axis=0)
        total = rows[starts]
        for more in range(1, counts.max()):  # several times faster than reduceat
            who = np.flatnonzero(counts > more)
            total[who] += rows[starts[who] + more]
        return total

    def first(self, number: int) -> "tuple[Persons, slice]":
        """The first persons and their rows."""
        rows = slice(0, int(np.searchsorted(self.codes, min(number, self.number))))
        some = Persons(self.weights[rows], self.codes[rows], min(number, self.number))
        return some, rows


def effective_number(weights: np.ndarray) -> np.ndarray:
    """(sum w)^2 / sum w^2 of the persons' weights along the first axis; 0 without weight."""
    square = (weights**2).sum(axis=0)
    return np.divide(weights.sum(axis=0) ** 2, square, out=np.zeros_like(square), where=square > 0)


def weighted_median(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The value of each column [n, d] that has half of the weight up to it; [d]."""
    order = np.argsort(columns, axis=0)
    reached = np.cumsum(weights[order], axis=0)
    place = (reached >= reached[-1] / 2).argmax(axis=0)
    return np.take_along_axis(columns, np.take_along_axis(order, place[None], axis=0), axis=0)[0]


def densest(columns: np.ndarray, least: int) -> np.ndarray:
    """The middle of the narrowest twentieth of each column's values [n, d], at least `least`; [d].

    Where many rows have one value, that is it, exactly or with something random added to it.
    """
    values = np.sort(columns, axis=0)
    window = min(max(least, -(-len(values) // 20)), len(values))
    start = (values[window - 1 :] - values[: len(values) - window + 1]).argmin(axis=0)
    return np.take_along_axis(values, (start + window // 2)[None], axis=0)[0]
