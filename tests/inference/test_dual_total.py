"""The dual total test: section 5 of its specification by a decomposition of its own kernel."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optimised import jit_for_many
from problems import problem, with_rows_without_weight
from scipy import stats

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.inference.dual_total import dual_total_test
from jaxmed.inference.random_effects import random_effects_fit, row_spectrum
from jaxmed.inference.rows import residual_rows

KEY = jax.random.key(0)
SHAPE = (30, 45, 1)
STEP = 8  # a decade
LAMBDAS = np.concatenate([[0.0], np.logspace(-3, 4, 57)])

judge = jax.jit(
    lambda key, data: dual_total_test(key, data, permutations=99, exchangeable_effects=True)
)
reduced = jax.jit(residual_rows)


@dataclasses.dataclass
class Direct:
    """Formulas of the specification, from the kernel of the mediators given the exposure."""

    statistic: float
    variance_ratio: float
    indirect: float
    standard_error: float
    ratio: float
    p_reml: float


def direct(data):
    """One decomposition of K = ZZ'/p on the complement of [1, covariates, exposure]."""
    n, p = data.mediators.shape
    root = np.ones(n) if data.weights is None else np.sqrt(data.weights)
    exposure, mediators, outcome = (
        (root * np.asarray(v).T).T for v in (data.exposure, data.mediators, data.outcome)
    )
    base = root[:, None] * np.column_stack([np.ones(n), data.covariates])

    def off(columns, values):
        return values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0]

    a, x = off(base, exposure), off(base, mediators)
    tau, design = a @ a, np.column_stack([base, exposure])
    alpha = x.T @ a / tau
    z = off(design, mediators)
    complement = np.linalg.svd(design)[0][:, design.shape[1] :]
    complement = complement[root > 0] if (root == 0).any() else complement
    d, u = np.linalg.eigh(complement.T @ z[root > 0] @ z[root > 0].T @ complement / p)
    vectors, m = complement @ u, len(d)
    y, s = vectors.T @ outcome[root > 0], vectors.T @ (z @ alpha)[root > 0]
    mean = np.sum(x**2) / p / (m + 1)

    def sums(value):
        w = 1 / (1 + value * d)
        return w, np.sum(w * s * s), np.sum(w * s * y), np.sum(w * y * y)

    def likelihood(value):
        w, uu, uy, yy = sums(value)
        terms = (m - 1) * np.log(yy - uy**2 / uu) - np.sum(np.log(w)) + np.log(uu)
        return -0.5 * terms

    values = np.array([likelihood(ratio / mean) for ratio in LAMBDAS])
    best = int(np.argmax(values))
    ratio = LAMBDAS[best]
    if 1 < best < len(values) - 1:
        left, middle, right = values[best - 1 : best + 2]
        ratio *= 10 ** (0.5 * (left - right) / (left - 2 * middle + right) / STEP)
    w, uu, uy, yy = sums(ratio / mean)
    s2 = (yy - uy**2 / uu) / (m - 1)
    t = uy / uu / np.sqrt(s2 / uu)
    trace, om, square = np.sum(w * d), np.sum(d) / m, alpha @ alpha
    indirect = uy / trace
    larger = max(square - p * om / tau, p * om / tau)
    variance = s2 * uu / trace**2 + indirect**2 * (p / m) * om / (tau * larger)
    p_value = 2 * stats.t.sf(abs(t), m - 1)
    return Direct(t, ratio, indirect, np.sqrt(variance), uu / (square * trace), p_value)


def unrelated(seed, shape=SHAPE, signal=0.0, noise=1.0):
    """Mediators without a common factor, whose effects on the outcome have this size."""
    rng = np.random.default_rng(seed)
    n, p, q = shape
    data = problem(rng, n, p, q, signal=0.3, rho=0.0)
    outcome = data.mediators @ (signal * rng.normal(size=p)) + data.covariates.sum(axis=1)
    outcome = outcome + data.exposure + noise * rng.normal(size=n)
    return dataclasses.replace(data, outcome=outcome)


