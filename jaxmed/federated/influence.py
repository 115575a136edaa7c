"""How much of a released sum, or of a combination of columns, is one person.

Counts do not protect: one row of a thousand that is far larger than the others *is* the sum. What
does is that no person makes up much of any released sum (dominance, as statistical offices use it
for tables of magnitudes), nor of the sum of squares of any combination of columns (leverage, the
largest such share over all combinations). Rows of one person are added up first.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

__all__ = [
    "Leverage",
    "Persons",
    "Share",
    "close_pairs",
    "effective_number",
    "leverage",
    "product_share",
    "sum_share",
]

# Values of one temporary array: products of a column with so many others at a time.
BLOCK_VALUES = 1 << 22
MANY_ROWS = 100  # of one person
CLOSE = 0.99  # correlation from which a difference of two columns is about few rows
# A combination whose coefficients are smaller than this, relative to the largest, is told without.
_NAMED = 0.1


class Share(NamedTuple):
    """The largest share that a person has of a sum of absolute contributions."""

    share: float
    first: int  # column
    second: int  # the other column of a product; the same for a sum


class Leverage(NamedTuple):
    """The person of largest leverage: a share of squares, of that combination of columns."""

    leverage: float
    columns: tuple[int, ...]  # of the combination


@dataclasses.dataclass(frozen=True)
class Persons:
    """Whose rows are whose, with the rows' weights."""

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


def effective_number(persons: Persons) -> float:
    """(sum w)^2 / sum w^2 over persons."""
    weights = persons.add_up(persons.weights)
    return float(weights.sum() ** 2 / (weights**2).sum())


def sum_share(columns: np.ndarray, persons: Persons) -> Share:
    """The worst share of a person in the weighted sums of columns [n, d]; 0 for sums of zeros."""
    parts = np.abs(persons.add_up(columns * persons.weights[:, None]))
    shares = _ratio(parts.max(axis=0), parts.sum(axis=0))
    worst = int(np.argmax(shares))
    return Share(float(shares[worst]), worst, worst)


def product_share(columns: np.ndarray, persons: Persons, limit: float) -> Share:
    """The worst share of a person in the weighted sums of products of all pairs of columns.

    Args:
      columns: [n, d], about whatever centre the products are.
      persons: of the rows.
      limit: shares below it need not be exact: a cheap bound leaves most pairs out.
    """
    if persons.single:
        size = np.abs(columns) * np.sqrt(persons.weights)[:, None]
        bound = _ratio(np.outer(size.max(axis=0), size.max(axis=0)), size.T @ size)
        doubtful = np.triu(bound > limit)
    else:
        doubtful = np.triu(np.ones((columns.shape[1],) * 2, bool))
    worst = Share(0.0, 0, 0)
    for i in np.flatnonzero(doubtful.any(axis=1)).tolist():
        for others in _blocks(np.flatnonzero(doubtful[i]), len(columns)):
            found = sum_share(columns[:, others] * columns[:, [i]], persons)
            if found.share > worst.share:
                worst = Share(found.share, i, int(others[found.first]))
    return worst


def leverage(columns: np.ndarray, persons: Persons) -> Leverage:
    """The largest leverage of a person in [1, columns]: no combination of them is more about one.

    Args:
      columns: [n, k]; those that depend on others to rounding add nothing.
      persons: of the rows; the leverage of several rows is the largest eigenvalue of their block
        of the hat matrix.
    """
    root = np.sqrt(persons.weights)[:, None]
    mean = persons.weights @ columns / persons.weights.sum()
    centred = (columns - mean) * root
    length = np.sqrt((centred**2).sum(axis=0))
    # What is left of a constant column after centring is rounding.
    varies = np.flatnonzero(length > 64 * _EPS * np.sqrt(len(columns)) * np.abs(mean))
    scaled = centred[:, varies] / length[varies]
    kept, basis, upper = _independent(scaled)
    both = np.concatenate([root / np.sqrt(persons.weights.sum()), basis], axis=1)
    found = _largest_eigenvalues(both, persons)
    person = int(np.argmax(found))
    direction = _direction(basis[persons.codes == person], upper)
    used = np.abs(direction) >= _NAMED * np.abs(direction).max(initial=0)
    named = tuple(int(varies[kept[k]]) for k in np.flatnonzero(used))
    return Leverage(float(found[person]), named)


def close_pairs(columns: np.ndarray, persons: Persons) -> list[list[int]]:
    """Pairs of columns whose correlation is above `CLOSE` in size."""
    weights = persons.weights / persons.weights.sum()
    centred = (columns - weights @ columns) * np.sqrt(weights)[:, None]
    products = centred.T @ centred
    size = np.sqrt(np.diagonal(products))
    close = np.abs(products) > CLOSE * np.outer(size, size)
    close &= (size[:, None] > 0) & (size > 0)
    return np.argwhere(np.triu(close, 1)).tolist()


_EPS = float(np.finfo(float).eps)


def _independent(scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of unit length that those before them do not give, and their QR factors.

    A difference below the rounding of the released sums tells nothing of anybody; a larger one
    does, however small: the sums have 16 digits.
    """
    basis, upper = np.linalg.qr(scaled)
    left = np.abs(np.diagonal(upper))
    kept = np.flatnonzero(left > 8 * _EPS * np.sqrt(len(scaled)))
    if len(kept) < len(left):
        # What stood in for a dependent column is a direction of rounding: without it.
        basis, upper = np.linalg.qr(scaled[:, kept])
    return kept, basis, upper


def _largest_eigenvalues(basis: np.ndarray, persons: Persons) -> np.ndarray:
    """Of every person's block of basis basis'; [number]."""
    trace = persons.add_up((basis**2).sum(axis=1))
    if persons.single:
        return trace
    # The trace is a bound, and with one row the eigenvalue: only those in doubt are decomposed.
    rows = np.bincount(persons.codes)
    found = np.where(rows == 1, trace, 0)
    for person in np.argsort(-trace):
        if trace[person] <= found.max():
            break
        if rows[person] > 1:
            found[person] = np.linalg.norm(basis[persons.codes == person], 2) ** 2
    return found


def _direction(rows: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Coefficients of the combination of scaled columns in which rows of the basis stand out."""
    if upper.size == 0:
        return np.zeros(0)
    leading = np.linalg.svd(rows, full_matrices=False)[2][0]
    return np.linalg.solve(upper, leading)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)


def _blocks(places: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    step = max(BLOCK_VALUES // max(rows, 1), 1)
    for start in range(0, len(places), step):
        yield places[start : start + step]
