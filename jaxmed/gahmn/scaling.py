"""The scale that networks see: mediators, outcome and covariates of mean 0 and unit spread."""

import jax.numpy as jnp

from jaxmed.data.mediation_data import MediationData, weights_of
from jaxmed.estimators.parts.arms import Arms, arms_of
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, pytree

__all__ = ["Scale", "Scaled", "scale_of", "scaled", "training_rows"]

DISTINCT = 1e-6  # of the larger of mean square and range: less spread is a constant column


@pytree
class Scale:
    """How to come back from the networks' scale."""

    arms: Arms
    mediator_mean: Array  # [p]
    mediator: Array  # [p] standard deviations, 0 for constant ones
    outcome_mean: Array  # []
    outcome: Array  # []
    covariate_mean: Array  # [q]
    covariate: Array  # [q]
    valid: Array  # [p] bool, not constant

    def exposures(self, exposure: Array) -> Array:
        """Exposures in their units, as the networks see them: control 0, treated 1."""
        return divide(exposure - self.arms.control, self.arms.width)

    def covariates(self, covariates: Array) -> Array:
        """Covariates in their units, as the networks see them."""
        return _padded(divide(covariates - self.covariate_mean, self.covariate))

    def mediators_seen(self, mediators: Array) -> Array:
        """Mediators in their units, as the networks see them."""
        return divide(mediators - self.mediator_mean, self.mediator)

    def mediators_back(self, mediators: Array) -> Array:
        """Mediators as the networks make them, in their units."""
        return self.mediator_mean + mediators * self.mediator

    def outcome_back(self, outcome: Array) -> Array:
        """Outcomes as the networks make them, in their units."""
        return self.outcome_mean + outcome * self.outcome


@pytree
class Scaled:
    """Training data as the networks see them."""

    exposure: Array  # [n] control 0, treated 1
    mediators: Array  # [n, p] mean 0, sd 1; constant ones 0
    outcome: Array  # [n] mean 0, sd 1
    covariates: Array  # [n, max(q, 1)] mean 0, sd 1; a column of zeros where there are none
    weights: Array  # [n] mean 1
    valid: Array  # [p] bool, not constant

    @property
    def shape(self) -> tuple[int, int]:
        """(p, covariates as the networks see them)."""
        return self.mediators.shape[1], self.covariates.shape[1]

    def rows(self, index: Array) -> "Scaled":
        """Some rows, on the same scale."""
        return Scaled(
            self.exposure[index],
            self.mediators[index],
            self.outcome[index],
            self.covariates[index],
            self.weights[index],
            self.valid,
        )


def _padded(covariates: Array) -> Array:
    if covariates.shape[1]:
        return covariates
    return jnp.zeros((covariates.shape[0], 1), covariates.dtype)


def _moments(columns: Array, weights: Array) -> tuple[Array, Array]:
    """Mean and standard deviation (0 for constant columns)."""
    count = jnp.sum(weights)
    mean = matmul(weights, columns) / count
    spread = sqrt(matmul(weights, (columns - mean) ** 2) / count)
    floor = DISTINCT * jnp.maximum(jnp.abs(mean), jnp.finfo(columns.dtype).tiny)
    return mean, jnp.where(spread > floor, spread, 0)


def scale_of(data: MediationData, arms: Arms | None = None) -> Scale:
    """The scale of a data set, in its precision.

    Args:
      data: traced or concrete.
      arms: exposures to compare; `arms_of` the data if None.
    """
    exposure = jnp.asarray(data.exposure)
    weights = weights_of(data)
    mean, spread = _moments(jnp.asarray(data.mediators), weights)
    y_mean, y_spread = _moments(jnp.asarray(data.outcome)[:, None], weights)
    x_mean, x_spread = _moments(jnp.asarray(data.covariates), weights)
    return Scale(
        arms_of(exposure, weights) if arms is None else arms,
        mean,
        spread,
        y_mean[0],
        y_spread[0],
        x_mean,
        x_spread,
        spread > 0,
    )


def scaled(data: MediationData, scale: Scale, dtype: jnp.dtype) -> Scaled:
    """Data as the networks see them, in the precision of the training."""
    weights = weights_of(data)
    return Scaled(
        scale.exposures(jnp.asarray(data.exposure)).astype(dtype),
        scale.mediators_seen(jnp.asarray(data.mediators)).astype(dtype),
        divide(jnp.asarray(data.outcome) - scale.outcome_mean, scale.outcome).astype(dtype),
        scale.covariates(jnp.asarray(data.covariates)).astype(dtype),
        (weights / jnp.mean(weights)).astype(dtype),
        scale.valid,
    )


def training_rows(
    data: MediationData, precision: str, arms: tuple[float, float] | None = None
) -> tuple[Scale, Scaled]:
    """The scale of a data set and its rows as the networks see them.

    Args:
      data: traced or concrete.
      precision: of the training, see `GahmnConfig`.
      arms: control and treated exposure; `arms_of` the data if None.
    """
    scale = scale_of(data, None if arms is None else Arms(*map(jnp.asarray, arms)))
    dtype = jnp.dtype(jnp.float32) if precision == "float32" else scale.outcome.dtype
    return scale, scaled(data, scale, dtype)
