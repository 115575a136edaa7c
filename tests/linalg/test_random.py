import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from jaxmed.linalg.random import chi_square

pytestmark = pytest.mark.usefixtures("strict_promotion")
draw = jax.jit(chi_square, static_argnums=(2, 3))


DF = [0.3, 1.0, 2.0, 3.0, 20.0, 500.0, 20000.0]


QUICK = {jnp.float64: (0.3, 3.0, 20000.0), jnp.float32: (1.0, 500.0)}


@pytest.mark.parametrize(
    ("i", "dtype"),
    [
        pytest.param(i, dtype, marks=() if df in QUICK[dtype] else pytest.mark.slow)
        for dtype in QUICK
        for i, df in enumerate(DF)
    ],
)
def test_distribution_at_every_size_of_df(i, dtype):
    df = DF[i]
    x = np.asarray(draw(jax.random.key(100 + i), df, (300_000,), dtype), float)
    assert st.kstest(x, "chi2", (df,)).pvalue > 1e-3
    assert abs(x.mean() - df) < 5 * np.sqrt(2 * df / x.size)
    fourth = 12 * df * (df + 4)
    error = np.sqrt((fourth - 4 * df**2) / x.size)
    assert abs(x.var() - 2 * df) < 5 * error
    assert (x >= 0).all() and np.isfinite(x).all()


def test_accepted_and_repaired_lanes_are_independent():
    # Repairs act on columns of a block: neighbours along and across columns must not correlate.
    x = np.asarray(draw(jax.random.key(1), 2.0, (300_000,), jnp.float64)) - 2
    for lag in (1, 32, 256, 8192):
        assert abs(np.mean(x[lag:] * x[:-lag]) / 4) < 5 / np.sqrt(x.size)


def test_edges():
    assert (draw(jax.random.key(0), 0.0, (), jnp.float32) == 0).all()
    for df in (-1.0, np.nan, np.inf):
        assert np.isnan(draw(jax.random.key(0), df, (), jnp.float32))
    assert draw(jax.random.key(0), 3.0, (), jnp.float32).shape == ()
    assert draw(jax.random.key(0), 3.0, (0, 4), jnp.float64).shape == (0, 4)


def test_an_array_of_df_per_lane():
    df = np.tile(np.array([0.0, 0.5, 4.0, 300.0]), 25_000)
    x = np.asarray(draw(jax.random.key(2), df, df.shape, jnp.float64))
    assert (x[::4] == 0).all()
    for start, value in ((1, 0.5), (2, 4.0), (3, 300.0)):
        assert st.kstest(x[start::4], "chi2", (value,)).pvalue > 1e-3


def test_vmap_over_keys_and_df_equals_the_loop():
    keys, df = jax.random.split(jax.random.key(3), 6), np.array([0.0, 0.7, 1.0, 5.0, 60.0, 900.0])
    shape = (700,)
    batched = jax.jit(jax.vmap(lambda k, d: chi_square(k, d, shape, jnp.float64)))(keys, df)
    single = np.stack([draw(k, d, shape, jnp.float64) for k, d in zip(keys, df, strict=True)])
    np.testing.assert_allclose(batched, single, rtol=1e-12)
