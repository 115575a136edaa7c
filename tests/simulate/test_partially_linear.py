"""The partially linear design: its truths, and its law against one large sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.simulate.partially_linear import curves_of, known_basis, partially_linear, sample

drawn = jax.jit(sample, static_argnums=2)
totals = jax.jit(lambda model: (model.total_indirect, model.total))


@pytest.mark.parametrize(
    ("setting", "indirect"),
    [
        ("A", 2.8),
        ("B", 3.6),
        ("A/4", 0.175),
        ("B/4", 0.225),
        ("D", 0.675),
        ("D2", 0.675),
        ("DV", 167 * 0.0049),
        ("DB", 2.8),
    ],
)
def test_total_indirect_effect_of_the_settings(setting, indirect):
    found = totals(partially_linear(setting, 500))
    assert found == pytest.approx((indirect, indirect + 0.5), rel=1e-5)


def test_counts_of_the_dense_settings():
    active = {
        setting: tuple(int(np.count_nonzero(v)) for v in (model.alpha, model.beta, model.indirect))
        for setting in ("D2", "DV", "DB", "A", "B")
        for model in [partially_linear(setting, 500)]
    }
    assert active["D2"] == (30, 30, 30) and active["DV"] == (167, 167, 167)
    assert active["DB"] == (5, 4 + 165, 3)
    assert active["A"] == (5, 4, 3) and active["B"] == (5, 5, 3)


def test_nulls_have_no_mediator():
    counts = {
        "N0": (0, 0),
        "Na": (30, 0),
        "NA": (5, 0),
        "Nb": (0, 30),
        "NB": (0, 4),
        "Nd": (15, 15),
        "ND": (5, 4),
        "Nw": (5, 4),
    }
    for setting, expected in counts.items():
        model = partially_linear(setting, 40)
        assert not np.any(model.indirect), setting
        assert tuple(np.count_nonzero(v) for v in (model.alpha, model.beta)) == expected


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="at least 88 mediators"):
        partially_linear("D2", 50)
    with pytest.raises(ValueError, match="setting must be"):
        partially_linear("C", 50)


def test_law_of_a_large_sample():
    n, p = 40000, 8
    model = jax.tree.map(np.asarray, partially_linear("A", p, correlation=0.6, direct=0.5))
    data = drawn(jax.random.key(3), model, n)
    basis = np.asarray(jax.jit(known_basis)(data.covariates, None))
    assert set(np.unique(data.exposure)) == {0.0, 1.0}
    assert abs(np.mean(data.exposure) - 0.5) < 4 * 0.5 / n**0.5
    x, a = np.asarray(data.covariates), np.asarray(data.exposure)
    base = np.column_stack([np.ones(n), a, basis[:, :5]])
    coefficient, *_ = np.linalg.lstsq(base, np.asarray(data.mediators), rcond=None)
    np.testing.assert_allclose(coefficient[1], model.alpha, atol=4 * 2 * 0.8 / n**0.5)
    assert np.all(np.abs(coefficient[2:]) < 1 + 0.05) and np.std(coefficient[2:]) > 0.4
    noise = np.asarray(data.mediators) - base @ coefficient
    variance = 0.1 + 0.3 * np.abs(x[:, 0]) + 0.3 * a
    z = noise / np.sqrt(variance)[:, None]
    lag = np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    np.testing.assert_allclose(z.T @ z / n, 0.6**lag, atol=6 / n**0.5)
    for arm in (0, 1):  # the heteroscedasticity in both of its causes
        for inner in (True, False):
            rows = (a == arm) & ((np.abs(x[:, 0]) < 0.5) == inner)
            assert np.mean(z[rows] ** 2) == pytest.approx(1, abs=6 * (2 / rows.sum() / 3) ** 0.5)
    g0 = -2 * np.sqrt(np.abs(x[:, 0] + 5)) + np.sin(1.5 * x[:, 1])
    rest = data.outcome - (2 + 0.5 * a + np.asarray(data.mediators) @ np.asarray(model.beta) + g0)
    assert abs(np.mean(rest)) < 4 / n**0.5 and abs(np.var(rest) - 1) < 4 * (2 / n) ** 0.5
    np.testing.assert_allclose(basis[:, 5], g0, rtol=1e-5)


def test_curves_are_drawn_anew_and_models_batch():
    model = partially_linear("B", 7)
    draw = jax.jit(jax.vmap(lambda k, m: sample(k, m, 30), in_axes=(0, None)))
    data = draw(jax.random.split(jax.random.key(0), 2), model)
    assert data.mediators.shape == (2, 30, 7)
    assert not np.allclose(data.mediators[0], data.mediators[1])
    again = drawn(jax.random.split(jax.random.key(0), 2)[1], model, 30)
    np.testing.assert_allclose(again.mediators, data.mediators[1], rtol=1e-5, atol=1e-5)
    assert jnp.asarray(data.outcome).dtype == model.beta.dtype


def test_another_sample_of_the_same_population():
    model = partially_linear("A", 8)
    key = jax.random.key(5)
    curves = jax.jit(curves_of)(key, model)
    first, again = drawn(key, model, 4000), drawn(key, model, 4000, curves)
    np.testing.assert_array_equal(first.mediators, again.mediators)
    other = drawn(jax.random.key(6), model, 4000, curves)
    x = np.asarray(other.covariates).T
    base = np.column_stack([x[0], x[1], x[0] ** 2, x[1] ** 2, x[0] * x[1], other.exposure])
    design = np.column_stack([np.ones(4000), base])
    found = np.linalg.lstsq(design, np.asarray(other.mediators), rcond=None)[0][1:6].T
    np.testing.assert_allclose(found, curves, atol=0.12)
