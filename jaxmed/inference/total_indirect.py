"""Test of the total indirect effect that holds at every null: a closed form, and its exact law."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status
from jaxmed.budget import check_count
from jaxmed.data.mediation_data import MediationData
from jaxmed.distributions.exact_law import BaseDraws, base_draws, quadratics_at
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.distributions.tails import t_two_sided
from jaxmed.door import at_the_door
from jaxmed.inference.debiased import indirect_estimates, law_with_total
from jaxmed.inference.joint_test import JointTest, joint_test
from jaxmed.inference.residual import (
    HasQuadratics,
    null_path,
    residual_variance,
    without_rows,
)
from jaxmed.inference.single_mediator import is_single, known_single, single_mediator
from jaxmed.inference.unit_free import unit_free
from jaxmed.keys import as_key
from jaxmed.linalg.safe import divide
from jaxmed.statistics.cross_moments import UNNAMED
from jaxmed.status import NO_NOTES
from jaxmed.typing import Array, Key, pytree

__all__ = [
    "TotalIndirectTest",
    "exceedance",
    "statistic_of",
    "total_draws",
    "total_indirect_test",
    "total_test_by_law",
    "total_test_of",
    "total_test_of_single",
    "total_variance",
]

# The variances of the unbiased strengths exist for m - p > 3.
LEAST_SPARE_ROWS = 4


@pytree
class TotalIndirectTest:
    """Test of a'b = 0 by W = ab / se(ab); leaves of one shape."""

    estimate: Array  # ab, outcome per exposure, unbiased
    standard_error: Array  # of ab
    statistic: Array  # W; of a single mediator the smaller t statistic, with the sign of ab
    df: Array  # m - p, of the t distribution; of a single mediator that of its statistic
    p_value: Array  # two-sided
    p_concordant: Array  # one-sided, against a positive effect
    p_suppression: Array  # against a negative effect
    status: Array  # int32
    notes: Array | np.uint32 = NO_NOTES  # uint32 bits, see `status.Note`


def total_indirect_test(
    paths: HasQuadratics,
    *,
    key: Key | None = None,
    data: Any = None,
    variance: Literal["exact", "robust"] = "exact",
    replicates: int = 2000,
) -> TotalIndirectTest:
    """Test that the total indirect effect through all mediators is zero, whatever the paths are.

    ab = q_AY / sqrt(tau) has variance V / tau with V = s2 q_AA + max(LY, -s2 q_AA / 2), LY =
    (q_YY - p s2) / m: unbiased at every alignment, strength and p / n. W = q_AY / sqrt(V). Without
    a key its p-value is that of t(m - p): size .026 to .053 at every null tried with p >= 10,
    conservative where both paths are weak. With a key the p-value is that of W's exact law at the
    estimated strengths and c0 = 0: .046 to .054 for p >= 10, .033 to .053 for p = 2 and 3.

    A single mediator (r = 1) has the exact test of its two coefficients instead, the larger of two
    Student p-values, as in the table of single mediators; the key is not used.

    Args:
      paths: anything with scalar `.quadratics`: `geometry.Paths` or `PathQuadratics`.
      key: PRNG key, consumed, for the p-value by the exact law. The same key and `replicates` in
        `indirect_interval(part="total")` give an interval that excludes 0 where p <= 1 - level.
      data: the MediationData of the paths; needed for `variance="robust"` only.
      variance: "exact" assumes Gaussian mediators and errors of equal variance; "robust" takes both
        sides of V from the rows, of a single mediator the errors of both coefficients, and holds
        where either variance depends on the exposure or the mediators (see
        `inference.robust_total`); its p-value is that of t(m - p).
      replicates: of the law; a p-value is at least 1 / (replicates + 1).

    Returns:
      TotalIndirectTest; NaN with NOT_IN_DUAL where p >= n-2-q (see `dual_total_test`), with
      TOO_FEW_ROWS where m - p <= 3 (the estimate stays), NEEDS_ROWS for "robust" without data. A
      null path gives statistic 0, p-value 1 and NULL_PATH. An outcome without residual keeps its
      exact test, with ZERO_RESIDUAL.

    Raises:
      ValueError: unknown variance, a key with "robust" or with several data sets, replicates out
        of range.

    Source: inference specification, section 2. Gaussian mediators and errors for "exact".
    """
    if variance not in ("exact", "robust"):
        raise ValueError(f'variance is "exact" or "robust", not {variance!r}')
    if variance == "robust":
        if key is not None:
            raise ValueError('variance="robust" has no exact law: leave out the key')
        return _robust(paths, data)
    if key is None:
        return _closed_form(paths.quadratics, single=known_single(paths.quadratics))
    key = as_key(key)
    check_count("replicates", replicates)
    q = paths.quadratics
    if jnp.ndim(q.exposure_ss):
        raise ValueError(
            f"the exact law tests one data set, and these have the shape {q.exposure_ss.shape}: "
            "use jax.vmap with one key for each"
        )
    return _by_law(key, q, replicates=replicates, single=known_single(q))


