"""Permutation test: a loop in NumPy, ties, strata, residuals, and uniform p-values."""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem, with_rows_without_weight

from jaxmed.data.mediation_data import MediationData
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.paths import paths
from jaxmed.sweeps.permutation import _permutation, permutation_test

KEY = jax.random.key(11)


def covariance(data):
    """Given the covariates by least squares, of exposure and outcome."""
    design = jnp.concatenate([jnp.ones((data.exposure.shape[0], 1)), data.covariates], axis=1)
    basis = jnp.linalg.qr(design)[0]
    left = data.exposure - basis @ (basis.T @ data.exposure)
    return left @ data.outcome


# Outside of the sweep, one program instead of one for each operation.
covariance_of = jax.jit(covariance)
permutation_of = jax.jit(_permutation)


def first_mediator(data):
    return jnp.sum(data.exposure * data.mediators[:, 0])


# Each combination is a program; the other eight say the same again.
LOOPS = [
    ("exposure", 0, "two"),
    ("exposure", 2, "less"),
    ("outcome", 0, "greater"),
    ("outcome", 2, "two"),
]
REST = [
    pytest.param(of, q, side, marks=pytest.mark.slow)
    for of in ("exposure", "outcome")
    for q in (0, 2)
    for side in ("two", "greater", "less")
    if (of, q, side) not in LOOPS
]


@pytest.mark.parametrize(("of", "q", "side"), LOOPS + REST)
def test_equals_a_loop(of, q, side):
    data = problem(np.random.default_rng(0), 15, 2, q, signal=0.1)
    found = permutation_test(KEY, data, covariance, 39, of=of, side=side, chunk=16)
    column = np.asarray(getattr(data, of))
    design = np.column_stack([np.ones(15), data.covariates])
    fitted = design @ np.linalg.lstsq(design, column, rcond=None)[0] if q else np.zeros(15)
    draws = []
    for i in range(39):
        order = np.asarray(permutation_of(jax.random.fold_in(KEY, i), np.zeros(15, int)))
        assert sorted(order) == list(range(15))
        changed = dataclasses.replace(data, **{of: fitted + (column - fitted)[order]})
        draws.append(float(covariance_of(changed)))
    np.testing.assert_allclose(found.draws, draws, rtol=1e-7, atol=1e-9)
    observed = float(covariance_of(data))
    sign = {"two": np.abs, "greater": np.asarray, "less": lambda x: -np.asarray(x)}[side]
    exceed = int(np.sum(sign(np.array(draws)) >= sign(observed)))
    assert found.exceed == exceed and found.p_value == (1 + exceed) / 40
    assert found.exact == (q == 0) and ("Freedman" in found.method) == (q > 0)
    assert 0 < found.standard_error < 0.1


def test_ties_count_in_spite_of_rounding():
    """A 0/1 exposure of 6 rows has 15 arrangements of two ones: ties are the rule."""
    exposure = np.array([1.0, 1, 0, 0, 0, 0])
    outcome = np.array([0.3, 0.1, 0.7, 0.2, 0.9, 0.4])
    rng = np.random.default_rng(1)
    data = MediationData(exposure, rng.normal(size=(6, 2)), outcome, np.zeros((6, 0)))

    def difference(d):
        # A formula whose rounding depends on the order of the rows.
        return jnp.mean(d.outcome) - jnp.sum(d.exposure * d.outcome) / jnp.sum(d.exposure)

    found = permutation_test(KEY, data, difference, 4000, side="greater", chunk=1000, batch=None)
    sums = [outcome[list(pair)].sum() for pair in itertools.combinations(range(6), 2)]
    exact = np.mean(np.array(sums) <= 0.4 + 1e-12)
    assert abs(found.p_value - exact) < 5 * np.sqrt(exact * (1 - exact) / 4000) + 1 / 4000
    np.testing.assert_allclose(found.standard_error, np.sqrt(exact * (1 - exact) / 4000), rtol=0.2)


def test_a_constant_statistic_has_p_value_one():
    data = problem(np.random.default_rng(2), 20, 3)
    found = permutation_test(KEY, data, lambda d: jnp.sum(jnp.sin(d.exposure)), 50, chunk=50)
    assert found.p_value == 1.0 and found.exceed == 50


def test_strata_keep_their_values():
    rng = np.random.default_rng(3)
    labels = np.array(list("abcab" * 4))
    codes = np.unique(labels, return_inverse=True)[1]
    seen = set()
    for i in range(200):
        order = np.asarray(permutation_of(jax.random.key(i), codes))
        assert np.array_equal(codes[order], codes)
        seen.add(tuple(order))
    assert len(seen) == 200
    data = problem(rng, 20, 2)
    offset = 100.0 * codes  # differences between strata cannot be permuted away
    data = dataclasses.replace(data, exposure=data.exposure + offset)

    def between(d):
        return jnp.sum(jax.ops.segment_sum(d.exposure, jnp.asarray(codes), 3) ** 2)

    assert permutation_test(KEY, data, between, 30, strata=labels, chunk=30).p_value == 1.0
    assert permutation_test(KEY, data, between, 30, chunk=30, side="greater").p_value < 0.1


