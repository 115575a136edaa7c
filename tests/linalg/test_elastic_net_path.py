"""Elastic net paths: optimality, and the release's half steps near it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.linalg.elastic_net_path import elastic_net_path


@pytest.mark.parametrize(
    ("half", "tolerance", "limit"), [(False, 1e-24, 1e-11), (True, 1e-8, 1e-3)]
)
def test_path_satisfies_its_optimality_conditions(half, tolerance, limit):
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
    fit = jax.jit(
        lambda g, s: elastic_net_path(
            g,
            s,
            jnp.asarray(lam),
            jnp.asarray(factors),
            jnp.asarray(ridge),
            half_steps=half,
            tolerance=tolerance,
        )
    )(gram, score)
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
