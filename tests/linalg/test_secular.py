import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import status
from jaxmed.linalg.secular import sphere_minimiser

MINIMISE = jax.jit(sphere_minimiser)


def objective(d, phi, w):
    return 0.5 * np.sum(d * w * w, axis=-1) - w @ phi


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e8])
@pytest.mark.parametrize("seed", range(4))
def test_optimality_conditions(seed, scale):
    rng = np.random.default_rng(seed)
    d = scale * rng.gamma(1.0, size=12)
    phi = scale * rng.normal(size=12) * 10.0 ** rng.uniform(-3, 3)
    result = MINIMISE(jnp.asarray(d), jnp.asarray(phi))
    w, multiplier = np.asarray(result.weights), float(result.multiplier)
    assert int(result.status) == status.OK and not bool(result.hard_case)
    assert abs(np.linalg.norm(w) - 1) < 1e-14
    assert multiplier >= -d.min()
    size = np.abs(d + multiplier).max() + np.abs(phi).max()
    np.testing.assert_allclose((d + multiplier) * w, phi, rtol=0, atol=1e-12 * size)
    others = rng.normal(size=(2000, 12))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    assert objective(d, phi, others).min() >= objective(d, phi, w) - 1e-12 * size


def test_hard_case_is_completed_and_said():
    d, phi = jnp.array([3.0, 1.0, 2.0]), jnp.array([0.4, 0.0, 0.3])
    result = MINIMISE(d, phi)
    assert bool(result.hard_case)
    assert float(result.multiplier) == -1.0
    weights = np.asarray(result.weights)
    np.testing.assert_allclose(weights[[0, 2]], [0.2, 0.3], atol=1e-15)
    np.testing.assert_allclose(np.sum(weights**2), 1, atol=1e-15)


def test_zero_linear_term_gives_the_smallest_eigenvector():
    result = MINIMISE(jnp.array([3.0, 1.0, 2.0]), jnp.zeros(3))
    assert bool(result.hard_case)
    np.testing.assert_allclose(np.abs(result.weights), [0, 1, 0], atol=1e-15)


def test_nonfinite_input_has_a_status():
    result = MINIMISE(np.array([1.0, np.nan, 2.0]), np.ones(3))
    assert int(result.status) == status.NONFINITE
    assert np.isnan(np.asarray(result.weights)).all()


def test_vmap_is_the_loop_and_float32_follows():
    rng = np.random.default_rng(5)
    d, phi = rng.gamma(1.0, size=(6, 12)), rng.normal(size=(6, 12))
    together = jax.jit(jax.vmap(sphere_minimiser))
    batch = together(d, phi)
    for i in range(6):
        np.testing.assert_allclose(batch.weights[i], MINIMISE(d[i], phi[i]).weights, atol=1e-14)
    single = together(d.astype(np.float32), phi.astype(np.float32))
    assert single.weights.dtype == jnp.float32
    np.testing.assert_allclose(single.weights, batch.weights, atol=2e-5)
