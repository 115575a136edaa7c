"""Losses of generators and critics, and the penalties of the third step.

Source: Zhang et al. (2026), problems (3) and (6); specification of GAHMN, sections 1 and 8.
"""

import jax
import jax.numpy as jnp

from jaxmed.linalg.safe import divide
from jaxmed.typing import Array

__all__ = [
    "conditional_mean_loss",
    "critic_loss",
    "generator_loss",
]


def _row_mean(values: Array, weights: Array) -> Array:
    """Mean over rows [B] times weights, then over outputs if there are several."""
    each = values * (weights if values.ndim == 1 else weights[:, None])
    return jnp.mean(each, axis=0)


def over_outputs(values: Array, valid: Array | None) -> Array:
    """Mean over the outputs that count."""
    if valid is None:
        return jnp.mean(values)
    return divide(jnp.sum(jnp.where(valid, values, 0)), jnp.sum(valid))


def critic_loss(real: Array, fake: Array, weights: Array, valid: Array | None = None) -> Array:
    """Binary cross-entropy of logits [B] or [B, p]: both terms added, 2 log 2 at balance.

    Args:
      real: logits of the data.
      fake: logits of draws.
      weights: of the rows [B], mean 1.
      valid: outputs that count [p]; all if None.
    """
    terms = jax.nn.softplus(-real) + jax.nn.softplus(fake)
    return over_outputs(_row_mean(terms, weights), valid)


def generator_loss(fake: Array, weights: Array, loss: str, valid: Array | None = None) -> Array:
    """-log D ("ns") or log(1 - D) ("sat") of logits of draws."""
    terms = jax.nn.softplus(-fake) if loss == "ns" else -jax.nn.softplus(fake)
    return over_outputs(_row_mean(terms, weights), valid)


def conditional_mean_loss(outcome: Array, first: Array, second: Array, weights: Array) -> Array:
    """Unbiased for E (y - E_Z draw)^2 from two independent draws at the same rows, all [B]."""
    return jnp.mean(weights * (outcome - first) * (outcome - second))
