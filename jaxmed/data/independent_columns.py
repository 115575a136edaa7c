"""Which columns are no linear function of those before them, on the host."""

from typing import Any

import numpy as np

from jaxmed.data.validation import ROUNDING_SPREAD

__all__ = ["CONSTANT", "DEPENDENT", "KEPT", "IndependentColumns", "explained_by", "left_out"]

KEPT, DEPENDENT, CONSTANT = 0, 1, 2
TOGETHER = 64  # columns projected by one matrix product
# Spreads of rounding, relative to a column's own, below which nothing is left of it.
LEFT = 100
# Rounding errors of a column at its source, relative to its largest value: with a large mean these
# are more than the above.
AT_SOURCE = 8


def left_out(name: str, code: int) -> str:
    """Why a column is left out, as it goes into `dropped` and warnings."""
    why = "is constant on the rows used" if code == CONSTANT else "is a function of the others"
    return f"{name} {why}: left out"


class IndependentColumns:
    """Columns taken one after the other beside the intercept; earlier ones win.

    A sequential elimination and not a pivoted one, so that which of two dependent columns stays
    is the user's order and no accident of sizes; every column is projected off the kept ones
    twice, so that what is left of a dependent one is rounding.
    """

    def __init__(self, used: np.ndarray | None, dtype: Any) -> None:
        """Nothing kept yet.

        Args:
          used: True for the rows [n] that count; None for all.
          dtype: of the columns at their source, which says how large rounding is.
        """
        self._used = used
        self._dtype = np.dtype(dtype)
        self._rounding = ROUNDING_SPREAD[self._dtype]
        self._kept = np.zeros((0, 0))
        self.count = 0

    def add(self, columns: np.ndarray) -> np.ndarray:
        """Takes columns [n, k] in order; [k] of KEPT, DEPENDENT and CONSTANT."""
        starts = range(0, columns.shape[1], TOGETHER)
        found = [self._some(columns[:, start : start + TOGETHER]) for start in starts]
        return np.concatenate([*found, np.zeros(0, int)])

    def drop_after(self, count: int) -> None:
        """Forgets the columns kept after the first `count`."""
        self.count = count

    def _some(self, columns: np.ndarray) -> np.ndarray:
        values = _centred(columns if self._used is None else columns[self._used])
        rows = values.shape[0]
        spread = np.sqrt(np.square(values).sum(axis=0))
        codes = np.where(spread <= self._rounding * np.sqrt(rows), CONSTANT, DEPENDENT)
        self._reserve(values.shape)
        before = self._kept[:, : self.count]
        for _ in range(2):
            values -= before @ (before.T @ values)
        first = self.count
        for j in np.flatnonzero(codes == DEPENDENT):
            if self.count >= rows - 1:
                break
            own, left = self._kept[:, first : self.count], values[:, j]
            for _ in range(2):
                left = left - own @ (own.T @ left)
            size = np.sqrt(left @ left)
            if size > _nothing(float(spread[j]), rows, self._dtype):
                self._kept[:, self.count] = left / size
                self.count += 1
                codes[j] = KEPT
        return codes

    def _reserve(self, shape: tuple[int, int]) -> None:
        """Room for as many columns more; at least doubled, so that few copies are made."""
        rows, more = shape
        if self._kept.shape[1] >= self.count + more:
            return
        larger = np.empty((rows, max(2 * self.count, self.count + more)), order="F")
        if self.count:
            larger[:, : self.count] = self._kept[:, : self.count]
        self._kept = larger


def explained_by(
    targets: np.ndarray, columns: np.ndarray, used: np.ndarray | None, dtype: Any
) -> list[np.ndarray | None]:
    """Columns of which a target is an exact linear function, beside the intercept.

    Args:
      targets: [n, t].
      columns: independent ones [n, k], as `IndependentColumns` keeps.
      used: True for the rows [n] that count; None for all.
      dtype: of targets and columns at their source.

    Returns:
      For each target the positions of the columns whose coefficient is more than rounding, none
      of them where the target is constant; None where the columns leave something of it.
    """
    given = (targets, columns) if used is None else (targets[used], columns[used])
    goals, base = (_centred(values) for values in given)
    base /= np.sqrt(np.square(base).sum(axis=0))
    orthogonal, upper = np.linalg.qr(base)
    fitted = orthogonal.T @ goals
    left = goals - orthogonal @ fitted
    left -= orthogonal @ (orthogonal.T @ left)  # once more: what is left of the above is rounding
    rows, found = len(goals), []
    for j in range(goals.shape[1]):
        spread = float(np.linalg.norm(goals[:, j]))
        nothing = _nothing(spread, rows, dtype)
        if spread <= ROUNDING_SPREAD[np.dtype(dtype)] * np.sqrt(rows):
            found.append(np.zeros(0, int))
        elif np.linalg.norm(left[:, j]) > nothing:
            found.append(None)
        else:
            inverse = np.linalg.inv(upper)
            # An error of size `nothing` in the target is one of so much in each coefficient.
            error = nothing * np.sqrt(np.square(inverse).sum(axis=1))
            found.append(np.flatnonzero(np.abs(inverse @ fitted[:, j]) > error))
    return found


def _centred(columns: np.ndarray) -> np.ndarray:
    """Columns over their largest value and about their mean, so that a large mean costs no digits.

    A copy in float64, in Fortran's order.
    """
    values = np.array(columns, np.float64, order="F")
    values /= np.maximum(np.abs(values).max(axis=0), np.finfo("f8").tiny)
    values -= values.mean(axis=0)
    return values


def _nothing(spread: float, rows: int, dtype: Any) -> float:
    """Length of what rounding leaves of a centred column of largest value 1 and length `spread`."""
    of_spread = LEFT * ROUNDING_SPREAD[np.dtype(dtype)] * spread
    return max(of_spread, AT_SOURCE * float(np.finfo(dtype).eps) * np.sqrt(rows))
