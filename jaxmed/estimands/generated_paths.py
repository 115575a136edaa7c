"""The paths of a chain as generators have them: of their coefficients, or of draws."""

from collections.abc import Callable

import jax.numpy as jnp

from jaxmed.data.mediation_data import MediationData, weights_of
from jaxmed.estimands.generated import generated_mean, over_seeds
from jaxmed.estimands.generator import Generator, LinearPart, PartiallyLinear, Trained
from jaxmed.estimators.parts.arms import Arms
from jaxmed.linalg.products import matmul
from jaxmed.typing import Array, Key

__all__ = ["generated_paths"]


def generated_paths(
    key: Key, own: Trained, data: MediationData, arms: Arms, link: Array, size: int, draws: int
) -> Array:
    """[5] the paths in the order of `chain.PATHS`, mean over the generators.

    Args:
      key: consumed.
      own: the generators.
      data: mediators of the first block, then of the second.
      arms: the exposures compared.
      link: D [p2, p1], of least squares.
      size: p1.
      draws: for each individual, from generators without `linear_part`.
    """

    def quantity(k: Key, one: Generator) -> Array:
        if isinstance(one, PartiallyLinear):
            return arms.width * _linear_paths(one.linear_part(), link, size)
        return _drawn_paths(k, one, data, arms, link, size, draws)

    return over_seeds(key, own, quantity, link.dtype)


def _linear_paths(part: LinearPart, link: Array, size: int) -> Array:
    """Per unit of exposure, from a, b and c."""
    chained = jnp.sum(part.beta[size:] * matmul(link, part.alpha[:size].astype(link.dtype)))
    first, second = part.indirect[:size].sum(), part.indirect[size:].sum()
    total = part.direct + first + second
    return jnp.stack([part.direct, first, second - chained, chained, total])


def _drawn_paths(
    key: Key,
    one: Generator,
    data: MediationData,
    arms: Arms,
    link: Array,
    size: int,
    draws: int,
) -> Array:
    """For the exposure's contrast, from mean outcomes that differ in one path each."""
    covariates, weights = jnp.asarray(data.covariates), weights_of(data)
    control, treated = (jnp.full_like(weights, arm) for arm in (arms.control, arms.treated))
    in_first = jnp.arange(data.mediators.shape[1]) < size

    def mean(exposure: Array, other: Array, seen: Callable[[Array, Array], Array]) -> Array:
        return generated_mean(
            key,
            one,
            covariates,
            weights,
            exposure,
            draws=draws,
            mediators=seen,
            mediator_exposure=other,
        )

    def unlinked(here: Array, there: Array) -> Array:
        return here.at[:, size:].add(-matmul((here - there)[:, :size], link.T))

    whole = mean(treated, control, lambda here, there: here)
    direct = whole - mean(control, treated, lambda here, there: there)
    first = whole - mean(treated, control, lambda here, there: jnp.where(in_first, there, here))
    second = whole - mean(treated, control, lambda here, there: jnp.where(in_first, here, there))
    chained = whole - mean(treated, control, unlinked)
    return jnp.stack([direct, first, second - chained, chained, direct + first + second])
