"""Generators: `init(key) -> params`, `apply(params, ...)`; all O(p) in parameters.

The only file that names flax. Arrays in and out are batches: exposure [B] on the scale where the
two arms are 0 and 1, covariates [B, q], mediators [B, p].

Source: Zhang et al. (2026), sections on the two generators; initial weights and the per-mediator
critic: specification of GAHMN, sections 3 and 8.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxmed.gahmn.config import GahmnConfig
from jaxmed.typing import Array, Key

Params = Any  # nested dict of arrays
LEAK = 0.2


class Perceptron(nn.Module):
    """Dense layers; the last one starts smaller. Negative slope 0 is relu."""

    widths: tuple[int, ...]
    slope: float = 0.0
    activate_last: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[B, d] -> [B, widths[-1]]."""
        last = len(self.widths) - 1
        for i, width in enumerate(self.widths):
            start = nn.initializers.variance_scaling(0.98 if i == last else 2.0, "fan_in", "normal")
            x = nn.Dense(width, kernel_init=start, param_dtype=x.dtype, dtype=x.dtype)(x)
            if i < last or self.activate_last:
                x = nn.leaky_relu(x, self.slope)
        return x


def soft_arm(exposure: Array) -> Array:
    """Exposure centred between the two arms, [B, 1]."""
    return exposure[:, None] - 0.5


