"""The protocol of the application: learn composites on training rows, judge them on held-out ones.

`analysis.evaluate` does this for one data set; here it is one traced program, so that splits can
be repeated in a sweep, and the weights come out, which the figure needs.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.data.train_test import part_strata
from jaxmed.estimators.marginal import single_mediator_data
from jaxmed.estimators.single_score import judge_score, predict_score
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.index import maxcor
from jaxmed.geometry.paths import paths
from jaxmed.linalg.products import matmul
from jaxmed.sparse.cross_validated import gaussian_lasso_cv
from jaxmed.sparse.folds import assign_folds
from jaxmed.statistics.score_ranks import GROUPS
from jaxmed.typing import Array, Key

__all__ = [
    "HOLDOUT",
    "METHODS",
    "judge",
    "learn",
    "learn_closed",
    "learn_lassos",
    "rows_of",
    "split",
]

HOLDOUT = 0.3  # of the rows
METHODS: Mapping[str, str] = {
    "maxie": "MaxIE",
    "maxcor": "MaxCor",
    "lasso_exposure": "Lasso-Age",
    "lasso_outcome": "Lasso-Y",
}


def split(key: Key, strata: tuple[Array, ...]) -> tuple[Array, Array]:
    """Row numbers of the training and the test part, 70 to 30 within every stratum.

    Args:
      key: PRNG key; consumed.
      strata: row numbers of each stratum, so that a rare outcome is in both parts.
    """
    keys = jax.random.split(key, len(strata))
    ordered = [jax.random.permutation(k, rows) for k, rows in zip(keys, strata, strict=True)]
    train, test = part_strata(ordered, HOLDOUT)
    return jnp.concatenate(train), jnp.concatenate(test)


def rows_of(data: MediationData, rows: Array | np.ndarray) -> MediationData:
    """Some rows of the data, without names."""
    part = jax.tree.map(lambda values: values[rows], data)
    return MediationData(
        part.exposure, part.mediators, part.outcome, part.covariates, None, Names()
    )


def learn(
    key: Key, train: MediationData, *, folds: int = 10, num_penalties: int = 100
) -> dict[str, Array]:
    """Weights [p] of every method, from standardised training rows; the key is consumed."""
    lassos = learn_lassos(key, train, folds=folds, num_penalties=num_penalties)
    return learn_closed(train) | lassos


def learn_closed(train: MediationData) -> dict[str, Array]:
    """Weights [p] of the concordant MaxIE and MaxCor composites."""
    found = paths(train)
    return {
        "maxie": jnp.asarray(maxie(found, sign=1).weights),
        "maxcor": jnp.asarray(maxcor(found, sign=1).weights),
    }


def learn_lassos(
    key: Key, train: MediationData, *, folds: int = 10, num_penalties: int = 100
) -> dict[str, Array]:
    """Weights [p] of the lassos of the exposure and of the outcome, linear also for a 0/1 outcome.

    The paper works with linear models throughout. One program fits both responses in turn.
    """
    keys = jax.random.split(key)
    responses = jnp.stack([train.exposure, train.outcome])

    def one(item: tuple[Key, Array]) -> Array:
        fold_key, response = item
        assigned = assign_folds(fold_key, response.shape[0], folds)
        path = gaussian_lasso_cv(
            train.mediators,
            response,
            train.covariates,
            assigned,
            folds,
            num_penalties=num_penalties,
        )
        return path.at(path.index_minimum).coefficients

    exposure, outcome = jax.lax.map(one, (keys, responses))
    return {"lasso_exposure": exposure, "lasso_outcome": outcome}


def judge(data: MediationData, weights: Array, level: float = 0.95) -> dict[str, Array]:
    """The paper's columns for one composite on some rows, as scalars.

    Args:
      data: rows whose mediators are standardised like the training rows.
      weights: [p], oriented so that the composite grows with the exposure on the training rows.
      level: of the interval of the indirect effect, which is valid on rows not learned on.

    Returns:
      Scalars by name, NaN where no mediator has a weight; "fifth_1" to "fifth_5" are outcome means
      by fifths of the composite given the exposure.
    """
    score = matmul(data.mediators, weights)
    found = judge_score(single_mediator_data(data, score), level)
    for name in ("status", "total_error", "total_lower", "total_upper"):
        del found[name]
    slope = found.pop("slope")
    found["tracking"] = found["exposure_correlation"] ** 2
    found["auc"], fifths = predict_score(data, score, slope)
    found |= {f"fifth_{g + 1}": fifths[g] for g in range(GROUPS)}
    usable = jnp.any(weights != 0)
    return {
        name: jnp.where(usable | (name == "total"), value, jnp.nan) for name, value in found.items()
    }
