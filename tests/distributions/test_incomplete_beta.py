"""The incomplete beta function against scipy, in both precisions and far into the tail."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from jaxmed.distributions import incomplete_beta as module

incomplete_beta = jax.jit(module.incomplete_beta)


def grid(seed=0, size=3000):
    rng = np.random.default_rng(seed)
    a, b = 10 ** rng.uniform(-1, 4.5, (2, size))
    b[::3] = 0.5
    mean, spread = a / (a + b), np.sqrt(a * b / (a + b + 1)) / (a + b)
    x = np.clip(mean + 4 * spread * rng.normal(size=size), 1e-9, 1 - 1e-9)
    x[::5] = rng.uniform(size=x[::5].size)
    return a, b, x


def test_float64_agrees_with_scipy():
    a, b, x = grid()
    value = np.asarray(incomplete_beta(*map(jnp.asarray, (a, b, x))))
    expected = special.betainc(a, b, x)
    seen = expected > 1e-290
    np.testing.assert_allclose(value[seen], expected[seen], rtol=1e-9)
    assert seen.sum() > 2000 and expected[seen].min() < 1e-100


def test_float32_keeps_its_digits_for_many_degrees_of_freedom():
    df, t = np.meshgrid([5.0, 50, 500, 5000, 40000], [0.1, 1, 2, 4, 6])
    a, x = (df / 2).astype(np.float32), (1 / (1 + t**2 / df)).astype(np.float32)
    half = np.full_like(a, 0.5)
    value = np.asarray(incomplete_beta(*map(jnp.asarray, (a, half, x))))
    expected = special.betainc(a.astype(float), 0.5, x.astype(float))
    assert value.dtype == np.float32
    error = np.abs(value / expected - 1)
    theirs = np.asarray(jax.scipy.special.betainc(a, half, x))
    assert error.max() < 4e-4
    share = 0.05 if jax.__version_info__ < (0, 10) else 0.1  # theirs is better with 0.12
    assert error.max() < share * np.abs(theirs / expected - 1).max()


def test_edges_and_derivative():
    one = jnp.asarray(1.0)
    assert float(incomplete_beta(2 * one, one, 0 * one)) == 0
    assert float(incomplete_beta(2 * one, one, one)) == 1
    for bad in ((-one, one, one / 2), (one, 0 * one, one / 2), (one, one, 2 * one)):
        assert np.isnan(float(incomplete_beta(*bad)))
    assert np.isnan(float(incomplete_beta(one, one, jnp.asarray(np.nan))))
    slope = jax.grad(incomplete_beta, 2)(3.0, 2.0, 0.3)
    np.testing.assert_allclose(slope, 12 * 0.3**2 * 0.7, rtol=1e-12)
