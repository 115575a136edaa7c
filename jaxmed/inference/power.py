"""Power, size and sample size of the path tests, by simulation of the exact law.

Everything is traced, n and p included: jit the call once and vary them freely.
"""

from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmed import status
from jaxmed.budget import check_count, said
from jaxmed.distributions.exact_law import Law, law, sample_quadratics
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.distributions.tails import f_quantile, noncentral_t_upper, t_quantile
from jaxmed.door import at_the_door
from jaxmed.inference.cosine_test import corrected_cosine_test, cosine_test
from jaxmed.inference.intersection_union import intersection_union_test
from jaxmed.inference.joint_test import joint_test
from jaxmed.inference.single_mediator import is_single
from jaxmed.inference.total_indirect import LEAST_SPARE_ROWS, statistic_of
from jaxmed.keys import as_key
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, ArrayLike, Key, pytree

__all__ = [
    "Power",
    "SampleSize",
    "detection_threshold",
    "power",
    "printed_cosine_power",
    "rejection_rate",
    "sample_size",
    "size",
]

Test = Literal["joint", "total", "cosine", "corrected", "intersection_union"]
Side = Literal["two", "concordant", "suppression"]
Null = Literal["both", "exposure", "outcome"]
_BLOCK = 8192
MAX_ROWS = 2**30  # doubled sizes are int32


@pytree
class Power:
    """Rejection rate of a test over replicates of the exact law."""

    power: Array
    standard_error: Array  # Monte Carlo
    status: Array  # int32


@pytree
class SampleSize:
    """Smallest number of rows that reaches the power asked for."""

    num_rows: Array  # int32; the largest size tried where the status says NOT_CONVERGED
    power: Array  # at num_rows
    standard_error: Array  # Monte Carlo, of that power
    status: Array  # int32; NOT_CONVERGED: no number of rows up to max_rows reaches the power


def power(
    key: Key,
    n: ArrayLike,
    p: ArrayLike,
    *,
    num_covariates: ArrayLike = 0,
    exposure_r2: ArrayLike,
    outcome_r2: ArrayLike,
    cosine: ArrayLike,
    test: Test = "total",
    level: float = 0.05,
    side: Side = "two",
    replicates: int = 100_000,
    exposure: Literal["gaussian", "fixed"] = "gaussian",
) -> Power:
    """Power of one test at n rows and p mediators.

    In units where Var(A | C) = 1 and Var(Y | X, A, C) = 1: R2_A = kA^2 / (1 + kA^2), because
    Var(A | X, C) = 1 / (1 + a'Omega^-1 a), and R2_Y = kY^2 / (kY^2 + 1); hence kA^2 =
    R2_A / (1 - R2_A), kY^2 = R2_Y / (1 - R2_Y) and c0 is the cosine.

    Args:
      key: PRNG key. The same key at every n gives a smooth curve.
      n: rows, traced or not.
      p: mediators, p <= n - 3 - q.
      num_covariates: q.
      exposure_r2: R2 of the exposure on the mediators given the covariates, in [0, 1).
      outcome_r2: partial R2 of the outcome on the mediators given exposure and covariates.
      cosine: population cosine between the two paths, a'b / (kA kY).
      test: "joint", "total" (W of `total_indirect_test` by t), "cosine", "corrected" (cosine) or
        "intersection_union".
      level: of the test.
      side: "two", "concordant" or "suppression"; the intersection-union test has no sides.
      replicates: of the law.
      exposure: "gaussian" redraws the exposure in every replicate; "fixed" keeps its sum of
        squares at n - 1 - q (a treatment, a design).

    Returns:
      Power; NaN with NOT_IN_DUAL where p > n-3-q, with TOO_FEW_ROWS where "total" has fewer than
      p + 6 + q rows.

    Raises:
      ValueError: unknown test, side or exposure; a side for the intersection-union test; level or
        replicates out of range.

    Source: composite mediator specification, section 3; exact for Gaussian mediators and errors.
    """
    key = as_key(key)
    _check_size("n", n)
    _check_size("p", p)
    return _power(
        key,
        n,
        p,
        num_covariates,
        exposure_r2,
        outcome_r2,
        cosine,
        test=test,
        level=level,
        side=side,
        replicates=replicates,
        exposure=exposure,
    )


