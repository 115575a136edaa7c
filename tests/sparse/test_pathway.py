"""The pathway penalty's prox, its ADMM and its exact descent."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.sparse.pathway import (
    PathwayMoments,
    PathwayPenalty,
    pathway_objective,
    pathway_prox,
)
from jaxmed.sparse.pathway_path import exact_path
from jaxmed.sparse.release.pathway_admm import admm_path, ridge_solver

EXACT = jax.jit(exact_path)
objective = jax.jit(pathway_objective)
TIGHT = jax.jit(lambda m, q: admm_path(m, q, tolerance=1e-13, max_iterations=100_000))


def moments(seed: int, n: int, p: int) -> PathwayMoments:
    """Standardised data with pathways in the first three mediators."""
    rng = np.random.default_rng(seed)
    t = rng.standard_normal(n)
    m = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1))
    m[:, :3] += 0.7 * t[:, None]
    y = m[:, :4] @ np.array([0.6, -0.5, 0.4, 0.3]) + 0.3 * t + rng.standard_normal(n)
    x = np.column_stack([t, m])
    x = (x - x.mean(0)) / x.std(0, ddof=1)
    y = (y - y.mean()) / y.std(ddof=1)
    parts = (x[:, 0] @ x[:, 0] / n, x[:, 0] @ x[:, 1:] / n, x.T @ x / n, x.T @ y / n)
    return PathwayMoments(*map(jnp.asarray, parts), rows=jnp.asarray(x / n**0.5))


def penalties(*values: float, phi: float = 2.0, direct: float = 0.0) -> PathwayPenalty:
    """Path of penalties with omega = lambda."""
    lam = np.asarray(values)
    return PathwayPenalty(lam, lam * phi, lam, lam * direct)


def test_prox_is_not_beaten_by_a_fine_grid():
    rng = np.random.default_rng(0)
    m1, m2 = rng.normal(0, 1, (2, 40))
    p1, p2 = rng.uniform(1, 3, (2, 40))
    product, absolute = 0.8, 0.4
    a, b = map(np.asarray, jax.jit(pathway_prox)(m1, m2, p1, p2, product, absolute))

    def value(a, b, i):
        size = np.abs(a) + np.abs(b)
        smooth = p1[i] * a**2 / 2 - m1[i] * a + p2[i] * b**2 / 2 - m2[i] * b
        return smooth + product * np.abs(a * b) + absolute * size

    grid = np.linspace(-5, 5, 401)
    for i in range(40):
        best = value(grid[:, None], grid[None, :], i).min()
        assert value(a[i], b[i], i) <= best + 1e-12
    zeros = [(a == 0) & (b == 0), (a == 0) & (b != 0), (a != 0) & (b == 0), (a != 0) & (b != 0)]
    assert all(kind.any() for kind in zeros)


@pytest.mark.parametrize(("n", "p", "direct"), [(60, 12, 0.0), (60, 12, 3.0), (15, 24, 0.0)])
def test_exact_path_is_the_limit_of_the_admm_and_optimal(n, p, direct):
    m = moments(1, n, p)
    gram_form = dataclasses.replace(m, rows=None)
    q = penalties(0.5, 0.1, 0.02, direct=direct)
    exact, violation = EXACT(gram_form, q)
    admm = TIGHT(m if p > n else gram_form, q)
    assert np.max(violation) < 1e-13
    assert not np.any(exact.status) and not np.any(admm.status)
    np.testing.assert_allclose(exact.a, admm.a, atol=1e-9)
    np.testing.assert_allclose(exact.d, admm.d, atol=1e-9)

    value = jax.jit(jax.vmap(pathway_objective, (None, None, 0, 0)))
    rng = np.random.default_rng(2)
    for i, size in enumerate((1e-1, 1e-3, 1e-5)):
        last = jax.tree.map(lambda x, i=i: np.asarray(x)[i], q)
        a, d = np.asarray(exact.a)[i], np.asarray(exact.d)[i]
        best = objective(m, last, a, d)
        moved = value(
            m,
            last,
            a + size * rng.standard_normal((200, p)) * rng.integers(0, 2, (200, 1)),
            d + size * rng.standard_normal((200, p + 1)) * rng.integers(0, 2, (200, p + 1)),
        )
        assert np.min(moved) >= best - 1e-14


def test_woodbury_solver_is_the_explicit_inverse():
    m = moments(3, 15, 24)
    v = jnp.asarray(np.random.default_rng(0).standard_normal(25))
    expected = np.linalg.solve(np.asarray(m.gram) + 2 * np.eye(25), v)
    solved = jax.jit(lambda m, v: ridge_solver(m, 1.0)(v))
    np.testing.assert_allclose(solved(m, v), expected, rtol=1e-10)
    other = solved(dataclasses.replace(m, rows=None), v)
    np.testing.assert_allclose(other, expected, rtol=1e-10)


def test_budget_that_runs_out_is_reported():
    m = dataclasses.replace(moments(1, 60, 12), rows=None)
    few = jax.jit(lambda m, q: admm_path(m, q, max_iterations=2))(m, penalties(0.02))
    assert int(few.status[0]) == 16
