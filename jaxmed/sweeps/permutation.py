"""Permutation test of any statistic of the data, with residuals where there are covariates."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxmed.data.mediation_data import MediationData
from jaxmed.keys import as_key
from jaxmed.sweeps.reducers import rate_of, stack
from jaxmed.sweeps.resampling import check_resamples, weighted_rows
from jaxmed.sweeps.sweep import sweep
from jaxmed.sweeps.task import Scores
from jaxmed.typing import Array, ArrayLike, Device, Key

__all__ = ["PermutationResult", "permutation_test"]

Column = Literal["exposure", "outcome"]
Side = Literal["two", "greater", "less"]
ROUNDINGS = 64  # units of rounding within which two values of the statistic are tied


@dataclasses.dataclass(frozen=True)
class PermutationResult:
    """Permutation p-value of one statistic.

    Attributes:
      statistic: on the data.
      p_value: (1 + exceed) / (1 + count); NaN where the statistic on the data is.
      standard_error: Monte Carlo standard error of the p-value.
      exceed: permutations at least as extreme as the data; ties and failures count.
      failed: permutations whose statistic is NaN.
      count: permutations.
      of: the column that was permuted.
      side: "two", "greater" or "less".
      method: what was permuted.
      exact: valid at any n where the rows are exchangeable under the null; False with covariates.
      draws: statistics of the permutations [count].
    """

    statistic: float
    p_value: float
    standard_error: float
    exceed: int
    failed: int
    count: int
    of: Column
    side: Side
    method: str
    exact: bool
    draws: np.ndarray = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class _Permuted:
    """A task (key, (data, fitted, residual, strata)) -> the statistic of permuted data."""

    statistic: Callable[[MediationData], Array]
    of: Column
    shuffle: bool = True

    def __call__(self, key: Key, parameters: Any) -> Scores:
        data, fitted, residual, strata = parameters
        if self.shuffle:
            residual = residual[_permutation(key, strata)]
        changed = dataclasses.replace(data, **{self.of: fitted + residual})
        return {"statistic": jnp.asarray(self.statistic(changed))}


def permutation_test(
    key: Key,
    data: MediationData,
    statistic: Callable[[MediationData], Array],
    count: int = 999,
    *,
    of: Column = "exposure",
    strata: ArrayLike | None = None,
    side: Side = "two",
    chunk: int = 128,
    batch: int | None = 1,
    mesh: Mesh | Sequence[Device] | None = None,
    progress: Callable[[int], None] | None = None,
) -> PermutationResult:
    """Permutation test of a statistic, data -> scalar, by shuffling the exposure or the outcome.

        permutation_test(key, data, lambda d: jaxmed.maxie(jaxmed.paths(d)).index, side="greater")

    The null hypothesis is that the permuted column is independent of all the others given the
    covariates: of the mediators *and* the outcome for the exposure, of the exposure *and* the
    mediators for the outcome. That a total indirect effect is zero is a weaker hypothesis, for
    which `exposure_permutation_test` keeps the outcome's own dependence on the exposure, with one
    factorisation for all permutations.

    With covariates the residuals of the column given [1, covariates] are permuted and added to its
    fitted values (Freedman and Lane). A column of other than real numbers (a 0/1 exposure) then
    takes values between; strata of discrete covariates keep it as it is.

    Args:
      key: consumed.
      data: rows; case weights stay with their rows. Rows without weight are left out.
      statistic: data -> scalar; compute it with the covariates.
      count: permutations, at least 1; p-values are multiples of 1 / (count + 1).
      of: the column to permute.
      strata: labels [n]; rows exchange values within their stratum only (matched sets, batches).
      side: "greater" and "less" count statistics as large or as small as that of the data, "two"
        absolute values, for statistics that are centred at zero under the null.
      chunk: permutations per program call; the same numbers to rounding whatever the chunk is.
      batch: permutations vectorised at once; None for the whole chunk (memory batch x n x p).
      mesh: devices that take chunks in turn; JAX's default device if None.
      progress: called with the number of permutations of every finished chunk.

    Returns:
      PermutationResult. Statistics within 64 units of rounding of the data's (of the size of a
      typical draw where that is larger) are ties, and ties count; so does a permutation whose
      statistic is NaN, so that failures can only raise the p-value.

    Raises:
      ValueError: count < 1, an unknown column or side, strata without two rows of one label, a
        statistic that returns anything but a scalar.

    Source: Freedman and Lane (1983), JBES 1. Exact without covariates, where the rows of the
    column are exchangeable under the null given everything else, within strata where there are
    any. With covariates asymptotic: it needs a linear model and exchangeable errors, and few
    covariates for the number of rows.
    """
    key = as_key(key)
    _check(of, side)
    check_resamples(data, count, 1, chunk, batch)
    n = data.exposure.shape[0]
    data, labels = weighted_rows(data, np.zeros(n) if strata is None else np.asarray(strata))
    _, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if sizes.max() < 2:
        raise ValueError("every stratum has a single row: there is nothing to permute")
    fitted, residual = _linear_fit(data, of)
    parameters = (data, fitted, residual, jnp.asarray(labels, jnp.int32))
    task, whole = _Permuted(statistic, of), stack()
    first = sweep(
        key, _Permuted(statistic, of, False), 1, parameters=parameters, reducer=whole, chunk=1
    )
    drawn = sweep(
        key,
        task,
        count,
        parameters=parameters,
        reducer=whole,
        chunk=chunk,
        batch=batch,
        mesh=mesh,
        progress=progress,
    )["statistic"]
    observed = float(first["statistic"][0])
    # Statistics that count (integers) have no rounding.
    eps = float(np.finfo(drawn.dtype).eps) if drawn.dtype.kind == "f" else 0.0
    drawn = np.asarray(drawn, np.float64)
    exceed = _exceed(drawn, observed, side, ROUNDINGS * eps)
    failed = int(np.isnan(drawn).sum())
    rate = rate_of(exceed, count)
    p_value = math.nan if math.isnan(observed) else (1 + exceed) / (1 + count)
    error = math.nan if math.isnan(observed) else rate.standard_error * count / (1 + count)
    return PermutationResult(
        observed,
        p_value,
        error,
        exceed,
        failed,
        count,
        of,
        side,
        _method(data, of, strata),
        data.covariates.shape[1] == 0,
        drawn,
    )


def _permutation(key: Key, strata: Array) -> Array:
    """A uniform permutation [n] among those that keep every row's stratum."""
    shuffled = jax.random.permutation(key, strata.shape[0])
    # Places and shuffled rows, both sorted by stratum, pair each place with a row of its own.
    rows = shuffled[jnp.argsort(strata[shuffled], stable=True)]
    places = jnp.argsort(strata, stable=True)
    return jnp.zeros_like(rows).at[places].set(rows)


