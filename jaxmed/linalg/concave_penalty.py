"""Folded concave penalties: MCP and SCAD beside the lasso, on columns of unit curvature."""

import dataclasses
from typing import Literal, get_args

import jax.numpy as jnp

from jaxmed.linalg.prox import soft_threshold
from jaxmed.typing import Array

Kind = Literal["lasso", "mcp", "scad"]
DEFAULT_GAMMA = {"lasso": 1.0, "mcp": 3.0, "scad": 3.7}
LEAST_GAMMA = {"lasso": 0.0, "mcp": 1.0, "scad": 2.0}


@dataclasses.dataclass(frozen=True)
class ConcavePenalty:
    """P(|b|; l) of one kind; `concave_penalty` checks the numbers.

    lasso: l|b|. MCP: l|b| - b^2 / (2 gamma) up to gamma l, constant beyond. SCAD: l|b| up to l,
    a parabola up to gamma l, constant beyond.
    """

    kind: Kind
    gamma: float

    def threshold(self, z: Array, level: Array) -> Array:
        """argmin_b (b - z)^2 / 2 + P(|b|; level), elementwise."""
        size, soft = jnp.abs(z), soft_threshold(z, level)
        if self.kind == "lasso":
            return soft
        g = self.gamma
        if self.kind == "mcp":
            inner = soft / (1 - 1 / g)
        else:
            middle = soft_threshold(z, g / (g - 1) * level) / (1 - 1 / (g - 1))
            inner = jnp.where(size <= 2 * level, soft, middle)
        return jnp.where(size <= g * level, inner, z)

    def slope(self, b: Array, level: Array) -> Array:
        """P'(|b|; level) >= 0, elementwise; at 0 from the right."""
        size = jnp.abs(b)
        if self.kind == "lasso":
            return jnp.broadcast_to(level, b.shape)
        g = self.gamma
        if self.kind == "mcp":
            return jnp.maximum(level - size / g, 0)
        return jnp.where(size <= level, level, jnp.maximum(g * level - size, 0) / (g - 1))

    def bend(self, b: Array, level: Array) -> Array:
        """P''(|b|; level) <= 0 where it exists, elementwise."""
        size = jnp.abs(b)
        if self.kind == "lasso":
            return jnp.zeros_like(b)
        inside = size < self.gamma * level
        if self.kind == "mcp":
            return jnp.where(inside, -1 / self.gamma, 0.0).astype(b.dtype)
        return jnp.where(inside & (size > level), -1 / (self.gamma - 1), 0.0).astype(b.dtype)

    def kinks(self, level: Array) -> tuple[Array, ...]:
        """The |b| > 0 at which the slope changes its form, each like `level`."""
        if self.kind == "lasso":
            return ()
        return (self.gamma * level,) if self.kind == "mcp" else (level, self.gamma * level)

    @property
    def convexity(self) -> float:
        """Least eigenvalue that the active columns' Gram needs for a convex objective."""
        if self.kind == "lasso":
            return 0.0
        return 1 / self.gamma if self.kind == "mcp" else 1 / (self.gamma - 1)

    @property
    def screening(self) -> float:
        """Factor of the sequential strong rule: |score| <= level + factor (level - previous)."""
        if self.kind == "lasso":
            return 1.0
        return self.gamma / (self.gamma - 1 if self.kind == "mcp" else self.gamma - 2)


def concave_penalty(kind: Kind, gamma: float | None = None) -> ConcavePenalty:
    """A penalty with its usual gamma: 3 for MCP, 3.7 for SCAD.

    Raises:
      ValueError: an unknown kind, or a gamma at which a single coefficient is not convex.
    Source: Zhang (2010), MCP; Fan and Li (2001), SCAD; Breheny and Huang (2011), updates.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"penalty must be one of {get_args(Kind)}, not {kind!r}")
    gamma = DEFAULT_GAMMA[kind] if gamma is None else float(gamma)
    if not gamma > LEAST_GAMMA[kind]:
        raise ValueError(f"gamma must be above {LEAST_GAMMA[kind]:g} for {kind}, not {gamma:g}")
    return ConcavePenalty(kind, gamma)
