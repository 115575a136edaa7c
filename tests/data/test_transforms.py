"""Standardising, degenerate mediators, bundled data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import status
from jaxmed.data import (
    InvalidDataError,
    column_scales,
    datasets,
    drop_degenerate,
    from_frame,
    mediation_data,
    standardise,
)
from jaxmed.data.transforms import duplicates

N, P = 40, 6


def problem(dtype=float, weights=False, convert=np.asarray):
    rng = np.random.default_rng(5)
    exposure, outcome = rng.normal(size=(2, N)).astype(dtype)
    mediators = (rng.normal(size=(N, P)) * 10.0 ** np.arange(P) + 30).astype(dtype)
    weights = rng.integers(0, 3, N).astype(dtype) if weights else None
    return mediation_data(exposure, convert(mediators), outcome, weights=weights)


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 2e-4)])
@pytest.mark.parametrize("weights", [False, True])
def test_host_traced_and_oracle_agree(dtype, tolerance, weights):
    data = problem(dtype, weights)
    scaled, scale = standardise(data)
    w = np.ones(N) if data.weights is None else np.asarray(data.weights, float)
    exact = np.asarray(data.mediators, float)
    mean = w @ exact / w.sum()
    sd = np.sqrt(w @ (exact - mean) ** 2 / ((w > 0).sum() - 1))
    np.testing.assert_allclose(scale.mean, mean, rtol=tolerance)
    np.testing.assert_allclose(scale.sd, sd, rtol=tolerance)
    assert isinstance(scaled.mediators, np.ndarray) and scaled.mediators.dtype == dtype
    traced, traced_scale = jax.jit(standardise)(jax.tree.map(jnp.asarray, data))
    assert traced.mediators.dtype == dtype
    np.testing.assert_allclose(traced_scale.sd, scale.sd, rtol=tolerance)
    np.testing.assert_allclose(
        traced.mediators, scaled.mediators, rtol=tolerance, atol=10 * tolerance
    )


def test_weights_go_back_and_forth_between_the_scales():
    data = problem()
    scaled, scale = standardise(data)
    per_sd = np.random.default_rng(6).normal(size=(2, P))
    per_unit = scale.per_unit(per_sd)
    centred = data.mediators - scale.mean
    np.testing.assert_allclose(centred @ per_unit.T, scaled.mediators @ per_sd.T, atol=1e-9)
    np.testing.assert_allclose(scale.per_sd(per_unit), per_sd, rtol=1e-15)


def test_standardise_under_vmap_equals_a_loop():
    data = problem(convert=jnp.asarray)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf + 1]), data)
    batched = jax.vmap(lambda d: standardise(d)[0].mediators)(stacked)
    np.testing.assert_allclose(batched[1], standardise(data)[0].mediators, atol=1e-9)


@pytest.mark.parametrize("scale", [1e150, 1e-150])
def test_extreme_units_change_nothing(scale):
    data = problem()
    other = mediation_data(data.exposure, data.mediators * scale, data.outcome)
    plain = standardise(data)[0].mediators
    np.testing.assert_allclose(standardise(other)[0].mediators, plain, atol=1e-11)
    traced = jax.jit(lambda d: standardise(d)[0].mediators)(jax.tree.map(jnp.asarray, other))
    np.testing.assert_allclose(traced, plain, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constant_and_duplicate_mediators_are_listed(dtype):
    data = problem(dtype)
    m = np.array(data.mediators)
    m[:, 1] = m[:, 0]
    m[:, 2] = 0.1 * 3  # constant; and constant up to rounding:
    m[:, 3] = (np.float64(0.3) + np.linspace(-1, 1, N) * 3 * np.finfo(dtype).eps * 0.1).astype(
        dtype
    )
    kept = drop_degenerate(mediation_data(data.exposure, m, data.outcome))
    assert kept.reasons.tolist() == [
        status.OK,
        status.DUPLICATE_MEDIATOR,
        status.CONSTANT_MEDIATOR,
        status.CONSTANT_MEDIATOR,
        status.OK,
        status.OK,
    ]
    assert kept.reasons.dtype == np.int32 and kept.kept.tolist() == [0, 4, 5]
    assert kept.data.names.mediators == ("m1", "m5", "m6")
    np.testing.assert_array_equal(kept.data.mediators, m[:, [0, 4, 5]])
    dual = drop_degenerate(mediation_data(data.exposure, m, data.outcome), keep_duplicates=True)
    assert dual.kept.tolist() == [0, 1, 4, 5]


@pytest.mark.parametrize("convert", [np.asarray, jnp.asarray])
def test_a_constant_mediator_is_standardised_to_zeros(convert):
    data = problem()
    m = np.array(data.mediators)
    m[:, 1] = 0.1 + np.arange(N) % 2 * 1e-16
    data = mediation_data(data.exposure, convert(m), data.outcome)
    scaled, scale = standardise(data)
    assert (scaled.mediators[:, 1] == 0).all() and scale.sd[1] == 1
    assert np.isfinite(np.asarray(scaled.mediators)).all()


def test_years_in_float32_are_not_constant():
    data = problem("float32")
    m = np.array(data.mediators)
    m[:, 0] = 2020 + np.arange(N) % 3
    assert drop_degenerate(mediation_data(data.exposure, m, data.outcome)).kept.size == P


def test_nothing_to_drop_returns_the_data_itself():
    data = problem()
    assert drop_degenerate(data).data is data


def test_rows_without_weight_do_not_count():
    data = problem(weights=True)
    m = np.array(data.mediators)
    used = np.asarray(data.weights) > 0
    m[used, 0] = 1.0
    m[used, 2] = m[used, 1]
    kept = drop_degenerate(mediation_data(data.exposure, m, data.outcome, weights=data.weights))
    assert kept.kept.tolist() == [1, 3, 4, 5]
    m[~used, 3] = 1e200
    mean, sd = column_scales(m, np.asarray(data.weights))
    assert np.isfinite(mean).all() and np.isfinite(sd).all() and sd[3] < 1e4


def test_zero_and_minus_zero_are_equal_and_nothing_left_is_an_error():
    data = problem()
    m = np.array(data.mediators)
    m[:, 0] = np.where(np.arange(N) % 2, 0.0, 5.0)
    m[:, 1] = np.where(np.arange(N) % 2, -0.0, 5.0)
    assert 1 not in drop_degenerate(mediation_data(data.exposure, m, data.outcome)).kept
    with pytest.raises(InvalidDataError, match="every mediator is constant"):
        drop_degenerate(mediation_data(data.exposure, np.ones((N, 2)), data.outcome))


def test_duplicates_of_discrete_columns_equal_a_slow_search():
    rng = np.random.default_rng(7)
    m = np.repeat(rng.integers(0, 2, (60, 1)), 300, axis=1).astype(float)
    m[rng.integers(0, 60, 150), rng.integers(0, 300, 150)] += 1  # most differ in few rows
    slow = [any((m[:, i] == m[:, j]).all() for i in range(j)) for j in range(300)]
    np.testing.assert_array_equal(duplicates(m), slow)
    assert 0 < sum(slow) < 299


def test_the_bundled_data_set_has_its_documented_shape():
    pytest.importorskip("pandas")
    (name,) = datasets.available()
    frame, features = datasets.load(name), datasets.features(name)
    assert frame.shape == (127, 12 + 517) and features.shape == (517, 7)
    data = from_frame(
        frame,
        exposure="age",
        outcome="hospital_free_days_45",
        mediators="prot_*",
        covariates="male",
        where="covid == 1",
    )
    assert data.mediators.shape == (102, 517) and (data.outcome == 0).sum() == 30
    np.testing.assert_allclose(data.mediators.mean(axis=0), features["mean_log2"], rtol=1e-4)
    # Documented: total effect -0.365 days per year given sex.
    design = np.c_[np.ones(102), data.covariates, data.exposure]
    assert abs(np.linalg.lstsq(design, data.outcome)[0][-1] + 0.365) < 5e-4
    top = features.loc[features["abundance_rank"] <= 50, "column"].tolist()
    assert len(top) == 50 and set(top) <= set(frame.columns)
    for file in ("README.md", "LICENSE.source", "data.csv.gz"):
        assert (datasets.path(name) / file).is_file()
    with pytest.raises(ValueError, match="available are"):
        datasets.load("iris")
