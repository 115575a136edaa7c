"""The exact minimiser of the pathway lasso: its a-part is eliminated, b is found by descent.

Given b, the best a is a_j = S(m_j, omega + lambda |b_j|) / P with P = q + 2 lambda phi. What is
left is a quadratic in d = (c, b) plus a separable convex penalty of u = |b_j|. With
kappa_j = max(|m_j| - omega, 0) and u0_j = kappa_j / lambda, its derivative is

    u <= u0:  omega + lambda kappa / P + (2 lambda phi - lambda^2 / P) u
    u >= u0:  omega + 2 lambda phi u        (the two agree at u0: a_j has become 0).

So coordinate descent is a lasso's with one more kink, a sign pattern with regions is a linear
system, and optimality has a certificate: the subgradient condition in b.
"""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.prox import soft_threshold
from jaxmed.sparse import descent
from jaxmed.sparse.pathway import PathwayMoments, PathwayPenalty, PathwaySolution
from jaxmed.sparse.quadratic import GramQuadratic
from jaxmed.typing import Array, pytree


@pytree
class Kinked:
    """Penalty of |d_j|: two slopes and curvatures on either side of a kink; leaves [1+p]."""

    kink: Array
    inner_slope: Array
    inner_curvature: Array
    outer_slope: Array
    outer_curvature: Array
    outer_constant: Array

    @property
    def is_convex(self) -> bool:
        """True: the outer curvature is the larger one, and the slopes agree at the kink."""
        return True

    def minimiser(self, pull: Array, curvature: Array) -> Array:
        """The minimum of the piece that holds it."""
        size = jnp.abs(pull)
        inner = jnp.maximum(size - self.inner_slope, 0) / (curvature + self.inner_curvature)
        outer = jnp.maximum(size - self.outer_slope, 0) / (curvature + self.outer_curvature)
        return jnp.sign(pull) * jnp.where(inner < self.kink, inner, outer)

    def value(self, size: Array) -> Array:
        """See `Penalty`."""
        inner = (self.inner_slope + self.inner_curvature * size / 2) * size
        outer = (self.outer_slope + self.outer_curvature * size / 2) * size + self.outer_constant
        return jnp.where(size < self.kink, inner, outer)

    def slope(self, size: Array) -> Array:
        """See `Penalty`."""
        inner = self.inner_slope + self.inner_curvature * size
        return jnp.where(size < self.kink, inner, self.outer_slope + self.outer_curvature * size)

    def bend(self, size: Array) -> Array:
        """See `Penalty`."""
        return jnp.where(size < self.kink, self.inner_curvature, self.outer_curvature)

    def kinks(self) -> tuple[Array, ...]:
        """Where a has become 0."""
        return (self.kink,)


def _eliminated(moments: PathwayMoments, penalty: PathwayPenalty) -> Kinked:
    full = moments.exposure_ss + 2 * penalty.ridge
    kappa = jnp.maximum(jnp.abs(moments.path) - penalty.absolute, 0)
    ridge = jnp.full_like(kappa, 2 * penalty.ridge)
    omega = jnp.full_like(kappa, penalty.absolute)
    inner = jnp.where(kappa > 0, ridge - penalty.product**2 / full, ridge)

    def with_exposure(first: Array, rest: Array) -> Array:
        return jnp.concatenate([jnp.asarray(first, rest.dtype)[None], rest])

    zero = jnp.zeros((), kappa.dtype)
    return Kinked(
        with_exposure(zero, kappa / penalty.product),
        with_exposure(penalty.direct, omega + penalty.product * kappa / full),
        with_exposure(2 * penalty.ridge, inner),
        with_exposure(penalty.direct, omega),
        with_exposure(2 * penalty.ridge, ridge),
        with_exposure(zero, kappa * kappa / (2 * full)),
    )


def descend(
    moments: PathwayMoments,
    penalty: PathwayPenalty,
    start: Array,
    *,
    tolerance: float,
    max_rounds: int,
) -> tuple[PathwaySolution, Array]:
    """Minimise at one penalty from d = start [1+p].

    Args:
      moments: of the data.
      penalty: product > 0, and ridge >= product / 2.
      start: d [1+p].
      tolerance: of the optimality violation, relative to the largest score; raised to what the
        dtype can reach.
      max_rounds: budget of rounds of a few sweeps and a Newton step.
    Returns:
      Solution and its optimality violation relative to the largest score.
    """
    quadratic = GramQuadratic(moments.gram)
    eps = jnp.finfo(moments.gram.dtype).eps
    scale = jnp.maximum(jnp.max(jnp.abs(moments.score)), jnp.finfo(moments.gram.dtype).tiny ** 0.5)
    limit = scale * jnp.maximum(jnp.asarray(tolerance, moments.gram.dtype), 64 * eps)
    start = jnp.where(quadratic.curvature > 0, start, 0)
    end = descent.descend(
        quadratic,
        _eliminated(moments, penalty),
        start,
        quadratic.residual_at(moments.score, start),
        tolerance=limit,
        max_rounds=max_rounds,
    )
    d = end.coefficients
    a = soft_threshold(moments.path, penalty.absolute + penalty.product * jnp.abs(d[1:]))
    a = a / (moments.exposure_ss + 2 * penalty.ridge)
    code = st.when(~(end.violation <= limit), st.NOT_CONVERGED)
    return PathwaySolution(a, d, end.rounds, code), end.violation / scale


def exact_path(
    moments: PathwayMoments,
    penalties: PathwayPenalty,
    *,
    tolerance: float = 1e-12,
    max_rounds: int = 500,
) -> tuple[PathwaySolution, Array]:
    """Minimisers along penalties (leaves [L], largest first), warm; and their violation [L]."""

    def step(d: Array, penalty: PathwayPenalty) -> tuple[Array, tuple[PathwaySolution, Array]]:
        solution, violation = descend(
            moments, penalty, d, tolerance=tolerance, max_rounds=max_rounds
        )
        return solution.d, (solution, violation)

    return jax.lax.scan(step, jnp.zeros_like(moments.score), penalties)[1]
