"""Section 8's application on a simulated biobank of the paper's size."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.analysis.fit import fit
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.train_test import on_scale
from jaxmed.data.transforms import standardise
from jaxmed.simulate.biobank import (
    Biobank,
    biobank,
    biobank_truth,
    optimal_weights,
    population_indirect,
    sample_biobank,
)
from jaxmed.statistics.score_ranks import area_under_curve
from jaxmed.studies.optimal_composite.biobank_report import (
    SMALL_ROWS,
    report,
    small_model,
)
from jaxmed.studies.optimal_composite.columns import scaled
from jaxmed.studies.optimal_composite.holdout import (
    judge,
    learn_closed,
    learn_lassos,
    rows_of,
    split,
)
from jaxmed.studies.study import Study
from jaxmed.sweeps.task import Cell, Scores, Task
from jaxmed.typing import Array, Key

__all__ = ["BIOBANK", "NUM_MEDIATORS", "NUM_ROWS", "learned", "run"]

NUM_ROWS, NUM_MEDIATORS = 38_383, 2_916
_LEAST_ROWS, _LEAST_MEDIATORS = 4_000, 200
FOLDS = 5
SMALL_COUNT = 400
_SHOWN = 400  # persons of each status in panel (a)


def cells(scale: float) -> list[Cell]:
    """Small biobanks with the paper's ratio of persons to proteins, drawn again and again."""
    count = scaled(SMALL_COUNT, scale, 20)
    return [Cell("small", small_task(), small_model(), count, chunk=10)]


@functools.cache
def small_task() -> Task:
    """One small biobank: MaxIE and MaxCor learned on 70 %, their effects there, held out, true."""

    def task(key: Key, model: Biobank) -> Scores:
        data_key, split_key = jax.random.split(key)
        data = sample_biobank(data_key, model, SMALL_ROWS)
        train_rows, test_rows = split(split_key, (jnp.arange(SMALL_ROWS),))
        train, scales = standardise(rows_of(data, train_rows))
        test = on_scale(rows_of(data, test_rows), scales)
        scores: Scores = {}
        for method, weights in learn_closed(train).items():
            for part, rows in (("train", train), ("test", test)):
                judged = judge(rows, weights)
                scores |= {f"{method}/{part} {k}": judged[k] for k in ("indirect", "index")}
            scores[f"{method}/population"] = population_indirect(model, scales.per_unit(weights))
        return scores

    return task


def once(key: Key, scale: float) -> Mapping[str, Any]:
    """One biobank, of the paper's size at scale 1."""
    n = scaled(NUM_ROWS, scale, _LEAST_ROWS)
    return run(key, n, scaled(NUM_MEDIATORS, scale, _LEAST_MEDIATORS))


def run(key: Key, n: int, p: int) -> dict[str, Any]:
    """Generates, splits, learns and judges; the key is consumed.

    Args:
      key: PRNG key.
      n: persons.
      p: proteins.

    Returns:
      JSON values: sizes, truth, one row per method and part, population effects, and the points
      of the figure.
    """
    keys = jax.random.split(key, 4)
    model = jax.jit(biobank, static_argnums=1)(keys[0], p)
    data: MediationData = jax.tree.map(
        np.asarray, jax.jit(sample_biobank, static_argnums=2)(keys[1], model, n)
    )
    outcome = np.asarray(data.outcome)
    strata = tuple(jnp.asarray(np.flatnonzero(outcome == value)) for value in (0, 1))
    train_rows, test_rows = (np.sort(np.asarray(rows)) for rows in split(keys[2], strata))
    train, scales = standardise(rows_of(data, train_rows))
    test = on_scale(rows_of(data, test_rows), scales)
    del data
    weights, cosine = learned(keys[3], train)
    parts = {"train": train, "test": test}
    judged = {
        method: {part: _judged(rows, w) for part, rows in parts.items()}
        for method, w in weights.items()
    }
    return {
        "sizes": {"n": n, "p": p, "train": len(train_rows), "test": len(test_rows)},
        "cases": {part: int(np.sum(rows.outcome)) for part, rows in parts.items()},
        "test_of_alignment": cosine,
        "judged": judged,
        "selected": {method: int(np.count_nonzero(w)) for method, w in weights.items()},
        "population": _population(
            model, {m: scales.per_unit(jnp.asarray(w)) for m, w in weights.items()}
        ),
        "age_auc": float(area_under_curve(test.exposure, test.outcome)),
        "points": _points(test, weights["maxie"]),
    }


def learned(key: Key, train: MediationData) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Weights of every method, and the cosine test; closed forms by host BLAS, lassos compiled."""
    result = fit(train, methods=("maxie", "maxcor"))
    closed = {
        m: np.asarray(result.composites[f"{m}_concordant"].weights) for m in ("maxie", "maxcor")
    }
    lassos = jax.jit(functools.partial(learn_lassos, folds=FOLDS))(key, train)
    assert result.cosine is not None  # p > 1
    cosine = {
        "cosine": float(result.cosine.cosine),
        "statistic": float(result.cosine.statistic),
        "p_value": float(result.cosine.p_value),
        "joint_p_value": float(result.joint.p_value),
    }
    return closed | {name: np.asarray(w) for name, w in lassos.items()}, cosine


@jax.jit
def _judge(data: MediationData, weights: Array) -> dict[str, Array]:
    return judge(data, weights)


def _judged(data: MediationData, weights: np.ndarray) -> dict[str, float]:
    return {name: float(value) for name, value in _judge(data, jnp.asarray(weights)).items()}


def _population(model: Biobank, weights: Mapping[str, Array]) -> dict[str, float]:
    """True effects, and what each learned composite, by weights per unit, is worth there."""
    truth = biobank_truth(model)
    found = {
        "prevalence": model.prevalence,
        "total": truth.total,
        "total_indirect": truth.total_indirect,
        "concordant": truth.concordant,
        "suppression": truth.suppression,
        "cosine": truth.cosine,
        "optimal": population_indirect(model, optimal_weights(model)),
    }
    found |= {m: population_indirect(model, w) for m, w in weights.items()}
    return {name: float(value) for name, value in found.items()}


def _points(test: MediationData, weights: np.ndarray) -> dict[str, list[float]]:
    """Age and standardised composite of the first persons of either status."""
    score = np.asarray(test.mediators) @ weights
    score = (score - score.mean()) / score.std()
    outcome = np.asarray(test.outcome)
    rows = np.concatenate([np.flatnonzero(outcome == v)[:_SHOWN] for v in (0, 1)])
    age = np.asarray(test.exposure)[rows]
    return {"age": age.tolist(), "score": score[rows].tolist(), "case": outcome[rows].tolist()}


BIOBANK = Study(
    name="optimal-composite/biobank",
    title="Application on a simulated biobank: age, proteins and a rare diagnosis",
    cells=cells,
    report=report,
    once=once,
    precision="float32",
)