def _robust(paths: HasQuadratics, data: Any) -> TotalIndirectTest:
    q = paths.quadratics
    if (code := without_rows(paths, data)) is not None:
        return _without_variance(q, code=code)
    unnamed = dataclasses.replace(data, names=UNNAMED)
    return _of_rows(cast(Any, paths), unnamed, single=known_single(q))


@at_the_door("single")
def _closed_form(q: PathQuadratics, *, single: bool | None) -> TotalIndirectTest:
    return _chosen(
        q,
        single,
        lambda: total_test_of_single(q),
        lambda: total_test_of(q, total_variance(q)),
    )


@at_the_door("code")
def _without_variance(q: PathQuadratics, *, code: int) -> TotalIndirectTest:
    nothing = jnp.full_like(q.exposure_ss, jnp.nan)
    return total_test_of(q, nothing, jnp.full_like(q.status, code))


@at_the_door("single")
def _of_rows(paths: Any, data: MediationData, *, single: bool | None) -> TotalIndirectTest:
    from jaxmed.inference.robust_total import robust_total_test

    return _chosen(
        paths.quadratics,
        single,
        lambda: robust_total_test(paths, data, single=True),
        lambda: robust_total_test(paths, data, single=False),
    )


@at_the_door("replicates", "single", optimised=True)
def _by_law(
    key: Key, q: PathQuadratics, *, replicates: int, single: bool | None
) -> TotalIndirectTest:
    return _chosen(
        q,
        single,
        lambda: total_test_of_single(q),
        lambda: total_test_by_law(q, total_draws(key, q, replicates)),
    )


def _chosen(
    q: PathQuadratics,
    single: bool | None,
    alone: Callable[[], TotalIndirectTest],
    several: Callable[[], TotalIndirectTest],
) -> TotalIndirectTest:
    """Of one mediator or of several, or of both where it is not known which."""
    if single is None:
        return jax.tree.map(lambda x, y: jnp.where(is_single(q), x, y), alone(), several())
    return alone() if single else several()


def total_draws(key: Key, q: PathQuadratics, replicates: int) -> BaseDraws:
    """The random numbers that a test and the intervals of one data set share."""
    dtype = q.exposure_exposure.dtype
    return base_draws(key, q.residual_df, q.dimension, replicates, dtype)


def total_variance(q: PathQuadratics) -> Array:
    """V, the variance of q_AY in outcome units squared; NaN where there is no residual."""
    variance, code = residual_variance(q)
    # An outcome that the mediators fit exactly: its exposure path still has an error.
    variance = jnp.where(code == status.ZERO_RESIDUAL, jnp.zeros_like(variance), variance)
    return _spread_of(q, variance)


def _spread_of(q: PathQuadratics, variance: Array) -> Array:
    exposure_side = variance * q.exposure_exposure
    outcome_side = divide(q.outcome_outcome - q.dimension * variance, q.residual_df)
    return exposure_side + jnp.maximum(outcome_side, -exposure_side / 2)


def statistic_of(q: PathQuadratics, total: Array) -> Array:
    """(q_AY - sqrt(tau) total) / sqrt(V), for draws of the law and for data alike."""
    variance = _spread_of(q, divide(q.residual_ss, q.residual_df - q.dimension))
    return divide(q.exposure_outcome - jnp.sqrt(q.exposure_ss) * total, jnp.sqrt(variance))