@at_the_door("test", "level", "side", "replicates", "exposure", optimised=True)
def _power(
    key: Key,
    n: ArrayLike,
    p: ArrayLike,
    num_covariates: ArrayLike,
    exposure_r2: ArrayLike,
    outcome_r2: ArrayLike,
    cosine: ArrayLike,
    *,
    test: Test,
    level: float,
    side: Side,
    replicates: int,
    exposure: Literal["gaussian", "fixed"],
) -> Power:
    population = _population(n, p, num_covariates, exposure_r2, outcome_r2, cosine, exposure)
    return rejection_rate(key, population, test=test, level=level, side=side, replicates=replicates)


def _population(
    n: ArrayLike,
    p: ArrayLike,
    num_covariates: ArrayLike,
    exposure_r2: ArrayLike,
    outcome_r2: ArrayLike,
    cosine: ArrayLike,
    exposure: Literal["gaussian", "fixed"],
) -> Law:
    residual_df = jnp.asarray(n) - 2 - jnp.asarray(num_covariates)
    return law(
        sqrt(divide(exposure_r2, 1 - jnp.asarray(exposure_r2))),
        sqrt(divide(outcome_r2, 1 - jnp.asarray(outcome_r2))),
        cosine,
        exposure_ss=residual_df + 1,
        residual_df=residual_df,
        num_mediators=p,
        exposure=exposure,
    )


def size(
    key: Key,
    n: ArrayLike,
    p: ArrayLike,
    *,
    null: Null,
    r2: ArrayLike = 0.5,
    num_covariates: ArrayLike = 0,
    test: Test = "total",
    level: float = 0.05,
    side: Side = "two",
    replicates: int = 100_000,
    exposure: Literal["gaussian", "fixed"] = "gaussian",
) -> Power:
    """Rejection rate of one test where it should not reject.

    Args:
      key: PRNG key; consumed.
      n: rows.
      p: mediators.
      null: which path is null: "both", "exposure" (mediators independent of the exposure) or
        "outcome".
      r2: R2 of the path that is not null: partial, as `exposure_r2` or `outcome_r2` of `power`.
      num_covariates: q.
      test: "joint", "total" (W of `total_indirect_test` by t), "cosine", "corrected" (cosine) or
        "intersection_union".
      level: of the test.
      side: "two", "concordant" or "suppression"; the intersection-union test has no sides.
      replicates: of the law.
      exposure: "gaussian" redraws the exposure in every replicate; "fixed" keeps its sum of
        squares.

    Raises:
      ValueError: unknown null; and as `power`.
    """
    key = as_key(key)
    _check_size("n", n)
    _check_size("p", p)
    if null not in ("both", "exposure", "outcome"):
        raise ValueError(f'null is "both", "exposure" or "outcome", not {null!r}')
    return power(
        key,
        n,
        p,
        num_covariates=num_covariates,
        exposure_r2=r2 if null == "outcome" else 0.0,
        outcome_r2=r2 if null == "exposure" else 0.0,
        cosine=0.0,
        test=test,
        level=level,
        side=side,
        replicates=replicates,
        exposure=exposure,
    )


