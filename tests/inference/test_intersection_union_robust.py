"""The intersection-union test under unequal variances: its definition, and its size."""

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
from jaxmed.geometry.paths import paths
from jaxmed.inference.intersection_union import intersection_union_test
from jaxmed.inference.unequal_variances import effective_degrees


@jax.jit
def robust(data):
    return intersection_union_test(paths(data), data=data, variance="robust")


@jax.jit
def classical(data):
    return intersection_union_test(paths(data))


def beta_of_sign_changes(response, columns, design):
    """(R2, a, b): moments of w'Hw over changes of sign of rows, from the whole matrix."""
    basis = np.linalg.qr(columns)[0]
    hat = basis @ basis.T
    unit = response / np.linalg.norm(response)
    leverage = np.sum(np.linalg.qr(design)[0] ** 2, axis=1)
    terms = hat * np.outer(unit, unit) / np.sqrt(np.outer(1 - leverage, 1 - leverage))
    mean = np.trace(terms)
    variance = 2 * (np.sum(terms**2) - np.sum(np.diag(terms) ** 2))
    size = mean * (1 - mean) / variance - 1
    return unit @ hat @ unit, mean * size, (1 - mean) * size


def off(columns, values):
    return values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0]


def same(found, data):
    n = len(data.exposure)
    root = np.ones(n) if data.weights is None else np.sqrt(data.weights)
    base = root[:, None] * np.column_stack([np.ones(n), data.covariates])
    a, x, y = ((root * v.T).T for v in (data.exposure, data.mediators, data.outcome))
    a, x, y = off(base, a), off(base, x), off(base, y)
    given = np.column_stack([base, a])
    for name, (r2, first, second) in {
        "exposure": beta_of_sign_changes(a, x, base),
        "outcome": beta_of_sign_changes(off(given, y), off(given, x), given),
    }.items():
        p_value = stats.beta.sf(r2, first, second)
        np.testing.assert_allclose(getattr(found, f"p_{name}"), p_value, rtol=1e-8, err_msg=name)
        statistic = r2 / (1 - r2) * second / first
        np.testing.assert_allclose(getattr(found, f"statistic_{name}"), statistic, rtol=1e-9)
        np.testing.assert_allclose(getattr(found, f"df_{name}"), 2 * second, rtol=1e-8)
    np.testing.assert_allclose(found.p_value, max(found.p_exposure, found.p_outcome))


@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_moments_of_the_whole_matrix(weighted):
    rng = np.random.default_rng(0)
    data = problem(rng, 40, 6, 2, signal=0.2)
    if weighted:
        weights = rng.uniform(0.5, 1.5, 40)
        data = dataclasses.replace(data, weights=weights / weights.mean())
    found = robust(data)
    same(found, data)
    assert int(found.status) == (st.WEIGHTED if weighted else st.OK)


def test_rows_without_weight_take_no_part():
    rng = np.random.default_rng(1)
    data = problem(rng, 30, 6, 2, signal=0.2)
    same(robust(with_rows_without_weight(rng, data, 10)), data)


def test_with_equal_variances_it_is_nearly_the_exact_test():
    data = problem(np.random.default_rng(2), 400, 5, 0, signal=0.1)
    found, exact = robust(data), classical(data)
    np.testing.assert_allclose(found.df_numerator, 5, rtol=0.1)
    np.testing.assert_allclose(found.df_numerator_outcome, 5, rtol=0.1)
    np.testing.assert_allclose(found.df_outcome, exact.df_outcome, rtol=0.1)
    np.testing.assert_allclose(found.df_exposure, exact.df_exposure, rtol=0.1)
    np.testing.assert_allclose(
        np.log(float(found.p_value)), np.log(float(exact.p_value)), atol=0.25
    )


def test_units_of_the_columns_change_nothing():
    data = problem(np.random.default_rng(3), 40, 6, 2, signal=0.2)
    units = 10 ** np.random.default_rng(4).uniform(-3, 3, 6)
    other = MediationData(
        5 - 0.01 * data.exposure, 4 + units * data.mediators, 7 * data.outcome, 2 * data.covariates
    )
    found, turned = robust(data), robust(other)
    for name in ("p_exposure", "p_outcome", "df_exposure", "df_outcome", "df_numerator"):
        np.testing.assert_allclose(getattr(turned, name), getattr(found, name), rtol=1e-7)


