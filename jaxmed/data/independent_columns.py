"""Which columns are no linear function of those before them, on the host."""

from typing import Any

import numpy as np

from jaxmed.data.validation import ROUNDING_SPREAD

__all__ = ["CONSTANT", "DEPENDENT", "KEPT", "IndependentColumns", "left_out"]

KEPT, DEPENDENT, CONSTANT = 0, 1, 2
TOGETHER = 64  # columns projected by one matrix product


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
        self._rounding = ROUNDING_SPREAD[np.dtype(dtype)]
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
        # Centred first, so that a large mean costs no digits.
        used = columns if self._used is None else columns[self._used]
        values = np.array(used, np.float64, order="F")
        values /= np.maximum(np.abs(values).max(axis=0), np.finfo("f8").tiny)
        values -= values.mean(axis=0)
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
            if size > 100 * self._rounding * spread[j]:
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
