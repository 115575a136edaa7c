"""Penalties of single coefficients, as the descent asks for them.

A penalty is a pytree of arrays [p] (one entry per coefficient: adaptive weights are levels of
their own) with `is_convex` and five elementwise methods. A new one is a class like these:
`minimiser` for the sweeps, `slope` for the certificate, `bend` and `kinks` for Newton steps on the
piece at hand, `value` for objectives (line searches, longer Newton steps). Everything else (active
lists, warm starts, paths, likelihoods, stopping) is the descent's.
"""

from typing import Protocol, TypeVar

import jax
import jax.numpy as jnp

from jaxmed.linalg.prox import soft_threshold
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree, static


class Penalty(Protocol):
    """P_j(|b_j|), with P_j(0) = 0 and a derivative on each of finitely many pieces."""

    @property
    def is_convex(self) -> bool:
        """Whether every P_j is convex."""
        ...

    def minimiser(self, pull: Array, curvature: Array) -> Array:
        """argmin_b curvature b^2 / 2 - pull b + P(|b|), elementwise; curvature > 0."""
        ...

    def value(self, size: Array) -> Array:
        """P at |b| = size."""
        ...

    def slope(self, size: Array) -> Array:
        """P' at |b| = size, from the right; at 0 what a score must exceed to enter."""
        ...

    def bend(self, size: Array) -> Array:
        """P'' of the piece that begins at or holds `size`."""
        ...

    def kinks(self) -> tuple[Array, ...]:
        """Sizes other than 0 at which one piece ends and another begins."""
        ...


P = TypeVar("P", bound=Penalty)


