import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.linalg.prox import soft_threshold


def test_soft_threshold_minimises_its_objective():
    x, penalty, step = np.array([-2.0, -0.3, 0.0, 0.2, 5.0]), 0.7, 0.5
    grid = np.linspace(-6, 6, 120_001)
    objective = (grid - x[:, None]) ** 2 / (2 * step) + penalty * np.abs(grid)
    expected = grid[np.argmin(objective, axis=1)]
    np.testing.assert_allclose(soft_threshold(jnp.asarray(x), penalty, step), expected, atol=1e-4)


def test_soft_threshold_keeps_dtype_and_maps():
    x = jnp.linspace(-1, 1, 7, dtype=jnp.float32)
    result = jax.jit(jax.vmap(soft_threshold))(x, jnp.full(7, 0.4, jnp.float32))
    assert result.dtype == jnp.float32
    np.testing.assert_array_equal(result, soft_threshold(x, jnp.float32(0.4)))
