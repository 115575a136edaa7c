"""Quantiles of a product of normals against simulation and against their limits."""

import jax
import numpy as np
import pytest
from scipy import special

from jaxmed.distributions.product_normal import _normal_cdf, product_normal_quantile

quantile = jax.jit(product_normal_quantile)
CASES = [
    (0, 1, 0, 1),
    (2, 1, 0, 1),
    (-3, 1, 4, 1),
    (0.5, 1, 0.5, 2),
    (10, 1, 0.1, 1),
    (3, 0.01, 2, 1),
]


@pytest.mark.parametrize("probability", [0.005, 0.025, 0.1, 0.5, 0.9, 0.975, 0.995])
def test_against_simulation(probability):
    rng = np.random.default_rng(0)
    count = 400_000
    ma, sa, mb, sb = (np.asarray(v, float) for v in np.array(CASES, float).T)
    found = np.asarray(quantile(probability, ma, sa, mb, sb))
    for i, (a, s, b, t) in enumerate(CASES):
        draws = (a + s * rng.normal(size=count)) * (b + t * rng.normal(size=count))
        share = np.mean(draws <= found[i])
        error = np.sqrt(probability * (1 - probability) / count)
        assert abs(share - probability) < 5 * error + 2e-4, CASES[i]


def test_one_exact_factor_gives_a_normal():
    ma, sa, mb, sb = (np.asarray([v], float) for v in (2.0, 0.0, 1.0, 3.0))
    tails = np.asarray([[0.025], [0.975]])
    found = np.asarray(quantile(tails, ma, sa, mb, sb))
    np.testing.assert_allclose(found[:, 0], 2 + 6 * special.ndtri([0.025, 0.975]), rtol=1e-5)


def test_the_fast_normal_cdf():
    z = np.linspace(-8, 8, 2001)
    np.testing.assert_allclose(jax.jit(_normal_cdf)(z), special.ndtr(z), atol=1e-7)


def test_missing_factors_stay_missing():
    nan, one = np.asarray([np.nan]), np.ones(1)
    assert np.isnan(quantile(0.5, nan, one, one, one)).all()
