"""What generators say about a mean under an intervention."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmed.budget import check_count
from jaxmed.estimands.generator import Generator, Trained
from jaxmed.keys import as_key
from jaxmed.typing import Array, Key

__all__ = ["generated_mean", "over_seeds"]


def over_seeds(
    key: Key, found: Trained, quantity: Callable[[Key, Generator], Array], dtype: jnp.dtype
) -> Array:
    """Mean over generators of a quantity of one of them.

    Args:
      key: consumed; the same for every generator.
      found: generators.
      quantity: (key, one generator) -> any array.
      dtype: of the answer.
    """
    values = jax.lax.map(lambda i: quantity(key, found.one(i)), jnp.arange(found.count))
    return jnp.mean(values, axis=0).astype(dtype)


def generated_mean(
    key: Key,
    generator: Generator,
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
      generator: one.
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
        noise = generator.mediator_noise(first, n)
        seen = generator.mediators(noise, exposure, covariates)
        if mediators is not None:
            seen = mediators(seen, generator.mediators(noise, other, covariates))
        drawn = generator.outcomes(generator.outcome_noise(second, n), exposure, seen, covariates)
        return jnp.sum(share * drawn)

    return jnp.mean(jax.lax.map(one, jax.random.split(key, draws)))
