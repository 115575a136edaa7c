"""Critics of either generator: `init(key) -> params`, `logits(params, ...)`; all of size O(p).

Source: Zhang et al. (2026) for the dense ones; the per-mediator and the residual critic:
specification of GAHMN, sections 3 and 8.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxmed.gahmn.config import GahmnConfig
from jaxmed.gahmn.networks import LEAK, Params, Perceptron, Sized, normal, soft_arm
from jaxmed.typing import Array, Key

__all__ = [
    "DenseMediatorCritic",
    "DenseOutcomeCritic",
    "MediatorCritics",
    "ResidualCritic",
    "mediator_critic",
    "outcome_critic",
]

CLIP = 4.0  # of what a critic sees of one mediator or residual


def clipped(x: Array) -> Array:
    """Near the identity around 0, within (-4, 4)."""
    return CLIP * jnp.tanh(x / CLIP)


@dataclasses.dataclass(frozen=True)
class MediatorCritics(Sized):
    """p critics on one trunk: the log-ratio of two normal densities of one mediator.

    logit_k = phi W0_k + u_k phi W1_k + (u_k^2 - 1)/2 phi W2_k + o_k with u the clipped mediator
    and phi features of exposure and covariates. No two mediators meet in a logit: effects need
    the margins only, and the joint distribution is not learned here.
    """

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
            name: normal(k, (features, p), 0.1 / features, self.dtype)
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
class DenseMediatorCritic(Sized):
    """D_M as printed: one network on all mediators, exposure and covariates, with p logits."""

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
class ResidualCritic(Sized):
    """Critic of outcome minus linear part, with a clipped term for every mediator.

    logit = MLP(r, exposure, covariates) + 4 tanh(r/4) mediators . v, r twice the residual.
    """

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
class DenseOutcomeCritic(Sized):
    """D_Y as printed: one network on outcome, mediators, exposure and covariates."""

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
