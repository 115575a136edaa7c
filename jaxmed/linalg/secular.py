"""Quadratic minimisation on the unit sphere by its secular equation."""

import jax
import jax.numpy as jnp

from jaxmed import status
from jaxmed.linalg.safe import divide, norm, sqrt
from jaxmed.typing import Array, pytree

STEPS = 40


@pytree
class SphereSolution:
    """Minimiser of w'diag(d)w / 2 - phi'w subject to |w| = 1."""

    weights: Array  # [p] in the eigenbasis
    multiplier: Array  # [] lambda, with (diag(d) + lambda I) w = phi and lambda >= -min d
    hard_case: Array  # [] bool: no root; the minimiser is not unique (sign of one direction)
    status: Array  # [] int32


def sphere_minimiser(eigenvalues: Array, linear: Array) -> SphereSolution:
    """Minimise w'Psi w / 2 - phi'w over |w| = 1, given the eigenvalues of Psi and Q'phi.

    The minimiser is w = (lambda I + Psi)^-1 phi at the largest root of |w(lambda)| = 1. With
    mu = lambda + min d, 1/|w(mu)| is increasing and concave, so Newton from the left of the
    root climbs to it without overshooting. mu >= max_i(|phi_i| - d_i + min d), because
    no |w_i| exceeds 1, and mu <= |phi|: the bracket.

    Args:
      eigenvalues: d [p], any order.
      linear: Q'phi [p].
    Returns:
      Solution in the eigenbasis. Where phi has no component along the smallest eigenvalue and
      the rest of w stays inside the sphere (`hard_case`), lambda = -min d and w is completed
      along that eigenvector. NONFINITE where the input is.
    Source: More and Sorensen (1983), section 3; Chen et al. (2018), eq. of step 3.
    """
    smallest = jnp.min(eigenvalues)
    gaps = eigenvalues - smallest
    eps = jnp.finfo(linear.dtype).eps
    length = norm(linear)
    floor = eps * eps * (length + jnp.max(jnp.abs(eigenvalues)))
    lower = jnp.maximum(jnp.max(jnp.abs(linear) - gaps), floor)
    upper = jnp.maximum(length, lower)

    def weights_at(mu: Array) -> Array:
        return divide(linear, gaps + mu)

    def newton(_: int, mu: Array) -> Array:
        w = weights_at(mu)
        size = norm(w)
        slope = jnp.sum(divide(w * w, gaps + mu))
        return jnp.clip(mu + divide((size - 1) * size * size, slope), mu, upper)

    hard = norm(weights_at(lower)) < 1 - jnp.sqrt(eps)
    root: Array = jax.lax.fori_loop(0, STEPS, newton, lower)  # type: ignore[assignment]
    mu = jnp.where(hard, jnp.zeros_like(lower), root)
    w = weights_at(jnp.where(hard, lower, mu))
    missing = sqrt(1 - jnp.sum(w * w))
    axis = jnp.argmin(eigenvalues)
    completed = w.at[axis].add(jnp.where(w[axis] < 0, -missing, missing))
    w = jnp.where(hard, completed, w)
    w = divide(w, norm(w))
    finite = jnp.all(jnp.isfinite(eigenvalues)) & jnp.all(jnp.isfinite(linear))
    code = status.when(~finite, status.NONFINITE)
    nan = jnp.where(finite, 0, jnp.nan).astype(w.dtype)
    return SphereSolution(w + nan, mu - smallest + nan, hard & finite, code)
