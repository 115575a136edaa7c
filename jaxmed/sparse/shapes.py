"""The field's penalties by name: lasso, MCP and SCAD with their usual gamma."""

import dataclasses
from typing import Literal, get_args

from jaxmed.sparse.penalties import L1, Mcp, Scad
from jaxmed.typing import Array

Kind = Literal["lasso", "mcp", "scad"]
DEFAULT_GAMMA = {"lasso": 1.0, "mcp": 3.0, "scad": 3.7}
LEAST_GAMMA = {"lasso": 0.0, "mcp": 1.0, "scad": 2.0}


@dataclasses.dataclass(frozen=True)
class Shape:
    """A penalty but for its levels; `shape_of` checks the numbers."""

    kind: Kind
    gamma: float

    def at(self, level: Array) -> L1 | Mcp | Scad:
        """The penalty at levels [p]."""
        if self.kind == "lasso":
            return L1(level)
        return Mcp(level, self.gamma) if self.kind == "mcp" else Scad(level, self.gamma)

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


def shape_of(kind: Kind, gamma: float | None = None) -> Shape:
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
    return Shape(kind, gamma)
