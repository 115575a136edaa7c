"""What may stand in `generator=` of an estimand: four methods, or one that trains.

An estimand is estimated without any generator. One that is given adds a column: what its draws
say about the same quantity. Nothing here knows how a generator came to be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.budget import said
from jaxmed.data.mediation_data import MediationData
from jaxmed.typing import Array, Key, pytree

__all__ = ["Generator", "LinearPart", "PartiallyLinear", "Trainable", "Trained", "generators_of"]


@runtime_checkable
class Generator(Protocol):
    """Draws of mediators and outcomes for given individuals, in the units of the data.

    The methods are traced: they are made of JAX operations, and the same noise gives the same
    draw. Noise is any pytree; contrasts of two interventions see the same one.
    """

    def mediator_noise(self, key: Key, size: int) -> Any:
        """Noise of `size` rows for `mediators`."""
        ...

    def mediators(self, noise: Any, exposure: Array, covariates: Array) -> Array:
        """Mediators [n, p] of rows with these exposures [n] and covariates [n, q]."""
        ...

    def outcome_noise(self, key: Key, size: int) -> Any:
        """Noise of `size` rows for `outcomes`."""
        ...

    def outcomes(self, noise: Any, exposure: Array, mediators: Array, covariates: Array) -> Array:
        """Outcomes [n] of rows with these exposures, mediators [n, p] and covariates."""
        ...


@runtime_checkable
class Trainable(Protocol):
    """What becomes generators when it sees data: a `GahmnConfig`, or a `Fitted` of many seeds."""

    def trained(self, key: Key, data: MediationData, seeds: int) -> "Trained":
        """Generators for these columns; `key` is consumed."""
        ...


@pytree
class LinearPart:
    """The linear coefficients of a partially linear generator, in the data's units."""

    alpha: Array  # [..., p] a: mediator per unit of exposure
    beta: Array  # [..., p] b: outcome per unit of the mediator
    direct: Array  # [...] c: outcome per unit of exposure

    @property
    def indirect(self) -> Array:
        """Indirect effect of every mediator, [..., p]."""
        return self.alpha * self.beta


@runtime_checkable
class PartiallyLinear(Protocol):
    """A generator that knows its linear coefficients, where draws would round them.

    The method is optional: `chain` takes means over draws of a generator without it. For networks
    in float32 these differ from the coefficients in the fifth digit.
    """

    def linear_part(self) -> LinearPart:
        """a, b and c."""
        ...


@dataclass(frozen=True)
class Trained:
    """Several generators of one kind, and what went wrong while they were trained.

    Attributes:
      count: of the generators.
      one: the generator of a number from 0 to count - 1, which may be traced.
      status: [] int32, most severe over the trainings; OK where nothing was trained.
    """

    count: int
    one: Callable[[Array], Generator]
    status: Array


def generators_of(
    key: Key, data: MediationData, generator: Generator | Trainable, seeds: int
) -> Trained:
    """The generators that an estimand was asked for.

    Args:
      key: consumed.
      data: rows to train with.
      generator: with a method `trained` it is asked for generators; else it is one.
      seeds: trainings; of no consequence where nothing is trained.
    Raises:
      ValueError: neither kind, or draws of other shapes than the data have. What a training
        refuses is its own.
    """
    if not isinstance(generator, type):
        if isinstance(generator, Trainable):
            return generator.trained(key, data, seeds)
        if isinstance(generator, Generator):
            _check_shapes(key, data, generator)
            return Trained(1, lambda _: generator, jnp.int32(st.OK))
    raise ValueError(
        f"generator must be None, a configuration such as jaxmed.gahmn.improved(), a fit, or an "
        f"object with the four methods of jaxmed.estimands.Generator, not {said(generator)}"
    )


def _check_shapes(key: Key, data: MediationData, generator: Generator) -> None:
    """Refuses draws of other shapes, which would be broadcast to a wrong mean."""
    n, p = data.mediators.shape

    def once(k: Key, exposure: Array, covariates: Array) -> tuple[Array, Array]:
        drawn = generator.mediators(generator.mediator_noise(k, n), exposure, covariates)
        noise = generator.outcome_noise(k, n)
        return drawn, generator.outcomes(noise, exposure, drawn, covariates)

    mediators, outcomes = jax.eval_shape(once, key, data.exposure, data.covariates)
    if (mediators.shape, outcomes.shape) != ((n, p), (n,)):
        raise ValueError(
            f"for these data a generator must draw mediators [{n}, {p}] and outcomes [{n}], not "
            f"{list(mediators.shape)} and {list(outcomes.shape)}"
        )
