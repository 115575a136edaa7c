"""Repeated random splits: learn on one part of the rows, evaluate on the other."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxmed import status as st
from jaxmed.budget import said
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.composites import reg_exposure
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.marginal import single_mediator_data
from jaxmed.keys import as_key
from jaxmed.linalg.products import matmul
from jaxmed.sweeps.quantile_sketch import Quantile, quantiles
from jaxmed.sweeps.reducers import Measure, combine, moments
from jaxmed.sweeps.resampling import check_resamples, effects_of, reweighted, weighted_rows
from jaxmed.sweeps.sweep import sweep
from jaxmed.sweeps.task import STATUS, Scores
from jaxmed.typing import Array, Device, Estimator, Key

__all__ = ["SplitSample", "held_out_effects", "split_sample"]

Evaluate = Callable[[Any, MediationData], Mapping[str, Array]]
MEDIAN_ACCURACY = 1e-6


@dataclasses.dataclass(frozen=True)
class SplitSample:
    """Measures over random splits of the same rows.

    Splits share their rows: their spread and all standard errors here are those of the random
    splitting, given the data. They shrink to nothing with the count and say nothing about other
    samples.

    Attributes:
      means: measure -> mean over splits, with its Monte Carlo standard error, and the sd of the
        splits.
      medians: measure -> median over splits, with its Monte Carlo standard error.
      statuses: splits by the name of their status.
      count: splits.
      learn_rows: rows that learn, in every split.
      evaluate_rows: rows that evaluate.
    """

    means: Mapping[str, Measure]
    medians: Mapping[str, Quantile]
    statuses: Mapping[str, int]
    count: int
    learn_rows: int
    evaluate_rows: int


@dataclasses.dataclass(frozen=True)
class _Split:
    """A task (key, data) -> measures of one random split."""

    estimator: Estimator
    evaluate: Evaluate
    learn_rows: int

    def __call__(self, key: Key, data: MediationData) -> Scores:
        order_key, estimator_key = jax.random.split(key)
        order = jax.random.permutation(order_key, data.exposure.shape[0])
        learnt = self.estimator(estimator_key, _rows(data, order[: self.learn_rows]))
        measures = dict(self.evaluate(learnt, _rows(data, order[self.learn_rows :])))
        code = st.combine(learnt.status, measures.pop(STATUS, st.OK))
        return {name: jnp.asarray(x) for name, x in measures.items()} | {STATUS: code}


def split_sample(
    key: Key,
    data: MediationData,
    estimator: Estimator,
    evaluate: Evaluate,
    count: int = 100,
    *,
    share: float = 0.5,
    chunk: int = 32,
    batch: int | None = 1,
    mesh: Mesh | Sequence[Device] | None = None,
    progress: Callable[[int], None] | None = None,
) -> SplitSample:
    """Learns on a random share of the rows and evaluates on the rest, `count` times.

        split_sample(key, data, jaxmed.estimators.maxie(), held_out_effects, 200, share=0.7)

    A held-out effect is free of the optimism of in-sample effects, for weights learnt from a
    `share` of the rows: composites of fewer rows are worse, so that it lies below the effect of the
    weights of all rows (`cross_fitted_effect` with many folds comes closer, and has an interval).
    The median over splits does not depend on the luck of one split.

    Parts are taken as rows, not by zero weights: their sizes are fixed, the regime of the learning
    part is decided by its own size, and half of the arithmetic is saved.

    Args:
      key: consumed.
      data: rows; case weights go with them, scaled within each part. Rows without weight are
        left out.
      estimator: (key, data) -> Estimate.
      evaluate: (estimate, held-out data) -> measures, scalars by name; a "status" among them is
        combined with the estimate's. `held_out_effects` serves composites.
      count: splits.
      share: of the rows that learn, in (0, 1).
      chunk: splits per program call; the same numbers to rounding whatever the chunk is.
      batch: splits vectorised at once; None for the whole chunk.
      mesh: devices that take chunks in turn; JAX's default device if None.
      progress: called with the number of splits of every finished chunk.

    Returns:
      SplitSample. Replicates are dependent, because all splits share the rows: use no standard
      error of it as one of the effect.

    Raises:
      ValueError: share outside (0, 1), or a part of fewer than q + 3 rows; see `sweep`.
    """
    key = as_key(key)
    check_resamples(data, count, 1, chunk, batch)
    if not 0 < share < 1:
        raise ValueError(f"share must lie in (0, 1), not {said(share)}")
    (data,) = weighted_rows(data)
    n, q = data.exposure.shape[0], data.covariates.shape[1]
    learn_rows = round(share * n)
    if min(learn_rows, n - learn_rows) < q + 3:
        raise ValueError(
            f"a share of {share} splits {n} rows into {learn_rows} and {n - learn_rows}: each part "
            f"needs q + 3 = {q + 3}"
        )
    reducer = combine(mean=moments(), median=quantiles((0.5,), MEDIAN_ACCURACY))
    found = sweep(
        key,
        _Split(estimator, evaluate, learn_rows),
        count,
        parameters=data,
        reducer=reducer,
        chunk=chunk,
        batch=batch,
        mesh=mesh,
        progress=progress,
    )
    mean = found["mean"]
    medians = {name: by_level[0.5] for name, by_level in found["median"].values.items()}
    return SplitSample(mean.values, medians, mean.statuses[""], count, learn_rows, n - learn_rows)


def held_out_effects(estimate: Estimate, data: MediationData) -> dict[str, Array]:
    """Effects of an estimate's composite on rows that it has not seen.

    Args:
      estimate: of an estimator of composites: `details` is a CompositeMediator or a
        WeightDetails.
      data: the held-out rows.

    Returns:
      direct, indirect and total effect of the composite score as a single mediator, by least
      squares, and their status. All-zero weights have indirect effect 0 and EMPTY_SELECTION.

    Raises:
      ValueError: an estimate without weights.
    """
    composite = getattr(estimate.details, "composite", estimate.details)
    weights = getattr(composite, "weights", None)
    if weights is None:
        raise ValueError(
            "held_out_effects needs an estimate of composite weights (maxie, maxcor, reg_outcome, "
            "lasso_exposure, ...): pass another `evaluate`"
        )
    empty = jnp.all(weights == 0)
    # An empty score has no regression; the total effect is the same with any column in its place.
    score = jnp.where(empty, data.outcome, matmul(data.mediators, weights))
    # With one mediator the regression composite is that mediator.
    found = reg_exposure(route="gram")(None, single_mediator_data(data, score))
    effects = effects_of(found)
    total = effects["total"]
    none = {"direct": total, "indirect": 0 * total, "total": total}  # NaN stays NaN
    code = st.combine(found.status, jnp.int32(st.EMPTY_SELECTION))
    kept = {name: jnp.asarray(jnp.where(empty, none[name], effects[name])) for name in none}
    return kept | {STATUS: jnp.asarray(jnp.where(empty, code, found.status))}


def _rows(data: MediationData, rows: Array) -> MediationData:
    part = jax.tree.map(lambda x: x[rows], data)
    return part if data.weights is None else reweighted(part, jnp.ones_like(part.weights))
