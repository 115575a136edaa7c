import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_data as reference

from jaxmed import status as st
from jaxmed.sparse import scaled_lasso as sl

TIGHT = jax.jit(sl.scaled_lasso)
RELEASE = jax.jit(
    lambda *moments: sl.scaled_lasso(
        *moments,
        start=sl.RELEASE_START,
        tolerance=sl.RELEASE_TOLERANCE,
        max_rounds=sl.RELEASE_ROUNDS,
    )
)


def moments(x, y):
    n = len(y)
    return x.T @ x / n, x.T @ y / n, y @ y / n, float(n)


def of_fixture(alias):
    data = reference.data(alias, covariates=False)
    x = np.column_stack([data.mediators, data.exposure])
    return moments(x - x.mean(0), data.outcome - data.outcome.mean())


@pytest.mark.parametrize(
    "alias", reference.mostly_slow(["lin", "med", "mx20", "gA100", "mx400"], "lin")
)
def test_release(alias):
    stored = reference.call(alias, "hdmed_hilma")["intermediate"]["scaled_lasso"]
    fit = RELEASE(*of_fixture(alias))
    assert int(fit.status) == st.OK
    np.testing.assert_allclose(fit.sigma, stored["hsigma"], rtol=1e-11)
    np.testing.assert_allclose(fit.coefficients, np.ravel(stored["coefficients"]), atol=1e-11)


def test_converged_pair_is_the_minimum_of_the_joint_objective():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 15))
    y = x[:, 0] - 0.5 * x[:, 3] + rng.normal(size=60)
    gram, score, ss, n = moments(x, y)
    fit = TIGHT(gram, score, ss, n)
    b, sigma = np.asarray(fit.coefficients), float(fit.sigma)
    residual = y - x @ b
    np.testing.assert_allclose(sigma, np.sqrt(np.mean(residual**2)), rtol=1e-10)
    level = np.sqrt(2 / n) * sl.quantile_level(15)
    np.testing.assert_allclose(fit.penalty, level * sigma, rtol=1e-8)
    pull = np.abs(x.T @ residual / n)
    assert np.where(b != 0, np.abs(pull - level * sigma), 0).max() < 1e-8
    assert (pull <= level * sigma + 1e-8).all()

    def objective(b, sigma):
        return np.mean((y - x @ b) ** 2) / (2 * sigma) + sigma / 2 + level * np.abs(b).sum()

    best = objective(b, sigma)
    for _ in range(50):
        moved = b + 1e-3 * rng.normal(size=15), sigma * np.exp(1e-2 * rng.normal())
        assert objective(*moved) > best


def test_scale_of_the_outcome():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 15))
    y = x[:, 0] + rng.normal(size=40)
    one, thousand = (TIGHT(*moments(x, c * y)) for c in (1, 1000))
    np.testing.assert_allclose(thousand.coefficients, 1000 * one.coefficients, rtol=1e-7)
    np.testing.assert_allclose(thousand.sigma, 1000 * one.sigma, rtol=1e-9)


def test_budget_and_null_outcome():
    moments_ = of_fixture("lin")
    short = jax.jit(lambda *m: sl.scaled_lasso(*m, max_rounds=2))(*moments_)
    assert int(short.status) == st.NOT_CONVERGED and int(short.rounds) == 2
    gram, _, _, n = moments_
    null = TIGHT(gram, np.zeros(31), np.float64(0), n)
    assert (np.asarray(null.coefficients) == 0).all() and float(null.sigma) == 0
    assert int(null.status) == st.OK


def test_float32():
    gram, score, ss, n = of_fixture("lin")
    single = jax.jit(sl.scaled_lasso)(*(jnp.asarray(m, jnp.float32) for m in (gram, score, ss, n)))
    double = TIGHT(gram, score, ss, n)
    assert single.coefficients.dtype == jnp.float32 and int(single.status) == st.OK
    np.testing.assert_allclose(single.coefficients, double.coefficients, atol=1e-3)
    assert float(single.violation) < 1e-4


def test_level_solves_its_equation():
    level = sl.quantile_level(100, tolerance=1e-14)
    from statistics import NormalDist

    k = level**4 + 2 * level**2
    np.testing.assert_allclose(level, -NormalDist().inv_cdf(k / 100), rtol=1e-12)
    assert abs(sl.quantile_level(100) - level) < 2e-3
