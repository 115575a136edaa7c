"""Studentised estimate of the concordant part, and its tails at a candidate value.

Everything here is without units (`unit_free`): tau = 1.
"""

import jax
import jax.numpy as jnp

from jaxmed.distributions.exact_law import BaseDraws, Law, law, quadratics_at
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.inference.debiased import strength_errors
from jaxmed.inference.nearest_strengths import Criterion, nearest_strengths
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, pytree

__all__ = ["PartStatistic", "part_statistic", "part_tails"]

# Standard errors are at least this share of the terms that are sums of squares.
SMALLEST_SHARE = 0.05
# Boundary strengths whose criterion is within this of the least are tried too.
NEAR = 3.0


@pytree
class PartStatistic:
    """The unclipped estimate of (a'b + kA kY) / 2 and its standard error, leaves of one shape."""

    estimate: Array
    standard_error: Array


@pytree
class _Strengths:
    """Unbiased squares of the strengths and their errors; leaves of one shape."""

    exposure: Array  # LA, may be negative
    outcome: Array  # LY
    noise: Array  # s2
    exposure_error: Array
    outcome_error: Array
    total_variance: Array  # of ab


def _strengths(q: PathQuadratics) -> _Strengths:
    m, p = q.residual_df, q.dimension
    noise = divide(q.residual_ss, m - p)
    exposure = (m - p - 1) * q.exposure_exposure - p
    outcome = divide(q.outcome_outcome - p * noise, m)
    x, y = jnp.maximum(exposure, 0), jnp.maximum(outcome, 0)
    x_error, y_error = strength_errors(x, y, noise, m, p)
    return _Strengths(
        exposure, outcome, noise, x_error, y_error, y + noise * divide(x + p, m - p - 1)
    )


def part_statistic(q: PathQuadratics) -> PartStatistic:
    """Of data, or of draws of the law.

    Source: inference specification, section 3: h+ and the delta variance of its two strengths and
      of ab, floored where their covariance would take it away.
    """
    s = _strengths(q)
    x, y = jnp.maximum(s.exposure, 0), jnp.maximum(s.outcome, 0)
    product = sqrt(x) * sqrt(y)
    total = q.exposure_outcome
    inside = jnp.clip(total, -product, product)
    ratio = divide(
        jnp.maximum(s.outcome, s.outcome_error), jnp.maximum(s.exposure, s.exposure_error)
    )
    by_exposure = sqrt(ratio) / 4
    by_outcome = divide(1.0, 16 * by_exposure)
    squares = (
        (by_exposure * s.exposure_error) ** 2
        + (by_outcome * s.outcome_error) ** 2
        + s.total_variance / 4
    )
    crossed = inside * (2 * by_exposure + 2 * by_outcome * divide(s.noise, q.residual_df)) - divide(
        inside**2, 4 * q.residual_df
    )
    variance = jnp.maximum(squares + crossed, SMALLEST_SHARE * squares)
    return PartStatistic(jnp.maximum(0, (total + product) / 2), jnp.sqrt(variance))


def part_tails(q: PathQuadratics, draws: BaseDraws, psi: Array) -> tuple[Array, Array]:
    """Tail probabilities of the statistic at a candidate concordant part.

    Args:
      q: of the data, scalar leaves.
      draws: of the law.
      psi: candidate, >= 0.

    Returns:
      (1 + #{S* >= S}) / (B + 1) and (1 + #{S* <= S}) / (B + 1), each the largest over the strengths
      that may stand behind psi.
    """
    observed = part_statistic(q)
    value = divide(observed.estimate - psi, observed.standard_error)

    def tails(one: Law) -> tuple[Array, Array]:
        drawn = part_statistic(quadratics_at(draws, one))
        s = divide(drawn.estimate - psi, drawn.standard_error)
        return _share(s >= value, s.dtype), _share(s <= value, s.dtype)

    above, below = jax.vmap(tails)(_laws(q, psi))
    return jnp.max(above), jnp.max(below)


def _share(reached: Array, dtype: jnp.dtype) -> Array:
    count = jnp.sum(reached, dtype=dtype)
    return (1 + count) / (1 + reached.shape[0])


def _laws(q: PathQuadratics, psi: Array) -> Law:
    """The law at the nearest strengths, and at two where the paths are parallel; leaves [3]."""
    s = _strengths(q)
    criterion = Criterion(
        s.exposure,
        s.outcome,
        q.exposure_outcome,
        s.exposure_error**2,
        s.outcome_error**2,
        s.total_variance,
        psi,
    )
    k_a, k_y, least = nearest_strengths(criterion)
    x, y = sqrt(s.exposure), sqrt(s.outcome)
    exposures = jnp.stack([k_a, x, divide(psi, y)])
    outcomes = jnp.stack([k_y, divide(psi, x), y])
    usable = (exposures > 0) & (outcomes > 0) & (criterion.at(exposures, outcomes) <= least + NEAR)
    # The first stands in for one that is not to be tried.
    exposures, outcomes = (jnp.where(usable, each, each[0]) for each in (exposures, outcomes))
    alignment = jnp.clip(divide(2 * psi, exposures * outcomes) - 1, -1, 1)
    same = jnp.ones_like(exposures)
    return law(
        exposures,
        outcomes,
        alignment,
        residual_sd=sqrt(s.noise) * same,
        exposure_ss=same,
        residual_df=q.residual_df * same,
        num_mediators=q.dimension * same,
    )
