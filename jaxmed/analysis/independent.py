"""Columns of a Gram matrix that depend on no earlier ones, on the host."""

import numpy as np

__all__ = ["independent"]

SINGULAR = 1e-6  # pivot of a unit column: what normal equations can tell from 0


def independent(gram: np.ndarray, there: np.ndarray) -> np.ndarray | None:
    """Positions of independent columns, the first of which is the exposure.

    Args:
      gram: [d, d] of unit columns, float64.
      there: [d] bool, False for columns to leave out.
    Returns:
      Positions, ascending; None where a column nearly depends on others, or depends on others
      and on the exposure, so that the exposure's coefficient is not determined.
    Source: as `estimators.parts.span.span_of`.
    """
    every = np.flatnonzero(there)
    found = _eliminated(gram[np.ix_(every, every)])
    if found is None:
        return None
    kept = every[found]
    lost = np.setdiff1d(every, kept)
    if lost.size:
        # Coefficients of the dependent columns on the kept ones.
        b = np.linalg.solve(gram[np.ix_(kept, kept)], gram[np.ix_(kept, lost)])
        # A copy of the exposure alone has nothing of its own and is left out like a constant.
        needed = np.abs(b) > 32 * np.finfo(np.float64).eps ** 0.5
        if np.any(needed[0] & np.any(needed[1:], axis=0)):
            return None
    return kept


def _eliminated(gram: np.ndarray) -> np.ndarray | None:
    """[d] bool, True for columns kept; None where a pivot is neither rounding nor safe."""
    try:
        pivots = np.diagonal(np.linalg.cholesky(gram))
        if np.min(pivots) > SINGULAR:
            return np.ones(len(gram), bool)
    except np.linalg.LinAlgError:
        pass
    d = len(gram)
    left, kept = gram.copy(), np.zeros(d, bool)
    limit = 4 * max(d, 8) * np.finfo(np.float64).eps
    for j in range(d):
        pivot = left[j, j]
        if pivot <= limit:
            continue
        if pivot <= SINGULAR**2:
            return None
        kept[j] = True
        left[j:, j:] -= np.outer(left[j:, j], left[j, j:]) / pivot
    return kept
