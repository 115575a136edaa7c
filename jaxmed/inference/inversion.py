"""Intervals of the total indirect effect and of its parts: what the exact law does not reject."""

import jax
import jax.numpy as jnp

from jaxmed.distributions.exact_law import BaseDraws
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.inference.candidates import outermost
from jaxmed.inference.part_statistic import PartStatistic, part_statistic, part_tails
from jaxmed.inference.total_indirect import exceedance, total_variance
from jaxmed.inference.unit_free import mirrored, unit_free
from jaxmed.typing import Array

__all__ = ["least_replicates", "part_limits", "total_limits"]

# The first candidate lies this many standard errors from the estimate: beyond most limits.
FIRST = 4.0


def least_replicates(level: float) -> int:
    """Fewest draws whose smallest one-sided p-value, 1 / (B + 1), is below (1 - level) / 2."""
    return int(2 / (1 - level) + 1e-9)


def total_limits(q: PathQuadratics, draws: BaseDraws, level: float) -> tuple[Array, Array]:
    """Limits of the total indirect effect: the totals whose two-sided p-value exceeds 1 - level.

    A candidate total has the law at the debiased strengths, raised where their product is less
    (`debiased.law_with_total`), and the same draws as every other. 0 is the first candidate
    tried, so that it lies outside exactly where the test by the same draws rejects.

    Args:
      q: of the data, scalar leaves, r > 1.
      draws: `total_indirect.total_draws` of them.
      level: in (0, 1).

    Returns:
      lower and upper limit, outcome per exposure.

    Source: inference specification, section 2.
    """
    plain, unit = unit_free(q)
    estimate = plain.exposure_outcome
    error = jnp.sqrt(total_variance(plain))
    side = jnp.asarray([-1, 1], error.dtype)
    start = jnp.broadcast_to(estimate, (2,))
    step = FIRST * error * side
    zero_is_there = start * side < 0
    limits = outermost(
        jax.vmap(lambda total: exceedance(plain, draws, total) > 1 - level),
        start,
        jnp.where(zero_is_there, 0, start + step),
        step,
    )
    return unit * limits[0], unit * limits[1]


def part_limits(
    q: PathQuadratics, draws: BaseDraws, level: float
) -> dict[str, tuple[Array, Array, Array]]:
    """Limits and standard error of the concordant and of the suppression part.

    A candidate psi is kept while neither tail of its statistic is below (1 - level) / 2 at the
    nearest strengths, nor at those of its boundary (`part_statistic`). The suppression part is
    minus the concordant part of -Y.

    Args:
      q: of the data, scalar leaves, r > 1.
      draws: `total_indirect.total_draws` of them.
      level: in (0, 1).

    Returns:
      part -> (lower, upper, standard error), outcome per exposure; a concordant part is not below
      0, a suppression part not above.

    Source: inference specification, section 3.
    """
    plain, unit = unit_free(q)
    both = jax.tree.map(lambda x, y: jnp.stack([x, y]), plain, mirrored(plain))
    found: PartStatistic = jax.vmap(part_statistic)(both)

    def limits(one: PathQuadratics, estimate: Array, error: Array) -> Array:
        upwards = jnp.asarray([False, True])
        step = jnp.where(upwards, 1, -1) * FIRST * error

        def accepts(candidate: Array) -> Array:
            above, below = jax.vmap(lambda psi: part_tails(one, draws, psi))(candidate)
            return jnp.where(upwards, below, above) > (1 - level) / 2

        start = jnp.broadcast_to(estimate, (2,))
        # The lower search tries 0 first: mostly it is the limit where it is accepted.
        first = jnp.where(upwards, start + step, 0)
        return outermost(accepts, start, first, step, least=0.0)

    ends = jax.vmap(limits)(both, found.estimate, found.standard_error)
    (low, high), (low_minus, high_minus) = unit * ends
    error, error_minus = unit * found.standard_error
    return {
        "concordant": (low, high, error),
        "suppression": (-high_minus, -low_minus, error_minus),
    }
