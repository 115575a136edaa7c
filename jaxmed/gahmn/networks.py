"""Generators and critics: `init(key) -> params`, `apply(params, ...)`; all O(p) in parameters.

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
CLIP = 4.0  # of what a critic sees of one mediator or residual


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


def clipped(x: Array) -> Array:
    """Near the identity around 0, within (-4, 4)."""
    return CLIP * jnp.tanh(x / CLIP)


def soft_arm(exposure: Array) -> Array:
    """Exposure centred between the two arms, [B, 1]."""
    return exposure[:, None] - 0.5


def _normal(key: Key, shape: tuple[int, ...], variance: float, dtype: Any) -> Array:
    return jnp.asarray(variance, dtype) ** 0.5 * jax.random.normal(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class PrintedMediators:
    """G_M: features of noise and covariates; exposure as a last channel of a 1x1 convolution.

    mediators = h(Z, X) W + bias + exposure * a.
    """

    config: GahmnConfig
    num_mediators: int
    num_covariates: int
    dtype: Any

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
            "map": _normal(second, (latent, p), 1 / latent, self.dtype),
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
class LocationScaleMediators:
    """Mean of covariates plus exposure * a plus s_k(exposure, covariates) times channel noise.

    The noise has mean 0, so that a_k is the mean effect; its variance may depend on the exposure,
    and it has p channels of its own, which the printed generator has not.
    """

    config: GahmnConfig
    num_mediators: int
    num_covariates: int
    dtype: Any

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
            "map": _normal(second, (latent, p), 1 / latent, self.dtype),
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
class OutcomeGenerator:
    """G_Y: features of noise and covariates; exposure and mediators enter the last layer."""

    config: GahmnConfig
    num_mediators: int
    num_covariates: int
    dtype: Any

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
            "map": _normal(second, (self.config.latent,), 1 / self.config.latent, self.dtype),
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


@dataclasses.dataclass(frozen=True)
class MediatorCritics:
    """p critics on one trunk: the log-ratio of two normal densities of one mediator.

    logit_k = phi W0_k + u_k phi W1_k + (u_k^2 - 1)/2 phi W2_k + o_k with u the clipped mediator
    and phi features of exposure and covariates. No two mediators meet in a logit: effects need
    the margins only, and the joint distribution is not learned here.
    """

    config: GahmnConfig
    num_mediators: int
    num_covariates: int
    dtype: Any

    @property
    def trunk(self) -> Perceptron:
        """Of exposure and covariates."""
        return Perceptron(self.config.critic_widths, slope=LEAK)

    def init(self, key: Key) -> Params:
        """Parameters."""
        keys = jax.random.split(key, 4)
        p, q = self.num_mediators, self.num_covariates
        features = self.config.critic_widths[-1] + q + 2
        maps = {
            name: _normal(k, (features, p), 0.1 / features, self.dtype)
            for name, k in zip(("level", "slope", "curvature"), keys[1:], strict=True)
        }
        trunk = self.trunk.init(keys[0], jnp.zeros((1, q + 1), self.dtype))
        return {"trunk": trunk, "offset": jnp.zeros(p, self.dtype), **maps}

    def logits(
        self, params: Params, mediators: tuple[Array, ...], exposure: Array, covariates: Array
    ) -> tuple[Array, ...]:
        """Logits [B, p] of several sets of mediators at the same exposure and covariates."""
        seen = jnp.concatenate([soft_arm(exposure), covariates], axis=1)
        one = jnp.ones_like(seen[:, :1])
        made = jnp.asarray(self.trunk.apply(params["trunk"], seen))
        features = jnp.concatenate([made, seen, one], axis=1)
        level = features @ params["level"] + params["offset"]
        slope, curvature = features @ params["slope"], features @ params["curvature"]

        def of(one_set: Array) -> Array:
            u = clipped(one_set)
            return level + u * slope + (u * u - 1) / 2 * curvature

        return tuple(of(one_set) for one_set in mediators)


@dataclasses.dataclass(frozen=True)
class DenseMediatorCritic:
    """D_M as printed: one network on all mediators, exposure and covariates, with p logits."""

    config: GahmnConfig
    num_mediators: int
    num_covariates: int
    dtype: Any

    @property
    def network(self) -> Perceptron:
        """Of everything."""
        widths = (*self.config.dense_mediator_critic, self.num_mediators)
        return Perceptron(widths, activate_last=False)

    def init(self, key: Key) -> Params:
        """Parameters."""
        width = self.num_mediators + self.num_covariates + 1
        return self.network.init(key, jnp.zeros((1, width), self.dtype))

    def logits(
        self, params: Params, mediators: tuple[Array, ...], exposure: Array, covariates: Array
    ) -> tuple[Array, ...]:
        """Logits [B, p] of several sets of mediators at the same exposure and covariates."""
        rest = (soft_arm(exposure), covariates)
        return tuple(
            jnp.asarray(self.network.apply(params, jnp.concatenate([m, *rest], axis=1)))
            for m in mediators
        )


@dataclasses.dataclass(frozen=True)
class ResidualCritic:
    """Critic of outcome minus linear part, with a clipped term for every mediator.

    logit = MLP(r, exposure, covariates) + 4 tanh(r/4) mediators . v, r twice the residual.
    """

    config: GahmnConfig
    num_mediators: int
    num_covariates: int
    dtype: Any

    @property
    def network(self) -> Perceptron:
        """Of residual, exposure and covariates."""
        return Perceptron((*self.config.critic_widths, 1), slope=LEAK, activate_last=False)

    def init(self, key: Key) -> Params:
        """Parameters; v starts at 0."""
        inputs = jnp.zeros((1, self.num_covariates + 2), self.dtype)
        return {
            "network": self.network.init(key, inputs),
            "mediators": jnp.zeros(self.num_mediators, self.dtype),
        }

    def logits(
        self,
        params: Params,
        outcomes: tuple[Array, ...],
        linear: Array,
        exposure: Array,
        mediators: Array,
        covariates: Array,
    ) -> tuple[Array, ...]:
        """Logits [B] of several outcomes; `linear` [B] is b.M + c T, held constant."""
        moved = mediators @ params["mediators"]

        def of(outcome: Array) -> Array:
            r = 2 * (outcome - linear)
            seen = jnp.concatenate([r[:, None], soft_arm(exposure), covariates], axis=1)
            flat = jnp.asarray(self.network.apply(params["network"], seen))[:, 0]
            return flat + clipped(r) * moved

        return tuple(of(outcome) for outcome in outcomes)


@dataclasses.dataclass(frozen=True)
class DenseOutcomeCritic:
    """D_Y as printed: one network on outcome, mediators, exposure and covariates."""

    config: GahmnConfig
    num_mediators: int
    num_covariates: int
    dtype: Any

    @property
    def network(self) -> Perceptron:
        """Of everything."""
        return Perceptron((*self.config.critic_widths, 1), activate_last=False)

    def init(self, key: Key) -> Params:
        """Parameters."""
        width = self.num_mediators + self.num_covariates + 2
        return self.network.init(key, jnp.zeros((1, width), self.dtype))

    def logits(
        self,
        params: Params,
        outcomes: tuple[Array, ...],
        linear: Array,
        exposure: Array,
        mediators: Array,
        covariates: Array,
    ) -> tuple[Array, ...]:
        """Logits [B] of several outcomes; `linear` is not looked at."""
        del linear
        rest = (mediators, soft_arm(exposure), covariates)
        return tuple(
            jnp.asarray(self.network.apply(params, jnp.concatenate([y[:, None], *rest], axis=1)))[
                :, 0
            ]
            for y in outcomes
        )


def mediator_generator(config: GahmnConfig, p: int, q: int, dtype: Any) -> MediatorGenerator:
    """The generator that the configuration names."""
    kind = PrintedMediators if config.noise == "printed" else LocationScaleMediators
    return kind(config, p, q, dtype)


def mediator_critic(
    config: GahmnConfig, p: int, q: int, dtype: Any
) -> MediatorCritics | DenseMediatorCritic:
    """The critic that the configuration names."""
    kind = MediatorCritics if config.mediator_critic == "per_mediator" else DenseMediatorCritic
    return kind(config, p, q, dtype)


def outcome_critic(
    config: GahmnConfig, p: int, q: int, dtype: Any
) -> ResidualCritic | DenseOutcomeCritic:
    """The critic that the configuration names."""
    kind = ResidualCritic if config.outcome_critic == "residual" else DenseOutcomeCritic
    return kind(config, p, q, dtype)
