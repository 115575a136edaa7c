import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import status
from jaxmed.linalg.lbfgs import minimise


def index(u, a, y, tau):
    """-alpha beta of a composite in whitened coordinates."""
    return -(a @ u) * (y @ u) / (u @ u) / tau


@jax.jit
def search(starts, a, y, tau, tolerance=1e-8, most=500):
    return minimise(lambda u: index(u, a, y, tau), starts, tolerance=tolerance, max_iterations=most)


def index_problem(p, seed, dtype=np.float64):
    """Arguments of `search`, and the known minimum."""
    rng = np.random.default_rng(seed)
    a, y = rng.normal(size=(2, p)).astype(dtype)
    tau = dtype(37.0)
    starts = rng.normal(size=(10, p)).astype(dtype)
    cosine = a @ y / np.linalg.norm(a) / np.linalg.norm(y)
    best = -np.linalg.norm(a) * np.linalg.norm(y) * (1 + cosine) / 2 / tau
    return (jnp.asarray(starts), jnp.asarray(a), jnp.asarray(y), tau), best


@pytest.mark.parametrize("p", [20, pytest.param(500, marks=pytest.mark.slow)])
def test_reaches_the_closed_form_of_the_index(p):
    arguments, best = index_problem(p, p)
    result = search(*arguments)
    assert int(result.status) == status.OK
    assert abs(float(result.value) / best - 1) < 1e-10
    assert float(result.value) >= best * (1 + 1e-13)
    assert result.values.shape == (10,)


def test_quadratic_matches_the_solve():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 15)) * np.logspace(0, 1, 15)
    h, c = jnp.asarray(x.T @ x / 60), jnp.asarray(rng.normal(size=15))
    starts = jnp.asarray(rng.normal(size=(3, 15)))
    result = jax.jit(lambda s: minimise(lambda u: 0.5 * u @ h @ u - c @ u, s, tolerance=1e-9))(
        starts
    )
    np.testing.assert_allclose(result.point, np.linalg.solve(h, c), rtol=1e-6)
    assert int(result.status) == status.OK


def test_rosenbrock():
    def rosenbrock(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    starts = jnp.asarray(np.random.default_rng(2).normal(size=(5, 6)))
    result = jax.jit(lambda s: minimise(rosenbrock, s, tolerance=1e-12))(starts)
    np.testing.assert_allclose(result.point, np.ones(6), atol=1e-8)


def test_budget_and_nonfinite_have_a_status():
    (starts, a, y, tau), _ = index_problem(20, 3)
    assert int(search(starts, a, y, tau, most=2).status) == status.NOT_CONVERGED
    result = search(starts, a * np.nan, y, tau)
    assert int(result.status) == status.NONFINITE
    assert np.isnan(float(result.value))


def test_float32():
    arguments, best = index_problem(20, 4, np.float32)
    result = search(*arguments, tolerance=np.float32(1e-5))
    assert result.point.dtype == jnp.float32
    assert abs(float(result.value) / best - 1) < 1e-5