def same(found, data, tolerance=1e-9):
    expected = direct(data)
    for name, value in dataclasses.asdict(expected).items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=tolerance, err_msg=name)


@pytest.mark.parametrize(
    ("seed", "signal"), [(0, 0.0), (1, 1.0), (2, 0.2), (3, 0.2), (4, 0.0)], ids=str
)
def test_equals_the_formulas_on_its_own_kernel(seed, signal):
    data = unrelated(seed, signal=signal)
    weights = np.random.default_rng(seed).uniform(0.5, 1.5, SHAPE[0])
    for rows in (data, dataclasses.replace(data, weights=weights / weights.mean())):
        found = judge(KEY, rows)
        same(found, rows)
        weighted = rows.weights is not None
        assert int(found.status) == (st.WEIGHTED if weighted else st.OK)
        assert int(found.notes) == (st.Note.WEIGHTED if weighted else 0)


def test_the_seeds_above_have_both_ends_and_the_inside():
    ratios = [direct(unrelated(seed, signal=s)).variance_ratio for seed, s in [(0, 0), (1, 1)]]
    assert ratios[0] == 0 and 0.5 < ratios[1]
    # Without errors the likelihood rises to the end of the grid.
    exact = unrelated(1, signal=1.0, noise=0.0)
    assert direct(exact).variance_ratio == pytest.approx(1e4)
    same(judge(KEY, exact), exact)


def test_host_arrays_and_the_estimates_that_were_not_asked_for():
    data = unrelated(2, signal=0.2)
    found, plain = judge(KEY, data), dual_total_test(KEY, data, permutations=99)
    np.testing.assert_allclose(plain.statistic, found.statistic, rtol=1e-9)
    np.testing.assert_allclose(plain.p_permutation, found.p_permutation)
    assert np.isnan(plain.indirect) and np.isnan(plain.standard_error)
    assert np.isnan(plain.interval.lower) and np.isnan(plain.interval.upper)
    assert int(plain.indirect_status) == st.NOT_ESTIMATED and int(plain.status) == st.OK
    assert int(found.indirect_status) == st.OK
    half = stats.t.ppf(0.975, found.df) * found.standard_error
    np.testing.assert_allclose(found.interval.lower, found.indirect - half, rtol=1e-8)
    np.testing.assert_allclose(found.interval.upper, found.indirect + half, rtol=1e-8)


def test_permuted_exposures_equal_refitting():
    """Of one decomposition: the statistic of other exposures, with the observed one taken off."""
    rng, (n, p, q) = np.random.default_rng(7), SHAPE
    data = unrelated(3, signal=0.5)
    rows = reduced(data)
    outcome = rows.outcome - rows.exposure * (rows.exposure @ rows.outcome) / np.sum(
        rows.exposure**2
    )
    order = np.stack([rng.permutation(n) for _ in range(4)], axis=1)
    permuted = np.asarray(rows.exposure)[order]
    permuted = permuted - rows.basis @ (rows.basis.T @ permuted)
    fit = jax.jit(
        lambda kernel, exposures, y: random_effects_fit(
            row_spectrum(kernel, jnp.asarray(n - 2.0 - q)), exposures, y
        )
    )(rows.mediators @ rows.mediators.T / p, permuted, outcome)
    for j in range(4):
        again = direct(dataclasses.replace(data, exposure=permuted[:, j], outcome=outcome))
        np.testing.assert_allclose(fit.statistic[j], again.statistic, rtol=1e-9)


