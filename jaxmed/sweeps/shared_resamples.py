"""One bootstrap for several methods: every method sees the same resampled rows."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.data.mediation_data import MediationData
from jaxmed.keys import as_key
from jaxmed.sweeps.reducers import stack
from jaxmed.sweeps.resampling import Refit, check_resamples, count_statuses, effects_of
from jaxmed.sweeps.sweep import sweep
from jaxmed.sweeps.task import STATUS, Scores, effect_scores, named_key
from jaxmed.typing import Array, Estimator, Key

__all__ = ["MAX_CHUNK", "SharedDraws", "even_chunk", "resample_rows", "shared_resamples"]

# One after another, a call of few resamples says sooner how far it is; at once, more share a pass.
MAX_CHUNK = 10
MAX_CHUNK_AT_ONCE = 32


@dataclasses.dataclass(frozen=True)
class SharedDraws:
    """Refits of one method.

    Attributes:
      effects: "direct", "indirect", "total" -> draws [count], NaN where the refit failed.
      statuses: refits by the name of their status.
    """

    effects: dict[str, np.ndarray]
    statuses: dict[str, int]

    @property
    def failed(self) -> dict[str, int]:
        """Refits without a number, by the name of their status."""
        fatal = {name for code, name in st.NAMES.items() if code >= st.FIRST_FATAL}
        return {name: count for name, count in self.statuses.items() if name in fatal}


def resample_rows(key: Key, n: int) -> Array:
    """Numbers of n rows drawn with replacement, [n] int32."""
    key = as_key(key)
    return jax.random.randint(key, (n,), 0, n)


@dataclasses.dataclass(frozen=True)
class _SharedResample:
    """A task (key, data) -> effects of one method on one resample.

    The rows depend on the key alone and not on the method.
    """

    name: str
    estimator: Estimator
    copies: bool
    needs_rank: bool

    def __call__(self, key: Key, data: MediationData) -> Scores:
        rows_key, method_key = jax.random.split(key)
        n = data.exposure.shape[0]
        rows = resample_rows(rows_key, n)
        if self.copies:
            sample = jax.tree.map(lambda values: values[rows], data)
        else:
            sample = dataclasses.replace(data, weights=_counts(data, rows))
        method_key = named_key(method_key, self.name)
        if self.needs_rank:
            return Refit(self.estimator, effects_of)(method_key, sample)
        scores = effect_scores(self.estimator(method_key, sample), sample)
        code = jnp.asarray(scores.pop(STATUS), jnp.int32)
        fatal = st.is_fatal(code)
        return {name: jnp.where(fatal, jnp.nan, x) for name, x in scores.items()} | {STATUS: code}


def _counts(data: MediationData, rows: Array) -> Array:
    """Case weights of a resample, with sum n: how often each row was drawn."""
    n = data.exposure.shape[0]
    counts = jnp.zeros(n, data.exposure.dtype).at[rows].add(1)
    if data.weights is None:
        return counts
    product = counts * jnp.asarray(data.weights)
    return product * (n / jnp.sum(product))


def even_chunk(count: int, batch: int | None = 1) -> int:
    """The chunk that computes fewest resamples too many, of at most `MAX_CHUNK` in turn.

    Args:
      count: resamples.
      batch: of them that are vectorised at once, of at most `MAX_CHUNK_AT_ONCE` in a chunk.
    """
    largest = MAX_CHUNK if batch == 1 else MAX_CHUNK_AT_ONCE
    return -(-count // -(-count // largest))


def shared_resamples(
    key: Key,
    data: MediationData,
    name: str,
    estimator: Estimator,
    count: int,
    *,
    copies: bool = False,
    needs_rank: bool = False,
    chunk: int | None = None,
    batch: int | None = 1,
    progress: Callable[[int], None] | None = None,
) -> SharedDraws:
    """Refits of one method on resamples that do not depend on the method.

    Resample i draws n rows with replacement from `key` and i; calls with the same key and number
    of rows see the same rows, whatever the method, its name or the chunk. The method's own random
    numbers come from a stable hash of its name.

    Args:
      key: the same for all methods that are compared.
      data: rows, all with weight; JAX arrays.
      name: of the method.
      estimator: (key, data) -> Estimate.
      count: resamples.
      copies: pass copied rows instead of case weights (counts with sum n); folds that such a
        method draws may hold copies of one row on both sides.
      needs_rank: a resample with fewer than p + 2 + q distinct rows is TOO_FEW_ROWS.
      chunk: resamples of one program call.
      batch: resamples vectorised at once, see `sweep`.
      progress: called with the number of resamples of every finished chunk.
    """
    key = as_key(key)
    check_count("count", count)
    chunk = even_chunk(count, batch) if chunk is None else chunk
    check_resamples(data, count, 1, chunk, batch)
    task = _SharedResample(name, estimator, copies, needs_rank)
    columns = sweep(
        key,
        task,
        count,
        parameters=data,
        reducer=stack(),
        chunk=chunk,
        batch=batch,
        progress=progress,
    )
    effects = {
        part: np.asarray(values, np.float64) for part, values in columns.items() if part != STATUS
    }
    return SharedDraws(effects, count_statuses(columns))
