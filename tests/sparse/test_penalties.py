"""Penalties: the minimum of one coefficient, at any curvature, and what their pieces say."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import status
from jaxmed.sparse.homotopy import kinks
from jaxmed.sparse.path import path
from jaxmed.sparse.penalties import L1, ElasticNet, Mcp, Rescaled, Scad
from jaxmed.sparse.quadratic import GramQuadratic

LEVEL = np.full(30, 0.7)
PENALTIES = {
    "l1": L1(LEVEL),
    "elastic net": ElasticNet(LEVEL, np.full(30, 0.3)),
    "mcp": Mcp(LEVEL, 3.0),
    "scad": Scad(LEVEL, 3.7),
    "rescaled": Rescaled(Mcp(LEVEL, 3.0), np.full(30, 0.25)),
}


CURVATURES = (0.1, 1 / 3, 1 / 2.7, 1.0, 2.5)


@pytest.mark.parametrize(
    ("name", "curvature"),
    [
        *itertools.product(("l1", "elastic net", "mcp", "scad"), CURVATURES),
        ("rescaled", 0.25),  # what it is made for: a threshold of unit curvature, over its own
    ],
)
def test_no_point_of_a_fine_grid_is_lower(name, curvature):
    own, pull = PENALTIES[name], np.random.default_rng(0).normal(0, 1.5, 30)
    slopes = np.full(30, curvature)
    found = np.asarray(jax.jit(lambda o, u, g: o.minimiser(u, g))(own, pull, slopes))

    def objective(b):
        return curvature * b * b / 2 - pull * b + np.asarray(value(own, np.abs(b)))

    value = jax.jit(lambda o, size: o.value(size))
    grid = np.broadcast_to(np.linspace(-60, 60, 12_001)[:, None], (12_001, 30))
    lowest = np.min(objective(grid), axis=0)
    assert np.all(objective(found) <= lowest + 1e-12)
    assert (found == 0).any() and (found != 0).any()


@pytest.mark.parametrize("name", PENALTIES)
def test_slope_and_bend_are_derivatives_of_the_value(name):
    own, size, step = PENALTIES[name], np.linspace(0.05, 12, 30), 1e-5
    around = [np.asarray(own.value(size + shift)) for shift in (-step, step)]
    np.testing.assert_allclose(own.slope(size), (around[1] - around[0]) / (2 * step), atol=1e-6)
    around = [np.asarray(own.slope(size + shift)) for shift in (-step, step)]
    np.testing.assert_allclose(own.bend(size), (around[1] - around[0]) / (2 * step), atol=1e-6)


def test_numbers_that_are_none_have_a_status():
    gram, score = np.eye(3), np.array([1.0, 0.5, 0.2])
    gram[1, 1] = np.nan

    @jax.jit
    def solve(gram, score):
        grid = jnp.array([0.4, 0.1])
        return path(GramQuadratic(gram), score, grid, lambda v: L1(v * jnp.ones(3)), tolerance=1e-9)

    assert (np.asarray(solve(gram, score).status) == status.NOT_CONVERGED).all()
    following = jax.jit(lambda g, s: kinks(g, s, most=9))
    assert int(following(np.eye(3), np.array([np.nan, 1, 0])).status) == status.NOT_CONVERGED


def test_a_free_column_without_spread_stays_out():
    gram = np.diag([0.0, 1.0, 2.0])
    found = jax.jit(lambda g, s: kinks(g, s, most=9, free=0))(gram, np.array([0.0, 1.0, 0.3]))
    assert int(found.status) == status.OK and np.isfinite(np.asarray(found.coefficients)).all()
    np.testing.assert_allclose(found.coefficients[int(found.count) - 1], [0, 0.7, 0], atol=1e-12)
