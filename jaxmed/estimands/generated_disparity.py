"""A disparity and its parts as generators have them, by draws."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.data.mediation_data import MediationData, weights_of
from jaxmed.estimands.generated import generated_mean, over_seeds
from jaxmed.estimands.generator import Generator, Trained
from jaxmed.estimators.parts.arms import Arms
from jaxmed.typing import Array, Key, pytree

__all__ = ["GeneratedDisparity", "generated_disparity"]


@pytree
class GeneratedDisparity:
    """The same by generated counterfactuals: means over seeds, individuals and draws."""

    disparity: Array  # [] both groups, each with its own covariates
    parts: Array  # [J] E[Y(1, M_S(1), M_-S(1))] - E[Y(1, M_S(0), M_-S(1))], X of group 1
    union: Array  # [] the same for all sets at once
    gap: Array  # [] union - sum of the parts


def generated_disparity(
    key: Key,
    own: Trained,
    data: MediationData,
    arms: Arms,
    members: Array | np.ndarray,
    draws: int,
) -> GeneratedDisparity:
    """Disparity and parts, means over the generators.

    Args:
      key: consumed.
      own: the generators.
      data: all rows.
      arms: the two groups.
      members: [J, p] bool, the sets.
      draws: for each individual.
    """
    covariates, weights = jnp.asarray(data.covariates), weights_of(data)
    exposure = jnp.asarray(data.exposure)
    rows = jnp.concatenate([members, jnp.any(members, axis=0, keepdims=True)])
    control = jnp.full_like(exposure, arms.control)
    treated = jnp.full_like(exposure, arms.treated)
    first = weights * (exposure == arms.treated)

    def quantity(k: Key, one: Generator) -> Array:
        as_is = generated_mean(k, one, covariates, first, treated, draws=draws)
        other = generated_mean(k, one, covariates, weights - first, control, draws=draws)

        def through(row: Array) -> Array:
            without = generated_mean(
                k,
                one,
                covariates,
                first,
                treated,
                draws=draws,
                mediators=lambda here, there: jnp.where(row, there, here),
                mediator_exposure=control,
            )
            return as_is - without

        return jnp.concatenate([(as_is - other)[None], jax.lax.map(through, rows)])

    values = over_seeds(key, own, quantity, exposure.dtype)
    parts, union = values[1:-1], values[-1]
    return GeneratedDisparity(values[0], parts, union, union - jnp.sum(parts))
