"""The law against simulation of whole data sets, with the quadratics from plain least squares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from jaxmed import status
from jaxmed.distributions import exact_law

pytestmark = pytest.mark.usefixtures("strict_promotion")
REPLICATES = 4000
sample = jax.jit(exact_law.sample_quadratics, static_argnums=2)


def draw(key, law, count):
    """One program for all laws: their numbers have one type however they were made."""
    return sample(key, jax.tree.map(np.asarray, law), count)


STATIC = ("num_rows", "num_covariates")
law_from_sem = jax.jit(exact_law.law_from_sem, static_argnames=STATIC)
law_from_causal = jax.jit(exact_law.law_from_causal, static_argnames=STATIC)


def quadratics_of(exposure, mediators, outcome, covariates):
    """Of many data sets at once: exposure and outcome [k, n], the others [k, n, columns]."""
    ones = np.ones((*exposure.shape, 1))
    basis = np.linalg.qr(np.concatenate([ones, covariates], axis=2))[0]
    columns = np.concatenate([exposure[..., None], outcome[..., None], mediators], axis=2)
    columns = columns - basis @ (basis.swapaxes(1, 2) @ columns)
    a, y, x = columns[..., :1], columns[..., 1:2], columns[..., 2:]
    tau = np.sum(a * a, axis=1, keepdims=True)
    ax = a.swapaxes(1, 2) @ x
    z, yperp = x - a @ ax / tau, y - a * np.sum(a * y, axis=1, keepdims=True) / tau
    u, values, vt = np.linalg.svd(z, full_matrices=False)
    path_a = (vt @ ax.swapaxes(1, 2)) / values[..., None]
    path_y = u.swapaxes(1, 2) @ yperp
    residual = yperp - u @ path_y

    def inner(one, two):
        return np.sum(one * two, axis=(1, 2))

    tau = tau[:, 0, 0]
    cosine = inner(path_a, path_y) / np.sqrt(inner(path_a, path_a) * inner(path_y, path_y))
    return (
        inner(path_a, path_a) / tau,
        inner(path_a, path_y) / np.sqrt(tau),
        inner(path_y, path_y),
        inner(residual, residual),
        tau,
        cosine,
        np.sqrt(1 - np.minimum(cosine**2, 1)),
    )


def ar1(p, rho=0.6):
    index = np.arange(p)
    return rho ** np.abs(index[:, None] - index)


def sem(rng, n, alpha, beta, sigma, sd_a, sd_y, q):
    """A = X alpha + sd_a e, Y = X beta + .4 A + sd_y e, covariates shift all three."""
    c = rng.normal(size=(n, q))
    noise = rng.normal(size=(n, len(alpha))) @ np.linalg.cholesky(sigma).T
    x = noise + c @ rng.normal(size=(q, len(alpha)))
    a = noise @ alpha + sd_a * rng.normal(size=n) + c.sum(1)
    y = x @ beta + 0.4 * a + sd_y * rng.normal(size=n) - c.sum(1)
    return a, x, y, c


def causal(rng, a, c, alpha, beta, omega, sd_y):
    """X = alpha A + noise, Y = X beta + .4 A + sd_y e for a given exposure."""
    x = np.outer(a, alpha) + rng.normal(size=(len(a), len(alpha))) @ np.linalg.cholesky(omega).T
    x += c.sum(1)[:, None]
    return a, x, x @ beta + 0.4 * a + sd_y * rng.normal(size=len(a)) + c.sum(1), c


def compare(simulate, law, seed, constant=()):
    rng = np.random.default_rng(seed)
    sets = [simulate(rng) for _ in range(REPLICATES)]
    data = quadratics_of(*(np.stack(parts) for parts in zip(*sets, strict=True)))
    q = draw(jax.random.key(seed), law, 20_000)
    ours = [q.exposure_exposure, q.exposure_outcome, q.outcome_outcome, q.residual_ss]
    ours += [q.exposure_ss, q.cosine, q.sine]
    assert (np.asarray(q.status) == status.OK).all()
    for index, (full, law_draws) in enumerate(zip(data, ours, strict=True)):
        if index in constant:
            np.testing.assert_allclose(full, np.asarray(law_draws)[0], atol=1e-7)
        else:
            # A single mediator's cosine is -1 or 1 up to rounding, which is not to be compared.
            law_draws = np.round(law_draws, 12)
            assert st.ks_2samp(np.round(full, 12), law_draws).pvalue > 5e-4, index


def coefficients(p, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=p) / np.sqrt(p), rng.normal(size=p) / np.sqrt(p)


@pytest.mark.parametrize(
    ("n", "p", "q"),
    [
        (40, 5, 0),
        pytest.param(40, 30, 0, marks=pytest.mark.slow),
        pytest.param(50, 10, 3, marks=pytest.mark.slow),
        (14, 2, 1),
    ],
)
def test_sem_parametrisation(n, p, q):
    alpha, beta = coefficients(p, n)
    sigma = ar1(p)
    law = law_from_sem(
        jnp.asarray(alpha),
        jnp.asarray(beta),
        jnp.asarray(sigma),
        num_rows=n,
        exposure_sd=0.7,
        outcome_sd=0.9,
        num_covariates=q,
    )
    compare(lambda rng: sem(rng, n, alpha, beta, sigma, 0.7, 0.9, q), law, seed=n + p)


def test_gaussian_exposure_causing_the_mediators():
    n, p = 30, 6
    alpha, beta = coefficients(p, 5)
    law = law_from_causal(
        jnp.asarray(alpha),
        jnp.asarray(beta),
        jnp.asarray(ar1(p)),
        num_rows=n,
        exposure_sd=1.3,
        outcome_sd=0.8,
        num_covariates=2,
    )

    def simulate(rng):
        c = rng.normal(size=(n, 2))
        return causal(rng, 1.3 * rng.normal(size=n) + c.sum(1), c, alpha, beta, ar1(p), 0.8)

    compare(simulate, law, seed=9)


@pytest.mark.parametrize(
    ("p", "scale"),
    [pytest.param(8, 1.0, marks=pytest.mark.slow), (8, 0.0), (18, 1.0), (1, 1.0)],
)
def test_fixed_binary_exposure_with_covariates(p, scale):
    """Includes a null exposure path, p = m (no residual) and a single mediator."""
    n, q = 22, 2
    m = n - 2 - q
    a = (np.arange(n) < 9).astype(float)
    c = np.random.default_rng(0).normal(size=(n, q))
    alpha, beta = coefficients(p, 3)
    alpha = scale * alpha
    omega = ar1(p)
    k_a, k_y = np.sqrt(alpha @ np.linalg.solve(omega, alpha)), np.sqrt(beta @ omega @ beta)
    basis = np.linalg.qr(np.column_stack([np.ones(n), c]))[0]
    tau = np.sum((a - basis @ (basis.T @ a)) ** 2)
    law = exact_law.law(
        k_a,
        k_y,
        alpha @ beta / (k_a * k_y) if scale else 0.0,
        residual_sd=0.6,
        exposure_ss=tau,
        residual_df=m,
        num_mediators=p,
    )
    constant = {4} | ({3} if p == m else set()) | ({6} if p == 1 else set())
    compare(lambda rng: causal(rng, a, c, alpha, beta, omega, 0.6), law, 40 + p, constant)


def test_identities_and_edges():
    base = exact_law.law(0.8, 1.1, -0.4, exposure_ss=50.0, residual_df=48, num_mediators=12)
    q = draw(jax.random.key(0), base, 20_000)
    np.testing.assert_allclose(q.cosine**2 + q.sine**2, 1, rtol=1e-13)
    product = np.sqrt(q.exposure_exposure * q.outcome_outcome)
    np.testing.assert_allclose(q.cosine * product, q.exposure_outcome, rtol=1e-12)
    low, high = base.maximal_indirect[1], base.maximal_indirect[0]
    np.testing.assert_allclose(low + high, base.total_indirect)
    for k_a, k_y in ((0.0, 1.0), (1.0, 0.0), (0.0, 0.0)):
        null = exact_law.law(k_a, k_y, 0.9, exposure_ss=50.0, residual_df=48, num_mediators=2)
        assert null.alignment == 0
        assert np.isfinite(
            jnp.stack(jax.tree.leaves(draw(jax.random.key(1), null, 20_000))[:7])
        ).all()
    clipped = exact_law.law(1.0, 1.0, 1.0 + 1e-9, exposure_ss=50.0, residual_df=48, num_mediators=3)
    assert clipped.alignment == 1


def test_no_law_beyond_the_primal():
    law = exact_law.law(1.0, 1.0, 0.5, exposure_ss=20.0, residual_df=18, num_mediators=19)
    q = draw(jax.random.key(0), law, 20_000)
    assert (np.asarray(q.status) == status.NOT_IN_DUAL).all()
    assert np.isnan(q.exposure_exposure).all() and np.isnan(q.cosine).all()


def test_float32_vmap_over_laws_and_many_blocks():

    def one(key, p):
        law = exact_law.law(
            jnp.float32(1),
            jnp.float32(1),
            jnp.float32(0.5),
            exposure_ss=jnp.float32(100),
            residual_df=98,
            num_mediators=p,
        )
        return exact_law.sample_quadratics(key, law, 10_000)

    keys = jax.random.split(jax.random.key(4), 3)
    q = jax.jit(jax.vmap(one))(keys, np.array([2, 20, 90]))
    assert q.cosine.shape == (3, 10_000) and q.cosine.dtype == jnp.float32
    expected = np.array([96.0, 78.0, 8.0])
    error = np.sqrt(2 * expected / 10_000)
    assert (np.abs(np.asarray(q.residual_ss).mean(1) - expected) < 5 * error).all()


def test_unknown_exposure():
    with pytest.raises(ValueError, match="fixed"):
        exact_law.law(1.0, 1.0, 0.5, exposure_ss=1.0, residual_df=9, num_mediators=2, exposure="x")