def normal(key: Key, shape: tuple[int, ...], variance: float, dtype: Any) -> Array:
    """Normal numbers of mean 0: initial weights."""
    return jnp.asarray(variance, dtype) ** 0.5 * jax.random.normal(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class Sized:
    """What every network is made for."""

    config: GahmnConfig
    num_mediators: int
    num_covariates: int
    dtype: Any


@dataclasses.dataclass(frozen=True)
class PrintedMediators(Sized):
    """G_M: features of noise and covariates; exposure as a last channel of a 1x1 convolution.

    mediators = h(Z, X) W + bias + exposure * a.
    """

    @property
    def trunk(self) -> Perceptron:
        """Of noise and covariates."""
        return Perceptron((*self.config.hidden, self.config.latent))

    def init(self, key: Key) -> Params:
        """Parameters; a starts at 0."""
        first, second = jax.random.split(key)
        inputs = self.config.noise_inputs + self.num_covariates
        p, latent = self.num_mediators, self.config.latent
        return {
            "trunk": self.trunk.init(first, jnp.zeros((1, inputs), self.dtype)),
            "map": normal(second, (latent, p), 1 / latent, self.dtype),
            "bias": jnp.zeros(p, self.dtype),
            "exposure": jnp.zeros(p, self.dtype),
        }

    def noise(self, key: Key, size: int) -> Array:
        """Standard normals of `size` rows."""
        return jax.random.normal(key, (size, self.config.noise_inputs), self.dtype)

    def apply(self, params: Params, noise: Array, exposure: Array, covariates: Array) -> Array:
        """One draw of the mediators [B, p]."""
        features = self.trunk.apply(params["trunk"], jnp.concatenate([noise, covariates], axis=1))
        flat = features @ params["map"] + params["bias"]
        return flat + exposure[:, None] * params["exposure"]

    def mean_noise(self, key: Key) -> Array | None:
        """Draws behind the conditional mean."""
        return self.noise(key, self.config.mean_draws)

    def mean(
        self, params: Params, draws: Array | None, exposure: Array, covariates: Array
    ) -> Array:
        """Conditional mean [B, p] over the rows of `draws`, the same for every row."""
        size = exposure.shape[0]

        def features(noise: Array) -> Array:
            repeated = jnp.broadcast_to(noise, (size, noise.shape[0]))
            return self.trunk.apply(
                params["trunk"], jnp.concatenate([repeated, covariates], axis=1)
            )  # pyright: ignore[reportReturnType]

        flat = jnp.mean(jax.lax.map(features, draws), axis=0) @ params["map"] + params["bias"]
        return flat + exposure[:, None] * params["exposure"]


@dataclasses.dataclass(frozen=True)
class LocationScaleMediators(Sized):
    """Mean of covariates plus exposure * a plus s_k(exposure, covariates) times channel noise.

    The noise has mean 0, so that a_k is the mean effect; its variance may depend on the exposure,
    and it has p channels of its own, which the printed generator has not.
    """

    @property
    def trunk(self) -> Perceptron:
        """Of the covariates."""
        return Perceptron((*self.config.hidden, self.config.latent))

    @property
    def spread(self) -> Perceptron:
        """Of covariates and exposure."""
        return Perceptron((32, 16), slope=LEAK)

    def init(self, key: Key) -> Params:
        """Parameters; a starts at 0 and every scale at exp(-1)."""
        first, second, third = jax.random.split(key, 3)
        p, q, latent = self.num_mediators, self.num_covariates, self.config.latent
        return {
            "trunk": self.trunk.init(first, jnp.zeros((1, q), self.dtype)),
            "map": normal(second, (latent, p), 1 / latent, self.dtype),
            "bias": jnp.zeros(p, self.dtype),
            "exposure": jnp.zeros(p, self.dtype),
            "spread": self.spread.init(third, jnp.zeros((1, q + 1), self.dtype)),
            "spread_map": jnp.zeros((16, p), self.dtype),
        }

    def noise(self, key: Key, size: int) -> Array:
        """Independent standard normals [size, p]: the critics see one mediator at a time."""
        return jax.random.normal(key, (size, self.num_mediators), self.dtype)

    def mean_noise(self, key: Key) -> Array | None:
        """None: the mean is exact."""
        del key
        return None

    def scale(self, params: Params, exposure: Array, covariates: Array) -> Array:
        """Conditional standard deviation [B, p], between exp(-3) and e."""
        inputs = jnp.concatenate([covariates, soft_arm(exposure)], axis=1)
        hidden = self.spread.apply(params["spread"], inputs)
        return jnp.exp(2 * jnp.tanh(hidden @ params["spread_map"] / 2) - 1)

    def apply(self, params: Params, noise: Array, exposure: Array, covariates: Array) -> Array:
        """One draw of the mediators [B, p]."""
        spread = self.scale(params, exposure, covariates) * noise
        return self.mean(params, None, exposure, covariates) + spread

    def mean(
        self, params: Params, draws: Array | None, exposure: Array, covariates: Array
    ) -> Array:
        """Conditional mean [B, p]; needs no draws."""
        del draws
        flat = self.trunk.apply(params["trunk"], covariates) @ params["map"] + params["bias"]
        return flat + exposure[:, None] * params["exposure"]


MediatorGenerator = PrintedMediators | LocationScaleMediators


@dataclasses.dataclass(frozen=True)
class OutcomeGenerator(Sized):
    """G_Y: features of noise and covariates; exposure and mediators enter the last layer."""

    @property
    def trunk(self) -> Perceptron:
        """Of noise and covariates."""
        return Perceptron((*self.config.hidden, self.config.latent))

    def init(self, key: Key) -> Params:
        """Parameters; b and c start at 0."""
        first, second = jax.random.split(key)
        inputs = self.config.noise_inputs + self.num_covariates
        return {
            "trunk": self.trunk.init(first, jnp.zeros((1, inputs), self.dtype)),
            "map": normal(second, (self.config.latent,), 1 / self.config.latent, self.dtype),
            "bias": jnp.zeros((), self.dtype),
            "exposure": jnp.zeros((), self.dtype),
            "mediators": jnp.zeros(self.num_mediators, self.dtype),
        }

    def noise(self, key: Key, size: int) -> Array:
        """Standard normals of `size` rows."""
        return jax.random.normal(key, (size, self.config.noise_inputs), self.dtype)

    def curve(self, params: Params, noise: Array, covariates: Array) -> Array:
        """What neither exposure nor mediators enter, [B]."""
        features = self.trunk.apply(params["trunk"], jnp.concatenate([noise, covariates], axis=1))
        return features @ params["map"] + params["bias"]

    def apply(
        self, params: Params, noise: Array, exposure: Array, mediators: Array, covariates: Array
    ) -> Array:
        """One draw of the outcome [B]."""
        linear = exposure * params["exposure"] + mediators @ params["mediators"]
        return self.curve(params, noise, covariates) + linear


def mediator_generator(config: GahmnConfig, p: int, q: int, dtype: Any) -> MediatorGenerator:
    """The generator that the configuration names."""
    kind = PrintedMediators if config.noise == "printed" else LocationScaleMediators
    return kind(config, p, q, dtype)
