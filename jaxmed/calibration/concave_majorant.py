"""Least concave majorant of an empirical distribution function (Grenander's estimate)."""

import jax
import jax.numpy as jnp

from jaxmed.typing import Array, pytree


@pytree
class Majorant:
    """Vertices of a concave distribution function on [0, 1]; the last one repeated."""

    place: Array  # [m+1]
    height: Array  # [m+1]

    def at(self, t: Array) -> Array:
        """Its value at t, any shape; 1 beyond the last vertex."""
        return jnp.interp(t, self.place, self.height)


def concave_majorant(values: Array, keep: Array) -> Majorant:
    """Majorant of the empirical distribution of values [m] >= 0 with `keep` [m] bool.

    One pass with a stack, O(m). Source: Grenander (1956).
    """
    size = values.shape[0]
    order = jnp.argsort(jnp.where(keep, values, jnp.inf))
    count = jnp.sum(keep)
    x = jnp.concatenate([jnp.zeros(1, values.dtype), values[order]])
    y = jnp.minimum(jnp.arange(size + 1), count).astype(values.dtype)
    y = y / jnp.maximum(count, 1).astype(values.dtype)
    integer = jnp.zeros((), jnp.int32)

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        stack, top, new = state
        last, before = stack[top], stack[jnp.maximum(top - 1, 0)]
        rise = (y[last] - y[before]) * (x[new] - x[last])
        below = rise <= (y[new] - y[last]) * (x[last] - x[before])
        pop = (top > 0) & below
        place = jnp.where(pop, top, top + 1)
        stack = stack.at[place].set(jnp.where(pop, stack[top], new))
        return stack, jnp.where(pop, top - 1, top + 1), jnp.where(pop, new, new + 1)

    stack, top, _ = jax.lax.while_loop(
        lambda s: s[2] <= count,
        step,
        (jnp.zeros(size + 2, jnp.int32), integer, jnp.ones((), jnp.int32)),
    )
    vertex = stack[jnp.minimum(jnp.arange(size + 1), top)]
    return Majorant(x[vertex], y[vertex])
