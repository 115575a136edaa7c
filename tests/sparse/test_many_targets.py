"""Batched lassos on one Gram matrix against single descents."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.sparse.many_targets import (
    follow,
    shared_descend,
    shared_design,
    shared_violation,
    start_at_zero,
)
from jaxmed.sparse.path import path as descent_path
from jaxmed.sparse.penalties import L1
from jaxmed.sparse.quadratic import GramQuadratic


def problem(d=19, seed=0):
    x = np.random.default_rng(seed).normal(size=(80, d)) + np.random.default_rng(1).normal(
        size=(80, 1)
    )
    return np.corrcoef(x.T)


@jax.jit
def solve(gram, penalties):
    d = gram.shape[0]
    design = shared_design(gram, gram, ~jnp.eye(d, dtype=bool))
    first = shared_descend(
        design, start_at_zero(design), penalties, tolerance=1e-11, max_sweeps=5000
    )
    fraction = jnp.full(d, 0.5)
    second = follow(
        design,
        first,
        jnp.zeros_like(first.coefficients),
        fraction,
        0.7 * penalties,
        tolerance=1e-11,
        max_sweeps=5000,
    )
    breach = shared_violation(design, second.coefficients, 0.7 * penalties)
    return first.coefficients[:d], second.coefficients[:d], breach


def test_agrees_with_single_descents_and_is_optimal():
    gram = problem()
    penalties = np.linspace(0.05, 0.3, 19)
    first, second, breach = solve(gram, penalties)
    assert float(jnp.max(breach)) < 1e-9

    def single(item):
        score, penalty, j = item
        factors = jnp.where(jnp.arange(19) == j, 1e6, 1.0)
        path = descent_path(
            GramQuadratic(jnp.asarray(gram)),
            score,
            penalty * jnp.array([1.0, 0.7]),
            lambda v: L1(v * factors),
            tolerance=1e-11,
        )
        return path.coefficients

    expected = jax.jit(
        lambda: jax.lax.map(single, (jnp.asarray(gram), penalties, jnp.arange(19)))
    )()
    np.testing.assert_allclose(first, expected[:, 0].T, atol=1e-8)
    np.testing.assert_allclose(second, expected[:, 1].T, atol=1e-8)
    assert not np.any(np.diag(first))


def test_constant_columns_and_bars_stay_out():
    gram = problem()
    gram[3] = gram[:, 3] = 0
    first, second, breach = solve(gram, np.full(19, 0.05))
    assert not np.any(first[3]) and not np.any(second[:, 3])
    assert np.all(np.isfinite(second)) and float(jnp.max(breach)) < 1e-9
