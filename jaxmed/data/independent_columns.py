"""Which columns are no linear function of those before them, on the host."""

from typing import Any

import numpy as np

from jaxmed.data.validation import ROUNDING_SPREAD

__all__ = ["CONSTANT", "DEPENDENT", "KEPT", "IndependentColumns"]

KEPT, DEPENDENT, CONSTANT = 0, 1, 2


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
        return np.asarray([self._one(columns[:, j]) for j in range(columns.shape[1])], int)

    def drop_after(self, count: int) -> None:
        """Forgets the columns kept after the first `count`."""
        self.count = count

    def _one(self, column: np.ndarray) -> int:
        # Centred first, so that a large mean costs no digits.
        values = np.asarray(column if self._used is None else column[self._used], np.float64)
        values = values / max(np.abs(values).max(initial=0), np.finfo("f8").tiny)
        values = values - values.mean()
        rows, spread = values.size, np.sqrt(values @ values)
        if spread <= self._rounding * np.sqrt(rows):
            return CONSTANT
        if self.count >= rows - 1:
            return DEPENDENT
        if self._kept.shape[1] == self.count:
            # Twice the room, one copy each time; columns are contiguous.
            more = np.empty((rows, min(max(2 * self.count, 16), rows)), order="F")
            if self.count:
                more[:, : self.count] = self._kept
            self._kept = more
        kept = self._kept[:, : self.count]
        for _ in range(2):
            values = values - kept @ (kept.T @ values)
        left = np.sqrt(values @ values)
        if left <= 100 * self._rounding * spread:
            return DEPENDENT
        self._kept[:, self.count] = values / left
        self.count += 1
        return KEPT
