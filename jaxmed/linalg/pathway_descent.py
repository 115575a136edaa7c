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
from jaxmed.linalg.pathway_admm import PathwaySolution
from jaxmed.linalg.pathway_prox import PathwayMoments, PathwayPenalty
from jaxmed.linalg.products import matmul
from jaxmed.linalg.prox import soft_threshold
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree

SWEEPS = 4  # per round
FEW = 128  # columns of a small linear system
LENGTHS = (1.0, 0.5, 0.25, 0.0625)  # of Newton steps that cross a kink


@pytree
class _Kinked:
    """Penalty of |d_j|: two slopes and curvatures on either side of a kink; leaves [1+p]."""

    kink: Array
    inner_slope: Array
    inner_curvature: Array
    outer_slope: Array
    outer_curvature: Array
    outer_constant: Array

    def slope(self, u: Array) -> Array:
        """Derivative at u = |d| >= 0, from the right at 0."""
        inner = self.inner_slope + self.inner_curvature * u
        return jnp.where(u < self.kink, inner, self.outer_slope + self.outer_curvature * u)

    def curvature(self, u: Array) -> Array:
        """Second derivative at u."""
        return jnp.where(u < self.kink, self.inner_curvature, self.outer_curvature)

    def value(self, u: Array) -> Array:
        """The penalty at u."""
        inner = (self.inner_slope + self.inner_curvature * u / 2) * u
        outer = (self.outer_slope + self.outer_curvature * u / 2) * u + self.outer_constant
        return jnp.where(u < self.kink, inner, outer)


def _eliminated(moments: PathwayMoments, penalty: PathwayPenalty) -> _Kinked:
    full = moments.exposure_ss + 2 * penalty.ridge
    kappa = jnp.maximum(jnp.abs(moments.path) - penalty.absolute, 0)
    ridge = jnp.full_like(kappa, 2 * penalty.ridge)
    omega = jnp.full_like(kappa, penalty.absolute)
    inner = jnp.where(kappa > 0, ridge - penalty.product**2 / full, ridge)

    def with_exposure(first: Array, rest: Array) -> Array:
        return jnp.concatenate([jnp.asarray(first, rest.dtype)[None], rest])

    zero = jnp.zeros((), kappa.dtype)
    return _Kinked(
        with_exposure(zero, kappa / penalty.product),
        with_exposure(penalty.direct, omega + penalty.product * kappa / full),
        with_exposure(2 * penalty.ridge, inner),
        with_exposure(penalty.direct, omega),
        with_exposure(2 * penalty.ridge, ridge),
        with_exposure(zero, kappa * kappa / (2 * full)),
    )


def _violation(kinked: _Kinked, curvature: Array, d: Array, residual: Array) -> Array:
    """[1+p] breach of the subgradient condition; columns without variance do not count."""
    pull = jnp.abs(residual - jnp.sign(d) * kinked.slope(jnp.abs(d)))
    breach = jnp.where(d != 0, pull, jnp.maximum(jnp.abs(residual) - kinked.inner_slope, 0))
    return jnp.where(curvature > 0, breach, 0)


