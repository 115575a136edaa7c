"""Paths from kink to kink, against an iterative solver and their own optimality conditions."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import lasso_path

from jaxmed import status
from jaxmed.sparse.homotopy import (
    WAIT_FROM,
    default_grid,
    gram_path,
    held_out_loss,
    kinks,
    search,
)

GRID = 15
pytestmark = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="compared in float64")


def problem(n, p, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    x[:, 1:] += 0.7 * x[:, :-1]
    x = (x - x.mean(0)) / x.std(0)
    y = x[:, :4] @ [1.0, -0.8, 0.5, 0.3] + rng.normal(size=n)
    return x, y - y.mean()


@jax.jit
def fit(gram, score):
    return gram_path(gram, score, default_grid(score, GRID, 0.01))


def moments(x, y):
    return x.T @ x / len(y), x.T @ y / len(y)


@pytest.mark.parametrize("shape", [(80, 12), (40, 60), (150, WAIT_FROM + 8)])
def test_path_against_coordinate_descent(shape):
    x, y = problem(*shape)
    gram, score = moments(x, y)
    path = fit(gram, score)
    assert (np.asarray(path.status) == status.OK).all()
    assert np.asarray(path.violation).max() < 1e-8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = lasso_path(x, y, alphas=np.asarray(path.penalties), tol=1e-13, max_iter=200_000)[1]
    np.testing.assert_allclose(path.coefficients, peer.T, atol=1e-6)
    assert not np.asarray(path.coefficients[0]).any()
    for i in (1, 5, 9):
        b, penalty = np.asarray(path.coefficients[i]), float(path.penalties[i])
        left, inside = score - gram @ b, b != 0
        np.testing.assert_allclose(left[inside], penalty * np.sign(b[inside]), atol=1e-12)
        assert (np.abs(left[~inside]) <= penalty + 1e-12).all()
        rss = np.sum((y - x[:, inside] @ np.linalg.lstsq(x[:, inside], y, rcond=None)[0]) ** 2)
        np.testing.assert_allclose(np.mean(y**2) - path.explained[i], rss / len(y), rtol=1e-9)


def test_duplicates_constants_and_no_signal():
    x, y = problem(80, 12)
    x[:, 5], x[:, 7] = x[:, 0], 0
    gram, score = moments(x, y)
    path = fit(gram, score)
    assert (np.asarray(path.status) == status.OK).all()
    assert not np.asarray(path.coefficients[:, 7]).any()
    alone = fit(*moments(np.where(np.arange(12) == 5, 0, x), y))
    np.testing.assert_allclose(
        path.coefficients @ gram, alone.coefficients @ gram, atol=1e-12
    )  # the fit is unique, the coefficients of twins are not
    nothing = fit(gram, np.zeros(12))
    assert not np.asarray(nothing.coefficients).any()


def test_signs_and_order_of_columns_do_not_matter():
    x, y = problem(40, 60)
    rng = np.random.default_rng(1)
    order, flip = rng.permutation(60), rng.choice([-1, 1], 60)
    plain, moved = fit(*moments(x, y)), fit(*moments((x * flip)[:, order], y))
    np.testing.assert_allclose(
        moved.coefficients, (plain.coefficients * flip)[:, order], atol=1e-11
    )


def test_search_is_the_path_until_patience_ends():
    x, y = problem(80, 12)
    gram, score = moments(x, y)
    grid = jax.jit(lambda score: default_grid(score, GRID, 0.01))(score)

    def run(patience):
        return search(
            jnp.asarray(gram)[None],
            jnp.asarray(score)[None],
            grid,
            lambda b, explained: jnp.sum(b[0] != 0) - 12 * explained[0],
            patience,
        )

    whole, early = (jax.jit(partial(run, patience))() for patience in (GRID, 2))
    path = fit(gram, score)
    np.testing.assert_allclose(whole.coefficients[:, 0], path.coefficients, atol=1e-13)
    assert np.isfinite(whole.criterion).all()
    reached = np.isfinite(early.criterion)
    assert reached.sum() == int(whole.best) + 3 < GRID
    np.testing.assert_array_equal(early.criterion[reached], whole.criterion[reached])
    stopped = jax.jit(gram_path)(gram, score, grid, 4)
    np.testing.assert_allclose(stopped.coefficients[:5], path.coefficients[:5], atol=1e-13)
    assert not np.asarray(stopped.coefficients[5:]).any()


def test_held_out_loss_is_that_of_the_rows():
    x, y = problem(30, 5)
    b = np.random.default_rng(2).normal(size=(3, 5))
    expected = np.sum((y[:, None] - x @ b.T) ** 2, axis=0)
    loss = jax.jit(held_out_loss)(b, x.T @ x, x.T @ y, y @ y)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_no_columns_have_a_path_of_nothing():
    gram, score = jnp.zeros((0, 0)), jnp.zeros(0)
    path, corners = jax.jit(lambda g, s: (fit(g, s), kinks(g, s, most=3)))(gram, score)
    assert path.coefficients.shape == (GRID, 0) and corners.coefficients.shape == (3, 0)
    assert not np.asarray(path.explained).any() and not np.asarray(path.violation).any()
    assert (np.asarray(path.status) == status.OK).all()
    assert int(corners.count) == 1 and int(corners.status) == status.OK
    grid = jnp.geomspace(1, 0.1, 4)
    found = jax.jit(lambda g, s: search(g, s, grid, lambda b, gain: jnp.sum(gain), 2))(
        gram[None], score[None]
    )
    assert int(found.best) == 0 and int(found.status) == status.OK
    assert int(np.isfinite(found.criterion).sum()) == 3