def exceedance(q: PathQuadratics, draws: BaseDraws, total: Array) -> Array:
    """(1 + #{|W*| >= |W|}) / (B + 1) at a candidate total, W* of the law that has it.

    Args:
      q: of the data, scalar leaves, without units (`unit_free`).
      draws: `total_draws` of them.
      total: candidate.
    """
    law = law_with_total(q, indirect_estimates(q), total)
    drawn = jnp.abs(statistic_of(quadratics_at(draws, law), total))
    count = jnp.sum(drawn >= jnp.abs(statistic_of(q, total)), dtype=drawn.dtype)
    return (1 + count) / (1 + drawn.shape[0])


def total_test_by_law(q: PathQuadratics, draws: BaseDraws) -> TotalIndirectTest:
    """The test with the p-value of the exact law, from the draws of `total_draws`."""
    plain, _ = unit_free(q)
    p_value = exceedance(plain, draws, jnp.zeros_like(q.exposure_ss))
    return total_test_of(q, total_variance(q), p_value=p_value)


def total_test_of(
    q: PathQuadratics,
    variance: Array,
    variance_status: Array | int = status.OK,
    *,
    p_value: Array | None = None,
) -> TotalIndirectTest:
    """The test with a given variance of q_AY, for r > 1.

    Args:
      q: quadratics of the paths.
      variance: V in outcome units squared.
      variance_status: int32 status of that variance.
      p_value: two-sided; by t(m - p) if None.
    """
    _, code = residual_variance(q)
    null, spare = null_path(q), q.residual_df - q.dimension
    code = status.combine(code, status.when(null, status.NULL_PATH))
    estimate = jnp.where(status.is_fatal(code), jnp.nan, q.total_indirect)
    few = status.when((spare < LEAST_SPARE_ROWS) & ~status.is_fatal(code), status.TOO_FEW_ROWS)
    code = status.combine(code, status.combine(few, variance_status))
    # An outcome that exposure and covariates fit exactly leaves no error to test against.
    there = ~status.is_fatal(code) & (null | ((variance > 0) & (q.outcome_outcome > 0)))
    spread = jnp.sqrt(variance)
    statistic = divide(q.exposure_outcome, spread)
    if p_value is None:
        p_value = t_two_sided(statistic, spare)
    # The null law is symmetric: one-sided p-values are half of the two-sided one.
    near, far = p_value / 2, 1 - p_value / 2

    def finish(value: Array, when_null: float) -> Array:
        return jnp.where(there, jnp.where(null, when_null, value), jnp.nan)

    return TotalIndirectTest(
        estimate=estimate,
        standard_error=jnp.where(there, divide(spread, jnp.sqrt(q.exposure_ss)), jnp.nan),
        statistic=finish(statistic, 0.0),
        df=jnp.where(there, spare, jnp.nan),
        p_value=finish(p_value, 1.0),
        p_concordant=finish(jnp.where(statistic < 0, far, near), 1.0),
        p_suppression=finish(jnp.where(statistic < 0, near, far), 1.0),
        status=code,
        notes=q.notes,
    )


def total_test_of_single(q: PathQuadratics, joint: JointTest | None = None) -> TotalIndirectTest:
    """The test of the only mediator (r = 1): both of its coefficients must be shown.

    Args:
      q: quadratics of the paths.
      joint: tests of the two coefficients where the classical ones are not wanted.
    """
    joint = joint_test(q) if joint is None else joint
    variance, _ = residual_variance(q)
    exact = q.status == status.ZERO_RESIDUAL
    mediator = single_mediator(q, jnp.where(exact, jnp.zeros_like(variance), variance))
    by_outcome = joint.p_outcome >= joint.p_exposure
    there = ~status.is_fatal(joint.status)
    return TotalIndirectTest(
        estimate=jnp.where(there, q.total_indirect, jnp.nan),
        standard_error=jnp.where(there, mediator.standard_error, jnp.nan),
        statistic=jnp.where(by_outcome, joint.statistic_outcome, joint.statistic_exposure),
        df=jnp.where(by_outcome, joint.df_outcome, joint.df_exposure),
        p_value=joint.p_value,
        p_concordant=joint.p_concordant,
        p_suppression=joint.p_suppression,
        status=joint.status,
        notes=joint.notes,
    )
