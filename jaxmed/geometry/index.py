"""MaxCor: the weights that maximise the mediation index, by one bracketed root.

In the plane of the two unit paths, at angle theta from the exposure path towards the outcome
path, the index is proportional to f(theta) = cos(theta) cos(phi - theta) / sqrt(1 + a cos^2 theta)
with a = |a|^2 / tau. Its stationary points are the roots of
  F(theta) = sin(phi - 2 theta)(1 + a cos^2 theta) + a cos^2(theta) sin(theta) cos(phi - theta),
and the single one in [phi/2, min(phi, pi/2)] is the global maximum (Descartes' rule on the
quartic in tan theta). The quartic's own coefficients lose half of the digits near phi = 0 and are
not used.
"""

import jax
import jax.numpy as jnp

from jaxmed.door import at_the_door
from jaxmed.geometry.bisector import check_sign
from jaxmed.geometry.composite import CompositeMediator, plane_composite
from jaxmed.geometry.paths import Paths
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array

BISECTIONS = 55


@at_the_door("sign")
def maxcor(paths: Paths, *, sign: int = 1) -> CompositeMediator:
    """The composite of largest (sign=+1) or most negative (sign=-1) mediation index.

    Args:
      paths: the two paths.
      sign: +1 concordant, -1 suppression.
    Returns:
      CompositeMediator; `index` = cor(A, M) cor(M given A, Y) is extreme.
    Raises:
      ValueError: sign other than +1 or -1.
    Source: He (2026) supplement (mediation index). Exact in the primal; in the dual the optimum
      within the row space of the residualised mediators (status RESTRICTED), where the paper has
      none.
    """
    check_sign(sign)
    near, far = paths.half_difference, paths.half_sum
    if sign == -1:
        near, far = far, near
    _, along_exposure, along_outcome = leaning(paths, jnp.asarray(sign, near.dtype), near, far)
    return plane_composite(paths, along_exposure, along_outcome)


def leaning(paths: Paths, sign: Array, near: Array, far: Array) -> tuple[Array, Array, Array]:
    """Angle of `maxcor`, and its direction as multiples of exposure path and outcome path.

    Args:
      paths: the two paths.
      sign: +1 or -1, any shape.
      near: 2 sin(phi/2) of the angle phi between the paths, the outcome path times sign.
      far: 2 cos(phi/2).
    Returns:
      The angle from the exposure path in radians, and the two multiples; of the shape of sign.
    """
    phi = 2.0 * jnp.arctan2(near, far)
    theta = optimal_angle(phi, paths.quadratics.exposure_exposure)
    # d = cos(theta - phi/2) b + sin(theta - phi/2) c, with b the bisector and c its normal:
    # stable also where the paths are parallel and their difference is rounding.
    turn = theta - phi / 2
    along = divide(jnp.cos(turn), far)
    across = divide(jnp.sin(turn), near)
    return (
        theta,
        divide(along - across, paths.exposure_norm),
        divide(sign * (along + across), paths.outcome_norm),
    )


def optimal_angle(phi: Array, strength: Array) -> Array:
    """Theta of the largest index, by bisection and one Newton step that carries the gradient.

    Args:
      phi: angle between the paths, in [0, pi].
      strength: a = |a|^2 / tau >= 0.
    Returns:
      theta in [phi/2, min(phi, pi/2)]: phi/2 (MaxIE) for a -> 0, the upper end for a -> infinity.
    """
    fixed_phi, fixed_strength = jax.lax.stop_gradient((phi, strength))

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        above = _slope(middle, fixed_phi, fixed_strength) > 0
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    low = fixed_phi / 2
    high = jnp.minimum(fixed_phi, jnp.pi / 2)
    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (low, high))
    start = 0.5 * (low + high)
    value = _slope(start, phi, strength)
    slope = jax.grad(_sum_slope)(start, fixed_phi, fixed_strength)
    return start - divide(value, jax.lax.stop_gradient(slope))


def _slope(theta: Array, phi: Array, strength: Array) -> Array:
    cosine = jnp.cos(theta)
    weight = strength * cosine**2
    return jnp.sin(phi - 2 * theta) * (1 + weight) + weight * jnp.sin(theta) * jnp.cos(phi - theta)


def _sum_slope(theta: Array, phi: Array, strength: Array) -> Array:
    return jnp.sum(_slope(theta, phi, strength))
