"""Factors without dependent columns, against least squares; nothing changes where none depends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.linalg.dependent import column_factor, gram_factor, null_free

LIMIT = 1e-12
grams = jax.jit(gram_factor)
columns_of = jax.jit(column_factor)
without_null = jax.jit(null_free)


def unit(x):
    x = x - x.mean(axis=0)
    size = np.sqrt((x**2).sum(axis=0))
    return np.divide(x, size, out=np.zeros_like(x), where=size > 1e-12)


def matrix(p=9, seed=0):
    """Columns 3, 5 and 8 depend on earlier ones; 6 is constant."""
    x = np.random.default_rng(seed).normal(size=(4 * p, p))
    x[:, 3] = x[:, 0] + 2 * x[:, 1]
    x[:, 5] = x[:, 2]
    x[:, 6] = 0
    x[:, 8] = x[:, 7] - x[:, 4] + x[:, 3]
    return unit(x)


def triangle(x):
    r = np.linalg.qr(x, mode="r")
    return np.where(np.diagonal(r) < 0, -1, 1)[:, None] * r


def both(x):
    upper, kept, least = grams(x.T @ x, LIMIT)
    assert abs(least) < 1e-14
    return {"gram": (upper, kept), "columns": columns_of(triangle(x), LIMIT)}


@pytest.mark.parametrize("route", ["gram", "columns"])
def test_dependent_columns_are_left_out_in_order(route):
    x = matrix()
    upper, kept = both(x)[route]
    assert np.flatnonzero(~kept).tolist() == [3, 5, 6, 8]
    rows = np.where(np.asarray(kept)[:, None], upper, 0)
    np.testing.assert_allclose(rows.T @ rows, x.T @ x, atol=1e-14)
    np.testing.assert_array_equal(np.diagonal(upper)[~np.asarray(kept)], 1)
    assert np.all(np.diagonal(upper) > 0) and np.allclose(upper, np.triu(upper))


@pytest.mark.parametrize("route", ["gram", "columns"])
def test_weights_of_smallest_norm(route):
    x = matrix()
    projection = np.asarray(without_null(*both(x)[route]))
    w = np.random.default_rng(1).normal(size=x.shape[1])
    np.testing.assert_allclose(projection @ w, np.linalg.pinv(x, rcond=1e-9) @ (x @ w), atol=1e-13)


def test_nothing_changes_where_no_column_depends():
    x = unit(np.random.default_rng(2).normal(size=(40, 9)))
    plain = jax.jit(lambda g: jax.scipy.linalg.cholesky(g, lower=False))(x.T @ x)
    upper, kept, least = grams(x.T @ x, LIMIT)
    np.testing.assert_array_equal(upper, plain)
    np.testing.assert_array_equal(columns_of(triangle(x), LIMIT)[0], triangle(x))
    np.testing.assert_array_equal(without_null(upper, kept), np.eye(9))
    assert kept.all() and least == 0


def test_in_a_batch_the_others_keep_every_bit():
    good, bad = unit(np.random.default_rng(3).normal(size=(36, 9))), matrix()
    program = jax.jit(jax.vmap(lambda x: (gram_factor(x.T @ x, LIMIT), null_free(*_two(x)))))
    mixed, alone = program(np.stack([good, bad, good])), program(np.stack([good] * 3))
    for one, other in zip(jax.tree.leaves(mixed), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    assert mixed[0][1].sum(axis=1).tolist() == [9, 5, 9]


def _two(x):
    return gram_factor(x.T @ x, LIMIT)[:2]


def test_what_is_no_gram_matrix_says_so():
    noisy = np.eye(4)
    noisy[2, 3] = noisy[3, 2] = 1.2
    assert grams(noisy, LIMIT)[2] == pytest.approx(1 - 1.2**2)


of_columns = jax.jit(jax.grad(lambda r: jnp.sum(jnp.sin(column_factor(r, LIMIT)[0]))))


@pytest.mark.parametrize("dependent", [False, True])
def test_gradient_along_columns_that_stay_dependent(dependent):
    rng = np.random.default_rng(4)
    make = np.eye(5)
    if dependent:
        make = np.insert(make, 3, [0.3, -0.2, 0.5, 0, 0], axis=1)

    def value(x):
        y = x @ make
        y = y / jnp.sqrt(jnp.sum(y * y, axis=0))
        return jnp.sum(jnp.sin(gram_factor(y.T @ y, LIMIT)[0] * 1.3))

    x, step = rng.normal(size=(30, 5)), rng.normal(size=(30, 5))
    at, gradient = jax.jit(value), jax.jit(jax.grad(value))(x)
    slope = np.vdot(gradient, step)
    numeric = (at(x + 1e-6 * step) - at(x - 1e-6 * step)) / 2e-6
    assert float(slope) == pytest.approx(float(numeric), rel=1e-6)
    upper = of_columns(triangle(x))
    np.testing.assert_allclose(upper, np.cos(triangle(x)), rtol=1e-12)
