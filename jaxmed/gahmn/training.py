"""One block's training: Adam on the critic, Adam on the generator, then the proximal step.

Step t draws everything from fold_in(key, t), so that a run in one piece, in chunks, resumed or
longer is the same run.

Source: Zhang et al. (2026), the three steps of the algorithm; what the third one is, in two
metrics: specification of GAHMN, sections 1 and 8.
"""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from jaxmed.gahmn.config import WINDOW, BlockConfig
from jaxmed.gahmn.networks import Params
from jaxmed.gahmn.scaling import Scaled
from jaxmed.linalg.prox import soft_threshold
from jaxmed.typing import Array, Key, pytree

__all__ = ["Block", "BlockState", "Curve", "begin", "thresholded", "train"]

FIRST, SECOND, EPS = 0.5, 0.999, 1e-8  # of Adam
LINEAR = ("exposure", "mediators")  # leaves with the rate of the linear part


class Block(Protocol):
    """What differs between the mediator and the outcome block."""

    @property
    def config(self) -> BlockConfig:
        """Of the training."""
        ...

    @property
    def linear(self) -> str:
        """The leaf under the penalty: "exposure" (a) or "mediators" (b)."""
        ...

    def init(self, key: Key) -> tuple[Params, Params]:
        """Parameters of generator and critic."""
        ...

    def draw(self, params: Params, key: Key, batch: Scaled) -> Array:
        """One draw of the generator at the rows."""
        ...

    def critic_loss(self, critic: Params, params: Params, batch: Scaled, fake: Array) -> Array:
        """Of the critic, with the generator held."""
        ...

    def generator_loss(self, params: Params, critic: Params, key: Key, batch: Scaled) -> Array:
        """Of the generator, with the critic held."""
        ...


@pytree
class BlockState:
    """Everything the next step needs."""

    key: Key
    step: Array  # [] int32, steps done
    generator: Params
    critic: Params
    generator_moments: Any  # of Adam
    critic_moments: Any
    average: Params  # of the generator, exponential
    support: Array  # [p] bool, of the leaf under the penalty


class Curve(NamedTuple):
    """Learning curves, one entry for each window of 50 steps."""

    critic: Array  # [W] mean loss
    critic_highest: Array  # [W] largest loss
    generator: Array  # [W] mean loss
    largest: Array  # [W] largest |coefficient| under the penalty at its end


_adam: Any = optax.scale_by_adam(FIRST, SECOND, EPS)


def begin(
    block: Block, key: Key, start: dict[str, Array] | None = None, support: Array | None = None
) -> BlockState:
    """The state before the first step.

    Args:
      block: what is trained.
      key: consumed; initial weights and all later draws.
      start: leaves of the generator that start elsewhere (the warm start of b and c).
      support: [p] that the leaf under the penalty is confined to; all if None.
    """
    first, second = jax.random.split(key)
    generator, critic = block.init(first)
    generator = {**generator, **(start or {})}
    if support is None:
        support = jnp.ones(generator[block.linear].shape, bool)
    return BlockState(
        second,
        jnp.int32(0),
        generator,
        critic,
        _adam.init(generator),
        _adam.init(critic),
        generator,
        support,
    )


def thresholded(value: Array, rate: Array, penalty: Array, second: Array, metric: str) -> Array:
    """The proximal step on the coefficients of an l1 norm.

    Args:
      value: coefficients after Adam's step.
      rate: of that step.
      penalty: lambda.
      second: Adam's bias-corrected second moments of the same coefficients.
      metric: "adam" for the prox in Adam's metric, "plain" for the Euclidean one.
    """
    if metric == "adam":
        return soft_threshold(value, rate * penalty / (jnp.sqrt(second) + EPS))
    return soft_threshold(value, rate * penalty)


def _batch(data: Scaled, key: Key, size: int) -> Scaled:
    return data.rows(jax.random.randint(key, (size,), 0, data.exposure.shape[0]))


def _rate(config: BlockConfig, step: Array) -> Array:
    """Of the generator."""
    if not config.cosine:
        return jnp.asarray(config.generator_rate)
    fall = 0.01 + 0.99 * (1 + jnp.cos(jnp.pi * step / config.steps)) / 2
    return config.generator_rate * fall


def one_step(
    block: Block, data: Scaled, penalty: Array, state: BlockState
) -> tuple[BlockState, tuple[Array, Array]]:
    """Step `state.step`: critic, generator, threshold, support, average."""
    config, t = block.config, state.step
    rows, first, second = jax.random.split(jax.random.fold_in(state.key, t), 3)
    batch = _batch(data, rows, config.batch)

    fake = block.draw(state.generator, first, batch)
    critic_loss, slope = jax.value_and_grad(block.critic_loss)(
        state.critic, state.generator, batch, fake
    )
    move, critic_moments = _adam.update(slope, state.critic_moments)
    critic = jax.tree.map(lambda x, d: x - config.critic_rate * d, state.critic, move)

    generator_loss, slope = jax.value_and_grad(block.generator_loss)(
        state.generator, critic, second, batch
    )
    move, generator_moments = _adam.update(slope, state.generator_moments)
    rate = _rate(config, t).astype(batch.outcome.dtype)
    generator = {
        name: jax.tree.map(
            lambda x, d, r=rate * (config.linear_rate if name in LINEAR else 1): x - r * d,
            state.generator[name],
            move[name],
        )
        for name in state.generator
    }

    own: Array = jnp.asarray(generator[block.linear])
    freeze = config.steps + 1 if config.freeze is None else round(config.freeze * config.steps)
    frozen = jnp.asarray(t >= freeze)
    seen = generator_moments.nu[block.linear] / (1 - SECOND ** (t + 1).astype(own.dtype))
    shrunk = thresholded(
        own, rate * config.linear_rate, penalty.astype(own.dtype), seen, config.metric
    )
    own = jnp.where(frozen, jnp.where(state.support, own, 0), shrunk)
    # The support of step `freeze` - 1 is the last one that is looked at.
    support = jnp.where(frozen, state.support, own != 0)
    generator = {**generator, block.linear: own}

    begun = t >= round(config.average_from * config.steps)
    average = jax.tree.map(
        lambda kept, new: jnp.where(begun, config.decay * kept + (1 - config.decay) * new, new),
        state.average,
        generator,
    )
    after = BlockState(
        state.key, t + 1, generator, critic, generator_moments, critic_moments, average, support
    )
    return after, (critic_loss, generator_loss)


def train(
    block: Block, data: Scaled, penalty: Array, state: BlockState, windows: int
) -> tuple[BlockState, Curve]:
    """So many windows of 50 steps.

    Args:
      block: what is trained.
      data: training rows.
      penalty: lambda [], already divided by p where the metric asks for it.
      state: from `begin` or an earlier call.
      windows: static.
    Returns:
      The state after them, and the curves [windows].
    """

    def window(state: BlockState, _: None) -> tuple[BlockState, Curve]:
        state, (critic, generator) = jax.lax.scan(
            lambda s, _: one_step(block, data, penalty, s), state, length=WINDOW
        )
        largest = jnp.max(jnp.abs(state.generator[block.linear]))
        return state, Curve(jnp.mean(critic), jnp.max(critic), jnp.mean(generator), largest)

    return jax.lax.scan(window, state, length=windows)