def test_p_values_go_together():
    for seed in range(3):
        found = judge(jax.random.key(seed), unrelated(seed, signal=0.5))
        assert float(found.p_value) == max(found.p_reml, found.p_permutation)
        steps = float(found.p_permutation) * 100
        assert steps == pytest.approx(round(steps)) and 1 <= round(steps) <= 100
        t = float(found.statistic)
        towards, away = found.p_concordant, found.p_suppression
        towards, away = (towards, away) if t > 0 else (away, towards)
        assert float(towards) >= float(found.p_reml) / 2 and float(away) > 0.5
        assert float(found.df) == SHAPE[0] - 2 - SHAPE[2] - 1 and found.count == 99


def test_units_of_the_columns_change_nothing():
    data = unrelated(2, signal=0.3)
    found = judge(KEY, data)
    other = MediationData(
        5 - 0.01 * data.exposure, 1e3 * data.mediators - 4, 7 * data.outcome, 2 * data.covariates
    )
    turned = judge(KEY, other)
    np.testing.assert_allclose(turned.statistic, -found.statistic, rtol=1e-7)
    for name in ("p_reml", "p_permutation", "p_value", "variance_ratio", "ratio"):
        np.testing.assert_allclose(getattr(turned, name), getattr(found, name), rtol=1e-7)
    np.testing.assert_allclose(turned.p_concordant, found.p_suppression, rtol=1e-7)
    np.testing.assert_allclose(turned.indirect, -700 * found.indirect, rtol=1e-7)
    np.testing.assert_allclose(turned.standard_error, 700 * found.standard_error, rtol=1e-7)


def test_rows_without_weight_take_no_part():
    data = unrelated(5, (20, 45, 1), signal=0.5)
    more = with_rows_without_weight(np.random.default_rng(0), data, SHAPE[0] - 20)
    found = judge(KEY, more)
    same(found, data)
    assert int(found.status) == st.OK and float(found.df) == 16


def test_a_batch_is_a_loop():
    each = [unrelated(seed, signal=0.5) for seed in range(3)]
    keys = jax.random.split(KEY, 3)
    together = jax.jit(jax.vmap(judge))(keys, jax.tree.map(lambda *v: np.stack(v), *each))
    for i, data in enumerate(each):
        alone = judge(keys[i], data)
        for name in ("statistic", "p_permutation", "indirect", "ratio", "status"):
            np.testing.assert_allclose(
                getattr(together, name)[i], getattr(alone, name), rtol=1e-8, err_msg=name
            )


def test_float32_follows_the_data():
    data = unrelated(2, signal=0.5)
    single = jax.tree.map(lambda v: np.asarray(v, np.float32), data)
    found, exact = judge(KEY, single), judge(KEY, data)
    for name in ("statistic", "p_reml", "indirect", "standard_error", "ratio", "variance_ratio"):
        assert getattr(found, name).dtype == np.float32
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), rtol=2e-3)


NOTHING = np.zeros(SHAPE[0])
TROUBLES = {
    "constant exposure": ({"exposure": NOTHING + 3}, st.DEGENERATE_EXPOSURE),
    "constant outcome": ({"outcome": NOTHING + 3}, st.CONSTANT_OUTCOME),
    "beyond the range": ({"exposure": 1e-156 * np.arange(30.0) ** 2}, st.OUT_OF_RANGE),
    "no number": ({"exposure": np.where(np.arange(30) == 4, np.nan, 1.0)}, st.NONFINITE),
    "no number among mediators": ({"mediators": np.full((30, 45), np.inf)}, st.NONFINITE),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_is_nan_with_its_reason(name):
    change, code = TROUBLES[name]
    found = judge(KEY, dataclasses.replace(unrelated(0), **change))
    assert int(found.status) == code
    for leaf in (found.statistic, found.p_value, found.p_concordant, found.indirect, found.df):
        assert np.isnan(leaf)
    assert int(found.indirect_status) == int(found.status)


def test_nothing_left_to_explain_and_nothing_to_explain_it_with():
    data = unrelated(0)
    exact = judge(KEY, dataclasses.replace(data, outcome=2 * data.exposure + data.covariates[:, 0]))
    assert int(exact.status) == st.ZERO_RESIDUAL and np.isnan(exact.p_value)
    none = judge(KEY, dataclasses.replace(data, mediators=np.ones(SHAPE[:2])))
    assert int(none.status) == st.NULL_PATH
    assert float(none.statistic) == 0 and float(none.p_value) == 1 == float(none.p_suppression)


def test_two_rows_too_few():
    weights = np.zeros(SHAPE[0])
    weights[:4] = 1  # m = 1
    found = judge(KEY, dataclasses.replace(unrelated(0), weights=weights))
    assert int(found.status) == st.TOO_FEW_ROWS and np.isnan(found.p_value)


def test_an_estimate_that_extrapolates_is_refused():
    rng = np.random.default_rng(1)
    data = unrelated(0, signal=0.5)
    shared = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 45))
    found = judge(KEY, dataclasses.replace(data, mediators=10 * shared + data.mediators))
    assert float(found.ratio) > 2 and int(found.indirect_status) == st.EXTRAPOLATED
    assert np.isnan(found.indirect) and np.isnan(found.interval.upper)
    assert int(found.status) == st.OK and 0 < float(found.p_value) <= 1


