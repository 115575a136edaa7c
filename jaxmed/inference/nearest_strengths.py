"""The strengths of both paths nearest to the estimates that can stand behind a concordant part."""

import jax.numpy as jnp
from jax import lax

from jaxmed.inference.debiased import reaching
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, pytree

__all__ = ["Criterion", "nearest_strengths"]

POINTS, ROUNDS = 25, 2


@pytree
class Criterion:
    """Squared distance of (kA^2, kY^2, a'b) from their unbiased estimates, over their variances.

    With the concordant part psi and both strengths, a'b = 2 psi - kA kY. Leaves of one shape.
    """

    exposure: Array  # LA
    outcome: Array  # LY
    total: Array  # ab
    exposure_variance: Array
    outcome_variance: Array
    total_variance: Array
    psi: Array

    def at(self, k_a: Array, k_y: Array) -> Array:
        """The distance at strengths of any shape; infinite where kA kY < psi."""
        distance = (
            divide((self.exposure - k_a**2) ** 2, self.exposure_variance)
            + divide((self.outcome - k_y**2) ** 2, self.outcome_variance)
            + divide((self.total - 2 * self.psi + k_a * k_y) ** 2, self.total_variance)
        )
        # psi itself was divided by one of the two: allow for rounding.
        slack = 1 - 8 * jnp.finfo(distance.dtype).eps
        return jnp.where(k_a * k_y >= slack * self.psi, distance, jnp.inf)


def nearest_strengths(criterion: Criterion) -> tuple[Array, Array, Array]:
    """Strengths kA and kY >= 0 with kA kY >= psi at the least distance, and that distance.

    For each kA the distance is a quartic of kY whose minimum is a root of a cubic, in closed form.
    kA lies on a grid, once refined, over all values whose first term alone is not above the
    distance of a point that is known to be possible.

    Args:
      criterion: scalar leaves; batch by vmap.
    """
    c = criterion
    x, y = jnp.maximum(c.exposure, 0), jnp.maximum(c.outcome, 0)
    x_error, y_error = jnp.sqrt(c.exposure_variance), jnp.sqrt(c.outcome_variance)
    possible = reaching(x, y, x_error, y_error, c.psi**2)
    known = c.at(sqrt(possible[0]), sqrt(possible[1]))
    radius = sqrt(c.exposure_variance * known)
    low, high = sqrt(c.exposure - radius), sqrt(c.exposure + radius)
    share = jnp.linspace(0, 1, POINTS, dtype=low.dtype)

    def refine(
        _: int, state: tuple[Array, Array, Array, Array, Array]
    ) -> tuple[Array, Array, Array, Array, Array]:
        low, high = state[:2]
        k_a = low + (high - low) * share
        k_y = _best_outcome(c, k_a)
        distance = c.at(k_a, k_y)
        best = jnp.argmin(distance)
        cell = (high - low) / (POINTS - 1)
        centre = k_a[best]
        return (
            jnp.maximum(centre - cell, low),
            jnp.minimum(centre + cell, high),
            centre,
            k_y[best],
            distance[best],
        )

    state = (low, high, low, high, jnp.full_like(low, jnp.inf))
    _, _, k_a, k_y, distance = lax.fori_loop(0, ROUNDS, refine, state)
    worse = distance > known
    strengths = jnp.where(worse, sqrt(jnp.stack(possible)), jnp.stack([k_a, k_y]))
    return strengths[0], strengths[1], jnp.minimum(distance, known)


def _best_outcome(c: Criterion, k_a: Array) -> Array:
    """The kY >= psi / kA at the least distance, for every kA [k]."""
    # Derivative of the distance over 4 kY-units: t^3 + linear t + constant = 0.
    weight = divide(c.outcome_variance, 2 * c.total_variance)
    linear = weight * k_a**2 - c.outcome
    constant = weight * k_a * (c.total - 2 * c.psi)
    least = divide(c.psi, k_a)
    inside = jnp.maximum(_largest_root(linear, constant), least)
    # The quartic may have its minimum over kY >= psi / kA at the end, below a hill.
    return jnp.where(c.at(k_a, inside) <= c.at(k_a, least), inside, least)


def _largest_root(linear: Array, constant: Array) -> Array:
    """Largest real root of t^3 + linear t + constant."""
    half, third = constant / 2, linear / 3
    square = half**2 + third**3
    # One real root: the sum of two cube roots, of which the one without cancellation gives both.
    root = sqrt(square)
    large = jnp.cbrt(-jnp.where(half > 0, half + root, half - root))
    one = large - divide(third, large)
    # Three real roots: the cosine form.
    size = sqrt(-third)
    angle = jnp.arccos(jnp.clip(divide(-half, size**3), -1, 1)) / 3
    return jnp.where(square > 0, one, 2 * size * jnp.cos(angle))
