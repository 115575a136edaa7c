"""How much of a released sum is one person, or of a combination of columns a few of them.

Counts do not protect: one row of a thousand that is far larger than the others *is* the sum. What
does is that no person makes up much of any released sum (dominance, as statistical offices use it
for tables of magnitudes), nor of the sum of squares of any combination of columns (leverage, the
largest such share over all combinations). Rows of one person are added up first.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxmed.federated.persons import Persons

__all__ = ["Basis", "Share", "basis_of", "close_pairs", "group_share", "product_share", "sum_share"]

# Values of one temporary array: products of a column with so many others at a time.
BLOCK_VALUES = 1 << 22
# Persons whose products are added up first: where one person is little beside so many, the pair of
# columns needs no second look.
FIRST_PERSONS = 512
CLOSE = 0.99  # correlation from which a difference of two columns is about few rows
# A combination whose coefficients are smaller than this, relative to the largest, is told without.
_NAMED = 0.1
_EPS = float(np.finfo(float).eps)


class Share(NamedTuple):
    """The largest share that a person has of a sum of absolute contributions."""

    share: float
    first: int  # column
    second: int  # the other column of a product; the same for a sum


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
    worst = Share(0.0, 0, 0)
    doubtful = np.triu(_largest_products(columns, persons) > limit * _least_sums(columns, persons))
    for i in np.flatnonzero(doubtful.any(axis=1)).tolist():
        for others in _blocks(np.flatnonzero(doubtful[i]), len(columns)):
            found = sum_share(columns[:, others] * columns[:, [i]], persons)
            if found.share > worst.share:
                worst = Share(found.share, i, int(others[found.first]))
    return worst


def _largest_products(columns: np.ndarray, persons: Persons) -> np.ndarray:
    """What no person's part of a product exceeds (Cauchy and Schwarz); [d, d]."""
    size = np.sqrt(persons.add_up(columns**2 * persons.weights[:, None])).max(axis=0)
    return np.outer(size, size)


def _least_sums(columns: np.ndarray, persons: Persons) -> np.ndarray:
    """What the sum of absolute parts is not below; [d, d]."""
    if persons.single:
        size = np.abs(columns) * np.sqrt(persons.weights)[:, None]
        return size.T @ size
    some, rows = persons.first(FIRST_PERSONS)
    few, weights = columns[rows], some.weights[:, None]
    parts = (np.abs(some.add_up(few * column[:, None] * weights)).sum(axis=0) for column in few.T)
    return np.stack(list(parts))


@dataclasses.dataclass(frozen=True)
class Basis:
    """Orthonormal coordinates of [1, columns], by which any combination of them is looked at."""

    rows: np.ndarray  # [n, k]; the first is the constant
    upper: np.ndarray  # [k - 1, k - 1] of the columns that others do not give, at unit length
    kept: np.ndarray  # [k - 1] their places
    leverage: np.ndarray  # [number]: the largest share of squares of a person, by person
    persons: Persons

    def most(self) -> tuple[float, tuple[int, ...]]:
        """The largest leverage, and the columns of that combination."""
        person = int(np.argmax(self.leverage))
        return float(self.leverage[person]), self.named(np.asarray([person]))

    def named(self, group: np.ndarray) -> tuple[int, ...]:
        """The columns of the combination that is most about some persons."""
        if len(self.kept) == 0:
            return ()
        rows = self.rows[np.isin(self.persons.codes, group), 1:]
        leading = np.linalg.svd(rows, full_matrices=False)[2][0]
        direction = np.abs(np.linalg.solve(self.upper, leading))
        return tuple(self.kept[direction >= _NAMED * direction.max()].tolist())


def basis_of(columns: np.ndarray, persons: Persons) -> Basis:
    """The basis of columns [n, k]; those that depend on others to rounding add nothing."""
    root = np.sqrt(persons.weights)[:, None]
    mean = persons.weights @ columns / persons.weights.sum()
    centred = (columns - mean) * root
    length = np.sqrt((centred**2).sum(axis=0))
    # What is left of a constant column after centring is rounding.
    varies = np.flatnonzero(length > 64 * _EPS * np.sqrt(len(columns)) * np.abs(mean))
    kept, basis, upper = _independent(centred[:, varies] / length[varies])
    rows = np.concatenate([root / np.sqrt(persons.weights.sum()), basis], axis=1)
    return Basis(rows, upper, varies[kept], _largest_eigenvalues(rows, persons), persons)


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
    rows = np.bincount(persons.codes)
    ends = np.cumsum(rows)
    several = np.flatnonzero(rows > 1)
    found = trace.copy()  # which is the eigenvalue of one row
    for person in several:
        block = basis[ends[person] - rows[person] : ends[person]]
        found[person] = np.linalg.norm(block, 2) ** 2
    return found


def group_share(basis: Basis, size: int, limit: float) -> tuple[float, tuple[int, ...]]:
    """The largest share of squares of a few persons in a combination, and its columns.

    If a combination is about `size` persons for more than `limit`, one of them has at least the
    leverage limit / size, and the combination that is most about that one is largely about the
    others, too: they are found there.

    Args:
      basis: of the columns.
      size: of the group.
      limit: of the share; smaller ones need not be exact.
    """
    persons, worst = basis.persons, (0.0, ())
    for who in _blocks(np.flatnonzero(basis.leverage >= limit / size), len(basis.rows)):
        squares = persons.add_up((basis.rows @ _leading(basis, who).T) ** 2)
        groups = np.argpartition(-squares, size - 1, axis=0)[:size].T
        for group in np.unique(np.sort(groups, axis=1), axis=0):
            block = (
                basis.rows[np.isin(persons.codes, group)]
                if not persons.single
                else (basis.rows[group])
            )
            share = float(np.linalg.norm(block, 2) ** 2)
            if share > worst[0]:
                worst = share, basis.named(group) if share > limit else ()
    return worst


def _leading(basis: Basis, who: np.ndarray) -> np.ndarray:
    """The combination that is most about each person; [len(who), k]."""
    if basis.persons.single:
        return basis.rows[who]
    rows = (basis.rows[basis.persons.codes == person] for person in who)
    return np.stack([np.linalg.svd(block, full_matrices=False)[2][0] for block in rows])


def close_pairs(columns: np.ndarray, persons: Persons) -> list[list[int]]:
    """Pairs of columns whose correlation is above `CLOSE` in size."""
    weights = persons.weights / persons.weights.sum()
    centred = (columns - weights @ columns) * np.sqrt(weights)[:, None]
    products = centred.T @ centred
    size = np.sqrt(np.diagonal(products))
    close = np.abs(products) > CLOSE * np.outer(size, size)
    close &= (size[:, None] > 0) & (size > 0)
    return np.argwhere(np.triu(close, 1)).tolist()


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)


def _blocks(places: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    step = max(BLOCK_VALUES // max(rows, 1), 1)
    for start in range(0, len(places), step):
        yield places[start : start + step]
