"""The two blocks that are trained: mediators given exposure, outcome given both."""

import dataclasses

import jax
import jax.numpy as jnp

from jaxmed.gahmn.config import BlockConfig, GahmnConfig
from jaxmed.gahmn.critics import (
    DenseMediatorCritic,
    DenseOutcomeCritic,
    MediatorCritics,
    ResidualCritic,
    mediator_critic,
    outcome_critic,
)
from jaxmed.gahmn.losses import conditional_mean_loss, critic_loss, generator_loss
from jaxmed.gahmn.networks import (
    MediatorGenerator,
    OutcomeGenerator,
    Params,
    mediator_generator,
)
from jaxmed.gahmn.scaling import Scaled
from jaxmed.typing import Array, Key

__all__ = ["MediatorBlock", "OutcomeBlock", "mediator_block", "outcome_block"]


@dataclasses.dataclass(frozen=True)
class MediatorBlock:
    """Problem (3): generator of the mediators against its critic; the penalty is on a."""

    config: BlockConfig
    generator: MediatorGenerator
    critic: MediatorCritics | DenseMediatorCritic
    linear: str = "exposure"

    def init(self, key: Key) -> tuple[Params, Params]:
        """Parameters of generator and critic."""
        first, second = jax.random.split(key)
        return self.generator.init(first), self.critic.init(second)

    def draw(self, params: Params, key: Key, batch: Scaled) -> Array:
        """Mediators [B, p] at the rows."""
        noise = self.generator.noise(key, batch.exposure.shape[0])
        return self.generator.apply(params, noise, batch.exposure, batch.covariates)

    def critic_loss(self, critic: Params, params: Params, batch: Scaled, fake: Array) -> Array:
        """Cross-entropy of data and draws, mean over mediators that are not constant."""
        del params
        logits = self.critic.logits(
            critic, (batch.mediators, fake), batch.exposure, batch.covariates
        )
        return critic_loss(logits[0], logits[1], batch.weights, batch.valid)

    def generator_loss(self, params: Params, critic: Params, key: Key, batch: Scaled) -> Array:
        """Of new draws at the same rows."""
        fake = self.draw(params, key, batch)
        (logits,) = self.critic.logits(critic, (fake,), batch.exposure, batch.covariates)
        return generator_loss(logits, batch.weights, self.config.loss, batch.valid)


@dataclasses.dataclass(frozen=True)
class OutcomeBlock:
    """Problem (6): generator of the outcome against its critic; the penalty is on b.

    The mediators of a batch are those that the block sees, residualised or not.
    """

    config: BlockConfig
    generator: OutcomeGenerator
    critic: ResidualCritic | DenseOutcomeCritic
    mean_loss: float
    linear: str = "mediators"

    def init(self, key: Key) -> tuple[Params, Params]:
        """Parameters of generator and critic."""
        first, second = jax.random.split(key)
        return self.generator.init(first), self.critic.init(second)

    def draw(self, params: Params, key: Key, batch: Scaled) -> Array:
        """Outcomes [B] at the rows."""
        noise = self.generator.noise(key, batch.exposure.shape[0])
        return self.generator.apply(
            params, noise, batch.exposure, batch.mediators, batch.covariates
        )

    def _logits(
        self, critic: Params, params: Params, batch: Scaled, outcomes: tuple[Array, ...]
    ) -> tuple[Array, ...]:
        linear = batch.mediators @ params["mediators"] + batch.exposure * params["exposure"]
        return self.critic.logits(
            critic,
            outcomes,
            jax.lax.stop_gradient(linear),
            batch.exposure,
            batch.mediators,
            batch.covariates,
        )

    def critic_loss(self, critic: Params, params: Params, batch: Scaled, fake: Array) -> Array:
        """Cross-entropy of data and draws."""
        real, drawn = self._logits(critic, params, batch, (batch.outcome, fake))
        return critic_loss(real, drawn, batch.weights)

    def generator_loss(self, params: Params, critic: Params, key: Key, batch: Scaled) -> Array:
        """Of new draws at the same rows, and the conditional-mean loss of two draws."""
        first, second = jax.random.split(key)
        fake = self.draw(params, first, batch)
        (logits,) = self._logits(critic, params, batch, (fake,))
        loss = generator_loss(logits, batch.weights, self.config.loss)
        if self.mean_loss:
            other = self.draw(params, second, batch)
            square = conditional_mean_loss(batch.outcome, fake, other, batch.weights)
            loss = loss + self.mean_loss * square
        return loss


def mediator_block(config: GahmnConfig, p: int, q: int, dtype: jnp.dtype) -> MediatorBlock:
    """The mediator block of a configuration, for p mediators and q covariates as seen."""
    return MediatorBlock(
        config.mediator,
        mediator_generator(config, p, q, dtype),
        mediator_critic(config, p, q, dtype),
    )


def outcome_block(config: GahmnConfig, p: int, q: int, dtype: jnp.dtype) -> OutcomeBlock:
    """The outcome block of a configuration."""
    return OutcomeBlock(
        config.outcome,
        OutcomeGenerator(config, p, q, dtype),
        outcome_critic(config, p, q, dtype),
        config.mean_loss,
    )
