"""Group lassos: certificates in NumPy, and the lasso where groups are single."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import status
from jaxmed.sparse.group import group_path, groups_of
from jaxmed.sparse.path import path
from jaxmed.sparse.penalties import L1
from jaxmed.sparse.quadratic import least_squares

LABELS = [0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 1, 4]
ROWS = 60


def problem(n, labels=LABELS, seed=0):
    rng = np.random.default_rng(seed)
    p = len(labels)
    x = rng.normal(size=(n, p)) + 0.7 * rng.normal(size=(n, 1))
    x = (x - x.mean(0)) / x.std(0)
    y = x[:, 6:10] @ [1.0, -0.6, 0.4, 0.2] + 0.8 * x[:, 3] + rng.normal(size=n)
    return x, y - y.mean()


def solve(x, y, labels, lam, factors, tolerance=1e-10):
    groups = groups_of(labels)

    @jax.jit
    def run(columns, y):
        weights = jnp.full(y.shape, 1 / y.shape[0])
        quadratic, residual = least_squares(columns, weights, y)
        levels = jnp.asarray(lam), groups, jnp.asarray(factors)
        return group_path(quadratic, residual, *levels, tolerance=jnp.asarray(tolerance))

    return run(x.T, y)


def breach(x, y, b, labels, levels):
    """Largest breach of the conditions, group by group."""
    score, worst = x.T @ (y - x @ b) / len(y), 0.0
    for g, level in enumerate(levels):
        own = np.asarray(labels) == g
        size = np.linalg.norm(b[own])
        if size:
            worst = max(worst, np.linalg.norm(score[own] - level * b[own] / size))
        else:
            worst = max(worst, np.linalg.norm(score[own]) - level)
    return worst


@pytest.mark.parametrize("n", [ROWS, 8])
def test_optimal_and_whole_groups(n):
    x, y = problem(n)
    factors = np.sqrt(np.bincount(LABELS))
    lam = np.geomspace(1.0, 0.02, 8)
    fit = solve(x, y, LABELS, lam, factors)
    assert (np.asarray(fit.status) == status.OK).all()
    sizes = set()
    for b, level, said in zip(np.asarray(fit.coefficients), lam, fit.violation, strict=True):
        assert breach(x, y, b, LABELS, level * factors) < 1e-9 and said < 1e-9
        inside = [b[np.asarray(LABELS) == g] != 0 for g in range(5)]
        assert all(group.all() or not group.any() for group in inside)
        sizes.add(sum(bool(group.any()) for group in inside))
    assert len(sizes) > 2


def test_single_groups_are_the_lasso():
    x, y = problem(ROWS)
    lam, ones = np.geomspace(1.0, 0.02, 8), np.ones(12)
    fit = solve(x, y, list(range(12)), lam, ones)

    @jax.jit
    def lasso(columns, y):
        quadratic, residual = least_squares(columns, jnp.full(ROWS, 1 / ROWS), y)
        grid = jnp.asarray(lam)
        return path(quadratic, residual, grid, lambda v: L1(v * ones), tolerance=jnp.asarray(1e-12))

    np.testing.assert_allclose(fit.coefficients, lasso(x.T, y).coefficients, atol=1e-8)


def test_a_free_group_and_a_constant_column():
    x, y = problem(ROWS)
    x[:, 11] = 0
    fit = solve(x, y, LABELS, np.array([50.0]), np.array([0.0, 1, 1, 1, 1]))
    b = np.asarray(fit.coefficients[0])
    np.testing.assert_allclose(b[:3], np.linalg.lstsq(x[:, :3], y, rcond=None)[0], atol=1e-8)
    assert not b[3:].any()


def test_a_batch_is_each_alone():
    tables = [problem(ROWS, seed=seed) for seed in range(3)]
    groups, factors = groups_of(LABELS), np.sqrt(np.bincount(LABELS))

    def one(x, y):
        quadratic, residual = least_squares(x.T, jnp.full(ROWS, 1 / ROWS), y)
        grid = jnp.array([0.3, 0.1])
        found = group_path(
            quadratic, residual, grid, groups, jnp.asarray(factors), tolerance=jnp.asarray(1e-11)
        )
        return found.coefficients

    batch = jax.jit(jax.vmap(one))(*(np.stack(each) for each in zip(*tables, strict=True)))
    alone = jax.jit(one)
    for found, table in zip(batch, tables, strict=True):
        np.testing.assert_allclose(found, alone(*table), atol=1e-9)


def test_labels_without_a_gap():
    with pytest.raises(ValueError, match="without a gap"):
        groups_of([0, 2])
