"""HDMT: joint significance against an estimated mixture of the three composite nulls."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.calibration.concave_majorant import Majorant, concave_majorant
from jaxmed.calibration.margins import (
    check_pair,
    present_pair,
    q_values,
    storey,
    uniform_p_value,
)
from jaxmed.door import at_the_door
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, ArrayLike, pytree

Rule = Literal["correct", "r-legacy"]
THRESHOLDS = (0.5, 0.6, 0.7, 0.8)
UPPER = 0.8  # the fit of a threshold is judged on larger p-values than this
UNIFORM_LEVEL = 0.05
BISECTIONS = 60
# exact=1: tests with both q-values below this are taken for mediators and left out of the
# distributions of the paths at work; the value of the release.
BOTH_CUT = 0.25
FEW_TESTS = 500


@pytree
class NullProportions:
    """Shares of all tests; scalars."""

    only_exposure: Array  # exposure path at work, outcome path null (alpha10)
    only_outcome: Array  # outcome path at work, exposure path null (alpha01)
    both: Array  # both paths null (alpha00)
    exposure: Array  # exposure path null, with or without the other (alpha1)
    outcome: Array  # outcome path null (alpha2)
    threshold: Array  # of the p-values that these were counted from

    @property
    def total(self) -> Array:
        """Share of tests without mediation."""
        return self.only_exposure + self.only_outcome + self.both


@pytree
class HdmtResult:
    """Calibrated joint tests; leaves [m], NaN where either p-value is NaN."""

    p_max: Array  # the larger of the two p-values
    p_value: Array  # of p_max under the mixture null
    fdr: Array  # estimated false discovery rate of all tests with a p_max as small
    expected: Array  # p_max expected of rank 1, 2, ... were all tests null; may exceed 1
    cut: Array  # [] largest p_max with familywise error `level`
    null: NullProportions
    no_upper: Array  # [] bool: no p_max above .8, so the first threshold was taken unjudged
    status: Array  # []


def hdmt(
    p_exposure: ArrayLike,
    p_outcome: ArrayLike,
    *,
    rule: Rule = "correct",
    exact: Literal[0, 1] = 0,
    level: float = 0.05,
    few_tests: int = FEW_TESTS,
) -> HdmtResult:
    """Mixture-null calibration of m joint significance tests.

    Args:
      p_exposure: [m] exposure -> mediator; NaN entries are left out of every count.
      p_outcome: [m] mediator -> outcome.
      rule: of the null proportions; "correct" chooses among the thresholds .5, .6, .7, .8 by the
        fit of the upper p-values (HDMT 1.0.5); "r-legacy" counts above .5 (HIMA 2.3.3).
      exact: 0 takes the p-value of a path at work as 0; 1 estimates its distribution
        (Grenander), which is less conservative.
      level: familywise error of `cut`.
      few_tests: fewer tests than this give SMALL_SAMPLE.
    Returns:
      HdmtResult.
    Raises:
      ValueError: vectors of other shapes, an unknown option.
    Source: Dai, Stanford and LeBlanc (2022), JASA, sections 2.2 to 2.4. Needs many tests.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"rule must be one of {get_args(Rule)}, not {rule!r}")
    if exact not in (0, 1):
        raise ValueError(f"exact must be 0 or 1, not {exact!r}")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level}")
    first, second = check_pair(p_exposure, p_outcome)
    return _hdmt(first, second, rule=rule, exact=exact, level=level, few_tests=few_tests)


@at_the_door("rule", "exact", "level", "few_tests", optimised=True)
def _hdmt(
    first: Array,
    second: Array,
    *,
    rule: Rule,
    exact: Literal[0, 1],
    level: float,
    few_tests: int,
) -> HdmtResult:
    present, p_a, p_b = present_pair(first, second)
    null, no_upper = null_proportions(p_a, p_b, present, rule=rule)
    linear = _linear_part(p_a, p_b, present, null) if exact else None

    count = jnp.sum(present).astype(p_a.dtype)
    p_max = jnp.where(present, jnp.maximum(p_a, p_b), jnp.inf)
    ordered = jnp.sort(p_max)
    below = jnp.searchsorted(ordered, p_max, side="right").astype(p_a.dtype) / count
    rank = jnp.arange(1, p_max.shape[0] + 1, dtype=p_a.dtype)
    at = jnp.where(present, p_max, 0.5)
    mass = _null_mass(null, linear, at)
    order = jnp.argsort(p_max, descending=True)
    rate = jnp.where(present, mass / below, jnp.inf)
    rate = jnp.zeros_like(rate).at[order].set(jax.lax.cummin(rate[order]))
    expected = _quantile(null, linear, rank / count)
    few = st.when(count < few_tests, st.SMALL_SAMPLE)

    def shown(values: Array) -> Array:
        return jnp.where(present, values, jnp.nan)

    p_value = jnp.clip(divide(mass, null.total, jnp.nan), 0, 1)
    return HdmtResult(
        shown(p_max),
        shown(p_value),
        shown(rate),
        jnp.where(rank <= count, expected, jnp.nan),
        _quantile(null, linear, level / count),
        null,
        no_upper,
        st.combine(few, st.when(count == 0, st.NOT_ESTIMATED)),
    )