def test_permutations_are_uniform():
    counts = {}
    draws = jax.vmap(lambda k: permutation_of(k, jnp.array([0, 1, 0, 0, 1])))(
        jax.random.split(jax.random.key(5), 6000)
    )
    for row in np.asarray(draws):
        counts[tuple(row)] = counts.get(tuple(row), 0) + 1
    assert len(counts) == 12  # 3! 2!
    share = np.array(list(counts.values())) / 6000
    assert np.all(np.abs(share - 1 / 12) < 5 * np.sqrt(1 / 12 * 11 / 12 / 6000))


def test_failures_raise_the_p_value():
    data = problem(np.random.default_rng(6), 20, 2)
    first = data.exposure[0]

    def fragile(d):
        return jnp.where(d.exposure[0] == first, 1e6, jnp.nan)

    found = permutation_test(KEY, data, fragile, 100, chunk=100)
    assert found.failed > 50 and found.exceed == 100 and found.p_value == 1.0
    never = permutation_test(KEY, data, lambda d: jnp.nan * d.exposure[0], 10, chunk=10)
    assert math.isnan(never.p_value) and never.failed == 10


def product_of_covariances(d):
    return covariance(d) * first_mediator(d)


def index_of_maxie(d):
    return maxie(paths(d)).index


@pytest.mark.parametrize(
    "index", [product_of_covariances, pytest.param(index_of_maxie, marks=pytest.mark.slow)]
)
def test_same_draws_whatever_the_chunk_and_rows_without_weight(index):
    rng = np.random.default_rng(7)
    data = problem(rng, 30, 4, 1)
    seen = []
    a = permutation_test(KEY, data, index, 40, chunk=40)
    b = permutation_test(
        KEY, data, index, 40, chunk=7, batch=None, mesh=jax.devices()[:1], progress=seen.append
    )
    np.testing.assert_allclose(a.draws, b.draws, rtol=1e-8)
    assert sum(seen) == 40
    wild = with_rows_without_weight(rng, data, 8)
    c = permutation_test(KEY, wild, index, 40, chunk=40)
    np.testing.assert_allclose(a.draws, c.draws, rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("q", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_p_values_are_uniform_under_the_null(q):
    """Mean, and share below three levels, within 5 Monte Carlo errors of uniform p-values."""
    rng, count, repeats = np.random.default_rng(8), 19, 1500
    found = []
    for i in range(repeats):
        data = problem(rng, 30, 2, q, signal=0.0)
        data = dataclasses.replace(data, mediators=data.mediators + data.covariates.sum(1)[:, None])
        # Independent of the others given the covariates.
        exposure = data.covariates.sum(axis=1) + rng.exponential(size=30)
        data = dataclasses.replace(data, exposure=exposure)
        test = permutation_test(jax.random.key(i), data, partial_first_mediator, count, chunk=count)
        found.append(test.p_value)
    found = np.array(found)
    for level in (0.05, 0.2, 0.5):
        error = np.sqrt(level * (1 - level) / repeats)
        assert abs(np.mean(found <= level + 1e-9) - level) < 5 * error
    assert abs(found.mean() - 0.525) < 5 * np.sqrt(1 / 12 / repeats)


def partial_first_mediator(data):
    return covariance(dataclasses.replace(data, outcome=data.mediators[:, 0]))


def test_integers_and_float32():
    data = problem(np.random.default_rng(9), 20, 2)
    single = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), data)
    a, b = (permutation_test(KEY, d, first_mediator, 30, chunk=30) for d in (data, single))
    np.testing.assert_allclose(a.draws, b.draws, rtol=1e-4)
    counted = permutation_test(KEY, data, lambda d: jnp.sum(d.exposure > d.outcome), 30, chunk=30)
    assert counted.exceed == int(np.sum(counted.draws >= counted.statistic))


def test_integer_exposure_with_covariates():
    """Its residuals are no integers: the draws are those of the same numbers as floats."""
    rng = np.random.default_rng(12)
    data = problem(rng, 40, 2, 2)
    exposure = rng.integers(0, 2, 40)
    data = dataclasses.replace(data, exposure=exposure, outcome=data.outcome + 2 * exposure)
    floats = dataclasses.replace(data, exposure=exposure.astype(float))
    a, b = (permutation_test(KEY, d, covariance, 99, chunk=99) for d in (data, floats))
    np.testing.assert_allclose(a.draws, b.draws, rtol=1e-12)
    assert a.p_value == b.p_value < 0.1


def test_misuse():
    data = problem(np.random.default_rng(10), 20, 2)
    with pytest.raises(ValueError, match="at least 1"):
        permutation_test(KEY, data, covariance, 0)
    with pytest.raises(ValueError, match="outcome"):
        permutation_test(KEY, data, covariance, 9, of="mediators")
    with pytest.raises(ValueError, match="greater"):
        permutation_test(KEY, data, covariance, 9, side="upper")
    with pytest.raises(ValueError, match="single row"):
        permutation_test(KEY, data, covariance, 9, strata=np.arange(20))
    with pytest.raises(ValueError, match="scalars"):
        permutation_test(KEY, data, lambda d: d.exposure, 9, chunk=9)
