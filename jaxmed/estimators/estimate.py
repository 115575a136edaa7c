"""What every estimator returns."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.distributions.fieller import RatioInterval, fieller
from jaxmed.distributions.product_normal import product_normal_interval
from jaxmed.distributions.tails import normal_two_sided
from jaxmed.door import at_the_door
from jaxmed.linalg.safe import divide, power_of_two
from jaxmed.typing import Array, Interval, pytree, static


@pytree
class Effects:
    """Direct, indirect and total effect of one unit of exposure, in outcome units."""

    direct: Any
    indirect: Any
    total: Any

    @property
    def proportion_mediated(self) -> Array:
        """Indirect / total; NaN where the total effect is exactly zero, unstable near it."""
        return divide(self.indirect, self.total, jnp.nan)


@pytree
class MediatorEffects:
    """Every mediator, one at a time; leaves [p], NaN with `reason` where not estimated.

    The limits of alpha * beta are no leaves: `lower` and `upper` are computed where they are read
    (quantiles of a product of normals, by iteration), so that a program that does not read them
    does not hold them. `interval` has both for the price of one.
    """

    alpha: Array  # exposure -> mediator, mediator units per unit of exposure
    alpha_se: Array
    alpha_p: Array
    beta: Array  # mediator -> outcome given the exposure, outcome per mediator unit
    beta_se: Array
    beta_p: Array
    indirect: Array  # alpha * beta
    indirect_se: Array  # first-order (delta method)
    p_value: Array  # joint significance: the larger of alpha_p and beta_p
    p_adjusted: Array  # Benjamini-Hochberg over the mediators, unless the method says otherwise
    reason: Array  # int32 status code per mediator
    level: float = static(default=0.95)  # of the interval of alpha * beta

    @property
    def interval(self) -> Interval:
        """Product-of-normals interval of every alpha * beta; NaN where it has no width."""
        return _product_interval(self.level, self.alpha, self.alpha_se, self.beta, self.beta_se)

    @property
    def lower(self) -> Array:
        """Lower limit of every alpha * beta."""
        return self.interval.lower

    @property
    def upper(self) -> Array:
        """Upper limit of every alpha * beta."""
        return self.interval.upper

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fields of a copy or of a pickle.

        Raises:
          ValueError: a pickle made when the limits were fields, whose level nobody knows.
        """
        if "lower" in state or "level" not in state:
            raise ValueError(
                "these MediatorEffects were pickled by an earlier jaxmed, which kept the limits "
                "of alpha * beta without their level: fit again, or unpickle with the version "
                "that made them; records of results are kept as json (jaxmed.read_result)"
            )
        vars(self).update(state)

    @property
    def share(self) -> Array:
        """|indirect| as a share of the sum over all mediators that have one (rimp / 100)."""
        size = jnp.abs(self.indirect)
        return divide(size, jnp.nansum(size), jnp.nan)


@at_the_door("level")
def _product_interval(
    level: float, alpha: Array, alpha_se: Array, beta: Array, beta_se: Array
) -> Interval:
    alpha, alpha_se, beta, beta_se = (jnp.asarray(x) for x in (alpha, alpha_se, beta, beta_se))
    units = [
        power_of_two(jnp, jnp.maximum(jnp.abs(mean), error))
        for mean, error in ((alpha, alpha_se), (beta, beta_se))
    ]
    lower, upper = product_normal_interval(
        level, alpha / units[0], alpha_se / units[0], beta / units[1], beta_se / units[1]
    )
    unit = units[0] * units[1]
    return Interval(lower * unit, upper * unit, level, "product of normals")


@pytree
class Estimate:
    """One method's answer for one data set."""

    effects: Effects
    standard_errors: Effects
    intervals: Effects  # of Interval
    mediators: MediatorEffects
    selected: Array  # [p] bool: mediators with a non-zero weight
    status: Array  # int32
    details: Any  # what only this method knows
    notes: Array | np.uint32 = st.NO_NOTES  # uint32 bits beside the status, see `status.Note`

    @property
    def p_values(self) -> Effects:
        """Two-sided normal p-values of the three effects being zero.

        NaN without an error. Where the error is exactly 0, i.e. the fit leaves nothing: 0 for an
        effect, NaN for one that is exactly 0.
        """

        def p_value(part: str) -> Array:
            value, error = getattr(self.effects, part), getattr(self.standard_errors, part)
            exact = jnp.where(value == 0, jnp.nan, jnp.sign(value) * jnp.inf)
            return normal_two_sided(divide(value, error, exact))

        return Effects(*(p_value(part) for part in ("direct", "indirect", "total")))

    def proportion_interval(self, level: float = 0.95) -> RatioInterval:
        """Fieller's interval of indirect / total; see `proportion_interval`."""
        return proportion_interval(self.effects, self.standard_errors, level)


def proportion_interval(
    effects: Effects, standard_errors: Effects, level: float = 0.95
) -> RatioInterval:
    """Fieller's interval of indirect / total.

    The covariance of the two is what the three standard errors imply. NaN limits, with the kind,
    unless the total effect is away from zero (|total| / error above the normal quantile): every
    share, or all but an interval, is then compatible with the data.
    """
    parts = ("direct", "indirect", "total")
    share, whole = jnp.asarray(effects.indirect), jnp.asarray(effects.total)
    # Squares of effects of 1e-155 are no numbers; a ratio has no units.
    unit = jnp.where(whole == 0, 1, jnp.abs(whole))
    errors = (jnp.asarray(getattr(standard_errors, part)) / unit for part in parts)
    direct, indirect, both = (error**2 for error in errors)
    covariance = indirect + (both - direct - indirect) / 2
    share, whole = share / unit, whole / unit
    return fieller(share, whole, indirect, both, covariance, level)


def weak_total(total: Array, error: Array) -> Array:
    """Note.WEAK_TOTAL where a total effect is within three standard errors of zero."""
    return st.note_when(jnp.abs(total) <= 3 * error, st.Note.WEAK_TOTAL)


def no_effects(like: Array) -> Effects:
    """NaN in all three places, of the dtype and shape of `like`."""
    nan = jnp.full_like(jnp.asarray(like), jnp.nan)
    return Effects(nan, nan, nan)


def poison(effects: Effects, status: Array) -> Effects:
    """NaN where the status is fatal."""
    fatal = st.is_fatal(status)
    return Effects(
        *(jnp.where(fatal, jnp.nan, x) for x in (effects.direct, effects.indirect, effects.total))
    )
