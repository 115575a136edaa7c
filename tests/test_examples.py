"""The example estimator: right numbers, the promises of all estimators, and the page about it."""

import importlib.util
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed import estimands
from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.testing import CHECKS, QUICK, check_estimator

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/write_an_estimator.md"
BEYOND = ROOT / "docs/beyond_mediation.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def module(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


ridge = module("ridge").ridge
components_regression = module("components").components_regression
COMPONENTS = components_regression()  # compiled once for all its checks


def residual(base, weights, columns):
    root = np.sqrt(weights)[:, None]
    return columns - base @ np.linalg.lstsq(root * base, root * columns, rcond=None)[0]


def oracle(data, penalty):
    """Direct and indirect effect, and the variance of beta, row by row in NumPy."""
    w = np.asarray(data.weights)
    n = w.sum()
    base = np.column_stack([np.ones(w.size), data.covariates])
    a, y = (residual(base, w, np.asarray(c)[:, None])[:, 0] for c in (data.exposure, data.outcome))
    m = residual(base, w, np.asarray(data.mediators))
    ss = np.sum(w * a * a)
    alpha, total = (w * a) @ m / ss, np.sum(w * a * y) / ss
    m, y = m - np.outer(a, alpha), y - total * a
    size = np.sqrt(w @ m**2 / n)
    z = m / size
    gram = z.T @ (w[:, None] * z)
    inverse = np.linalg.inv(gram + n * penalty * np.eye(size.size))
    b = inverse @ z.T @ (w * y)
    df = n - 2 - data.covariates.shape[1] - np.trace(inverse @ gram)
    sigma2 = np.sum(w * (y - z @ b) ** 2) / df
    spread = sigma2 * inverse @ gram @ inverse
    indirect = np.sum(alpha * b / size)
    return total - indirect, indirect, np.sqrt(np.diag(spread)) / size


@pytest.mark.parametrize("shape", [(48, 6), (30, 45)])
def test_ridge_is_the_formula(shape):
    rng = np.random.default_rng(2)
    data = problem(rng, *shape, 2, scale=0.0)
    weights = np.resize([1.0, 2.0, 1.0], shape[0])
    data = MediationData(data.exposure, data.mediators, data.outcome, data.covariates, weights)
    found = jax.jit(ridge(lam=0.3))(None, data)
    direct, indirect, error = oracle(data, 0.3)
    np.testing.assert_allclose(found.effects.direct, direct, rtol=1e-9)
    np.testing.assert_allclose(found.effects.indirect, indirect, rtol=1e-9)
    np.testing.assert_allclose(found.mediators.beta_se, error, rtol=1e-8)
    assert int(found.status) == st.OK


def test_without_a_penalty_ridge_is_least_squares():
    data = problem(np.random.default_rng(3), 48, 6, 2, scale=0.0)
    found = jax.jit(ridge(lam=0.0))(None, data)
    base = np.column_stack([np.ones(48), data.covariates, data.exposure, data.mediators])
    coefficients = np.linalg.lstsq(base, data.outcome, rcond=None)[0]
    left = data.outcome - base @ coefficients
    covariance = left @ left / (48 - base.shape[1]) * np.linalg.inv(base.T @ base)
    np.testing.assert_allclose(found.mediators.beta, coefficients[4:], rtol=1e-8)
    np.testing.assert_allclose(found.effects.direct, coefficients[3], rtol=1e-8)
    np.testing.assert_allclose(found.standard_errors.direct, covariance[3, 3] ** 0.5, rtol=1e-8)
    np.testing.assert_allclose(found.mediators.beta_se, np.sqrt(np.diag(covariance))[4:], rtol=1e-8)


def test_a_grid_of_penalties_is_a_vmap():
    data = problem(np.random.default_rng(4), 48, 6, 2, scale=0.0)
    grid = jnp.array([0.01, 1.0])
    found = jax.jit(jax.vmap(lambda lam: ridge(lam=lam)(None, data).effects))(grid)
    alone = jax.jit(lambda: [ridge(lam=x)(None, data).effects.indirect for x in (0.01, 1.0)])
    np.testing.assert_allclose(found.indirect, alone())


# The other example has these in every run.
TRACED_AGAIN = ("precision", "rank_promotion", "determinism")


@pytest.mark.slow  # the other example keeps them in every run
def test_ridge_keeps_the_promises_of_all_estimators():
    check_estimator(ridge(), only=[name for name in QUICK if name not in TRACED_AGAIN])


def test_misuse_is_refused_with_words():
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        ridge(level=95)
    with pytest.raises(ValueError, match="components must be a whole number from 1 on, not 0"):
        components_regression(components=0)


