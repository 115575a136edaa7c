import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, lasso_path

from jaxmed import status
from jaxmed.sparse.cross_validated import gaussian_lasso_cv, logistic_lasso_cv
from jaxmed.sparse.folds import assign_folds

FOLDS = 5
FITTED = jax.jit(partial(gaussian_lasso_cv, num_folds=FOLDS, num_penalties=25))
LOGISTIC = jax.jit(partial(logistic_lasso_cv, num_folds=FOLDS, num_penalties=12))


at = jax.jit(lambda result, index: result.at(index))
predicted = jax.jit(lambda fit, x, c: fit.predict(x, c))


def gaussian(x, y, c, folds):
    return FITTED(x, y, c, folds, weights=np.ones_like(y))


def problem(n, p, q=2, seed=0):
    rng = np.random.default_rng(seed)
    c = rng.normal(size=(n, q)) + 5
    x = (
        rng.normal(size=(n, p)) * rng.uniform(0.1, 10, size=p)
        + 3
        + c[:, :1]
        + rng.normal(size=(n, 1))
    )
    signal = (x[:, :4] - 3 - c[:, :1]) / x[:, :4].std(0) @ [2.0, -1.5, 1.0, 0.5]
    y = signal + c[:, 0] - 5 + rng.normal(size=n)
    folds = rng.permutation(np.arange(n) % FOLDS)
    return x, y, c, folds


def residualised(x, y, c):
    """Columns scaled to unit residual variance, response, scale, and the projection."""
    base = np.c_[np.ones(len(y)), c]
    loadings, free = (np.linalg.lstsq(base, v, rcond=None)[0] for v in (x, y))
    x = x - base @ loadings
    scale = np.sqrt(np.mean(x**2, axis=0))
    return x / scale, y - base @ free, scale, loadings, free


def oracle_path(x, y, c, grid):
    z, r, scale, loadings, free = residualised(x, y, c)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own duality-gap warning at tol 1e-12
        b = lasso_path(z, r, alphas=np.asarray(grid), tol=1e-12, max_iter=100_000)[1].T / scale
    return b, free - b @ loadings.T


def oracle_loss(x, y, c, folds, grid):
    losses, sizes = [], []
    for k in range(FOLDS):
        test = folds == k
        b, free = oracle_path(x[~test], y[~test], c[~test], grid)
        fitted = free[:, :1] + free[:, 1:] @ c[test].T + b @ x[test].T
        losses.append(np.mean((y[test] - fitted) ** 2, axis=1))
        sizes.append(test.sum())
    share = np.asarray(sizes)[:, None] / len(y)
    mean = np.sum(share * losses, axis=0)
    return mean, np.sqrt(np.sum(share * (losses - mean) ** 2, axis=0) / (FOLDS - 1))


@pytest.mark.parametrize("shape", [(153, 20), (60, 90)])  # Gram differences; rows
def test_gaussian_against_sklearn(shape):
    x, y, c, folds = problem(*shape)
    result = gaussian(x, y, c, folds)
    assert (np.asarray(result.path_status) == status.OK).all()
    assert np.asarray(result.violation).max() < 1e-8
    b, free = oracle_path(x, y, c, result.penalties)
    size = np.abs(b).max()
    np.testing.assert_allclose(result.coefficients, b, atol=2e-6 * size)
    np.testing.assert_allclose(result.unpenalised, free, atol=1e-4)
    mean, error = oracle_loss(x, y, c, folds, result.penalties)
    np.testing.assert_allclose(result.loss, mean, rtol=1e-3)
    np.testing.assert_allclose(result.loss_error, error, rtol=1e-2)
    assert int(result.index_minimum) == np.argmin(mean)
    best = np.argmin(mean)
    assert int(result.index_one_se) == np.argmax(mean <= mean[best] + error[best])


def test_fit_predicts_and_counts():
    x, y, c, folds = problem(153, 20)
    result = gaussian(x, y, c, folds)
    fit = at(result, result.index_minimum)
    assert int(fit.status) == status.OK
    assert int(fit.num_selected) == np.count_nonzero(fit.coefficients) >= 4
    assert np.mean((y - predicted(fit, x, c)) ** 2) < 2
    empty = at(result, 0)
    assert int(empty.status) == status.EMPTY_SELECTION
    assert int(empty.num_selected) == 0
    strict = at(result, result.index_one_se)
    assert float(strict.penalty) >= float(fit.penalty)


def test_covariates_are_free_and_their_coding_does_not_matter():
    x, y, c, folds = problem(153, 20)
    first = gaussian(x, y, c, folds)
    recoded = gaussian(x, y, c @ np.array([[2.0, 1.0], [0.0, -3.0]]) + 7, folds)
    np.testing.assert_allclose(recoded.coefficients, first.coefficients, atol=1e-7)
    shifted = gaussian(x + 4 * c[:, :1], y - 2 * c[:, 1], c, folds)
    np.testing.assert_allclose(shifted.coefficients, first.coefficients, atol=1e-7)
    np.testing.assert_allclose(shifted.loss, first.loss, rtol=1e-6)


