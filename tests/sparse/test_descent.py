from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, lasso_path

from jaxmed import status
from jaxmed.sparse.descent import descend
from jaxmed.sparse.likelihoods import Binomial
from jaxmed.sparse.path import largest_penalty, penalty_grid
from jaxmed.sparse.path import path as descent_path
from jaxmed.sparse.penalties import L1
from jaxmed.sparse.proximal_newton import Problem, free_fit, likelihood_path
from jaxmed.sparse.quadratic import GramQuadratic, row_quadratic


def problem(n, p, seed=0, correlation=0.5):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 1))
    x = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.normal(size=(n, p))
    x = (x - x.mean(0)) / x.std(0)
    y = x[:, :4] @ [2.0, -1.5, 1.0, 0.5] + rng.normal(size=n)
    return x, y - y.mean()


def setup(x, y, form):
    """Quadratic, residual at zero and score in one of the two forms."""
    n = x.shape[0]
    if form == "gram":
        return GramQuadratic(x.T @ x / n), x.T @ y / n
    return row_quadratic(x.T, np.full(n, 1 / n, x.dtype)), y / n


@partial(jax.jit, static_argnames=("form", "count"))
def solve(x, y, ratio, tolerance, max_rounds, form, count=30):
    quadratic, residual = setup(x, y, form)
    factors = jnp.ones(x.shape[1], residual.dtype)
    grid = penalty_grid(largest_penalty(quadratic.score(residual), factors), count, ratio)
    fit = descent_path(
        quadratic,
        residual,
        grid,
        lambda v: L1(v * factors),
        tolerance=tolerance,
        max_rounds=max_rounds,
    )
    return grid, fit


def path(x, y, form, ratio=1e-2, tolerance=1e-11, max_rounds=1000):
    """One program for all data of a shape and form."""
    return solve(x, y, x.dtype.type(ratio), x.dtype.type(tolerance), max_rounds, form)


@pytest.mark.parametrize(
    "shape, form",
    [
        ((120, 30), "gram"),
        pytest.param((120, 30), "rows", marks=pytest.mark.slow),
        ((40, 90), "rows"),
    ],
)
def test_gaussian_path_is_sklearns(shape, form):
    x, y = problem(*shape)
    grid, fit = path(x, y, form)
    assert (np.asarray(fit.status) == status.OK).all()
    assert np.asarray(fit.violation).max() < 1e-10
    _, expected, _ = lasso_path(x, y, alphas=np.asarray(grid), tol=1e-14, max_iter=200_000)
    np.testing.assert_allclose(fit.coefficients, expected.T, atol=2e-7)
    assert (np.asarray(fit.coefficients[0]) == 0).all()


def test_path_certificate_from_the_data():
    x, y = problem(40, 90, correlation=0.9)
    grid, fit = path(x, y, "rows")
    b = np.asarray(fit.coefficients)
    score = (y - b @ x.T) @ x / len(y)
    g = np.asarray(grid)[:, None]
    breach = np.where(b != 0, np.abs(score - g * np.sign(b)), np.maximum(np.abs(score) - g, 0))
    assert breach.max() < 1e-8


def test_float32():
    x, y = problem(120, 30)
    x32, y32 = x.astype(np.float32), y.astype(np.float32)
    grid, fit = path(x32, y32, "gram", tolerance=1e-5)
    assert fit.coefficients.dtype == jnp.float32
    assert np.asarray(fit.violation).max() < 1e-4
    _, expected = path(x, y, "gram")
    np.testing.assert_allclose(fit.coefficients, expected.coefficients, atol=1e-3)


def test_free_columns_and_constant_columns():
    x, y = problem(80, 10)
    x[:, 7] = 0

    @jax.jit
    def descended(x, y):
        quadratic, residual = setup(x, y, "gram")
        penalties = 1e3 * jnp.ones(10).at[jnp.array([5, 6])].set(0.0)
        return descend(
            quadratic, L1(penalties), jnp.zeros(10), residual, tolerance=1e-13, max_rounds=50
        )

    state = descended(x, y)
    expected = np.linalg.lstsq(x[:, 5:7], y, rcond=None)[0]
    np.testing.assert_allclose(state.coefficients[5:7], expected, atol=1e-10)
    assert np.count_nonzero(state.coefficients) == 2