def test_the_primal_is_refused_with_what_to_do_instead():
    with pytest.raises(
        ValueError, match=r"p >= n - 1 - q mediators, here 5 < 30 - 1 - 1.*total_indirect_test"
    ):
        dual_total_test(KEY, problem(np.random.default_rng(0), 30, 5, 1))


SETS = 1000


@jit_for_many
def simulated(keys, exposure_effects, outcome_effects, aligned):
    """T's p-value, the max test's, and whether the interval covers, of unrelated effects."""
    n, p = 60, 120

    def one(key):
        keys = jax.random.split(key, 6)
        first, second = jax.random.normal(keys[0], (2, p)) / p**0.5
        alpha = exposure_effects * first
        beta = outcome_effects * (aligned * first + jnp.sqrt(1 - aligned**2) * second)
        a = jax.random.normal(keys[1], (n,))
        x = a[:, None] * alpha + jax.random.normal(keys[2], (n, p))
        y = 0.3 * a + x @ beta + jax.random.normal(keys[3], (n,))
        data = MediationData(a, x, y, jnp.zeros((n, 0)))
        found = dual_total_test(keys[4], data, permutations=99, exchangeable_effects=True)
        truth = exposure_effects * outcome_effects * aligned
        covers = (found.interval.lower <= truth) & (truth <= found.interval.upper)
        return found.p_reml, found.p_value, covers, found.indirect - truth

    return jax.lax.map(one, keys, batch_size=8)


@pytest.mark.slow
@pytest.mark.parametrize("strengths", [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.5, 0.0)], ids=str)
def test_size_and_coverage(strengths):
    found = simulated(jax.random.split(jax.random.key(4), SETS), *map(jnp.asarray, strengths))
    reml, judged, covers, error = map(np.asarray, found)
    spread = np.sqrt(0.05 * 0.95 / SETS)
    assert abs(np.mean(reml <= 0.05) - 0.05) < 5 * spread
    assert np.mean(judged <= 0.05) < 0.05 + 5 * spread
    assert abs(np.mean(covers) - 0.95) < 5 * spread
    assert abs(np.mean(error)) < 5 * np.std(error) / np.sqrt(SETS)


@pytest.mark.slow
def test_power_and_an_estimate_without_bias():
    found = simulated(jax.random.split(jax.random.key(5), SETS), *map(jnp.asarray, (1.0, 2.0, 0.6)))
    reml, judged, covers, error = map(np.asarray, found)
    assert np.mean(reml <= 0.05) > 0.3 and np.mean(judged <= 0.05) > 0.2
    assert abs(np.mean(covers) - 0.95) < 5 * np.sqrt(0.05 * 0.95 / SETS)
    assert abs(np.mean(error)) < 5 * np.std(error) / np.sqrt(SETS)