def _linear_fit(data: MediationData, of: Column) -> tuple[Array, Array]:
    """Fitted values and residuals [n] of the column on [1, covariates].

    Without covariates the values themselves are permuted, exactly as they are.
    """
    column = jnp.asarray(getattr(data, of))
    if data.covariates.shape[1] == 0:
        return jnp.zeros_like(column), column
    covariates = np.asarray(data.covariates, np.float64)
    values = np.asarray(column, np.float64)
    weights = np.ones_like(values) if data.weights is None else np.asarray(data.weights, np.float64)
    centred = covariates - np.average(covariates, axis=0, weights=weights)
    mean = np.average(values, weights=weights)
    root = np.sqrt(weights)
    slope = np.linalg.lstsq(root[:, None] * centred, root * (values - mean), rcond=None)[0]
    fitted = mean + centred @ slope
    dtype = jnp.result_type(column.dtype, float)  # integers have no room for residuals
    return jnp.asarray(fitted, dtype), jnp.asarray(values - fitted, dtype)


def _exceed(drawn: np.ndarray, observed: float, side: Side, slack: float) -> int:
    """Draws at least as extreme as the observed value, or NaN."""
    finite = drawn[np.isfinite(drawn)]
    typical = float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
    if side == "two":
        drawn, observed = np.abs(drawn), abs(observed)
    elif side == "less":
        drawn, observed = -drawn, -observed
    size = max(abs(observed), typical)
    limit = observed - slack * size if math.isfinite(size) else observed
    return int(np.sum((drawn >= limit) | np.isnan(drawn)))


def _method(data: MediationData, of: str, strata: Any) -> str:
    what = (
        "residuals given the covariates (Freedman-Lane)" if data.covariates.shape[1] else "values"
    )
    return f"{of} {what} permuted" + ("" if strata is None else " within strata")


def _check(of: str, side: str) -> None:
    if of not in ("exposure", "outcome"):
        raise ValueError(f'of is "exposure" or "outcome", not {of!r}')
    if side not in ("two", "greater", "less"):
        raise ValueError(f'side is "two", "greater" or "less", not {side!r}')