def null_proportions(
    p_a: Array, p_b: Array, present: Array, *, rule: Rule = "correct"
) -> tuple[NullProportions, Array]:
    """Null shares, and whether there was no p_max to judge the thresholds by.

    Args:
      p_a: [m] no NaN.
      p_b: [m] no NaN.
      present: [m] bool, the tests that count.
      rule: see `hdmt`.
    """
    uniform = [uniform_p_value(p, present) > UNIFORM_LEVEL for p in (p_a, p_b)]
    if rule == "r-legacy":
        return _shares(p_a, p_b, present, uniform, 0.5, legacy=True), jnp.asarray(False)
    found = [_shares(p_a, p_b, present, uniform, x, legacy=False) for x in THRESHOLDS]
    candidates = jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)
    count = jnp.sum(present).astype(p_a.dtype)
    ordered = jnp.sort(jnp.where(present, jnp.maximum(p_a, p_b), jnp.inf))
    target = jnp.arange(1, ordered.shape[0] + 1, dtype=p_a.dtype) / count
    upper = (ordered > UPPER) & jnp.isfinite(ordered)
    observed = jnp.where(upper, -jnp.log10(jnp.where(upper, ordered, 1)), 0)

    def slope(null: NullProportions) -> Array:
        expected = _quantile(null, None, target)
        x = jnp.where(upper, -jnp.log10(jnp.where(upper, expected, 1)), 0)
        return divide(jnp.sum(x * observed), jnp.sum(x * x), jnp.inf)

    none = ~jnp.any(upper)
    slopes = jnp.where(none, 0, jax.vmap(slope)(candidates))
    best = jnp.argmin(slopes)
    return jax.tree.map(lambda leaf: leaf[best], candidates), none


def _shares(
    p_a: Array, p_b: Array, present: Array, uniform: list[Array], threshold: float, *, legacy: bool
) -> NullProportions:
    above = jnp.sum(present & (p_a >= threshold) & (p_b >= threshold)) / jnp.sum(present)
    both = jnp.minimum(1, above.astype(p_a.dtype) / (1 - threshold) ** 2)
    first, second = (
        jnp.where(flat, 1, storey(p, present, threshold))
        for flat, p in zip(uniform, (p_a, p_b), strict=True)
    )
    only_b, only_a = jnp.maximum(first - both, 0), jnp.maximum(second - both, 0)
    one, two = first == 1, second == 1
    if not legacy:
        # One margin all null: the other margin alone says what the tests are.
        both = jnp.where(one, second, jnp.where(two, first, both))
        only_a = jnp.where(one, 0, jnp.where(two, 1 - first, only_a))
        only_b = jnp.where(two, 0, jnp.where(one, 1 - second, only_b))
    all_null = one & two
    too_much = ~all_null & (1 - both - only_a - only_b < 0)
    only_a = jnp.where(all_null, 0, jnp.where(too_much, 1 - first, only_a))
    only_b = jnp.where(all_null, 0, jnp.where(too_much, 1 - second, only_b))
    both = jnp.where(all_null, 1, jnp.where(too_much, 1 - only_a - only_b, both))
    return NullProportions(only_a, only_b, both, first, second, jnp.asarray(threshold, p_a.dtype))


def _linear_part(
    p_a: Array, p_b: Array, present: Array, null: NullProportions
) -> tuple[Majorant, Majorant]:
    """Distribution functions of either p-value among the tests not taken for mediators."""
    mediators = (q_values(p_a, present) < BOTH_CUT) & (q_values(p_b, present) < BOTH_CUT)
    keep = present & ~mediators
    return concave_majorant(p_a, keep), concave_majorant(p_b, keep)


def _alternatives(
    null: NullProportions, linear: tuple[Majorant, Majorant] | None, t: Array
) -> Array:
    """Share of one-sided nulls times P(p of the path at work <= t)."""
    if linear is None:
        return jnp.broadcast_to(null.only_exposure + null.only_outcome, t.shape)
    first, second = (majorant.at(t) for majorant in linear)
    return jnp.clip(null.total * first - null.exposure * t, 0, null.only_exposure) + jnp.clip(
        null.total * second - null.outcome * t, 0, null.only_outcome
    )


def _null_mass(null: NullProportions, linear: tuple[Majorant, Majorant] | None, t: Array) -> Array:
    """Share of all tests that are null and have p_max <= t."""
    return t * _alternatives(null, linear, t) + t * t * null.both


def _quantile(
    null: NullProportions, linear: tuple[Majorant, Majorant] | None, mass: Array
) -> Array:
    """The t with `_null_mass` = mass."""
    slope = null.only_exposure + null.only_outcome
    upper = divide(2 * mass, slope + sqrt(slope**2 + 4 * null.both * mass), jnp.inf)
    if linear is None:
        return upper
    # Beyond 1 the distribution functions are 1, and the formula above holds.
    low, high = jnp.zeros_like(upper), jnp.where(upper > 1, upper, jnp.ones_like(upper))

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        above = _null_mass(null, linear, jnp.minimum(middle, 1)) > mass
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (low, high))
    inside: Array = (low + high) / 2
    return jnp.where(upper > 1, upper, inside)
