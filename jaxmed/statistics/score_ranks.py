"""How a score ranks outcomes: area under the ROC curve, and means of the outcome by its fifths.

Both count case weights: with whole numbers as weights, the values of so many repeated rows. Rows
with the same score count half as below each other. Host arrays stay on the host, in float64;
others are traced.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmed.typing import Array

__all__ = ["GROUPS", "area_under_curve", "group_means"]

GROUPS = 5  # fifths, as in the paper's figure


def area_under_curve(
    score: Array | np.ndarray, outcome: Array, weights: Array | None = None
) -> Array:
    """Weighted share of case-control pairs that the score orders correctly.

    Args:
      score: [n].
      outcome: [n].
      weights: case weights [n]; ones if None.
    Returns:
      Scalar; NaN unless the outcome of the rows with weight is 0 and 1, and both are there.
    """
    xp, w = _counted(score, weights)
    cases = w * outcome
    controls = w - cases
    pairs = xp.sum(cases * _weight_below(xp, score, controls))
    every = xp.sum(cases) * xp.sum(controls)
    both = xp.all((outcome == 0) | (outcome == 1) | (w == 0)) & (every > 0)
    return xp.where(both, pairs / xp.where(both, every, 1), xp.nan)


def group_means(values: Array | np.ndarray, outcome: Array, weights: Array | None = None) -> Array:
    """Means [5] of the outcome by fifths of the values, from the smallest; NaN for an empty one.

    A row belongs to the fifth that holds the middle of its weight in the order of the values.

    Args:
      values: [n].
      outcome: [n].
      weights: case weights [n]; ones if None.
    """
    xp, w = _counted(values, weights)
    share = _weight_below(xp, values, w) / xp.sum(w)
    member = (share * GROUPS).astype(int)[:, None] == xp.arange(GROUPS)[None, :]
    size = xp.sum(xp.where(member, w[:, None], 0), axis=0)
    total = xp.sum(xp.where(member, (w * outcome)[:, None], 0), axis=0)
    return xp.where(size > 0, total / xp.where(size > 0, size, 1), xp.nan)


def _counted(values: Array | np.ndarray, weights: Array | None) -> tuple[Any, Array]:
    """NumPy for host arrays or else jax.numpy, and the weights in the dtype of the sums."""
    host = isinstance(values, np.ndarray)
    xp, dtype = (np, np.dtype("f8")) if host else (jnp, values.dtype)
    return xp, xp.ones(values.shape, dtype) if weights is None else xp.asarray(weights, dtype)


def _weight_below(xp: Any, values: Array | np.ndarray, weights: Array) -> Array:
    """Weight [n] of the rows with a smaller value, those with the same value counted half."""
    order = xp.argsort(values)
    ordered, sums = values[order], xp.cumsum(weights[order])
    sums = xp.concatenate([xp.zeros_like(sums[:1]), sums])
    below, through = (sums[xp.searchsorted(ordered, values, side=s)] for s in ("left", "right"))
    return through - (through - below) / 2