def rejection_rate(
    key: Key,
    law: Law,
    *,
    test: Test = "total",
    level: float = 0.05,
    side: Side = "two",
    replicates: int = 100_000,
) -> Power:
    """Share of the law's replicates that a test rejects; see `power` for the arguments."""
    key = as_key(key)
    _check(test, level, side, replicates)
    rejects = _rejector(law, test, level, side)
    blocks = -(-replicates // _BLOCK)
    size = min(replicates, _BLOCK)

    def count(args: tuple[Array, Array]) -> Array:
        block_key, start = args
        rejected = rejects(sample_quadratics(block_key, law, size))
        return jnp.sum(rejected & (start + jnp.arange(size) < replicates), dtype=jnp.int32)

    counts = lax.map(count, (jax.random.split(key, blocks), jnp.arange(blocks) * size))
    rate = jnp.sum(counts).astype(law.exposure_strength.dtype) / replicates
    too_few = law.num_mediators >= law.residual_df
    no_angle = (law.num_mediators < 2) & (test in ("cosine", "corrected"))
    spare = law.residual_df - law.num_mediators
    no_test = (test == "total") & (spare < LEAST_SPARE_ROWS) & (law.num_mediators > 1) & ~too_few
    code = status.combine(
        status.combine(
            status.when(too_few, status.NOT_IN_DUAL), status.when(no_angle, status.NOT_APPLICABLE)
        ),
        status.when(no_test, status.TOO_FEW_ROWS),
    )
    rate = jnp.where(status.is_fatal(code), jnp.nan, rate)
    return Power(rate, jnp.sqrt(rate * (1 - rate) / replicates), code)


def _rejector(law: Law, test: Test, level: float, side: Side) -> Callable[[PathQuadratics], Array]:
    """Comparison of statistics with critical values: p-values would cost more than the draws."""
    m, p = law.residual_df, law.num_mediators

    def beyond(df: Array) -> Callable[[Array], Array]:
        tail = level / 2 if side == "two" else level
        critical = t_quantile(jnp.asarray(1 - tail, df.dtype), df)
        if side == "two":
            return lambda statistic: jnp.abs(statistic) >= critical
        sign = 1 if side == "concordant" else -1
        return lambda statistic: sign * statistic >= critical

    if test in ("cosine", "corrected"):
        function = cosine_test if test == "cosine" else corrected_cosine_test
        beyond_cosine = beyond(p - 1)
        return lambda q: beyond_cosine(function(q).statistic)
    if test in ("joint", "total"):
        beyond_outcome, beyond_exposure = beyond(m - p), beyond(m)

        def joint(q: PathQuadratics) -> Array:
            result = joint_test(q)
            return beyond_outcome(result.statistic_outcome) & beyond_exposure(
                result.statistic_exposure
            )

        def total(q: PathQuadratics) -> Array:
            by_total = beyond_outcome(statistic_of(q, jnp.zeros_like(q.exposure_ss)))
            return jnp.where(is_single(q), joint(q), by_total)

        return joint if test == "joint" else total
    probability = jnp.asarray(1 - level, m.dtype)
    critical_exposure = f_quantile(probability, p, m - p + 1)
    critical_outcome = f_quantile(probability, p, m - p)

    def intersection_union(q: PathQuadratics) -> Array:
        result = intersection_union_test(q)
        return (result.statistic_exposure >= critical_exposure) & (
            result.statistic_outcome >= critical_outcome
        )

    return intersection_union


def sample_size(
    key: Key,
    p: ArrayLike,
    *,
    power: ArrayLike = 0.8,
    num_covariates: ArrayLike = 0,
    exposure_r2: ArrayLike,
    outcome_r2: ArrayLike,
    cosine: ArrayLike,
    test: Test = "total",
    level: float = 0.05,
    side: Side = "two",
    replicates: int = 100_000,
    exposure: Literal["gaussian", "fixed"] = "gaussian",
    max_rows: int = 2**20,
) -> SampleSize:
    """Smallest n that reaches the power, by doubling and bisection with one key.

    The cosine tests have a detection threshold (`detection_threshold`): beyond it their power
    tends to 0 as n grows, and the answer is NOT_CONVERGED. Power near the smallest possible n is
    read where doubling starts, n = p + 3 + q.

    Args:
      key: PRNG key, used at every n.
      p: mediators.
      power: asked for, in (level, 1).
      num_covariates: q.
      exposure_r2: R2 of the exposure on the mediators given the covariates, in [0, 1).
      outcome_r2: partial R2 of the outcome on the mediators given exposure and covariates.
      cosine: population cosine between the two paths.
      test: "joint", "total" (W of `total_indirect_test` by t), "cosine", "corrected" (cosine) or
        "intersection_union".
      level: of the test.
      side: "two", "concordant" or "suppression"; the intersection-union test has no sides.
      replicates: of the law.
      exposure: "gaussian" redraws the exposure in every replicate; "fixed" keeps its sum of
        squares.
      max_rows: largest n tried.
    """
    key = as_key(key)
    _check_size("max_rows", max_rows)
    _check_size("p", p)
    if isinstance(power, int | float) and not level < power < 1:
        raise ValueError(f"power must lie between level and 1, not {said(power)}")
    return _sample_size(
        key,
        p,
        power,
        num_covariates,
        exposure_r2,
        outcome_r2,
        cosine,
        max_rows,
        test=test,
        level=level,
        side=side,
        replicates=replicates,
        exposure=exposure,
    )


@at_the_door("test", "level", "side", "replicates", "exposure", optimised=True)
def _sample_size(
    key: Key,
    p: ArrayLike,
    power: ArrayLike,
    num_covariates: ArrayLike,
    exposure_r2: ArrayLike,
    outcome_r2: ArrayLike,
    cosine: ArrayLike,
    max_rows: ArrayLike,
    *,
    test: Test,
    level: float,
    side: Side,
    replicates: int,
    exposure: Literal["gaussian", "fixed"],
) -> SampleSize:
    first = jnp.asarray(p, jnp.int32) + 3 + jnp.asarray(num_covariates, jnp.int32)

    def at(n: Array) -> Power:
        population = _population(n, p, num_covariates, exposure_r2, outcome_r2, cosine, exposure)
        return rejection_rate(
            key, population, test=test, level=level, side=side, replicates=replicates
        )

    def step(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        """`low` falls short; `high` is enough once `found`, else the next size to try."""
        low, high, found, _ = state
        trial = jnp.where(found, (low + high) // 2, high)
        enough = at(trial).power >= power
        low = jnp.where(enough, low, trial)
        doubled = jnp.minimum(2 * trial, max_rows)
        high = jnp.where(enough, trial, jnp.where(found, high, doubled))
        exhausted = ~enough & ~found & (trial >= max_rows)
        return low, high, found | enough, exhausted

    def unfinished(state: tuple[Array, Array, Array, Array]) -> Array:
        low, high, found, exhausted = state
        return ~exhausted & (~found | (high - low > 1))

    start = (first - 1, jnp.minimum(first, max_rows), jnp.asarray(False), jnp.asarray(False))
    _, num_rows, found, _ = lax.while_loop(unfinished, step, start)
    reached = at(num_rows)
    code = status.combine(reached.status, status.when(~found, status.NOT_CONVERGED))
    return SampleSize(num_rows, reached.power, reached.standard_error, code)


def detection_threshold(p: ArrayLike, *, level: float = 0.05, side: Side = "two") -> Array:
    """Angle in radians beyond which the cosine test's power tends to 0 as n grows.

    As n grows the statistic tends to sqrt(p-1) cot(angle), a point, which has to exceed the
    critical value: tan(threshold) = sqrt(p-1) / t_{1-level/2}(p-1). For a one-sided test the angle
    counts from the side tested.
    """
    return _threshold(jnp.asarray(p, float), level=level, side=side)


@at_the_door("level", "side")
def _threshold(p: Array, *, level: float, side: Side) -> Array:
    df = p - 1
    tail = level / 2 if side == "two" else level
    critical = t_quantile(1 - tail, df)
    return jnp.where(df > 0, jnp.arctan2(jnp.sqrt(jnp.maximum(df, 0)), critical), jnp.nan)


def printed_cosine_power(
    p: ArrayLike, cosine: ArrayLike, *, level: float = 0.05, side: Side = "two"
) -> Array:
    """The paper's power of the cosine test, a noncentral t(p-1) with sqrt(p-1) cot(angle).

    Kept for comparison: it is wrong at every n. It does not depend on n, while the statistic's
    mean grows from 0 to sqrt(p-1) cot(angle) and its variance falls from 1 to 0 as n grows; p = 40,
    at the angle of 63.7 degrees in the paper's figure 2: .854 printed, .25 at n = 100, .994 at
    n = 1000.
    Use `power`.

    Source: He (2026), the power formula of the cosine test.
    """
    return _printed_power(jnp.asarray(p, float), jnp.asarray(cosine, float), level=level, side=side)


@at_the_door("level", "side")
def _printed_power(p: Array, cosine: Array, *, level: float, side: Side) -> Array:
    df = p - 1
    delta = jnp.sqrt(df) * divide(cosine, sqrt(1 - cosine * cosine), jnp.inf)
    tail = level / 2 if side == "two" else level
    critical = t_quantile(1 - tail, df)
    above = noncentral_t_upper(critical, df, delta)
    below = noncentral_t_upper(critical, df, -delta)
    return {"two": above + below, "concordant": above, "suppression": below}[side]


def _check(test: str, level: float, side: str, replicates: int) -> None:
    if test not in get_args(Test):
        names = ", ".join(f'"{name}"' for name in get_args(Test))
        raise ValueError(f"test is one of {names}, not {test!r}")
    if side not in ("two", "concordant", "suppression"):
        raise ValueError(f'side is "two", "concordant" or "suppression", not {side!r}')
    if test == "intersection_union" and side != "two":
        raise ValueError('the intersection-union test has no sides: side="two"')
    if not 0 < level < 1:
        raise ValueError(f"level lies between 0 and 1, not {level!r}")
    check_count("replicates", replicates)


def _check_size(name: str, size: Any) -> None:
    """Refuses a number of rows or mediators that is out of range, where it is a plain number."""
    if isinstance(size, int | float | np.number) and not 1 <= size <= MAX_ROWS:
        raise ValueError(f"{name} must lie between 1 and 2^30, not {said(size)}")
