"""L-BFGS from many starts: the numerical oracle of the closed-form composites."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmed import status
from jaxmed.linalg.safe import divide, norm
from jaxmed.typing import Array, pytree

ARMIJO, CURVATURE = 1e-4, 0.9
LINE_STEPS = 40
# Steps at equal value before giving up: the gradient may still shrink where the value is rounding.
PATIENCE = 10
# Curvature pairs kept: the usual 5 to 20 of Nocedal and Wright; more cost memory and gain little.
HISTORY = 10


@pytree
class Minimum:
    """Best point of several descents, and the end of each."""

    point: Array  # [p]
    value: Array  # []
    gradient_norm: Array  # [] at the point
    status: Array  # [] int32 of the best descent
    values: Array  # [k] final value of each start
    iterations: Array  # [k]


@pytree
class _Search:
    point: Array  # [p]
    value: Array  # []
    gradient: Array  # [p]
    steps: Array  # [history, p], newest last
    changes: Array  # [history, p] of the gradient
    inverse: Array  # [history] 1 / (step' change), 0 where unused
    iteration: Array  # []
    stalls: Array  # [] consecutive steps that did not lower the value


def _direction(state: _Search) -> Array:
    """-H g by the two-loop recursion; unused pairs have inverse 0 and drop out."""
    history = (state.steps, state.changes, state.inverse)

    def back(g: Array, pair: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        step, change, inverse = pair
        weight = inverse * jnp.dot(step, g)
        return g - weight * change, weight

    q, weights = jax.lax.scan(back, state.gradient, history, reverse=True)
    newest = state.changes[-1]
    scale = divide(1.0, state.inverse[-1] * jnp.dot(newest, newest), 0.0)
    # Without a pair yet, the first trial step has length 1 at most.
    scale = jnp.where(state.inverse[-1] > 0, scale, 1 / jnp.maximum(norm(state.gradient), 1))

    def forth(r: Array, item: tuple[Array, Array, Array, Array]) -> tuple[Array, None]:
        step, change, inverse, weight = item
        return r + (weight - inverse * jnp.dot(change, r)) * step, None

    r, _ = jax.lax.scan(forth, scale * q, (*history, weights))
    return -r


def _line_search(
    value_and_grad: Callable, state: _Search, direction: Array
) -> tuple[Array, Array, Array]:
    """Step length with the weak Wolfe conditions by bisection and doubling.

    Returns:
      Step length (0 if none decreased the value), value and gradient there.
    Source: Lewis and Overton (2013), Alg. 4.6.
    """
    slope = jnp.dot(state.gradient, direction)

    def body(carry: tuple) -> tuple:
        count, low, high, t, _, best = carry
        value, gradient = value_and_grad(state.point + t * direction)
        enough = value <= state.value + ARMIJO * t * slope  # False for NaN
        flat = jnp.dot(gradient, direction) >= CURVATURE * slope
        best = jax.tree.map(
            lambda new, old: jnp.where(enough, new, old), (t, value, gradient), best
        )
        low, high = jnp.where(enough, t, low), jnp.where(enough, high, t)
        trial = jnp.where(jnp.isfinite(high), (low + high) / 2, 2 * low)
        return count + 1, low, high, trial, enough & flat, best

    zero = jnp.zeros_like(state.value)
    start = (
        jnp.zeros((), jnp.int32),
        zero,
        zero + jnp.inf,
        zero + 1,
        jnp.zeros((), bool),
        (zero, state.value, state.gradient),
    )
    final = jax.lax.while_loop(lambda c: (c[0] < LINE_STEPS) & ~c[4], body, start)
    return final[5]


def _advance(value_and_grad: Callable, state: _Search) -> _Search:
    direction = _direction(state)
    downhill = jnp.dot(direction, state.gradient) < 0
    direction = jnp.where(downhill, direction, -state.gradient)
    length, value, gradient = _line_search(value_and_grad, state, direction)
    step, change = length * direction, gradient - state.gradient
    product = jnp.dot(step, change)
    usable = product > jnp.finfo(product.dtype).eps * norm(step) * norm(change)

    stalls = jnp.where(value < state.value, 0, state.stalls + 1)
    stalls = jnp.where(length == 0, PATIENCE, stalls)

    def push(old: Array, new: Array) -> Array:
        return jnp.where(usable, jnp.concatenate([old[1:], new[None]]), old)

    return _Search(
        state.point + step,
        value,
        gradient,
        push(state.steps, step),
        push(state.changes, change),
        push(state.inverse, divide(1.0, jnp.where(usable, product, 1))),
        state.iteration + 1,
        stalls,
    )


def minimise(
    function: Callable[[Array], Array],
    starts: Array,
    *,
    tolerance: float = 1e-8,
    max_iterations: int = 500,
) -> Minimum:
    """Minimise a smooth function from several starts at once and keep the best end point.

    Args:
      function: point [p] -> scalar, differentiable by JAX.
      starts: [k, p].
      tolerance: a descent ends when its gradient norm is below `tolerance` times that at
        its start (not below 8 eps of the dtype), so units do not matter.
      max_iterations: budget of each descent.
    Returns:
      The best minimum. Status NOT_CONVERGED where its gradient test was not met within the
      budget or before rounding stopped the line search; NONFINITE if no start gave a number.
    Source: Nocedal and Wright (2006), Alg. 7.4 and 7.5.
    """
    value_and_grad = jax.value_and_grad(function)

    def descend(start: Array) -> tuple[_Search, Array]:
        value, gradient = value_and_grad(start)
        blank = jnp.zeros((HISTORY, *start.shape), start.dtype)
        state = _Search(
            start,
            value,
            gradient,
            blank,
            blank,
            blank[:, 0],
            jnp.zeros((), jnp.int32),
            jnp.zeros((), jnp.int32),
        )
        relative = jnp.maximum(tolerance, 8 * jnp.finfo(start.dtype).eps)
        target = relative * norm(gradient)

        def going(s: _Search) -> Array:
            unfinished = (norm(s.gradient) > target) & (s.iteration < max_iterations)
            return unfinished & (s.stalls < PATIENCE)

        final = jax.lax.while_loop(going, lambda s: _advance(value_and_grad, s), state)
        return final, norm(final.gradient) <= target

    ends, reached = jax.vmap(descend)(starts)
    values = jnp.where(jnp.isfinite(ends.value), ends.value, jnp.inf)
    # Among values that differ by rounding alone, one that met its gradient test.
    least = jnp.min(values)
    tie = values <= least + 16 * jnp.finfo(values.dtype).eps * jnp.abs(least)
    best = jnp.argmin(jnp.where(tie & reached, -jnp.inf, values))
    found = jnp.isfinite(values[best])
    code = status.combine(
        status.when(~reached[best], status.NOT_CONVERGED), status.when(~found, status.NONFINITE)
    )
    nan = jnp.where(found, 0, jnp.nan).astype(starts.dtype)
    return Minimum(
        ends.point[best] + nan,
        ends.value[best] + nan,
        norm(ends.gradient[best]) + nan,
        code,
        ends.value,
        ends.iteration,
    )
