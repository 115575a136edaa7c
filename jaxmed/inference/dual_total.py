"""Test of the total indirect effect with more mediators than rows."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.data.mediation_data import MediationData
from jaxmed.distributions.tails import t_tails
from jaxmed.door import at_the_door
from jaxmed.geometry.path_vectors import SMALLEST, not_constant
from jaxmed.geometry.paths import regime_of
from jaxmed.inference.polygenic import (
    extrapolation_ratio,
    not_asked,
    polygenic_effect,
    refused,
)
from jaxmed.inference.random_effects import random_effects_fit, row_spectrum
from jaxmed.inference.shuffles import over_permutations
from jaxmed.keys import as_key
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.statistics.cross_moments import UNNAMED, is_host
from jaxmed.statistics.dual_stats import DualStatistics, dual_statistics
from jaxmed.statistics.joint_factor import rounding
from jaxmed.typing import Array, Interval, Key, pytree, static

__all__ = ["DualTotalTest", "dual_total_test", "dual_total_test_from"]


@pytree
class DualTotalTest:
    """Random-effects test of the total indirect effect, and the polygenic effect where asked for.

    All leaves are scalars (batched under vmap).
    """

    statistic: Array  # T
    df: Array  # m - 1
    p_reml: Array  # two-sided, of T ~ t(m - 1)
    p_permutation: Array  # two-sided, of |T| among permuted exposures
    p_value: Array  # the larger of the two
    p_concordant: Array  # one-sided against a positive effect, the larger of the two kinds
    p_suppression: Array  # against a negative effect
    variance_ratio: Array  # of the random effects over that of the errors, at the mean eigenvalue
    indirect: Array  # p E[alpha beta], outcome per unit of exposure; NaN unless asked for
    standard_error: Array
    interval: Interval
    # what the estimate extrapolates from the row space: 1 for independent mediators; from 2 on the
    # estimate is refused
    ratio: Array
    status: Array  # int32, of the test
    indirect_status: Array  # int32, of the estimate
    notes: Array | np.uint32 = st.NO_NOTES  # uint32 bits, see `status.Note`
    count: int = static(default=0)


def dual_total_test(
    key: Key,
    data: MediationData,
    *,
    permutations: int = 999,
    exchangeable_effects: bool = False,
    level: float = 0.95,
) -> DualTotalTest:
    """Test that the effects on the outcome do not follow the effects of the exposure (p >= n-1-q).

    Given exposure and mediators, the outcome is regressed on the score Z alpha-hat, with random
    effects of all mediators beside it: Y = c A + gamma Z alpha-hat + Z b + e, b ~ N(0, s^2 I). T is
    Student's statistic of gamma with the variance ratio that has the largest restricted likelihood
    (REML). The exposure is permuted as well (residualised on the covariates again, with the
    outcome's residual on the observed exposure kept), and the p-value is the larger of the two:
    REML alone rejects a permuted exposure with probability .12 to .15 on real plasma proteins,
    whose leading components carry the outcome, and the larger p-value with .04.

    The target is a random-effects one. The test means the total indirect effect where effects of
    different mediators are unrelated, or the mediators themselves are. Where all effects have one
    sign on disjoint sets of correlated mediators, alpha'beta is 0 and alpha'Omega beta is not: REML
    rejects with probability .7 to .8 there (AR(.75), every second mediator), the larger p-value
    with .6.

    Args:
      key: consumed.
      data: rows with p >= n-1-q mediators; case weights that are not constant are flagged. Rows of
        weight zero take no part, but count in the length that decides between primal and dual.
      permutations: of the exposure, at least 1.
      exchangeable_effects: True states that effects of different mediators are uncorrelated, one
        of the two kinds with mean 0; then `indirect` estimates p E[alpha beta]. Not for effects
        of one sign: where mediators are correlated the estimate is then far too large, and the
        ratio does not show it.
      level: of the interval of `indirect`.
    Returns:
      DualTotalTest. A score that is zero gives statistic 0, p-values 1 and NULL_PATH; an outcome
      that exposure and covariates fit exactly is NaN with ZERO_RESIDUAL, m < 2 with TOO_FEW_ROWS.
      `indirect` is NaN with NOT_ESTIMATED where it was not asked for, and with EXTRAPOLATED where
      the ratio is 2 or more.
    Raises:
      ValueError: fewer mediators (`total_indirect_test` and `indirect_interval` are for those),
        permutations below 1, a level outside (0, 1).
    Source: composite inference specification, section 5; own derivation of the sums in
      `inference.random_effects`. The p-value is approximate. T is deterministic but for rounding,
      which may move a permutation whose likelihood has two equal maxima.
    """
    key = as_key(key)
    check_count("permutations", permutations)
    if not 0 < level < 1:
        raise ValueError(f"level lies between 0 and 1, not {level!r}")
    n, p = data.mediators.shape
    q = data.covariates.shape[1]
    if regime_of(n, p, q) == "primal":
        raise ValueError(
            f"dual_total_test is for p >= n - 1 - q mediators, here {p} < {n} - 1 - {q} (rows of "
            "weight zero count): with fewer use total_indirect_test(paths) and "
            "indirect_interval(key, paths)"
        )
    data = dataclasses.replace(data, names=UNNAMED)  # names are static: new ones recompile
    options = {
        "permutations": permutations,
        "exchangeable_effects": bool(exchangeable_effects),
        "level": level,
    }
    if is_host(data):  # NumPy's BLAS is faster than a program
        statistics = dual_statistics(data, keep_mediators=False)
        return dual_total_test_from(key, statistics, data.weights, **options)
    return _of_rows(key, data, **options)


@at_the_door("permutations", "exchangeable_effects", "level")
def _of_rows(
    key: Key, data: MediationData, *, permutations: int, exchangeable_effects: bool, level: float
) -> DualTotalTest:
    statistics = dual_statistics(data, keep_mediators=False)
    return _tested(key, statistics, data.weights, permutations, exchangeable_effects, level)


def dual_total_test_from(
    key: Key,
    statistics: DualStatistics,
    weights: Array | None = None,
    *,
    permutations: int = 999,
    exchangeable_effects: bool = False,
    level: float = 0.95,
) -> DualTotalTest:
    """`dual_total_test` from the statistics of the rows, without the mediators.

    Args:
      key: consumed.
      statistics: of rows with p >= n-1-q mediators.
      weights: [n] case weights, None for none.
      permutations: as `dual_total_test`, like the others.
      exchangeable_effects: states that effects of different mediators are uncorrelated.
      level: of the interval of `indirect`.
    """
    return _of_statistics(
        key,
        statistics,
        weights,
        permutations=permutations,
        exchangeable_effects=exchangeable_effects,
        level=level,
    )


@at_the_door("permutations", "exchangeable_effects", "level")
def _of_statistics(
    key: Key,
    statistics: DualStatistics,
    weights: Array | None,
    *,
    permutations: int,
    exchangeable_effects: bool,
    level: float,
) -> DualTotalTest:
    return _tested(key, statistics, weights, permutations, exchangeable_effects, level)


def _tested(
    key: Key,
    statistics: DualStatistics,
    weights: Array | None,
    count: int,
    exchangeable: bool,
    level: float,
) -> DualTotalTest:
    exposure, basis = jnp.asarray(statistics.exposure), jnp.asarray(statistics.basis)
    tau, p, dtype = jnp.sum(exposure**2), statistics.num_mediators, exposure.dtype
    full = jnp.asarray(statistics.outcome)
    outcome = full - exposure * divide(jnp.sum(exposure * full), tau)
    left = jnp.sum(outcome**2)
    m = (jnp.sum(jnp.asarray(statistics.row_weights) != 0) - 1 - basis.shape[1]).astype(dtype)
    kernel = jnp.asarray(statistics.kernel)
    # LAPACK need not end on what is not finite; the status tells.
    spectrum = row_spectrum(jnp.where(jnp.all(jnp.isfinite(kernel)), kernel, 0) / p, m)

    fit = random_effects_fit(spectrum, exposure[:, None], outcome)
    permuted = over_permutations(
        key,
        lambda exposures: random_effects_fit(spectrum, exposures, outcome).statistic,
        exposure,
        basis,
        weights,
        count,
    )
    exact = left <= 100 * rounding(dtype) * jnp.sum(full**2)
    noise = exposure.shape[0] * rounding(dtype) * jnp.maximum(fit.share[0], 1)
    null = (fit.score_score[0] <= noise**2) & ~exact
    code, notes = _status(statistics, m, exact, null, jnp.stack([tau, jnp.sum(full**2)]))
    missing = st.is_fatal(code) | exact

    def finish(value: Array, when_null: float | None = None) -> Array:
        value = value if when_null is None else jnp.where(null, when_null, value)
        return jnp.where(missing, jnp.nan, value).astype(dtype)

    ratio = extrapolation_ratio(fit, p)[0]
    effect = (
        refused(polygenic_effect(fit, p, m, sqrt(tau), sqrt(left), level), ratio)
        if exchangeable
        else not_asked(tau, level)
    )
    limits = effect.interval
    both, upper, lower = _p_values(fit.statistic[0], permuted, m - 1, count)
    return DualTotalTest(
        statistic=finish(fit.statistic[0], 0.0),
        df=finish(m - 1),
        p_reml=finish(both[0], 1.0),
        p_permutation=finish(both[1], 1.0),
        p_value=finish(jnp.max(both), 1.0),
        p_concordant=finish(jnp.max(upper), 1.0),
        p_suppression=finish(jnp.max(lower), 1.0),
        variance_ratio=finish(fit.variance_ratio[0]),
        indirect=finish(effect.indirect),
        standard_error=finish(effect.standard_error),
        interval=dataclasses.replace(
            limits, lower=finish(limits.lower), upper=finish(limits.upper)
        ),
        ratio=finish(ratio),
        status=code,
        indirect_status=jnp.where(missing, code, effect.status),
        notes=notes,
        count=count,
    )


def _status(
    statistics: DualStatistics, m: Array, exact: Array, null: Array, squares: Array
) -> tuple[Array, Array]:
    """Status and notes of the test; squares [2] of exposure and outcome given the covariates."""
    weights = jnp.asarray(statistics.row_weights)
    weighted = not_constant(jnp.sum(weights**2), jnp.sum(weights))
    least = SMALLEST * float(jnp.finfo(squares.dtype).tiny)
    rows = jnp.stack([jnp.asarray(statistics.exposure), jnp.asarray(statistics.outcome)])
    finite = jnp.all(jnp.isfinite(rows))
    lost = jnp.any((squares < least) | jnp.isinf(squares)) & finite & ~_gone(statistics)
    code = st.combine(
        statistics.status,
        st.when(weighted, st.WEIGHTED),
        st.when(exact, st.ZERO_RESIDUAL),
        st.when(null, st.NULL_PATH),
        st.when(m < 2, st.TOO_FEW_ROWS),
        st.when(lost, st.OUT_OF_RANGE),
        st.when(~finite, st.NONFINITE),
    )
    return code, st.note_when(weighted, st.Note.WEIGHTED)


def _gone(statistics: DualStatistics) -> Array:
    """Where exposure or outcome are 0 given the covariates, which has a status of its own."""
    code = jnp.asarray(statistics.status)
    return (code == st.DEGENERATE_EXPOSURE) | (code == st.CONSTANT_OUTCOME)


def _p_values(t: Array, permuted: Array, df: Array, count: int) -> tuple[Array, Array, Array]:
    """Two-sided, upper and lower p-values, each [2]: of Student's t and among permutations."""
    reml = t_tails(t, jnp.maximum(df, 1))
    # Rounding must not decide between a permutation and itself.
    slack = 64 * float(jnp.finfo(t.dtype).eps) * jnp.abs(t)
    counts = (
        jnp.sum(jnp.abs(permuted) >= jnp.abs(t) - slack),
        jnp.sum(permuted >= t - slack),
        jnp.sum(permuted <= t + slack),
    )
    among = [(1 + k.astype(t.dtype)) / (count + 1) for k in counts]
    both, upper, lower = (jnp.stack(pair) for pair in zip(reml, among, strict=True))
    return both, upper, lower