def at(penalty: P, places: Array) -> P:
    """The penalty of one coefficient, or of some."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[places], penalty)


@pytree
class L1:
    """Lasso: level |b|. Level 0 leaves a coefficient free."""

    level: Array  # [p] >= 0

    @property
    def is_convex(self) -> bool:
        """True."""
        return True

    def minimiser(self, pull: Array, curvature: Array) -> Array:
        """Soft threshold."""
        step = 1 / curvature
        return soft_threshold(step * pull, self.level, step)

    def value(self, size: Array) -> Array:
        """See `Penalty`."""
        return self.level * size

    def slope(self, size: Array) -> Array:
        """See `Penalty`."""
        return jnp.broadcast_to(self.level, size.shape)

    def bend(self, size: Array) -> Array:
        """See `Penalty`."""
        return jnp.zeros_like(size)

    def kinks(self) -> tuple[Array, ...]:
        """None."""
        return ()


@pytree
class ElasticNet:
    """level |b| + ridge b^2 / 2. Source: Zou and Hastie (2005)."""

    level: Array  # [p] >= 0
    ridge: Array  # [p] >= 0

    @property
    def is_convex(self) -> bool:
        """True."""
        return True

    def minimiser(self, pull: Array, curvature: Array) -> Array:
        """Soft threshold, shrunk."""
        return soft_threshold(pull, self.level) / (curvature + self.ridge)

    def value(self, size: Array) -> Array:
        """See `Penalty`."""
        return (self.level + self.ridge * size / 2) * size

    def slope(self, size: Array) -> Array:
        """See `Penalty`."""
        return self.level + self.ridge * size

    def bend(self, size: Array) -> Array:
        """See `Penalty`."""
        return jnp.broadcast_to(self.ridge, size.shape)

    def kinks(self) -> tuple[Array, ...]:
        """None."""
        return ()


@pytree
class Mcp:
    """level |b| - b^2 / (2 gamma) up to gamma level, constant beyond.

    One coefficient is a convex problem where its curvature is above 1 / gamma; elsewhere its
    minimum jumps from 0 to where the penalty is constant (`Rescaled` avoids that).
    Source: Zhang (2010), Annals of Statistics 38, 894.
    """

    level: Array  # [p] >= 0
    gamma: float = static(default=3.0)

    @property
    def is_convex(self) -> bool:
        """False."""
        return False

    def minimiser(self, pull: Array, curvature: Array) -> Array:
        """Firm threshold; a hard one where the problem is not convex."""
        room = curvature - 1 / self.gamma
        inner = soft_threshold(pull, self.level) / jnp.where(room > 0, room, 1)
        # Where it is not convex 0 and the constant part compete.
        reach = jnp.sqrt(self.gamma * curvature)
        jump = self.level * jnp.where(room > 0, self.gamma * curvature, reach)
        return jnp.where(jnp.abs(pull) > jump, pull / curvature, jnp.where(room > 0, inner, 0))

    def value(self, size: Array) -> Array:
        """See `Penalty`."""
        inner = (self.level - size / (2 * self.gamma)) * size
        return jnp.where(size < self.gamma * self.level, inner, self.gamma * self.level**2 / 2)

    def slope(self, size: Array) -> Array:
        """See `Penalty`."""
        return jnp.maximum(self.level - size / self.gamma, 0)

    def bend(self, size: Array) -> Array:
        """See `Penalty`."""
        return jnp.where(size < self.gamma * self.level, -1 / self.gamma, 0).astype(size.dtype)

    def kinks(self) -> tuple[Array, ...]:
        """Where it becomes constant."""
        return (self.gamma * self.level,)


@pytree
class Scad:
    """level |b| up to level, a parabola up to gamma level, constant beyond.

    One coefficient is a convex problem where its curvature is above 1 / (gamma - 1); elsewhere its
    minimum jumps over the parabola.
    Source: Fan and Li (2001), JASA 96, 1348.
    """

    level: Array  # [p] >= 0
    gamma: float = static(default=3.7)

    @property
    def is_convex(self) -> bool:
        """False."""
        return False

    def minimiser(self, pull: Array, curvature: Array) -> Array:
        """Three pieces; two where the problem is not convex."""
        g, level, size = self.gamma, self.level, jnp.abs(pull)
        room = curvature - 1 / (g - 1)
        inner = soft_threshold(pull, level) / curvature
        middle = soft_threshold(pull, g / (g - 1) * level) / jnp.where(room > 0, room, 1)
        found = jnp.where(size <= (1 + curvature) * level, inner, middle)
        convex = jnp.where(size > g * level * curvature, pull / curvature, found)
        near = jnp.minimum(jnp.abs(inner), level)
        far = jnp.maximum(size / curvature, g * level)
        low, high = ((curvature * b / 2 - size) * b + self.value(b) for b in (near, far))
        return jnp.where(room > 0, convex, jnp.sign(pull) * jnp.where(high < low, far, near))

    def value(self, size: Array) -> Array:
        """See `Penalty`."""
        g, level = self.gamma, self.level
        middle = (2 * g * level * size - size**2 - level**2) / (2 * (g - 1))
        inner = jnp.where(size < level, level * size, middle)
        return jnp.where(size < g * level, inner, level**2 * (g + 1) / 2)

    def slope(self, size: Array) -> Array:
        """See `Penalty`."""
        falling = jnp.maximum(self.gamma * self.level - size, 0) / (self.gamma - 1)
        return jnp.minimum(self.level, falling)

    def bend(self, size: Array) -> Array:
        """See `Penalty`."""
        falls = (size >= self.level) & (size < self.gamma * self.level)
        return jnp.where(falls, -1 / (self.gamma - 1), 0).astype(size.dtype)

    def kinks(self) -> tuple[Array, ...]:
        """Both ends of the parabola."""
        return (self.level, self.gamma * self.level)


@pytree
class Rescaled:
    """P(v |b|) / v of a penalty P for columns of unit curvature, v the column's own curvature.

    Without it a logistic coefficient (v <= 1/4) under MCP with gamma = 3 has no convex problem even
    alone. Where v depends on the coefficients, solutions are fixed points, not minima.
    Source: Breheny and Huang (2011), adaptive rescaling.
    """

    inner: Penalty
    curvature: Array  # [p] v

    @property
    def is_convex(self) -> bool:
        """That of the penalty."""
        return self.inner.is_convex

    def minimiser(self, pull: Array, curvature: Array) -> Array:
        """See `Penalty`."""
        return divide(self.inner.minimiser(pull, jnp.ones_like(pull)), curvature)

    def value(self, size: Array) -> Array:
        """See `Penalty`."""
        return divide(self.inner.value(self.curvature * size), self.curvature)

    def slope(self, size: Array) -> Array:
        """See `Penalty`."""
        return self.inner.slope(self.curvature * size)

    def bend(self, size: Array) -> Array:
        """See `Penalty`."""
        return self.curvature * self.inner.bend(self.curvature * size)

    def kinks(self) -> tuple[Array, ...]:
        """See `Penalty`."""
        return tuple(divide(kink, self.curvature) for kink in self.inner.kinks())
