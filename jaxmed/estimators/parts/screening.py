"""Sure independence screening: the candidates that a penalised stage works on."""

import math

import jax.numpy as jnp

from jaxmed.typing import Array


def screen_size(n: int, p: int, wanted: int | None, *, divisor: float = 0.5) -> int:
    """Number of candidates kept: ceil(n / (divisor log n)) unless given, at most p.

    Raises:
      ValueError: a number below 1.
    """
    if wanted is not None and wanted < 1:
        raise ValueError(f"n_include must be at least 1, not {wanted}")
    size = math.ceil(n / (divisor * math.log(n))) if wanted is None else wanted
    return max(1, min(p, size))


def smallest(values: Array, size: int) -> Array:
    """Positions of the `size` smallest values [p], in the order of the columns; NaN come last."""
    order = jnp.argsort(jnp.where(jnp.isnan(values), jnp.inf, values), stable=True)
    return jnp.sort(order[:size])