def test_duplicate_columns_still_reach_the_optimum():
    x, y = problem(120, 26)
    x = np.concatenate([x, x[:, :4]], axis=1)
    _, fit = path(x, y, "gram", ratio=1e-3)
    assert (np.asarray(fit.status) == status.OK).all()
    assert np.asarray(fit.violation).max() < 1e-9


def test_budget_has_a_status():
    x, y = problem(40, 90, correlation=0.95)
    _, fit = path(x, y, "rows", ratio=1e-3, max_rounds=1)
    assert (np.asarray(fit.status) == status.NOT_CONVERGED).any()


def test_vmap_is_the_loop():
    xs, ys = zip(*(problem(120, 30, seed) for seed in range(3)), strict=True)

    def fit(x, y):
        return path(x, y, "gram", tolerance=1e-12)[1].coefficients

    batch = jax.jit(jax.vmap(fit))(np.stack(xs), np.stack(ys))
    for i in range(3):
        np.testing.assert_allclose(batch[i], fit(xs[i], ys[i]), atol=1e-10)


def logistic_problem(n, p, dtype=np.float64):
    x, _ = problem(n, p, seed=3)
    rng = np.random.default_rng(4)
    eta = 1 + x[:, :3] @ [2.0, -1.0, 1.0]
    y = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(dtype)
    columns = np.concatenate([np.ones((1, n)), x.T]).astype(dtype)
    data = Problem(columns, Binomial(y, np.full(n, 1 / n, dtype)))
    return x, y, data, np.r_[0, np.ones(p)].astype(dtype)


@partial(jax.jit, static_argnames=("tolerance", "count"))
def logistic(data, factors, tolerance=1e-10, ratio=1e-2, count=12):
    state, score = free_fit(data, factors, tolerance=tolerance)
    grid = penalty_grid(largest_penalty(score, factors), count, ratio)
    return grid, likelihood_path(data, state, grid, lambda v: L1(v * factors), tolerance=tolerance)


@pytest.mark.parametrize("shape", [pytest.param((200, 15), marks=pytest.mark.slow), (40, 60)])
def test_logistic_path_certificate_and_sklearn(shape):
    x, y, data, factors = logistic_problem(*shape)
    grid, fit = logistic(data, factors)
    assert (np.asarray(fit.status) == status.OK).all()
    b = np.asarray(fit.coefficients)
    eta = b @ np.asarray(data.columns)
    score = (y - 1 / (1 + np.exp(-eta))) @ np.asarray(data.columns).T / len(y)
    g = np.asarray(grid)[:, None] * np.asarray(factors)
    breach = np.where(b != 0, np.abs(score - g * np.sign(b)), np.maximum(np.abs(score) - g, 0))
    assert breach.max() < 1e-8
    assert (b[0, 1:] == 0).all()
    k = 6
    oracle = LogisticRegression(
        C=1 / (len(y) * float(grid[k])), l1_ratio=1, solver="saga", tol=1e-10, max_iter=100_000
    ).fit(x, y)
    np.testing.assert_allclose(b[k, 1:], oracle.coef_[0], atol=1e-5)
    np.testing.assert_allclose(b[k, 0], oracle.intercept_[0], atol=1e-5)


def test_logistic_float32():
    _, _, data, factors = logistic_problem(200, 15, np.float32)
    _, fit = logistic(data, factors, tolerance=1e-5)
    assert fit.coefficients.dtype == jnp.float32
    assert np.asarray(fit.violation).max() < 1e-4


def test_logistic_of_separated_free_column_ends_with_a_status():
    n = 30
    x = np.linspace(-1, 1, n)
    data = Problem(np.stack([np.ones(n), x]), Binomial((x > 0).astype(float), np.full(n, 1 / n)))
    state, _ = jax.jit(lambda d: free_fit(d, jnp.zeros(2), tolerance=1e-12))(data)
    assert np.isfinite(np.asarray(state.coefficients)).all()
