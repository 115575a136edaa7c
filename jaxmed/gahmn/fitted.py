"""Trained generators with their scale: draws of mediators and outcomes in the data's units."""

from dataclasses import replace

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimands.generator import LinearPart, Trained
from jaxmed.gahmn.config import GahmnConfig
from jaxmed.gahmn.fitting import Generators
from jaxmed.gahmn.networks import MediatorGenerator, OutcomeGenerator, mediator_generator
from jaxmed.gahmn.scaling import Scale
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, Key, pytree, static

__all__ = ["Fitted", "linear_part", "one_seed"]


@pytree
class Fitted:
    """Trained generators; leaves of `generators` may have a leading axis of seeds.

    Methods take one seed (`one_seed`), exposures and covariates in their units, and give
    mediators and outcomes in theirs: one seed is a `jaxmed.estimands.Generator`.
    """

    scale: Scale
    generators: Generators
    config: GahmnConfig = static()

    def trained(self, key: Key, data: MediationData, seeds: int = 1) -> Trained:
        """The seeds that it has, for an estimand of these data; `key` and `seeds` change nothing.

        Raises:
          ValueError: it was trained with another number of mediators.
        """
        del key, seeds
        count, p = self.scale.mediator.shape[-1], data.mediators.shape[1]
        if count != p:
            raise ValueError(f"the generator was trained with {count} mediators, the data have {p}")
        many = self
        if self.generators.residual_scale.ndim == 1:
            stacked = jax.tree.map(lambda leaf: leaf[None], self.generators)
            many = replace(self, generators=stacked)
        seeds_there = many.generators.residual_scale.shape[0]
        return Trained(seeds_there, lambda seed: one_seed(many, seed), jnp.int32(st.OK))

    def linear_part(self) -> LinearPart:
        """a, b and c in the data's units; leaves keep a leading axis of seeds."""
        return linear_part(self)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.scale.mediator.shape[-1], max(self.scale.covariate.shape[-1], 1)

    @property
    def _dtype(self) -> jnp.dtype:
        return self.generators.residual_scale.dtype

    @property
    def mediator_network(self) -> MediatorGenerator:
        """G_M."""
        return mediator_generator(self.config, *self._shape, self._dtype)

    @property
    def outcome_network(self) -> OutcomeGenerator:
        """G_Y."""
        return OutcomeGenerator(self.config, *self._shape, self._dtype)

    def _seen(self, exposure: Array, covariates: Array) -> tuple[Array, Array]:
        exposure, covariates = jnp.asarray(exposure), jnp.asarray(covariates)
        return (
            self.scale.exposures(exposure).astype(self._dtype),
            self.scale.covariates(covariates).astype(self._dtype),
        )

    def mediator_noise(self, key: Key, size: int) -> Array:
        """Noise of `size` rows; of location-scale channels with their correlation."""
        rows, near = self.generators.noise_rows, self.generators.neighbour
        if rows is not None:
            # Normal with exactly the correlation of the n rows: O(n p), no matrix [p, p].
            return jax.random.normal(key, (size, rows.shape[0]), rows.dtype) @ rows
        if near is None:
            return self.mediator_network.noise(key, size)
        fresh = jax.random.normal(key, (near.shape[0], size), near.dtype)

        def step(before: Array, new: tuple[Array, Array]) -> tuple[Array, Array]:
            weight, own = new
            now = weight * before + sqrt(1 - weight * weight) * own
            return now, now

        _, drawn = jax.lax.scan(step, jnp.zeros_like(fresh[0]), (near, fresh))
        return drawn.T

    def mediators(self, noise: Array, exposure: Array, covariates: Array) -> Array:
        """One draw [B, p] given noise from `mediator_noise`."""
        t, x = self._seen(exposure, covariates)
        drawn = self.mediator_network.apply(self.generators.mediator, noise, t, x)
        return self.scale.mediators_back(drawn)

    def mediator_mean(self, exposure: Array, covariates: Array) -> Array:
        """Conditional mean [B, p]."""
        t, x = self._seen(exposure, covariates)
        draws = self.generators.mean_draws
        mean = self.mediator_network.mean(self.generators.mediator, draws, t, x)
        return self.scale.mediators_back(mean)

    def outcome_noise(self, key: Key, size: int) -> Array:
        """Noise of `size` rows."""
        return self.outcome_network.noise(key, size)

    def seen_mediators(self, mediators: Array, covariates: Array) -> Array:
        """Mediators [B, p] as the outcome generator sees them: scaled, residualised if it is so."""
        seen = self.scale.mediators_seen(jnp.asarray(mediators)).astype(self._dtype)
        if not self.config.residualise:
            return seen
        nobody = jnp.full(seen.shape[0], self.scale.arms.control)
        t, x = self._seen(nobody, covariates)
        draws = self.generators.mean_draws
        curve = self.mediator_network.mean(self.generators.mediator, draws, t, x)
        return divide(seen - curve, self.generators.residual_scale)

    def outcomes_of_seen(
        self, noise: Array, exposure: Array, seen: Array, covariates: Array
    ) -> Array:
        """One draw [B] given mediators from `seen_mediators`."""
        t, x = self._seen(exposure, covariates)
        drawn = self.outcome_network.apply(self.generators.outcome, noise, t, seen, x)
        return self.scale.outcome_back(drawn)

    def outcomes(self, noise: Array, exposure: Array, mediators: Array, covariates: Array) -> Array:
        """One draw [B] given mediators [B, p]."""
        seen = self.seen_mediators(mediators, covariates)
        return self.outcomes_of_seen(noise, exposure, seen, covariates)

    def outcome_mean(
        self, key: Key, exposure: Array, mediators: Array, covariates: Array, count: int = 32
    ) -> Array:
        """Conditional mean [B] over `count` draws of the noise."""
        size = jnp.shape(exposure)[0]
        seen = self.seen_mediators(mediators, covariates)

        def one(k: Key) -> Array:
            return self.outcomes_of_seen(self.outcome_noise(k, size), exposure, seen, covariates)

        return jnp.mean(jax.lax.map(one, jax.random.split(key, count)), axis=0)


def one_seed(fitted: Fitted, seed: int | Array) -> Fitted:
    """The generators of one seed."""
    chosen = jax.tree.map(lambda leaf: leaf[seed], fitted.generators)
    return Fitted(fitted.scale, chosen, fitted.config)


def linear_part(fitted: Fitted) -> LinearPart:
    """a, b and c in the data's units; leaves keep a leading axis of seeds."""
    scale, found = fitted.scale, fitted.generators
    width = scale.arms.width
    dtype = scale.mediator.dtype
    a = found.mediator["exposure"].astype(dtype) * divide(scale.mediator, width)
    b = divide(found.outcome["mediators"].astype(dtype), found.residual_scale.astype(dtype))
    c = found.outcome["exposure"].astype(dtype) * divide(scale.outcome, width)
    return LinearPart(a, b * divide(scale.outcome, scale.mediator), c)
