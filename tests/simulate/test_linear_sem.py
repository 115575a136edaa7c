"""Draws against the model's covariance, moments against rows, three levels against each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from jaxmed import cross_moments, paths, status
from jaxmed.distributions.exact_law import sample_quadratics
from jaxmed.distributions.gram_law import sample_gram_quadratics
from jaxmed.simulate import (
    ar1_factor,
    equicorrelated_factor,
    law_of,
    linear_sem,
    sample,
    sample_moments,
    truth,
    whitened,
)
from jaxmed.sweeps.levels import model_quadratics

ORDERS = ("mediators_first", "exposure_first")
FIELDS = ("exposure_exposure", "exposure_outcome", "outcome_outcome", "residual_ss", "exposure_ss")


paths_of = jax.jit(paths)
drawn = jax.jit(sample, static_argnums=2)
moments_of = jax.jit(sample_moments, static_argnums=2)
law_in = jax.jit(law_of, static_argnums=1)


@functools.cache
def model(order="mediators_first", p=5, q=2, dtype=np.float64):
    rng = np.random.default_rng(p)
    effects = jnp.asarray(rng.normal(size=(q, p + 2)).astype(dtype)) if q else None
    lag = np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    return linear_sem(
        jnp.asarray((rng.normal(size=p) / 2).astype(dtype)),
        jnp.asarray((rng.normal(size=p) / 2).astype(dtype)),
        direct=0.25,
        exposure_sd=0.5,
        outcome_sd=0.7,
        lower=jnp.asarray(np.linalg.cholesky(0.6**lag).astype(dtype)),
        covariate_effects=effects,
        order=order,
    )


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.75])
def test_covariance_factors(rho):
    p = 7
    index = np.arange(p)
    ar1, equal = jax.jit(lambda rho: (ar1_factor(p, rho), equicorrelated_factor(p, rho)))(rho)
    lower = np.asarray(ar1)
    np.testing.assert_allclose(lower @ lower.T, rho ** np.abs(index[:, None] - index), atol=1e-14)
    lower = np.asarray(equal)
    np.testing.assert_allclose(lower @ lower.T, rho + (1 - rho) * np.eye(p), atol=1e-14)
    assert np.all(np.triu(lower, 1) == 0)


def population(sem):
    """Covariance of [A, Y, X] given the covariates, by plain algebra of the equations."""
    p = sem.num_mediators
    lower, alpha, beta = (np.asarray(v) for v in (sem.lower, sem.alpha, sem.beta))
    # Rows: A, Y, X in terms of independent [e, u, z].
    if sem.order == "mediators_first":
        a = np.concatenate([[float(sem.exposure_sd), 0], lower.T @ alpha])
        x = np.column_stack([np.zeros((p, 2)), lower])
    else:
        a = np.concatenate([[float(sem.exposure_sd), 0], np.zeros(p)])
        x = np.column_stack([np.zeros((p, 2)), lower]) + np.outer(alpha, a)
    y = beta @ x + float(sem.direct) * a
    y[1] += float(sem.outcome_sd)
    rows = np.vstack([a, y, x])
    return rows @ rows.T


@pytest.mark.parametrize("order", ORDERS)
def test_draws_have_the_covariance_of_the_model(order):
    sem = model(order, q=0)
    n = 200_000
    data = drawn(jax.random.key(0), sem, n)
    rows = np.column_stack([data.exposure, data.outcome, data.mediators])
    expected = population(sem)
    found = rows.T @ rows / n
    variance = (expected**2 + np.outer(np.diag(expected), np.diag(expected))) / n
    assert np.all(np.abs(found - expected) < 5 * np.sqrt(variance))


@pytest.mark.parametrize("order", ORDERS)
def test_moments_are_those_of_the_rows(order):
    sem = model(order)
    key = jax.random.key(3)
    expected = cross_moments(jax.tree.map(np.asarray, drawn(key, sem, 60)))
    found = moments_of(key, sem, 60)
    np.testing.assert_allclose(found.comoment, expected.comoment, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-10, atol=1e-12)
    assert found.num_covariates == expected.num_covariates == 2


@pytest.mark.parametrize("order", ORDERS)
def test_whitening_keeps_the_paths(order):
    """The same draws, coloured or not, have the same angle and strengths."""
    sem, key = model(order), jax.random.key(1)
    plain = paths_of(drawn(key, sem, 60)).quadratics
    white = paths_of(drawn(key, jax.jit(whitened)(sem), 60)).quadratics
    for field in FIELDS:
        np.testing.assert_allclose(getattr(white, field), getattr(plain, field), rtol=1e-9)


@pytest.mark.parametrize("order", ORDERS)
def test_truth_is_that_of_the_causal_order(order):
    sem = model(order, q=0)
    cov = population(sem)
    a = cov[2:, 0] / cov[0, 0]
    given = cov[2:, 2:] - np.outer(a, a) * cov[0, 0]
    b = np.asarray(sem.beta)
    strengths = np.sqrt((a @ np.linalg.solve(given, a)) * (b @ given @ b))
    found = jax.jit(truth)(sem)
    np.testing.assert_allclose(found.total_indirect, a @ b, rtol=1e-12)
    np.testing.assert_allclose(found.cosine, a @ b / strengths, rtol=1e-12)
    np.testing.assert_allclose(found.concordant + found.suppression, a @ b, rtol=1e-12)
    # Regressing Y on A alone gives the total effect.
    np.testing.assert_allclose(found.total, cov[0, 1] / cov[0, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("p", "q", "order"),
    [
        pytest.param(2, 0, ORDERS[0], marks=pytest.mark.slow),
        (6, 2, ORDERS[1]),
        pytest.param(1, 1, ORDERS[0], marks=pytest.mark.slow),
    ],
)
def test_three_levels_have_one_law(p, q, order):
    sem, n, count = model(order, p=p, q=q), 30, 4000
    law = law_in(sem, n)
    keys = jax.random.split(jax.random.key(p), count)

    def replicates(draw):
        return jax.jit(lambda keys: jax.lax.map(draw, keys))(keys)

    by_rows = replicates(lambda key: model_quadratics(key, sem, n))
    by_gram = replicates(lambda key: sample_gram_quadratics(key, law, p))
    by_law = jax.jit(sample_quadratics, static_argnums=2)(jax.random.key(9), law, count)
    for other in (by_rows, by_gram):
        for field in FIELDS:
            test = st.ks_2samp(
                np.asarray(getattr(other, field)), np.asarray(getattr(by_law, field))
            )
            assert test.pvalue > 1e-4, field
    assert np.all(np.asarray(by_gram.status) == 0)


draw = jax.jit(sample_gram_quadratics, static_argnums=2)


def test_gram_level_does_not_exist_in_the_dual():
    quadratics = draw(jax.random.key(0), law_in(model(p=5, q=0), 6), 5)
    assert np.isnan(quadratics.cosine) and int(quadratics.status) == 32


def test_gram_level_needs_the_laws_number_of_mediators():
    key, law = jax.random.key(0), law_in(model(p=5, q=0), 30)
    with pytest.raises(ValueError, match="num_mediators=4 and a law of 5"):
        sample_gram_quadratics(key, law, 4)
    with pytest.raises(ValueError, match="at least 1"):
        sample_gram_quadratics(key, law, 0)
    for wrong in (4, 6):
        found = draw(key, law_in(model(p=wrong, q=0), 30), 5)
        assert int(found.status) == status.NOT_APPLICABLE
        assert all(np.isnan(getattr(found, field)) for field in (*FIELDS, "cosine", "sine"))
    assert int(draw(key, law, 5).status) == status.OK


def test_models_keep_float32():
    key, sem = jax.random.key(0), model(dtype=np.float32)
    traced = jax.eval_shape(
        lambda sem: (sample(key, sem, 20), law_of(sem, 20), sample_moments(key, sem, 20)), sem
    )
    leaves = jax.tree.leaves((sem, traced))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="beta 3"):
        linear_sem(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="order"):
        linear_sem(np.ones(2), np.ones(2), order="both")
    with pytest.raises(ValueError, match="covariate_effects"):
        linear_sem(np.ones(2), np.ones(2), covariate_effects=jnp.ones((1, 2)))
    with pytest.raises(ValueError, match="lower"):
        linear_sem(np.ones(2), np.ones(2), lower=jnp.eye(3))
    covariance = 0.5 + 0.5 * np.eye(2)
    with pytest.raises(ValueError, match="lower triangular.*cholesky"):
        linear_sem(np.ones(2), np.ones(2), lower=covariance)
    factor = jax.jit(lambda rho: equicorrelated_factor(2, rho))(0.5)
    np.testing.assert_allclose(factor, np.linalg.cholesky(covariance), rtol=1e-14)
    for wrong in (1, -0.1, np.nan):
        with pytest.raises(ValueError, match="correlation"):
            equicorrelated_factor(3, wrong)
