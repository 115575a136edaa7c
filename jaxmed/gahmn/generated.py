"""What trained generators say about a mean under an intervention."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp

from jaxmed.budget import check_count
from jaxmed.data.mediation_data import MediationData
from jaxmed.gahmn.collapse import fit_seeds
from jaxmed.gahmn.config import GahmnConfig
from jaxmed.gahmn.fitted import Fitted, one_seed
from jaxmed.gahmn.fitting import penalties
from jaxmed.gahmn.rows import check_rows
from jaxmed.gahmn.scaling import training_rows
from jaxmed.keys import as_key
from jaxmed.typing import Array, Key, pytree

__all__ = ["Generator", "Trained", "generated_mean", "over_seeds", "trained"]

# A configuration to train with, generators trained elsewhere, or None for no generators.
Generator = GahmnConfig | Fitted | None
_Mean = Callable[[Key, Fitted], Array]


@pytree
class Trained:
    """Generators with a leading axis of seeds, and what went wrong while they were trained."""

    fitted: Fitted
    status: Array  # [] most severe over seeds, 0 for generators trained elsewhere


def trained(key: Key, data: MediationData, generator: Generator, seeds: int = 1) -> Trained | None:
    """The generators that a function was asked for.

    Args:
      key: consumed.
      data: rows to train with.
      generator: configuration, `GahmnDetails.fitted` of an earlier fit to these columns, or None.
      seeds: trainings; of no consequence for a given fit.
    Raises:
      ValueError: fewer than 1 seed, or a fit to another number of mediators.
      ShapeError: too few rows to train with; InvalidDataError: too small an arm.
    """
    if generator is None:
        return None
    p = data.mediators.shape[1]
    if isinstance(generator, Fitted):
        if generator.scale.mediator.shape[-1] != p:
            count = generator.scale.mediator.shape[-1]
            raise ValueError(f"the generator was trained with {count} mediators, the data have {p}")
        if generator.generators.residual_scale.ndim == 1:
            stacked = jax.tree.map(lambda leaf: leaf[None], generator.generators)
            generator = replace(generator, generators=stacked)
        return Trained(generator, jnp.int32(0))
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, not {seeds}")
    check_rows(data)
    scale, ready = training_rows(data, generator.precision)
    fits, codes = fit_seeds(key, ready, generator, penalties(generator, p), seeds)
    return Trained(Fitted(scale, fits.generators, generator), jnp.max(codes))


def over_seeds(key: Key, found: Trained, quantity: _Mean, dtype: jnp.dtype) -> Array:
    """Mean over seeds of a quantity of one seed's generators.

    Args:
      key: consumed; the same for every seed.
      found: generators.
      quantity: (key, one seed) -> any array.
      dtype: of the answer.
    """
    count = found.fitted.generators.residual_scale.shape[0]
    values = jax.lax.map(lambda i: quantity(key, one_seed(found.fitted, i)), jnp.arange(count))
    return jnp.mean(values, axis=0).astype(dtype)


def generated_mean(
    key: Key,
    fitted: Fitted,
    covariates: Array,
    weights: Array,
    exposure: Array,
    *,
    draws: int,
    mediators: Callable[[Array, Array], Array] | None = None,
    mediator_exposure: Array | None = None,
) -> Array:
    """Mean outcome under an intervention, over rows and draws; scalar.

    The same key gives the same noise under every intervention, so that contrasts of two
    interventions have no noise of their own where the generators are partially linear.

    Args:
      key: consumed.
      fitted: one seed.
      covariates: [n, q] of the individuals.
      weights: [n] of the individuals in the mean.
      exposure: [n] that the outcome sees.
      draws: of mediators and outcome.
      mediators: (drawn at `exposure`, drawn at `mediator_exposure`) [n, p] -> what the outcome
        sees; the first if None.
      mediator_exposure: [n] of the second draw; `exposure` if None.
    """
    key = as_key(key)
    check_count("draws", draws)
    n = covariates.shape[0]
    other = exposure if mediator_exposure is None else mediator_exposure
    share = weights / jnp.sum(weights)

    def one(k: Key) -> Array:
        first, second = jax.random.split(k)
        noise = fitted.mediator_noise(first, n)
        seen = fitted.mediators(noise, exposure, covariates)
        if mediators is not None:
            seen = mediators(seen, fitted.mediators(noise, other, covariates))
        drawn = fitted.outcomes(fitted.outcome_noise(second, n), exposure, seen, covariates)
        return jnp.sum(share * drawn)

    return jnp.mean(jax.lax.map(one, jax.random.split(key, draws)))