def _sweep(
    gram: Array, kinked: _Kinked, order: Array, count: Array, d: Array, residual: Array
) -> tuple[Array, Array]:
    def update(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        d, residual = carry
        j = order[i]
        g, old = gram[j, j], d[j]
        z = residual[j] + g * old
        inner = jnp.maximum(jnp.abs(z) - kinked.inner_slope[j], 0) / (g + kinked.inner_curvature[j])
        outer = jnp.maximum(jnp.abs(z) - kinked.outer_slope[j], 0) / (g + kinked.outer_curvature[j])
        new = jnp.sign(z) * jnp.where(inner < kinked.kink[j], inner, outer)
        return d.at[j].set(new), residual - (new - old) * gram[j]

    return jax.lax.fori_loop(0, count, update, (d, residual))


def _newton_step(gram: Array, pull: Array, diagonal: Array, free: Array, columns: Array) -> Array:
    """Solution [1+p] of the system of the free columns, all of which are among `columns`."""
    some = free[columns]
    both = some[:, None] & some[None, :]
    inner = jnp.where(both, gram[columns][:, columns], 0) + jnp.diag(diagonal[columns])
    factor = jnp.linalg.cholesky(inner)
    found = jax.scipy.linalg.cho_solve((factor, True), pull[columns][:, None])[:, 0]
    step = jnp.zeros_like(pull).at[columns].add(jnp.where(some, found, 0))
    return jnp.where(jnp.all(jnp.isfinite(step)), step, 0)


def _newton(
    gram: Array, kinked: _Kinked, d: Array, residual: Array, order: Array, count: Array
) -> Array:
    """Minimise over the support at its signs and regions; never raises the objective.

    `order` has the `count` columns that may be in the support first.
    """
    size, free = jnp.abs(d), d != 0
    pull = jnp.where(free, residual - jnp.sign(d) * kinked.slope(size), 0)
    diagonal = jnp.where(free, kinked.curvature(size), 1)

    def step(most: int) -> Array:
        return _newton_step(gram, pull, diagonal, free, order[:most])

    full = (
        step(d.size)
        if d.size < 2 * FEW
        else jax.lax.cond(count <= FEW, lambda: step(FEW), lambda: step(d.size))
    )

    # Where along the step each coordinate meets 0 or its kink for the first time.
    zero = jnp.where(d * full < 0, divide(-d, full), jnp.inf)
    way = divide(kinked.kink - size, jnp.sign(d) * full, jnp.inf)
    meets = jnp.minimum(zero, jnp.where(free & (way > 0), way, jnp.inf))
    first = jnp.min(meets)
    lengths = jnp.concatenate([jnp.asarray(LENGTHS, d.dtype), jnp.minimum(first, 1)[None]])
    ends = d[None, :] + lengths[:, None] * full[None, :]
    # A coordinate that changes sign stops at 0.
    ends = jnp.where((zero[None, :] <= lengths[:, None]) & free[None, :], 0, ends)
    steps = ends - d[None, :]
    change = jnp.sum(steps * (matmul(steps, gram) / 2 - residual[None, :]), axis=1)
    penalties = jax.vmap(kinked.value)(jnp.abs(ends))
    change = change + jnp.sum(penalties - kinked.value(size)[None, :], axis=1)
    # Within one pattern the full step is exact; objectives differ by rounding only.
    best = jnp.where(first >= 1, 0, jnp.argmin(change))
    return ends[best]


@pytree
class _Round:
    d: Array
    residual: Array
    violation: Array  # [1+p]
    worst: Array
    round: Array


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
    gram, kinked = moments.gram, _eliminated(moments, penalty)
    curvature = jnp.diagonal(gram)
    eps = jnp.finfo(gram.dtype).eps
    scale = jnp.maximum(jnp.max(jnp.abs(moments.score)), jnp.finfo(gram.dtype).tiny ** 0.5)
    limit = scale * jnp.maximum(jnp.asarray(tolerance, gram.dtype), 64 * eps)

    def measured(d: Array, round: Array) -> _Round:
        residual = moments.score - matmul(gram, d)
        violation = _violation(kinked, curvature, d, residual)
        return _Round(d, residual, violation, jnp.max(violation), round)

    def one_round(s: _Round) -> _Round:
        wanted = (s.d != 0) | (s.violation > 0)
        order = jnp.argsort(~wanted, stable=True)
        count = jnp.sum(wanted)
        d, _ = jax.lax.fori_loop(
            0, SWEEPS, lambda _, pair: _sweep(gram, kinked, order, count, *pair), (s.d, s.residual)
        )
        swept = measured(d, s.round + 1)
        return jax.lax.cond(
            swept.worst > limit,
            lambda: measured(_newton(gram, kinked, d, swept.residual, order, count), s.round + 1),
            lambda: swept,
        )

    begin = measured(jnp.where(curvature > 0, start, 0), jnp.zeros((), jnp.int32))
    end = jax.lax.while_loop(lambda s: (s.worst > limit) & (s.round < max_rounds), one_round, begin)
    b = jnp.abs(end.d[1:])
    a = soft_threshold(moments.path, penalty.absolute + penalty.product * b)
    a = a / (moments.exposure_ss + 2 * penalty.ridge)
    code = st.when(~(end.worst <= limit), st.NOT_CONVERGED)
    return PathwaySolution(a, end.d, end.round, code), end.worst / scale


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