def components_oracle(data, weights, k):
    """Least squares on exposure, covariates and scores, with each row as often as its weight."""
    again = np.repeat(np.arange(weights.size), weights.astype(int))
    a, m, y = (np.asarray(c)[again] for c in (data.exposure, data.mediators, data.outcome))
    base = np.column_stack([np.ones(again.size), np.asarray(data.covariates)[again]])
    one = np.ones(again.size)
    z = m / np.sqrt(np.mean(residual(base, one, m) ** 2, axis=0))
    given = np.column_stack([a, base])
    noise = residual(given, one, z)
    loadings = np.linalg.svd(noise)[2][:k].T
    design = np.column_stack([given, z @ loadings])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y
    left = y - design @ coefficients
    covariance = left @ left / (again.size - design.shape[1]) * inverse
    b = loadings @ coefficients[-k:]
    alpha = np.linalg.lstsq(given, z, rcond=None)[0][0]
    exposure_ss = np.sum(residual(base, one, a[:, None]) ** 2)
    path = np.sum((noise @ b) ** 2) / (again.size - given.shape[1]) / exposure_ss
    score = loadings.T @ alpha
    step = np.concatenate([[1.0], np.zeros(base.shape[1]), score])
    return {
        "direct": coefficients[0],
        "direct_se": np.sqrt(covariance[0, 0]),
        "total": np.linalg.lstsq(given, y, rcond=None)[0][0],
        "indirect": alpha @ b,
        "indirect_se": np.sqrt(score @ covariance[-k:, -k:] @ score + path),
        "total_se": np.sqrt(step @ covariance @ step + path),
        "beta": b * (z[0] / m[0]),
        "beta_se": np.sqrt(np.diag(loadings @ covariance[-k:, -k:] @ loadings.T)) * (z[0] / m[0]),
    }


@pytest.mark.parametrize("shape", [(48, 6), pytest.param((30, 45), marks=pytest.mark.slow)])
def test_components_are_the_formula(shape):
    data = problem(np.random.default_rng(5), *shape, 2, scale=0.0)
    weights = np.resize([1.0, 2.0, 0.0, 1.0], shape[0])
    expected = components_oracle(data, weights, 3)
    wild = np.where(weights[:, None] == 0, 1e3, data.mediators)  # rows without weight
    data = MediationData(data.exposure, wild, data.outcome, data.covariates, weights)
    found = jax.jit(components_regression())(None, data)
    for name in ("direct", "indirect", "total"):
        np.testing.assert_allclose(getattr(found.effects, name), expected[name], rtol=1e-9)
        error = getattr(found.standard_errors, name)
        np.testing.assert_allclose(error, expected[f"{name}_se"], rtol=1e-8)
    np.testing.assert_allclose(found.mediators.beta, expected["beta"], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.mediators.beta_se, expected["beta_se"], rtol=1e-8)
    assert int(found.status) == st.OK


def test_all_components_are_least_squares():
    data = problem(np.random.default_rng(6), 48, 6, 2, scale=0.0)
    found = jax.jit(components_regression(components=9))(None, data)
    base = np.column_stack([np.ones(48), data.covariates, data.exposure, data.mediators])
    coefficients = np.linalg.lstsq(base, data.outcome, rcond=None)[0]
    np.testing.assert_allclose(found.effects.direct, coefficients[3], rtol=1e-8)
    np.testing.assert_allclose(found.mediators.beta, coefficients[4:], rtol=1e-8)


@pytest.mark.parametrize("name", QUICK)
def test_components_keep_the_promises_of_all_estimators(name):
    check_estimator(COMPONENTS, differentiable=True, only=[name])


def blocks(page=PAGE):
    return BLOCK.findall(page.read_text())


def test_the_page_shows_the_file():
    assert (ROOT / "examples/ridge.py").read_text() in blocks()


def test_the_page_names_every_check():
    text = PAGE.read_text()
    assert not [name for name in CHECKS if f"`{name}`" not in text]


def test_the_shortest_estimator_of_the_page_runs(capsys):
    (block,) = [b for b in blocks() if "def one_by_one" in b]
    space = {}
    exec(block, space)
    assert float(space["found"].effects.indirect) == pytest.approx(0.75, abs=0.4)
    assert "True" in capsys.readouterr().out


@pytest.mark.slow
def test_the_estimators_of_the_page_keep_all_promises():
    check_estimator(ridge(), differentiable=True)
    (block,) = [b for b in blocks() if "def one_by_one" in b]
    space = {}
    exec(block, space)
    check_estimator(space["one_by_one"]())


@pytest.mark.slow
def test_the_uses_on_the_page_run():
    space = {"ridge": ridge}
    for block in blocks():
        if "def one_by_one" in block or "jaxmed.compare(data, methods" in block:
            exec(block, space)
    assert space["path"].shape == (3,) and "ridge/indirect" in space["found"].values


def test_the_simulator_of_the_page_is_a_column():
    """Its file and its use, of which the parts are products of its coefficients."""
    source = (ROOT / "examples/linear_simulator.py").read_text()
    assert source in blocks(BEYOND) and len(source.splitlines()) <= 40
    (block,) = [b for b in blocks(BEYOND) if b.startswith("simulator =")]
    rng = np.random.default_rng(1)
    t, x = np.arange(60) % 2.0, rng.normal(size=(60, 1))
    m = np.outer(t, [0.8, 0.5, 0.0]) + rng.normal(size=(60, 3))
    data = jaxmed.mediation_data(t, m, m[:, 0] + rng.normal(size=60), x)
    space = {"jnp": jnp, "estimands": estimands, "key": jax.random.key(1), "data": data}
    exec(block, space | {"LinearSimulator": module("linear_simulator").LinearSimulator}, space)
    np.testing.assert_allclose(space["part"].generated.parts, [0.48], rtol=1e-6)
