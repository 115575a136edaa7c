"""Gram matrices of columns scaled to mean square 1: what penalised stages work on."""

import jax.numpy as jnp

from jaxmed.estimators.parts.legs import Legs
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.statistics.base_span import is_constant
from jaxmed.typing import Array, pytree


@pytree
class StandardisedGram:
    """Second moments over n of columns with mean square 1 and a centred outcome."""

    gram: Array  # [d, d]; zero rows for columns without spread
    score: Array  # [d] X'y/n
    outcome_ss: Array  # [] y'y/n
    scale: Array  # [d] root mean square of each column before, 0 without spread
    count: Array  # [] n

    def original(self, coefficients: Array) -> Array:
        """Coefficients [..., d] per original unit of each column."""
        return divide(coefficients, self.scale)


def standardised_gram(columns: Array, outcome: Array, weights: Array) -> StandardisedGram:
    """Of centred columns [n, d] and outcome [n] under case weights [n]; zero columns stay zero."""
    count = jnp.sum(weights)
    scale = sqrt(matmul(weights, columns * columns) / count)
    scaled = divide(columns, scale)
    return StandardisedGram(
        gram(jnp.sqrt(weights / count)[:, None] * scaled),
        matmul(weights * outcome, scaled) / count,
        jnp.sum(weights * outcome * outcome) / count,
        scale,
        count,
    )


def centred_gram(columns: Array, outcome: Array, weights: Array) -> StandardisedGram:
    """Centres columns [n, d] and outcome [n] first; columns that are constant become zero."""
    count = jnp.sum(weights)
    centred = columns - matmul(weights, columns)[None, :] / count
    constant = is_constant(weights, centred, columns)
    outcome = outcome - jnp.sum(weights * outcome) / count
    return standardised_gram(jnp.where(constant, 0, centred), outcome, weights)


def partial_gram(legs: Legs, index: Array) -> StandardisedGram:
    """Mediators `index` [d] and outcome, both given outcome covariates and exposure."""
    return standardised_gram(legs.mediators[:, index], legs.outcome, legs.rows.weights)
