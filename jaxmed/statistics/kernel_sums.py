"""The kernel of more mediators than rows, and what single mediators need, by blocks of columns.

Nothing of size p x p, and n x p only block by block: the mediators are read once for the kernel
and, where weights are wanted, once more for them.
"""

import dataclasses
from typing import Any

import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_fits
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.streams import RowStream
from jaxmed.data.validation import ROUNDING_SPREAD, InvalidDataError
from jaxmed.statistics.dual_stats import DualStatistics, without_mediators
from jaxmed.typing import Counted

__all__ = ["ColumnSums", "KernelSums", "column_weights", "kernel_sums"]

# Bytes that are read at once, and columns that are centred and multiplied while in the cache.
READ_BYTES = 32 * 2**20
CACHED_COLUMNS = 4096
FEWER_ROWS = "; analyse fewer rows, or fewer mediators than rows, which needs no kernel"


@dataclasses.dataclass(frozen=True)
class ColumnSums:
    """Of every mediator as read, [p] float64; sums over rows are given [1, covariates]."""

    mean: np.ndarray
    sd: np.ndarray  # divisor n - 1; 0 for a constant one
    divisor: np.ndarray  # the mediators were divided by it: sd or 1, 1 for a constant one
    exposure_cross: np.ndarray  # exposure' mediator
    outcome_cross: np.ndarray  # outcome' mediator
    square: np.ndarray  # mediator' mediator

    @property
    def reasons(self) -> np.ndarray:
        """Status of every mediator [p] int32: OK or CONSTANT_MEDIATOR."""
        return np.where(self.sd == 0, st.CONSTANT_MEDIATOR, st.OK).astype(np.int32)


@dataclasses.dataclass(frozen=True)
class KernelSums:
    """Statistics of the rows without the mediators themselves, and sums by mediator."""

    stats: DualStatistics  # mediators None; constant ones take no part
    columns: ColumnSums


def kernel_sums(
    stream: RowStream, *, standardised: bool = True, progress: Counted | None = None
) -> KernelSums:
    """One pass over the mediators of a file by columns.

    Args:
      stream: see `data.streams.stream`; of a file that can be read by columns.
      standardised: divide the mediators by their standard deviation, on which the answer depends
        where there are more of them than rows.
      progress: called with the number of mediators read and of all.
    Returns:
      KernelSums. Products are taken in the stream's dtype and added in float64. Mediators are
      centred one by one; covariates are projected off the n x n kernel, which loses digits where
      they explain nearly all of the mediators (relative error eps / (1 - R2)).
    Raises:
      InvalidDataError: missing or infinite values; every mediator is constant; a csv.
    """
    frame = _frame(stream.fields)
    n = stream.num_rows
    check_fits("the number of rows of a kernel", n, 8, power=2, remedy=FEWER_ROWS)
    kernel = np.zeros((n, n))
    parts: list[np.ndarray] = []
    for chosen, values in stream.column_blocks(_read_columns(n, stream.dtype)):
        for start in range(0, values.shape[1], CACHED_COLUMNS):
            block = values[:, start : start + CACHED_COLUMNS]
            parts.append(_add(frame, block, kernel, standardised))
        if progress is not None:
            progress(chosen.stop, stream.num_mediators)
    columns = ColumnSums(*np.concatenate(parts, axis=1))
    if not columns.sd.any():
        raise InvalidDataError("every mediator is constant on the rows used: none can mediate")
    basis: Any = frame.stats.basis
    kernel -= basis @ (basis.T @ kernel)
    kernel -= (kernel @ basis) @ basis.T
    stats = dataclasses.replace(
        frame.stats, kernel=(kernel + kernel.T) / 2, num_mediators=int(np.sum(columns.sd > 0))
    )
    return KernelSums(stats, columns)


def column_weights(
    stream: RowStream,
    found: KernelSums,
    coefficients: np.ndarray,
    *,
    progress: Counted | None = None,
) -> np.ndarray:
    """Weights [p, k] of composites from their row coefficients, by a second pass.

    Args:
      stream: as for `kernel_sums`.
      found: of the same stream.
      coefficients: [n, k], as `geometry.paths.dual_paths` returns where mediators are not kept.
      progress: called with the number of mediators read and of all.
    Returns:
      Weights per standard deviation (per unit where not standardised); 0 for constant mediators.
    """
    frame, columns = _frame(stream.fields), found.columns
    basis: Any = frame.stats.basis
    rows = coefficients - basis @ (basis.T @ coefficients)
    rows = (rows * frame.root).astype(stream.dtype)
    weights = np.zeros((stream.num_mediators, coefficients.shape[1]))
    mean = columns.mean.astype(stream.dtype)
    for chosen, values in stream.column_blocks(_read_columns(stream.num_rows, stream.dtype)):
        # The coefficients sum to zero up to rounding, which a large mean would multiply.
        values -= mean[chosen]
        weights[chosen] = values.T @ rows
        if progress is not None:
            progress(chosen.stop, stream.num_mediators)
    return np.where(columns.sd[:, None] > 0, weights / columns.divisor[:, None], 0.0)


@dataclasses.dataclass(frozen=True)
class _Frame:
    """What the rows say without mediators."""

    stats: DualStatistics
    root: Any  # [n, 1] of the weights
    weights: Any  # [n] share of each row in a mean
    probes: Any  # [n, q+3] basis, exposure, outcome: what every mediator is multiplied by


def _frame(fields: MediationData) -> _Frame:
    stats = without_mediators(fields)
    w: Any = np.asarray(stats.row_weights)
    probes = np.column_stack([stats.basis, stats.exposure, stats.outcome])
    return _Frame(stats, np.sqrt(w)[:, None], w / w.sum(), probes)


def _read_columns(n: int, dtype: np.dtype) -> int:
    return max(
        CACHED_COLUMNS, READ_BYTES // (dtype.itemsize * n) // CACHED_COLUMNS * CACHED_COLUMNS
    )


def _add(frame: _Frame, block: np.ndarray, kernel: np.ndarray, standardised: bool) -> np.ndarray:
    """Adds the block's kernel in place; the six rows of `ColumnSums` [6, k]. Uses the block up."""
    dtype, n = block.dtype, len(block)
    weighted = frame.root.min() != frame.root.max()
    share = frame.weights.astype(dtype)
    mean = share @ block
    centred = block
    centred -= mean  # in place: fresh memory would be paged in for every block
    # The mean of float32 columns is rounding off; what is left of it is taken out of the sums.
    left = share @ centred
    count = n
    if weighted:
        centred *= frame.root.astype(dtype)
        count = int(np.count_nonzero(frame.weights))
    total = float((frame.root**2).sum())
    squares = np.einsum("ij,ij->j", centred, centred).astype("f8") - total * left.astype("f8") ** 2
    mean = mean.astype("f8") + left
    sd = np.sqrt(np.maximum(squares, 0) / (count - 1))
    sd[sd <= ROUNDING_SPREAD[dtype] * np.abs(mean)] = 0
    divisor = np.where(sd > 0, sd, 1) if standardised else np.ones_like(sd)
    centred *= np.where(sd > 0, 1 / divisor, 0).astype(dtype)
    probed = (frame.probes.astype(dtype).T @ centred).astype("f8")
    kernel += centred @ centred.T
    squares = np.where(sd > 0, squares / divisor**2, 0)
    # The first direction of the basis is the intercept, which the squares are without already.
    given = squares - np.sum(probed[1:-2] ** 2, axis=0)
    return np.stack([mean, sd, divisor, probed[-2], probed[-1], np.maximum(given, 0)])
