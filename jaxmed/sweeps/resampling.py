"""What every resampling shares: case weights on data, and an estimator refitted on weighted rows.

Resampling is a sweep over case weights: the arrays keep their shapes, so that one compiled program
serves every resample. Random splits are the exception (`sweeps.split_sample`): their sizes are
fixed, and their rows are taken.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_at_least, check_count, check_fits
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Estimate
from jaxmed.geometry.paths import regime_of
from jaxmed.linalg.safe import divide
from jaxmed.sweeps.reducers import stack
from jaxmed.sweeps.states import Columns, count_codes
from jaxmed.sweeps.sweep import sweep
from jaxmed.sweeps.task import STATUS, Scores
from jaxmed.typing import Array, Estimator, Key, pytree

__all__ = [
    "Numbers",
    "Refit",
    "Statistic",
    "check_resamples",
    "count_statuses",
    "effects_of",
    "reweighted",
    "usable",
    "weighted_rows",
]

# Measures of an estimate, scalars by name.
Statistic = Callable[[Any], Mapping[str, Array]]


@pytree
class Numbers:
    """What a function of the data returned, in the place of an Estimate."""

    values: dict[str, Array]
    status: Array  # int32


def effects_of(estimate: Estimate) -> dict[str, Array]:
    """The default statistic: direct, indirect and total effect.

    Raises:
      ValueError: no Estimate.
    """
    effects = getattr(estimate, "effects", None)
    if effects is None:
        raise ValueError(
            f"an estimator (key, data) returns an Estimate, not {type(estimate).__name__}: "
            "statistic= reads any other result with a status"
        )
    return {"direct": effects.direct, "indirect": effects.indirect, "total": effects.total}


def weighted_rows(data: MediationData, *labels: np.ndarray) -> tuple[Any, ...]:
    """The rows with a case weight above zero, on the device once and not per chunk.

    Rows without weight take no part in any resampling; left in, they would count in the length
    that decides between primal and dual.

    Args:
      data: concrete arrays.
      labels: arrays [n] of the same rows.

    Returns:
      (data of JAX arrays, *labels).

    Raises:
      ValueError: labels of another length than the data.
    """
    n = data.exposure.shape[0]
    for label in labels:
        if label.shape != (n,):
            raise ValueError(f"one label per row is needed: shape ({n},), not {label.shape}")
    present = None if data.weights is None else np.asarray(data.weights) > 0
    if present is None or present.all():
        return jax.tree.map(jnp.asarray, data), *labels
    kept = np.flatnonzero(present)
    return jax.tree.map(lambda x: jnp.asarray(x)[kept], data), *(x[kept] for x in labels)


def reweighted(data: MediationData, weights: Array) -> MediationData:
    """The data with `weights` [n] multiplied into its case weights.

    The product is scaled to sum to the number of its non-zero entries, the convention of
    `mediation_data`; weights that are all zero give NaN, which downstream is a status.
    """
    product = weights if data.weights is None else weights * jnp.asarray(data.weights)
    rows = jnp.sum(product > 0).astype(product.dtype)
    return dataclasses.replace(data, weights=product * divide(rows, jnp.sum(product), jnp.nan))


def check_resamples(
    data: MediationData, count: int, least: int, chunk: int, batch: int | None
) -> None:
    """Refuses counts out of range, and more than memory holds, before anything is compiled.

    Args:
      data: of which every resample that is vectorised holds about a copy.
      count: resamples.
      least: of them.
      chunk: of one program call.
      batch: vectorised at once; None for the whole chunk.

    Raises:
      ValueError: with the name of the argument.
    """
    check_count("count", count, least)
    check_count("chunk", chunk)
    copy = sum(leaf.nbytes for leaf in jax.tree.leaves(data))
    if batch is None:
        check_fits("chunk", chunk, copy, remedy=", or a batch of a few")
        return
    check_at_least("batch", batch, 1)
    check_fits("batch", min(batch, chunk), copy)


@dataclasses.dataclass(frozen=True)
class Refit:
    """A task (key, data) -> measures of the estimate and its status; NaN where that is fatal.

    Tasks of resampling are frozen dataclasses, because equal ones share a compiled program.
    """

    estimator: Estimator
    statistic: Statistic

    def __call__(self, key: Key | None, data: MediationData) -> Scores:
        """Fits the data as they are weighted.

        Raises:
          ValueError: the statistic names one of its measures "status".
        """
        estimate = self.estimator(key, data)
        measures = {name: jnp.asarray(value) for name, value in self.statistic(estimate).items()}
        if STATUS in measures:
            raise ValueError(
                f"a statistic cannot name a measure {STATUS!r}: the estimate's own is recorded"
            )
        code = estimate.status
        if not isinstance(estimate, Numbers):  # of which nobody knows what rank they need
            code = _row_status(data, code)
        fatal = st.is_fatal(code)
        kept: Scores = {name: jnp.where(fatal, jnp.nan, x) for name, x in measures.items()}
        return kept | {STATUS: code}

    def once(self, key: Key, data: MediationData) -> dict[str, np.ndarray]:
        """The measures on the data themselves, by the route that the replicates take."""
        columns = sweep(key, self, 1, parameters=data, reducer=stack(), chunk=1)
        return {name: values[0] for name, values in columns.items()}


def _row_status(data: MediationData, code: Array) -> Array:
    """The estimate's status, or TOO_FEW_ROWS where the primal has fewer than p + 2 + q rows.

    The estimator itself reports the consequence, a singular Gram matrix (RANK_DEFICIENT).
    """
    n, p = data.mediators.shape
    q = data.covariates.shape[1]
    code = jnp.asarray(code, jnp.int32)
    if data.weights is None or regime_of(n, p, q) == "dual":
        return code
    few = jnp.sum(data.weights > 0) < p + 2 + q
    return jnp.asarray(jnp.where(few, st.TOO_FEW_ROWS, code), jnp.int32)


def usable(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The finite values of replicates without a fatal status, as float64."""
    values = np.asarray(values, np.float64)
    return values[np.isfinite(values) & (np.asarray(codes) < st.FIRST_FATAL)]


def count_statuses(columns: Columns) -> dict[str, int]:
    """Replicates by the name of their status.

    Raises:
      ValueError: unknown codes.
    """
    return count_codes(STATUS, columns[STATUS])