def test_zero_weights_are_absent_rows():
    x, y, c, folds = problem(153, 20)
    weights = np.ones(153)
    weights[100:] = 0
    result = FITTED(x, y, c, folds, weights=weights)
    x[100:], y[100:] = 100 * x[100:], 1e3
    garbage = FITTED(x, y, c, folds, weights=weights)
    np.testing.assert_allclose(garbage.coefficients, result.coefficients, atol=1e-8)
    np.testing.assert_allclose(garbage.loss, result.loss, rtol=1e-6)
    b, _ = oracle_path(x[:100], y[:100], c[:100], result.penalties)
    np.testing.assert_allclose(result.coefficients, b, atol=2e-6 * np.abs(b).max())
    mean, _ = oracle_loss(x[:100], y[:100], c[:100], folds[:100], result.penalties)
    np.testing.assert_allclose(result.loss, mean, rtol=1e-3)


def logistic_oracle(x, y, c, penalty):
    """Penalised mediators beside free covariates, by dense proximal gradient in numpy."""
    z, _, scale, loadings, _ = residualised(x, y, c)
    basis = np.linalg.qr(np.c_[np.ones(len(y)), c])[0] * np.sqrt(len(y))
    d = np.c_[basis, z]
    k = basis.shape[1]
    step = 4 * len(y) / np.linalg.norm(d, 2) ** 2
    b, v, t = np.zeros(d.shape[1]), np.zeros(d.shape[1]), 1.0
    for _ in range(20_000):
        new = v + step * d.T @ (y - 1 / (1 + np.exp(-d @ v))) / len(y)
        new[k:] = np.sign(new[k:]) * np.maximum(np.abs(new[k:]) - step * penalty, 0)
        after = (1 + np.sqrt(1 + 4 * t * t)) / 2
        v, b, t = new + (t - 1) / after * (new - b), new, after
    return b[k:] / scale


@pytest.mark.parametrize("shape", [(150, 12), pytest.param((40, 60), marks=pytest.mark.slow)])
def test_logistic(shape):
    x, y, c, folds = problem(*shape, seed=1)
    y = (y > 0).astype(float)
    result = LOGISTIC(x, y, c, folds)
    assert (np.asarray(result.path_status) == status.OK).all()
    assert np.asarray(result.violation).max() < 1e-8
    expected = logistic_oracle(x, y, c, float(result.penalties[3]))
    np.testing.assert_allclose(result.coefficients[3], expected, atol=1e-5)
    # Held-out deviance of the first penalty: covariates alone, an ordinary logistic regression.
    total = 0.0
    for k in range(FOLDS):
        test = folds == k
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
        model.fit(c[~test], y[~test])
        total -= 2 * np.sum(
            model.predict_log_proba(c[test])[np.arange(test.sum()), y[test].astype(int)]
        )
    if shape[0] > shape[1]:
        np.testing.assert_allclose(result.loss[0], total / len(y), rtol=0.05)
    fit = at(result, result.index_minimum)
    assert np.mean((np.asarray(predicted(fit, x, c)) > 0) == (y > 0.5)) > 0.8


@pytest.mark.slow
def test_float32_follows_float64():
    x, y, c, folds = problem(153, 20)
    single = gaussian(*(v.astype(np.float32) for v in (x, y, c)), folds)
    double = gaussian(x, y, c, folds)
    assert single.coefficients.dtype == jnp.float32
    assert np.asarray(single.violation).max() < 1e-4
    np.testing.assert_allclose(single.loss, double.loss, rtol=1e-2)
    scaled = np.asarray(single.coefficients - double.coefficients) * x.std(0)
    assert np.abs(scaled).max() < 5e-3


def test_constant_mediator_constant_outcome_and_nan():
    x, y, c, folds = problem(153, 20)
    constant = x.copy()
    constant[:, 0] = 2.0
    result = gaussian(constant, y, c, folds)
    assert (np.asarray(result.coefficients[:, 0]) == 0).all()
    assert np.isfinite(np.asarray(result.loss)).all()
    flat = gaussian(x, np.full(153, 1.5), c, folds)
    assert int(at(flat, flat.index_minimum).status) == status.EMPTY_SELECTION
    broken = x.copy()
    broken[3, 3] = np.nan
    fit = at(gaussian(broken, y, c, folds), 5)
    assert int(fit.status) == status.NONFINITE
    assert np.isnan(np.asarray(fit.coefficients)).all()


def test_folds_are_balanced_and_follow_the_key():
    folds = np.asarray(assign_folds(jax.random.key(1), 103, 10))
    assert sorted(np.bincount(folds)) == [10] * 7 + [11] * 3
    np.testing.assert_array_equal(folds, assign_folds(jax.random.key(1), 103, 10))
    assert (folds != np.asarray(assign_folds(jax.random.key(2), 103, 10))).any()
