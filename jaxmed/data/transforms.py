"""Standardised mediators, and mediators that cannot be analysed taken out."""

import dataclasses
import hashlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxmed import status
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import ROUNDING_SPREAD, InvalidDataError, row_blocks
from jaxmed.door import at_the_door
from jaxmed.linalg import safe
from jaxmed.typing import Array, pytree

COLUMNS_HASHED_AT_ONCE = 64
ROWS_COMPARED_FIRST = 16


@pytree
class Standardisation:
    """Means and standard deviations taken out of the mediators.

    A composite is the same sum on either scale: weight per sd = weight per unit * sd.
    """

    mean: Array  # [p] in the units of each mediator
    sd: Array  # [p], divisor n - 1; 1 for a constant mediator

    def per_unit(self, per_sd: Array) -> Array:
        """Weights [..., p] per unit of each mediator, from weights per standard deviation."""
        return per_sd / self.sd

    def per_sd(self, per_unit: Array) -> Array:
        """Weights [..., p] per standard deviation, from weights per unit of each mediator."""
        return per_unit * self.sd


class Kept(NamedTuple):
    """Data without degenerate mediators, and what became of each."""

    data: MediationData
    reasons: np.ndarray  # [p] int32 status of every mediator, OK for those kept
    kept: np.ndarray  # [k] int indices into the p mediators


def standardise(data: MediationData) -> tuple[MediationData, Standardisation]:
    """Mediators with mean 0 and standard deviation 1 (weighted, divisor n - 1).

    n counts the rows with non-zero weight. Works under jit and vmap; host arrays stay host arrays.
    A constant mediator becomes a column of zeros.

    Returns:
      The data with standardised mediators (other columns as they are), and the scales.
    """
    if isinstance(data.mediators, np.ndarray):
        weights = None if data.weights is None else np.asarray(data.weights)
        mean, sd = (v.astype(data.mediators.dtype) for v in column_scales(data.mediators, weights))
        constant: Any = sd == 0
        sd = np.where(constant, np.ones_like(sd), sd)
        scaled: Any = data.mediators - mean
        scaled /= sd
        scaled[:, constant] = 0
    else:
        scaled, mean, sd = _standardised(data.mediators, data.weights)
    standard = Standardisation(mean=mean, sd=sd)  # pyright: ignore[reportArgumentType]
    return dataclasses.replace(data, mediators=scaled), standard


