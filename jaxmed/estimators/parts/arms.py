"""The two exposures that are compared."""

import jax.numpy as jnp

from jaxmed.typing import Array, pytree

__all__ = ["Arms", "arms_of"]


@pytree
class Arms:
    """The two exposures that are compared: control and treated, in units of the exposure."""

    control: Array  # []
    treated: Array  # []

    @property
    def width(self) -> Array:
        """Treated - control."""
        return self.treated - self.control


def arms_of(exposure: Array, weights: Array) -> Arms:
    """Both values of a binary exposure; lower and upper quartile of any other."""
    present = weights > 0
    low = jnp.min(jnp.where(present, exposure, jnp.inf))
    high = jnp.max(jnp.where(present, exposure, -jnp.inf))
    binary = jnp.all(~present | (exposure == low) | (exposure == high))
    order = jnp.argsort(exposure)
    share = jnp.cumsum(weights[order]) / jnp.sum(weights)
    quartiles = [exposure[order][jnp.argmax(share >= level)] for level in (0.25, 0.75)]
    control, treated = jnp.where(binary, low, quartiles[0]), jnp.where(binary, high, quartiles[1])
    # More than half of the rows at one value: the quartiles may coincide, the ends cannot.
    same = control == treated
    return Arms(jnp.where(same, low, control), jnp.where(same, high, treated))
