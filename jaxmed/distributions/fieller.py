"""Interval of a ratio of two estimates that are jointly normal."""

import jax.numpy as jnp

from jaxmed.distributions.tails import normal_quantile
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, ArrayLike, pytree, static

__all__ = ["BOUNDED", "EVERYTHING", "KINDS", "OUTSIDE", "RatioInterval", "fieller"]

BOUNDED, OUTSIDE, EVERYTHING = 0, 1, 2
KINDS = {
    BOUNDED: "",
    OUTSIDE: "the denominator's interval holds zero: what is compatible with the data is the "
    "outside of an interval",
    EVERYTHING: "the denominator's interval holds zero: any ratio is compatible with the data",
}


@pytree
class RatioInterval:
    """Fieller's interval; limits are NaN unless it is bounded."""

    lower: Array  # [...]
    upper: Array  # [...]
    kind: Array  # [...] int32: BOUNDED, OUTSIDE or EVERYTHING, see `KINDS`
    level: float = static(default=0.95)
    method: str = static(default="Fieller")


def fieller(
    numerator: Array,
    denominator: Array,
    numerator_variance: Array,
    denominator_variance: Array,
    covariance: ArrayLike,
    level: float = 0.95,
) -> RatioInterval:
    """All ratios r for which numerator - r denominator is within its normal limits of 0.

    Bounded exactly where the denominator's own normal interval does not hold zero. Coverage is
    `level` for every true ratio, near a denominator of zero too, where the delta method's fails.

    Args:
      numerator: estimate, any shape; the others broadcast against it. Fourth powers of the
        estimates have to be numbers: divide both by the denominator's size where they may not.
      denominator: estimate.
      numerator_variance: sampling variance; NaN gives NaN limits.
      denominator_variance: sampling variance.
      covariance: of the two estimates.
      level: coverage.
    Source: Fieller (1954), JRSS B 16, 175.
    """
    z2 = normal_quantile(jnp.asarray((1 + level) / 2, denominator.dtype)) ** 2
    square = denominator**2 - z2 * denominator_variance
    cross = numerator * denominator - z2 * covariance
    constant = numerator**2 - z2 * numerator_variance
    discriminant = cross**2 - square * constant
    # r with square r^2 - 2 cross r + constant <= 0.
    outside = jnp.where(discriminant > 0, OUTSIDE, EVERYTHING)
    kind = jnp.where(square > 0, BOUNDED, outside).astype(jnp.int32)
    half = sqrt(discriminant)
    lower, upper = (divide(cross + side * half, square, jnp.nan) for side in (-1, 1))
    # Both exact up to rounding: a ratio without error has no interval. The discriminant is lost to
    # some eps of its parts, half its root.
    rounding = 32 * jnp.finfo(square.dtype).eps ** 0.5
    bounded = (square > 0) & (upper - lower > rounding * (1 + jnp.abs(upper + lower)))
    return RatioInterval(
        jnp.where(bounded, lower, jnp.nan), jnp.where(bounded, upper, jnp.nan), kind, level
    )
