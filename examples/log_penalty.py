"""A penalty that the library does not have: the logarithm of a coefficient's size.

level * width * log(1 + |b| / width), which shrinks large coefficients less than the lasso. A user's
file, made from docs/write_a_penalty.md; Candes, Wakin and Boyd (2008), JFAA 14, 877.
"""

import jax.numpy as jnp

from jaxmed.typing import Array, pytree


@pytree
class LogPenalty:
    """level width log(1 + |b| / width); the slope at 0 is level, as the lasso's."""

    level: Array  # [p] >= 0
    width: Array  # [p] > 0

    @property
    def is_convex(self) -> bool:
        """False."""
        return False

    def minimiser(self, pull: Array, curvature: Array) -> Array:
        """The larger root of the stationarity condition, or 0 where that is lower."""
        size = jnp.abs(pull)
        middle = (size - curvature * self.width) / (2 * curvature)
        inside = middle**2 + (size - self.level) * self.width / curvature
        root = jnp.maximum(middle + jnp.sqrt(jnp.maximum(inside, 0)), 0)
        objective = (curvature * root / 2 - size) * root + self.value(root)
        return jnp.sign(pull) * jnp.where((inside >= 0) & (objective < 0), root, 0)

    def value(self, size: Array) -> Array:
        """At |b| = size."""
        return self.level * self.width * jnp.log1p(size / self.width)

    def slope(self, size: Array) -> Array:
        """Falls from level to 0."""
        return self.level * self.width / (self.width + size)

    def bend(self, size: Array) -> Array:
        """Below 0."""
        return -self.level * self.width / (self.width + size) ** 2

    def kinks(self) -> tuple[Array, ...]:
        """None but 0."""
        return ()
