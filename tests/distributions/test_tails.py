from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st

from jaxmed.distributions import tails as plain

# Op by op these compile for longer than as programs; test_eager_is_the_program compares the two.
NAMES = (
    "t_two_sided",
    "t_upper",
    "t_quantile",
    "f_upper",
    "f_quantile",
    "normal_quantile",
    "noncentral_t_cdf",
    "noncentral_t_upper",
)
tails = SimpleNamespace(**{name: jax.jit(getattr(plain, name)) for name in NAMES})
pytestmark = pytest.mark.usefixtures("strict_promotion")
T = np.array([-3.0, 0.0, 1e-3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 200.0])
DF = np.array([1.0, 2.0, 5.0, 19.0, 98.0, 499.0, 2915.0, 38000.0])


def relative(ours, theirs, floor):
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    worth = np.abs(theirs) > floor
    return np.max(np.abs(ours[worth] / theirs[worth] - 1))


def test_student_tails_against_scipy_far_out():
    t, df = np.meshgrid(T, DF)
    assert relative(tails.t_two_sided(t, df), 2 * st.t.sf(np.abs(t), df), 1e-300) < 2e-9
    assert relative(tails.t_upper(t, df), st.t.sf(t, df), 1e-300) < 2e-9
    assert tails.t_two_sided(0.0, 3.0) == 1.0


def test_student_tails_float32():
    t, df = np.meshgrid(T[np.abs(T) > 0.1].astype(np.float32), DF[:4].astype(np.float32))
    p = tails.t_two_sided(t, df)
    assert p.dtype == jnp.float32
    assert relative(p, 2 * st.t.sf(np.abs(t.astype(float)), df.astype(float)), 1e-35) < 1e-5


def test_f_tail_and_quantile_against_scipy():
    f, d1, d2 = np.meshgrid(
        [0.01, 0.5, 1.0, 5.0, 100.0], [1.0, 2.0, 20.0, 500.0], [1.0, 3.0, 50.0, 2e3]
    )
    assert relative(tails.f_upper(f, d1, d2), st.f.sf(f, d1, d2), 1e-300) < 1e-10
    assert float(tails.f_upper(-1.0, 2.0, 3.0)) == 1.0
    u = np.array([0.01, 0.5, 0.95, 0.999])[:, None]
    ours = tails.f_quantile(u, np.array([2.0, 30.0]), np.array([7.0, 400.0]))
    assert relative(ours, st.f.ppf(u, [2.0, 30.0], [7.0, 400.0]), 0) < 1e-10


def test_student_quantile_against_scipy():
    u, df = np.meshgrid([1e-100, 1e-20, 1e-5, 0.025, 0.3, 0.7, 0.975, 0.99999], DF)
    assert relative(tails.t_quantile(u, df), st.t.ppf(u, df), 0) < 1e-9
    assert float(tails.t_quantile(0.5, 4.0)) == 0.0
    ends = np.asarray(tails.t_quantile(np.array([0.0, 1.0, 1.5, np.nan]), 4.0))
    assert ends[0] == -np.inf and ends[1] == np.inf and np.isnan(ends[2:]).all()


def test_normal_quantile():
    u = np.array([1e-300, 1e-10, 0.3, 0.975])
    assert relative(tails.normal_quantile(u), st.norm.ppf(u), 0) < 1e-12


def test_noncentral_t_against_scipy():
    t, df, delta = np.meshgrid(
        [-50.0, -5.0, 0.0, 1.0, 3.0, 10.0, 50.0],
        [2.0, 3.0, 5.0, 19.0, 39.0, 499.0],
        [-3.0, 0.0, 0.5, 3.0, 10.0],
    )
    exact = st.nct.cdf(t, df, delta)
    ours = np.asarray(tails.noncentral_t_cdf(t, df, delta))
    known = np.isfinite(exact)
    assert known.mean() > 0.9
    assert np.max(np.abs(ours - exact)[known]) < 1e-8
    assert np.max(np.abs(ours + np.asarray(tails.noncentral_t_upper(t, df, delta)) - 1)) < 1e-9


def test_bad_degrees_of_freedom_give_nan_and_nothing_else():
    for df in (0.0, -1.0, np.nan):
        assert np.isnan(tails.t_two_sided(1.0, df)) and np.isnan(tails.t_upper(1.0, df))
        assert np.isnan(tails.f_upper(1.0, df, 3.0)) and np.isnan(tails.f_upper(1.0, 3.0, df))
        assert np.isnan(tails.t_quantile(0.3, df))
    assert np.isnan(tails.t_two_sided(np.nan, 3.0)) and np.isnan(tails.f_upper(np.nan, 2.0, 3.0))
    assert tails.t_two_sided(np.inf, 3.0) == 0.0


def test_under_vmap_and_derivative():
    t, df = np.linspace(-4, 4, 9), np.float64(7.0)

    @jax.jit
    def run(t, df):
        many = jax.vmap(plain.t_upper, (0, None))(t, df)
        back = jax.vmap(plain.t_quantile, (0, None))(many, df)
        return plain.t_upper(t, df), many, back, jax.grad(plain.t_upper)(t[6] + 0.3 - 1, df)

    whole, many, back, slope = run(t, df)
    np.testing.assert_allclose(many, whole, rtol=1e-14)
    np.testing.assert_allclose(whole, st.t.sf(t, df), rtol=1e-9)
    np.testing.assert_allclose(back, -t, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(slope, -st.t.pdf(1.3, 7), rtol=1e-8)


@pytest.mark.slow
@pytest.mark.programs(80, reason="eager, operation by operation, is one of the two compared")
def test_eager_is_the_program():
    t, df = jnp.linspace(-4, 4, 9), jnp.float64(7.0)
    eager = plain.t_upper(t, df)
    many = jax.jit(jax.vmap(tails.t_upper, (0, None)))(t, df)
    np.testing.assert_allclose(many, eager, rtol=1e-14)
    slope = jax.grad(tails.t_upper)(1.3, 7.0)
    np.testing.assert_allclose(slope, -st.t.pdf(1.3, 7), rtol=1e-8)