def test_a_batch_and_float32():
    each = [problem(np.random.default_rng(seed), 40, 6, 2, signal=0.2) for seed in range(3)]
    together = jax.jit(jax.vmap(robust))(jax.tree.map(lambda *v: np.stack(v), *each))
    for i, data in enumerate(each):
        np.testing.assert_allclose(together.p_value[i], robust(data).p_value, rtol=1e-8)
    single = robust(jax.tree.map(lambda v: np.asarray(v, np.float32), each[0]))
    assert single.p_value.dtype == np.float32
    np.testing.assert_allclose(single.p_value, together.p_value[0], rtol=5e-3)


def test_without_rows_in_the_dual_and_with_nothing_left():
    data = problem(np.random.default_rng(1), 40, 6, 2)
    missing = intersection_union_test(paths(data), variance="robust")
    assert int(missing.status) == st.NEEDS_ROWS
    for leaf in (missing.p_value, missing.p_exposure, missing.df_numerator, missing.df_outcome):
        assert np.isnan(leaf)
    dual = problem(np.random.default_rng(1), 30, 50, 1)
    both = jax.jit(
        lambda data: (
            intersection_union_test(paths(data), data=data, variance="robust"),
            intersection_union_test(paths(data), variance="robust"),
        )
    )(dual)
    assert [int(found.status) for found in both] == [st.NOT_IN_DUAL] * 2
    with pytest.raises(ValueError, match="needs a residual|need a residual"):
        effective_degrees(paths(dual), dual)
    exact = robust(dataclasses.replace(data, outcome=data.mediators[:, 0] / 7))
    assert int(exact.status) == st.ZERO_RESIDUAL and np.isnan(exact.p_value)


SETS = 1000


@jit_for_many
def p_values(keys, spread_of_mediators, spread_of_errors, alpha, beta):
    """Classical and robust, of exposure and outcome path."""
    n, p = 200, 20

    def one(key):
        keys = jax.random.split(key, 3)
        a = jax.random.normal(keys[0], (n,))
        noise = jax.random.normal(keys[1], (n, p)) * jnp.exp(spread_of_mediators * a)[:, None]
        x = noise.at[:, 0].add(alpha * a)
        errors = jnp.where(spread_of_errors, jnp.abs(x[:, 0]), 1.0)
        y = 0.3 * a + beta * jnp.sum(x, axis=1) + errors * jax.random.normal(keys[2], (n,))
        data = MediationData(a, x, y, jnp.zeros((n, 0)))
        found = paths(data, route="gram")
        plain = intersection_union_test(found)
        careful = intersection_union_test(found, data=data, variance="robust")
        return plain.p_exposure, plain.p_outcome, careful.p_exposure, careful.p_outcome

    return jax.lax.map(one, keys, batch_size=16)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["exposure", "outcome"])
@pytest.mark.parametrize("unequal", [False, True])
def test_size_with_a_null_path(path, unequal):
    """Measured: .05 where variances are equal, .08 where they follow exp(A), classical .5."""
    keys = jax.random.split(jax.random.key(6), SETS)
    null_exposure = path == "exposure"
    found = p_values(
        keys,
        jnp.asarray(0.5 if unequal and null_exposure else 0.0),
        jnp.asarray(unequal and not null_exposure),
        jnp.asarray(0.0 if null_exposure else 1.0),
        jnp.asarray(0.2 if null_exposure else 0.0),
    )
    exposure, outcome, careful_exposure, careful_outcome = (np.mean(v <= 0.05) for v in found)
    plain, careful = (exposure, careful_exposure) if null_exposure else (outcome, careful_outcome)
    error = np.sqrt(0.05 * 0.95 / SETS)
    most = 0.09 if unequal and null_exposure else 0.05
    assert careful < most + 5 * error and careful > 0.05 - 5 * error
    if unequal:
        assert plain > careful
