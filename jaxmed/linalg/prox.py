"""Proximal operators: prox(x, penalty, step) = argmin_b (b - x)^2 / (2 step) + penalty(b)."""

import jax.numpy as jnp

from jaxmed.typing import Array, ArrayLike


def soft_threshold(x: Array, penalty: ArrayLike, step: ArrayLike = 1.0) -> Array:
    """Proximal operator of penalty * |b|, elementwise.

    Args:
      x: point, any shape.
      penalty: weight of the absolute value, >= 0, broadcast against x.
      step: step length, > 0, broadcast against x.
    Returns:
      sign(x) max(|x| - step * penalty, 0), the shape of the broadcast.
    """
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - step * penalty, 0)
