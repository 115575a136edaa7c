"""Elastic net paths: the descent's optimality, and the release's half steps near it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.sparse.path import path
from jaxmed.sparse.penalties import ElasticNet
from jaxmed.sparse.quadratic import GramQuadratic
from jaxmed.sparse.release.gcdnet import gcdnet_path


@pytest.mark.parametrize(("released", "limit"), [(False, 1e-11), (True, 1e-3)])
def test_path_satisfies_its_optimality_conditions(released, limit):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 12)) + 0.7 * rng.standard_normal((50, 1))
    x[:, 4] = 0
    x -= x.mean(0)
    x /= np.maximum(x.std(0), 1e-300)
    y = x[:, :3] @ [1.0, -1.0, 0.5] + rng.standard_normal(50)
    y -= y.mean()
    factors = np.ones(12)
    factors[0], factors[7] = 0.0, np.inf
    lam, ridge = np.geomspace(1.0, 0.01, 12), 0.05
    gram, score = x.T @ x / 50, x.T @ y / 50

    def solve(g, s):
        numbers = jnp.asarray(lam), jnp.asarray(factors), jnp.asarray(ridge)
        if released:
            return gcdnet_path(g, s, *numbers, tolerance=1e-8)
        able = jnp.isfinite(numbers[1])
        g = jnp.where(able[:, None] & able[None, :], g, 0)
        levels = jnp.where(able, numbers[1], 1)
        own = jnp.full(12, ridge)
        start = jnp.where(able, s, 0)
        return path(
            GramQuadratic(g),
            start,
            numbers[0],
            lambda v: ElasticNet(v * levels, own),
            tolerance=jnp.asarray(1e-12),
        )

    fit = jax.jit(solve)(gram, score)
    b = np.asarray(fit.coefficients)
    assert not np.any(fit.status)
    assert not b[:, [4, 7]].any() and b[:, 0].all()
    for coefficients, penalty, reported in zip(b, lam, fit.violation, strict=True):
        pull = score - gram @ coefficients - ridge * coefficients
        for j in set(range(12)) - {4, 7}:
            bound = penalty * factors[j]
            signed = pull[j] - bound * np.sign(coefficients[j])
            breach = abs(signed) if coefficients[j] else max(abs(pull[j]) - bound, 0)
            assert breach < limit
        assert reported < limit
