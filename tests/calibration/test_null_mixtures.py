"""DACT, HDMT and their parts against the stored outputs of the releases, oracles and truth."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_data import ALL_8, arrays, call, mostly_slow
from scipy import stats

from jaxmed import status as st
from jaxmed.calibration.adjust import benjamini_hochberg
from jaxmed.calibration.concave_majorant import concave_majorant
from jaxmed.calibration.dact import dact
from jaxmed.calibration.diagnostics import calibration_diagnostics
from jaxmed.calibration.empirical_null import truncated_normal_null
from jaxmed.calibration.hdmt import hdmt
from jaxmed.calibration.margins import q_values, uniform_p_value

DBLASSO = ("HIMA_dblasso", "HIMA_dblasso_all", "HIMA_dblasso_top60_all")
SHARES = {
    "only_exposure": "alpha10",
    "only_outcome": "alpha01",
    "both": "alpha00",
    "exposure": "alpha1",
    "outcome": "alpha2",
}
# One program for each number of tests and setting, instead of one for each operation.
dact_of = functools.partial(
    jax.jit(dact, static_argnames=("correction", "compat")), correction="jc", compat="correct"
)
hdmt_of = jax.jit(hdmt, static_argnames=("rule", "exact"))
legacy_null_of = jax.jit(lambda a, b: hdmt(a, b, rule="r-legacy").null)


@pytest.fixture(scope="module")
def pair():
    stored = arrays("pv")
    return stored["p_a"], stored["p_b"]


@pytest.mark.parametrize(
    ("correction", "name", "tolerance"),
    [("none", "p_raw", 1e-12), ("jc", "p_jc", 1e-12), ("efron", "p_efron", 1e-6)],
)
def test_dact_of_the_release(pair, correction, name, tolerance):
    stored = call("pv", "DACT_pvals")
    got = dact_of(*pair, correction=correction)
    np.testing.assert_allclose(got.p_value, stored["result"][name], atol=tolerance, rtol=1e-5)
    np.testing.assert_allclose(got.null_exposure, stored["intermediate"]["pi0a"], rtol=1e-12)
    np.testing.assert_allclose(got.null_outcome, stored["intermediate"]["pi0b"], rtol=1e-12)
    if correction == "jc":
        wanted = stored["intermediate"]["null_par_raw"]
        np.testing.assert_allclose(got.null.mean, wanted["mu"], rtol=1e-11)
        np.testing.assert_allclose(got.null.sd, wanted["s"], rtol=1e-11)
    assert int(got.status) == st.OK and not bool(got.dense)


@pytest.mark.parametrize("alias", mostly_slow(ALL_8, "lin"))
def test_dact_inside_the_release_of_ehima(alias):
    stored = call(alias, "HIMA_efficient")["intermediate"]["dact"]
    got = dact_of(stored["p_a"], stored["p_b"], compat="r")
    np.testing.assert_allclose(got.p_value, stored["p_dact"], atol=1e-12, rtol=1e-10)


def test_hdmt_of_the_release(pair):
    stored = call("pv", "HDMT_pvals")["result"]
    got = hdmt_of(*pair)
    for ours, theirs in SHARES.items():
        np.testing.assert_allclose(getattr(got.null, ours), stored["null"][theirs], atol=1e-12)
    assert float(got.null.threshold) == pytest.approx(0.7)
    np.testing.assert_allclose(got.fdr, stored["fdr_exact0"], rtol=1e-12)
    np.testing.assert_allclose(got.expected, stored["quantile_exact0"], rtol=1e-12)
    np.testing.assert_allclose(got.cut, stored["fwer_cut_exact0"], rtol=1e-12)
    legacy = legacy_null_of(*pair)
    for ours, theirs in SHARES.items():
        wanted = stored["null_in_HIMA_lambda05"][theirs]
        np.testing.assert_allclose(getattr(legacy, ours), wanted, atol=1e-12)


def test_hdmt_exact_of_the_release(pair):
    """Rates as released below the last vertex of either margin.

    Quantiles and cut of the release solve the mixture with a distribution function held at an
    earlier iterate; ours are its inverse.
    """
    stored = call("pv", "HDMT_pvals")["result"]
    got = hdmt_of(*pair, exact=1)
    below = np.asarray(got.p_max) < 0.999
    np.testing.assert_allclose(np.asarray(got.fdr)[below], stored["fdr_exact1"][below], rtol=1e-12)
    np.testing.assert_allclose(got.fdr, stored["fdr_exact1"], atol=2e-5)
    np.testing.assert_allclose(got.expected, stored["quantile_exact1"], atol=1e-3)
    np.testing.assert_allclose(got.cut, stored["fwer_cut_exact1"], rtol=1e-3)
    # The inverse: all tests null, rank i lies where the null mass is i / m.
    place = np.argsort(got.p_max)
    mass = np.asarray(got.p_value * got.null.total)[place]
    rank = np.arange(200, 1800) + 1
    t = np.asarray(got.expected)[200:1800]
    np.testing.assert_allclose(np.interp(t, got.p_max[place], mass), rank / 2000, atol=2e-4)


@pytest.mark.parametrize("alias", mostly_slow(ALL_8, "lin"))
def test_null_proportions_inside_the_release_of_hima2(alias):
    from reference_data import folder

    names = [name for name in DBLASSO if (folder(alias) / f"{name}.json").exists()]
    if not names:
        pytest.skip("no such call is stored for this data set")
    for name in names:
        stored = call(alias, name)["intermediate"]["null_proportions"]
        p = np.array(stored["input_pvalues"])
        null = legacy_null_of(p[:, 0], p[:, 1])
        for ours, theirs in SHARES.items():
            np.testing.assert_allclose(getattr(null, ours), stored[theirs], atol=1e-12)


def test_missing_p_values_are_not_counted(pair):
    a, b = (p[:499].copy() for p in pair)
    there = np.zeros(2000, bool)
    there[np.random.default_rng(0).permutation(2000)[:499]] = True
    more_a, more_b = np.full(2000, np.nan), np.full(2000, 0.01)
    more_a[there], more_b[there] = a, b
    more_b[~there & (np.arange(2000) % 2 == 0)] = np.nan
    for method in (dact_of, hdmt_of):
        short, long = method(a, b), method(more_a, more_b)
        name = "p_adjusted" if method is dact_of else "fdr"
        for leaf in ("p_value", name):
            values = np.asarray(getattr(long, leaf))
            assert np.isnan(values[~there]).all()
            np.testing.assert_allclose(values[there], getattr(short, leaf), rtol=1e-9, err_msg=leaf)
        assert int(long.status) == st.SMALL_SAMPLE


def test_underflow_stays_ordered_and_nothing_calibratable_says_so():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(size=(2, 2000))
    a[:2], b[:2] = [0.0, 1e-200], [1e-310, 1e-250]
    got = dact_of(a, b)
    log_p = np.asarray(got.log_p)
    assert np.isfinite(log_p).all() and log_p[0] < log_p[1] < -100
    ones = dact_of(np.full(2000, 0.5), np.full(2000, 0.5))
    assert int(ones.status) == st.NOT_CONVERGED and not bool(ones.corrected)
    np.testing.assert_array_equal(ones.p_value, ones.p_raw)
    same = np.full(len(call("lin", "HIMA_efficient")["intermediate"]["dact"]["p_a"]), 0.5)
    assert int(dact_of(same, same, compat="r").status) == st.REFERENCE_STOPS
    low = hdmt_of(np.full(2000, 1e-3), np.full(2000, 0.1))
    assert bool(low.no_upper) and np.isfinite(low.fdr).all()


def test_kolmogorov_smirnov_and_smoothed_q_values():
    rng = np.random.default_rng(2)
    p_value = jax.jit(uniform_p_value)
    for size in (12, 60, 99, 150):
        p = rng.uniform(size=size) ** 1.15
        present = np.zeros(150, bool)
        present[rng.permutation(150)[:size]] = True
        padded = np.full(150, np.nan)
        padded[present] = p
        how = "exact" if size < 100 else "asymp"
        wanted = stats.kstest(p, "uniform", alternative="greater", method=how)
        d = wanted.statistic
        target = wanted.pvalue if how == "exact" else np.exp(-2 * size * d * d)
        assert float(p_value(padded, present)) == pytest.approx(target, rel=1e-8)
    # With null shares on a straight line the spline is that line.
    p = (np.arange(2000) + 0.5) / 2000
    adjusted, plain = jax.jit(lambda p: (q_values(p, p > 0), benjamini_hochberg(p)))(p)
    np.testing.assert_allclose(adjusted, plain, rtol=2e-3)


def test_concave_majorant_is_the_least_one():
    rng = np.random.default_rng(3)
    p = np.sort(rng.uniform(size=40) ** 2)
    keep = rng.uniform(size=40) < 0.8
    x = np.append(0, p[keep])
    y = np.arange(len(x)) / (len(x) - 1)
    oracle = [
        max(
            y[i] if i == j else y[i] + (y[j] - y[i]) * (t - x[i]) / (x[j] - x[i])
            for i in range(len(x))
            for j in range(i, len(x))
            if x[i] <= t <= x[j]
        )
        for t in x
    ]
    found = jax.jit(lambda p, keep, x: concave_majorant(p, keep).at(x))(p, keep, x)
    np.testing.assert_allclose(found, oracle, atol=1e-12)


def test_truncated_normal_null_maximises_its_likelihood():
    rng = np.random.default_rng(4)
    z = np.append(rng.normal(0.2, 1.1, 900), rng.normal(4, 1, 100))
    fit = jax.jit(truncated_normal_null)(z, np.ones(1000, bool))
    assert bool(fit.found)
    np.testing.assert_allclose([fit.mean, fit.sd], [0.2, 1.1], atol=0.15)


def test_diagnostics_order_and_single_precision(pair):
    a, b = (np.asarray(p, np.float32) for p in pair)
    got = jax.jit(calibration_diagnostics)(a, b)
    assert got.dact.observed.dtype == jnp.float32
    for pairs in (got.max_p, got.mixture, got.dact):
        assert (np.diff(pairs.observed) >= 0).all() and (np.diff(pairs.expected) > 0).all()
    wide = dact_of(*pair)
    np.testing.assert_allclose(got.dact_fit.p_value, wide.p_value, atol=2e-3)


@pytest.mark.parametrize("replicates", [12, pytest.param(30, marks=pytest.mark.slow)])
def test_size_and_power_under_a_sparse_composite_null(replicates):
    """2000 tests: 10 with the exposure path only, 20 with the outcome path only, 10 mediators.

    With signals four times as dense DACT's rate is .12 instead of .05, HDMT's still .05.
    """
    size = 2000
    true = (np.arange(size) >= 10) & (np.arange(size) < 20)
    shift = np.zeros((2, size))
    shift[0, :20] = shift[1, 10:40] = 4.0
    rng, adjusted = np.random.default_rng(5), jax.jit(benjamini_hochberg)
    false, power = np.zeros((2, replicates, 3))
    for i in range(replicates):
        p = 2 * stats.norm.sf(np.abs(rng.normal(size=(2, size)) + shift))
        rates = adjusted(p.max(axis=0)), dact_of(*p).p_adjusted, hdmt_of(*p).fdr
        found = np.stack(rates) <= 0.05
        false[i] = np.sum(found & ~true, axis=1) / np.maximum(np.sum(found, axis=1), 1)
        power[i] = np.sum(found & true, axis=1)
    error = false.std(axis=0) / np.sqrt(replicates)
    assert (false.mean(axis=0) <= 0.05 + 3 * error).all(), false.mean(axis=0)
    more = power[:, 1:] - power[:, :1]
    spread = more.std(axis=0) / np.sqrt(replicates)
    assert (more.mean(axis=0) > 3 * spread).all(), (power.mean(axis=0), spread)


@pytest.mark.parametrize(
    "make",
    [
        lambda: dact(np.ones(3), np.ones(4)),
        lambda: dact(np.ones((2, 3)), np.ones((2, 3))),
        lambda: dact(np.ones(3), np.ones(3), correction="JC"),
        lambda: hdmt(np.ones(3), np.ones(3), rule="legacy"),
        lambda: hdmt(np.ones(3), np.ones(3), exact=2),
    ],
)
def test_misuse(make):
    with pytest.raises(ValueError, match="must be|needed"):
        make()
