"""Jackknife by zero case weights: bias, standard error and acceleration of an estimator."""

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh

from jaxmed.data.mediation_data import MediationData
from jaxmed.keys import key_or_none
from jaxmed.sweeps.chunks import columns_of, dispatch
from jaxmed.sweeps.reducers import stack
from jaxmed.sweeps.resampling import (
    Refit,
    Statistic,
    check_resamples,
    count_statuses,
    effects_of,
    reweighted,
    usable,
    weighted_rows,
)
from jaxmed.sweeps.sweep import check_cell, devices_of
from jaxmed.sweeps.task import STATUS, BlockTask, Cell, Scores
from jaxmed.typing import Array, ArrayLike, Device, Estimator, Key

__all__ = ["Jackknife", "JackknifeMeasure", "jackknife"]

NOBODY = -1  # the group that no row belongs to: leaving it out fits all rows


@dataclasses.dataclass(frozen=True)
class JackknifeMeasure:
    """The jackknife of one measure; NaN where a leave-out fit failed."""

    estimate: float
    bias: float  # of the estimate; estimate - bias is the corrected one
    standard_error: float
    acceleration: float  # of the BCa bootstrap interval
    missing: int  # leave-out fits without the number


@dataclasses.dataclass(frozen=True)
class Jackknife:
    """Jackknife of every measure, and how the fits ended.

    Attributes:
      measures: by name.
      statuses: leave-out fits by the name of their status.
      groups: number of groups left out in turn; rows with weight for the leave-one-out.
      draws: measure -> leave-out estimates [groups], NaN where the fit failed.
    """

    measures: Mapping[str, JackknifeMeasure]
    statuses: Mapping[str, int]
    groups: int
    draws: Mapping[str, np.ndarray] = dataclasses.field(repr=False)

    def __getitem__(self, measure: str) -> JackknifeMeasure:
        """One measure by its name."""
        return self.measures[measure]


@dataclasses.dataclass(frozen=True)
class _LeaveOut:
    """A block of leave-out fits: (unused key, (estimator's key, data, groups, left out))."""

    refit: Refit
    batch: int | None

    def __call__(self, _: Key, parameters: Any, size: int) -> Scores:
        key, data, groups, left_out = parameters

        def one(group: Array) -> Scores:
            return self.refit(key, reweighted(data, (groups != group).astype(data.exposure.dtype)))

        if self.batch is None or self.batch >= size:
            return jax.vmap(one)(left_out)
        return lax.map(one, left_out, batch_size=None if self.batch == 1 else self.batch)


