"""The protocol of the application: learn composites on training rows, judge them on held-out ones.

`analysis.evaluate` does this for one data set; here it is one traced program, so that splits can
be repeated in a sweep, and the weights come out, which the figure needs.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.estimators.lasso_kernel import assign_folds, gaussian_lasso_cv
from jaxmed.estimators.marginal import single_mediator_data
from jaxmed.estimators.single_score import judge_score
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.index import maxcor
from jaxmed.geometry.paths import paths
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, Key, pytree

__all__ = [
    "FIFTHS",
    "HOLDOUT",
    "METHODS",
    "Scaling",
    "area_under_curve",
    "judge",
    "learn",
    "learn_closed",
    "learn_lassos",
    "rows_of",
    "scaling_of",
    "split",
    "standardised",
]

HOLDOUT = 0.3  # of the rows
FIFTHS = 5
METHODS: Mapping[str, str] = {
    "maxie": "MaxIE",
    "maxcor": "MaxCor",
    "lasso_exposure": "Lasso-Age",
    "lasso_outcome": "Lasso-Y",
}


@pytree
class Scaling:
    """Means and standard deviations of the training mediators."""

    mean: Array  # [p]
    sd: Array  # [p]


def split(key: Key, strata: tuple[Array, ...]) -> tuple[Array, Array]:
    """Row numbers of the training and the test part, 70 to 30 within every stratum.

    Args:
      key: PRNG key; consumed.
      strata: row numbers of each stratum, so that a rare outcome is in both parts.
    """
    train, test = [], []
    for stratum, part in zip(strata, jax.random.split(key, len(strata)), strict=True):
        order = jax.random.permutation(part, stratum)
        held = round(HOLDOUT * stratum.shape[0])
        test.append(order[:held])
        train.append(order[held:])
    return jnp.concatenate(train), jnp.concatenate(test)


def rows_of(data: MediationData, rows: Array | np.ndarray) -> MediationData:
    """Some rows of the data, without names."""
    part = jax.tree.map(lambda values: values[rows], data)
    return MediationData(
        part.exposure, part.mediators, part.outcome, part.covariates, None, Names()
    )


def scaling_of(train: MediationData) -> Scaling:
    """Means and standard deviations of the training mediators."""
    return Scaling(jnp.mean(train.mediators, axis=0), jnp.std(train.mediators, axis=0))


def standardised(data: MediationData, scaling: Scaling) -> MediationData:
    """Mediators on the scale of the training rows; a constant one is 0."""
    mediators = divide(data.mediators - scaling.mean, scaling.sd)
    return MediationData(data.exposure, mediators, data.outcome, data.covariates, None, Names())


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
            train.mediators, response, train.covariates, assigned, folds,
            num_penalties=num_penalties,
        )  # fmt: skip
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
    found["auc"] = area_under_curve(score, data.outcome)
    found |= _fifths(score - slope * data.exposure, data.outcome)
    usable = jnp.any(weights != 0)
    return {
        name: jnp.where(usable | (name == "total"), value, jnp.nan) for name, value in found.items()
    }


def area_under_curve(score: Array, outcome: Array) -> Array:
    """Share of case-control pairs that the score orders correctly; NaN unless both are there.

    Scores are continuous: pairs with the same score are not looked after.
    """
    ranks = _ranks(score).astype(score.dtype)
    cases = outcome > 0.5
    positives = jnp.sum(cases).astype(score.dtype)
    negatives = score.shape[0] - positives
    least = positives * (positives - 1) / 2
    area = divide(jnp.sum(jnp.where(cases, ranks, 0)) - least, positives * negatives, jnp.nan)
    binary = jnp.all((outcome == 0) | (outcome == 1))
    return jnp.where(binary, area, jnp.nan)


def _ranks(values: Array) -> Array:
    """0 for the smallest."""
    order = jnp.argsort(values)
    return jnp.zeros_like(order).at[order].set(jnp.arange(order.shape[0]))


def _fifths(residual: Array, outcome: Array) -> dict[str, Array]:
    group = _ranks(residual) * FIFTHS // residual.shape[0]
    means = [
        jnp.sum(jnp.where(group == g, outcome, 0)) / jnp.sum(group == g) for g in range(FIFTHS)
    ]
    return {f"fifth_{g + 1}": mean for g, mean in enumerate(means)}
