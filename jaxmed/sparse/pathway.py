"""The pathway penalty: lambda [|a b| + phi (a^2 + b^2)] + omega (|a| + |b|) of every mediator.

With m = A'M_j / n, q = A'A / n and everything standardised, a pathway lasso is

    min over a, b, c   sum_j [q a_j^2 / 2 - m_j a_j] + d'G d / 2 - s'd
                       + sum_j penalty(a_j, b_j) + lambda phi c^2 + direct |c|,   d = (c, b),

G = X'X / n and s = X'Y / n of X = [A, M]; convex for phi >= 1/2.
"""

import jax.numpy as jnp

from jaxmed.linalg.products import matmul
from jaxmed.linalg.prox import soft_threshold
from jaxmed.typing import Array, pytree


@pytree
class PathwayMoments:
    """What a pathway lasso needs of the rows; slot 0 of the outcome model is the exposure."""

    exposure_ss: Array  # [] A'A / n of the mediator models
    path: Array  # [p] A'M / n of the mediator models
    gram: Array  # [1+p, 1+p] X'X / n of the outcome model
    score: Array  # [1+p] X'Y / n
    rows: Array | None = None  # [n, 1+p] X / sqrt(n), where p > n


@pytree
class PathwayPenalty:
    """Penalties at one point of the path; scalars."""

    product: Array  # lambda, of |a b|
    ridge: Array  # lambda phi, of a^2 + b^2 and of c^2
    absolute: Array  # omega, of |a| + |b|
    direct: Array  # of |c|


@pytree
class PathwaySolution:
    """One minimiser; standardised units."""

    a: Array  # [p] exposure -> mediator
    d: Array  # [1+p] exposure, mediators -> outcome
    iterations: Array  # [] int32
    status: Array  # [] NOT_CONVERGED where the budget ran out


def pathway_prox(
    m1: Array, m2: Array, p1: Array, p2: Array, product: Array, absolute: Array
) -> tuple[Array, Array]:
    """Elementwise minimiser of a quadratic plus the pathway penalty.

    p1 a^2 / 2 - m1 a + p2 b^2 / 2 - m2 b + product |ab| + absolute (|a| + |b|). Seven
    candidates (four sign pairs, either one alone, none) and the least objective among those that
    are feasible: no branch.

    Args:
      m1: linear terms of a; any shape, as the next.
      m2: of b.
      p1: curvatures, p1 p2 > product^2.
      p2: of b.
      product: >= 0.
      absolute: >= 0.
    Returns:
      a and b.
    Source: Zhao and Luo (2022), Lemma of the ADMM's second block.
    """
    zero = jnp.zeros_like(m1)
    first = [soft_threshold(m1, absolute) / p1, zero, zero]
    second = [zero, soft_threshold(m2, absolute) / p2, zero]
    feasible = [jnp.ones(m1.shape, bool)] * 3
    determinant = p1 * p2 - product * product
    for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        left, right = m1 - s * absolute, m2 - t * absolute
        a = (p2 * left - s * t * product * right) / determinant
        b = (p1 * right - s * t * product * left) / determinant
        first.append(a)
        second.append(b)
        feasible.append((s * a > 0) & (t * b > 0))
    a, b = jnp.stack(first), jnp.stack(second)
    size_a, size_b = jnp.abs(a), jnp.abs(b)
    value = (p1 * a / 2 - m1) * a + (p2 * b / 2 - m2) * b
    value = value + product * size_a * size_b + absolute * (size_a + size_b)
    best = jnp.argmin(jnp.where(jnp.stack(feasible), value, jnp.inf), axis=0)[None]
    return jnp.take_along_axis(a, best, 0)[0], jnp.take_along_axis(b, best, 0)[0]


def pathway_objective(
    moments: PathwayMoments, penalty: PathwayPenalty, a: Array, d: Array
) -> Array:
    """Objective at a [p] and d = (c, b) [1+p], less |M|^2 / 2n + |Y|^2 / 2n; scalar."""
    c, b = d[0], d[1:]
    size_a, size_b = jnp.abs(a), jnp.abs(b)
    smooth = jnp.sum(moments.exposure_ss * a * a / 2 - moments.path * a)
    smooth = smooth + jnp.sum(d * (matmul(moments.gram, d) / 2 - moments.score))
    return (
        smooth
        + penalty.product * jnp.sum(size_a * size_b)
        + penalty.ridge * (jnp.sum(a * a) + jnp.sum(b * b) + c * c)
        + penalty.absolute * (jnp.sum(size_a) + jnp.sum(size_b))
        + penalty.direct * jnp.abs(c)
    )
