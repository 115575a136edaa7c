"""A generator of one's own: four methods that draw from linear structural equations."""

from typing import NamedTuple

import jax

from jaxmed.typing import Array, Key


class LinearSimulator(NamedTuple):
    """M = T a + X g + s e,  Y = c T + M b + X h + r u  with e and u standard normal."""

    a: Array  # [p]
    b: Array  # [p]
    c: Array  # []
    g: Array  # [q, p]
    h: Array  # [q]
    s: Array  # [p]
    r: Array  # []

    def mediator_noise(self, key: Key, size: int) -> Array:
        """[n, p]."""
        return self.s * jax.random.normal(key, (size, *self.s.shape))

    def mediators(self, noise: Array, exposure: Array, covariates: Array) -> Array:
        """[n, p]."""
        return exposure[:, None] * self.a + covariates @ self.g + noise

    def outcome_noise(self, key: Key, size: int) -> Array:
        """[n]."""
        return self.r * jax.random.normal(key, (size,))

    def outcomes(self, noise: Array, exposure: Array, mediators: Array, covariates: Array) -> Array:
        """[n]."""
        return self.c * exposure + mediators @ self.b + covariates @ self.h + noise
