"""Rows in an order that their values give, on the host: `inference.row_order` under jit."""

import jax
import numpy as np

from jaxmed.data.mediation_data import MediationData

__all__ = ["in_canonical_order"]


def in_canonical_order(data: MediationData) -> MediationData:
    """The rows sorted by exposure, outcome, mediators, covariates and weights, lexicographically.

    What is drawn by the place of a row (folds, resamples, permutations) then depends neither on
    the order of the table nor on positive factors and shifts of its columns. Rows of weight zero
    come last; rows equal in everything are interchangeable.

    Args:
      data: concrete NumPy arrays.
    """
    weights = np.ones(len(data.exposure)) if data.weights is None else np.asarray(data.weights)
    absent, exposure, outcome = weights == 0, np.asarray(data.exposure), np.asarray(data.outcome)
    order = np.lexsort((outcome, exposure, absent))
    group = _groups(np.zeros(len(order), int), absent[order], exposure[order], outcome[order])
    # A column is looked at only while rows are tied.
    for block in (data.mediators, data.covariates, weights[:, None]):
        table = np.asarray(block)
        for j in range(table.shape[1]):
            if group[-1] == len(order) - 1:
                break
            column = table[order, j]
            finer = np.lexsort((column, group))
            order, group = order[finer], _groups(group, column[finer])
    return jax.tree.map(lambda values: np.asarray(values)[order], data)


def _groups(before: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    """Numbers of the groups of equal rows, for sorted rows in groups already."""
    new = np.diff(before, prepend=before[:1]) != 0
    for column in columns:
        new |= np.concatenate([[False], column[1:] != column[:-1]])
    return np.cumsum(new)