def column_scales(
    matrix: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations [p] of host columns [n, p], accumulated in float64.

    Two passes by blocks of rows; squares are taken relative to the largest magnitude, so that
    columns of scale 1e+-150 neither overflow nor vanish. A column is said to be constant (sd 0)
    when its spread is within rounding of its mean (see validation.ROUNDING_SPREAD).
    """
    w = np.ones(matrix.shape[0]) if weights is None else weights.astype("f8")
    used = None if weights is None else w > 0
    count = matrix.shape[0] if used is None else int(used.sum())
    largest = np.zeros(matrix.shape[1])
    total = np.zeros(matrix.shape[1])
    for rows in row_blocks(matrix):
        block = matrix[rows].astype("f8", copy=False)
        # Rows without weight are left out, not multiplied by 0: they do not count as magnitudes.
        block = block if used is None else block[used[rows]]
        extremes = -block.min(axis=0, initial=0), block.max(axis=0, initial=0)
        largest = np.maximum(largest, np.maximum(*extremes))
        total += block.sum(axis=0) if used is None else w[rows][used[rows]] @ block
    mean = total / w.sum()
    # A power of two: the division is exact.
    unit = np.exp2(np.ceil(np.log2(np.where(largest > 0, largest, 1.0))))
    squares = np.zeros(matrix.shape[1])
    for rows in row_blocks(matrix):
        block = (matrix[rows] if used is None else matrix[rows][used[rows]]) - mean
        block /= unit
        np.square(block, out=block)
        squares += block.sum(axis=0) if used is None else w[rows][used[rows]] @ block
    sd = unit * np.sqrt(squares / (count - 1))
    constant = sd <= ROUNDING_SPREAD[matrix.dtype] * np.abs(mean)
    return mean, np.where(constant, 0.0, sd)


@at_the_door()
def _standardised(mediators: Array, weights: Array | None) -> tuple[Array, Array, Array]:
    """(standardised mediators, means, standard deviations with 1 for none)."""
    mean, sd = _traced_scales(mediators, weights)
    constant = sd == 0
    sd = jnp.where(constant, jnp.ones_like(sd), sd)
    scaled = (mediators - mean[None, :]) / sd[None, :]
    return jnp.where(constant[None, :], 0, scaled), mean, sd


def _traced_scales(mediators: Array, weights: Array | None) -> tuple[Array, Array]:
    n = mediators.shape[0]
    w = jnp.ones((n,), mediators.dtype) if weights is None else weights
    total = jnp.sum(w)
    mean = jnp.sum(w[:, None] * mediators, axis=0) / total
    centred = jnp.where(w[:, None] > 0, mediators - mean[None, :], 0)
    unit = jnp.max(jnp.abs(centred), axis=0)
    relative = safe.divide(centred, jnp.broadcast_to(unit, centred.shape))
    sd = unit * safe.sqrt(jnp.sum(w[:, None] * relative * relative, axis=0) / (total - 1))
    bound = ROUNDING_SPREAD[np.dtype(mediators.dtype)] * jnp.abs(mean)
    return mean, jnp.where(sd <= bound, jnp.zeros_like(sd), sd)


def drop_degenerate(data: MediationData, *, keep_duplicates: bool = False) -> Kept:
    """Leave out constant mediators and exact duplicates of an earlier one (host arrays).

    Only rows with non-zero weight count. With p >= n-1-q duplicates do no harm (they share
    weight): keep them there.

    Args:
      data: concrete data.
      keep_duplicates: only constant mediators are left out.

    Returns:
      Kept(data, reasons, kept); reasons are OK, CONSTANT_MEDIATOR or DUPLICATE_MEDIATOR.

    Raises:
      InvalidDataError: no mediator is left.
    """
    matrix = np.asarray(data.mediators)
    weights = None if data.weights is None else np.asarray(data.weights)
    used = matrix if weights is None or (weights > 0).all() else matrix[weights > 0]
    reasons = np.full(matrix.shape[1], status.OK, np.int32)
    reasons[column_scales(matrix, weights)[1] == 0] = status.CONSTANT_MEDIATOR
    if not keep_duplicates:
        duplicate = duplicates(used) & (reasons == status.OK)
        reasons[duplicate] = status.DUPLICATE_MEDIATOR
    kept = np.flatnonzero(reasons == status.OK)
    if kept.size == 0:
        raise InvalidDataError("every mediator is constant on the rows used: none can mediate")
    if kept.size == matrix.shape[1]:
        return Kept(data, reasons, kept)
    names = tuple(data.names.mediators[j] for j in kept)
    smaller = dataclasses.replace(
        data,
        mediators=data.mediators[:, kept],
        names=dataclasses.replace(data.names, mediators=names),
    )
    return Kept(smaller, reasons, kept)


def duplicates(matrix: np.ndarray) -> np.ndarray:
    """True for columns [p] equal in every value to an earlier one, in O(n p).

    Columns that agree in a few rows are compared in full, by a hash each.
    """
    few = np.unique(np.linspace(0, matrix.shape[0] - 1, ROWS_COMPARED_FIRST).astype(int))
    groups: dict[bytes, list[int]] = {}
    for position, digest in enumerate(_digests(matrix[few])):
        groups.setdefault(digest, []).append(position)
    alike = np.array([j for group in groups.values() if len(group) > 1 for j in group], int)
    alike.sort()
    result = np.zeros(matrix.shape[1], bool)
    first: set[bytes] = set()
    for start in range(0, alike.size, COLUMNS_HASHED_AT_ONCE):
        chosen = alike[start : start + COLUMNS_HASHED_AT_ONCE]
        for position, digest in zip(chosen, _digests(matrix[:, chosen]), strict=True):
            result[position] = digest in first
            first.add(digest)
    return result


def _digests(matrix: np.ndarray) -> list[bytes]:
    """A hash of each column, equal for equal values."""
    # Adding 0 turns -0 into 0, which has other bytes but is equal.
    columns = np.ascontiguousarray(matrix.T) + 0.0
    return [hashlib.blake2b(column.tobytes(), digest_size=16).digest() for column in columns]