def jackknife(
    data: MediationData,
    estimator: Estimator,
    *,
    groups: ArrayLike | None = None,
    key: Key | None = None,
    statistic: Statistic = effects_of,
    chunk: int = 128,
    batch: int | None = 1,
    mesh: Mesh | Sequence[Device] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Jackknife:
    """Leave-one-out, or delete-a-group, jackknife of an estimator's measures.

        jackknife(data, jaxmed.estimators.reg_exposure())["indirect"].standard_error

    Rows leave by a case weight of zero; the estimator is refitted once per group, and once on all
    rows. Rows that have no weight in the data are no units. Costs as many fits as there are
    groups: with many rows, delete some 50 to 200 groups of rows drawn at random.

    Args:
      data: rows; case weights are kept on the rows that stay.
      estimator: (key, data) -> Estimate.
      groups: label of every row [n]; rows of one label leave together (clusters, or random
        groups). None leaves out one row at a time.
      key: for estimators that draw (folds, starts): the same draws in every fit, so that
        differences between fits come from the rows.
      statistic: estimate -> measures, scalars by name.
      chunk: fits per program call.
      batch: fits vectorised at once; None for the whole chunk.
      mesh: devices that take chunks in turn; JAX's default device if None.
      progress: called with the number of fits of every finished chunk.

    Returns:
      Jackknife. A measure with one failed fit has NaN bias and standard error: the formulas need
      all of them. In the primal fewer than p + 2 + q remaining rows are TOO_FEW_ROWS.

    Raises:
      ValueError: fewer than 2 groups, or labels of another length than the data; see `sweep`.

    Source: Efron and Tibshirani (1993), chapter 11; groups of unequal size by Busing, Meijer and
    van der Leeden (1999), which is the ordinary jackknife for equal sizes. Consistent for smooth
    measures with p fixed (the effects of a regression composite), neither for quantiles nor for
    selected sets; in-sample effects of optimised weights keep an optimism that it does not remove
    when p/n is not small.
    """
    key = key_or_none(key)
    check_resamples(data, 1, 1, chunk, batch)  # as many fits as there are rows: they fit
    given = np.arange(data.exposure.shape[0]) if groups is None else np.asarray(groups)
    data, given = weighted_rows(data, given)
    names, labels, sizes = np.unique(given, return_inverse=True, return_counts=True)
    if names.size < 2:
        raise ValueError(f"a jackknife needs at least 2 groups of rows, not {names.size}")
    columns = _leave_out_fits(
        data,
        labels,
        sizes.size,
        _LeaveOut(Refit(estimator, statistic), batch),
        key,
        chunk,
        devices_of(mesh),
        progress,
    )
    rest = {name: values[1:] for name, values in columns.items()}
    measured = [name for name in columns if name != STATUS]
    measures = {
        name: _measure(float(columns[name][0]), rest[name], rest[STATUS], sizes)
        for name in measured
    }
    draws = {name: np.asarray(rest[name], np.float64) for name in measured}
    return Jackknife(measures, count_statuses(rest), int(sizes.size), draws)


def _leave_out_fits(
    data: MediationData,
    labels: np.ndarray,
    count: int,
    task: _LeaveOut,
    key: Key | None,
    chunk: int,
    devices: Sequence[Device | None],
    progress: Callable[[int], None] | None,
) -> dict[str, np.ndarray]:
    """Columns [1 + count]: the fit of all rows, then the leave-out fits.

    A task of a sweep does not know its number, and here the number says who leaves: so every
    chunk is a cell of its own, whose parameters hold the groups; all share one program.
    """
    ids = np.concatenate([[NOBODY], np.arange(count)]).astype(np.int32)
    unused = jax.random.key(0)
    groups, block, reducer = jnp.asarray(labels, jnp.int32), BlockTask(task), stack()
    pending: deque[tuple[Cell, Scores]] = deque()
    blocks: list[dict[str, np.ndarray]] = []

    def finish() -> None:
        cell, scores = pending.popleft()
        blocks.append(columns_of(cell, 0, scores))
        if progress is not None:
            progress(cell.count)

    check_cell(Cell("jackknife", block, None, count, chunk, task.batch, reducer))
    for index, start in enumerate(range(0, ids.size, chunk)):
        some = ids[start : start + chunk]
        padded = np.concatenate([some, np.full(chunk - some.size, NOBODY, np.int32)])
        parameters = (key, data, groups, padded)
        cell = Cell("jackknife", block, parameters, some.size, chunk, reducer=reducer)
        pending.append((cell, dispatch(cell, unused, 0, devices[index % len(devices)])))
        if len(pending) > len(devices):
            finish()
    while pending:
        finish()
    return {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}


def _measure(
    estimate: float, left: np.ndarray, codes: np.ndarray, sizes: np.ndarray
) -> JackknifeMeasure:
    """Bias, standard error and acceleration from leave-out estimates [G] of groups of rows."""
    missing = left.size - usable(left, codes).size
    if missing or not math.isfinite(estimate):
        return JackknifeMeasure(estimate, math.nan, math.nan, math.nan, missing)
    left = np.asarray(left, np.float64)
    inverse = sizes.sum() / sizes  # G for equal sizes
    pseudo = inverse * estimate - (inverse - 1) * left
    corrected = float(np.sum(pseudo / inverse))
    influence = pseudo - corrected
    variance = np.mean(influence**2 / (inverse - 1))
    part = influence / inverse
    square = float(np.sum(part**2))
    acceleration = float(np.sum(part**3)) / (6 * square**1.5) if square > 0 else 0.0
    return JackknifeMeasure(
        estimate, estimate - corrected, math.sqrt(variance), acceleration, missing
    )
