"""GAHMN as an estimator: what is reported, what is refused, what happens at the edges."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import estimators
from jaxmed import status as st
from jaxmed.data import InvalidDataError, ShapeError, covariate_basis, mediation_data
from jaxmed.gahmn import check_rows, faithful, gahmn, holdout_rows, improved
from jaxmed.gahmn.reported import reported
from jaxmed.gahmn.rows import small_arm
from jaxmed.gahmn.scaling import scale_of, scaled
from jaxmed.simulate.partially_linear import partially_linear, sample

SHORT = improved().with_steps(50)
KEY = jax.random.key(3)


RUN = jax.jit(gahmn(SHORT, n_seeds=2))  # one program for data of one shape
REFIT = jax.jit(lambda d, f: reported(KEY, d, f, "refit", "splines", 0.9))


@pytest.fixture(scope="module")
def fit(data):
    """Two seeds; a constant mediator."""
    flat = np.array(data.mediators)
    flat[:, 7] = 2.0
    data = dataclasses.replace(data, mediators=flat)
    return data, RUN(KEY, data)


def test_reports_the_estimate_of_record_and_the_generators_beside_it(fit):
    data, found = fit
    record = jax.jit(estimators.ols(basis="splines_all_products"))(None, data)
    for part in ("direct", "indirect", "total"):
        np.testing.assert_allclose(
            getattr(found.effects, part), getattr(record.effects, part), rtol=1e-9
        )
        np.testing.assert_allclose(
            getattr(found.intervals, part).upper, getattr(record.intervals, part).upper, rtol=1e-9
        )
    own = found.details.adversarial
    np.testing.assert_allclose(own.effects.total, own.effects.direct + own.effects.indirect)
    np.testing.assert_allclose(np.nansum(own.indirect), own.effects.indirect, rtol=1e-6)
    assert own.seed_sd.direct > 0 and own.seed_status.shape == (2,)
    assert (own.frequency >= 0).all() and (own.frequency <= 1).all()
    assert found.details.mediator_curve.critic.shape == (2, 1)


def test_constant_mediators_are_nan_with_a_reason(fit):
    _, found = fit
    table = found.mediators
    assert table.reason[7] == st.CONSTANT_MEDIATOR and np.isnan(table.indirect[7])
    own = found.details.adversarial
    assert np.isnan(own.alpha[7]) and not own.selected[7]
    assert np.isfinite(np.delete(np.asarray(own.indirect), 7)).all()


def test_refit_stands_on_the_generators_support(fit):
    data, found = fit
    refit = REFIT(data, found.details)
    support = np.asarray(found.details.fitted.generators.mediator_support).mean(axis=0) > 0.5
    np.testing.assert_array_equal(refit.selected, support)
    assert (np.asarray(refit.mediators.reason)[~support] >= st.NOT_SELECTED).all()
    assert np.isnan(np.asarray(refit.mediators.indirect)[~support]).all()
    np.testing.assert_allclose(refit.effects.direct + refit.effects.indirect, refit.effects.total)
    assert refit.intervals.direct.level == 0.9


def test_nuisance_of_the_generator(fit):
    data, found = fit
    other = jax.jit(lambda d, f: reported(KEY, d, f, "ols", "generator", 0.95).effects.indirect)(
        data, found.details
    )
    assert np.isfinite(other) and abs(other - found.effects.indirect) < 5


def test_nothing_selected_is_a_zero_effect_and_no_invented_mediator(data):
    noise = jax.random.normal(jax.random.key(9), (300, 15))
    null = dataclasses.replace(
        data,
        mediators=noise[:, :12],
        outcome=noise[:, 12] + data.exposure,
        covariates=noise[:, 13:],
    )
    found = RUN(KEY, null)
    assert int(found.status) == st.EMPTY_SELECTION
    assert found.details.adversarial.effects.indirect == 0
    refit = REFIT(null, found.details)
    assert int(refit.status) == st.EMPTY_SELECTION and not refit.selected.any()
    assert refit.effects.indirect == 0
    np.testing.assert_allclose(refit.effects.total, found.effects.total, rtol=1e-9)
    np.testing.assert_allclose(refit.standard_errors.direct, refit.standard_errors.total, rtol=1e-9)


@pytest.mark.slow
def test_bootstrap_is_centred_at_the_generators():
    data = sample(jax.random.key(4), partially_linear("A", 6), 120)
    found = jax.jit(gahmn(SHORT, interval="bootstrap", resamples=3))(KEY, data)
    own = found.details.adversarial.effects
    for part in ("direct", "indirect", "total"):
        interval = getattr(found.intervals, part)
        middle = (interval.lower + interval.upper) / 2
        np.testing.assert_allclose(middle, getattr(own, part), rtol=1e-6, atol=1e-9)
        assert getattr(found.standard_errors, part) > 0
    assert "3 whole refits" in found.intervals.direct.method


@pytest.mark.slow
def test_penalty_path_counts_its_fits():
    data = sample(jax.random.key(4), partially_linear("A", 6), 120)
    found = jax.jit(gahmn(SHORT, tuning="path"))(KEY, data)
    path = found.details.path
    assert path.loss.shape == (8, 2) and np.isfinite(path.loss).all()
    best = path.multiples[np.argmin(path.loss[:, 0])]
    np.testing.assert_allclose(path.chosen.mediator, best * 0.1 / 6, rtol=1e-6)
    counted = np.asarray(found.details.adversarial.frequency) * 9
    np.testing.assert_allclose(counted, np.round(counted), atol=1e-6)


@pytest.mark.slow
def test_bootstrap_refits_with_the_penalty_of_the_path():
    """The configured penalty keeps no exposure effect: refits with it would all agree on 0."""
    data = sample(jax.random.key(4), partially_linear("A", 6), 120)
    config = improved().with_steps(300, 50)
    heavy = dataclasses.replace(config.mediator, lam=1.0)
    config = dataclasses.replace(config, mediator=heavy)
    plain = jax.jit(gahmn(config, interval="refit"))(KEY, data)
    assert not np.any(plain.details.adversarial.alpha)
    found = jax.jit(gahmn(config, interval="bootstrap", tuning="path", resamples=3))(KEY, data)
    assert float(found.details.path.best[0]) < 1 and np.any(found.details.adversarial.alpha)
    assert np.any(np.asarray(found.mediators.alpha_se) > 0)


@pytest.mark.slow
def test_single_precision_numeric_exposure_weights_and_faithful_mode():
    data = sample(jax.random.key(4), partially_linear("A", 6), 120)
    data = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), data)
    numeric = data.exposure + jax.random.normal(KEY, (120,), jnp.float32)
    data = dataclasses.replace(
        data, exposure=numeric, weights=jnp.ones(120, jnp.float32).at[3].set(0.0)
    )
    for config in (faithful().with_steps(50), improved(noise="location_scale").with_steps(50)):
        found = jax.jit(gahmn(config, arms=(0.0, 2.0)))(KEY, data)
        assert found.effects.direct.dtype == jnp.float32
        assert np.isfinite(found.details.adversarial.effects.direct)
        assert found.details.fitted.scale.arms.treated == 2


def test_the_same_key_gives_the_same_weights(fit):
    data, found = fit
    again = RUN(KEY, data)
    first, second = (jax.tree.leaves(f.details.fitted.generators) for f in (found, again))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_small_arm_is_a_status_under_tracing(data):
    few = dataclasses.replace(data, exposure=(np.arange(300) < 19).astype(float))
    enough = dataclasses.replace(data, exposure=(np.arange(300) < 20).astype(float))
    numeric = dataclasses.replace(data, exposure=np.arange(300.0))
    code = jax.jit(lambda d: small_arm(scaled(d, scale_of(d), jnp.float32)))
    codes = [int(code(d)) for d in (few, enough, numeric, data)]
    assert codes == [st.SMALL_SAMPLE, st.OK, st.OK, st.OK]


def test_holdout_rows_are_disjoint_and_complete():
    train, held = holdout_rows(KEY, 50, 0.2)
    assert len(train) == 40 and len(held) == 10
    assert sorted([*train.tolist(), *held.tolist()]) == list(range(50))


def test_refusals():
    rng = np.random.default_rng(0)
    n = 60
    exposure = np.zeros(n)
    exposure[:30] = 1
    parts = (rng.normal(size=(n, 3)), rng.normal(size=n))
    good = mediation_data(exposure, *parts, names={"exposure": "smoker"})
    check_rows(good)
    with pytest.raises(ShapeError, match="min_rows=50"):
        check_rows(mediation_data(exposure[:40], parts[0][:40], parts[1][:40]))
    check_rows(mediation_data(exposure[10:50], parts[0][:40], parts[1][:40]), min_rows=40)
    few = np.zeros(n)
    few[:5] = 1
    with pytest.raises(InvalidDataError, match="'smoker' has only 5 rows with the value 1"):
        check_rows(mediation_data(few, *parts, names={"exposure": "smoker"}))
    weights = np.ones(n)
    weights[:30] = 0
    with pytest.raises(InvalidDataError, match="arm is empty|constant"):
        check_rows(mediation_data(exposure, *parts, weights=weights))
    with pytest.raises(ShapeError, match="min_rows"):
        jax.jit(gahmn(SHORT))(KEY, mediation_data(exposure[:40], parts[0][:40], parts[1][:40]))
    with pytest.raises(ValueError, match="pass a key"):
        gahmn(SHORT)(None, good)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": "quantile"}, "interval must be one of"),
        ({"nuisance": "trees"}, "nuisance must be one of"),
        ({"tuning": "cv"}, "tuning must be one of"),
        ({"n_seeds": 0}, "at least 1"),
        ({"holdout": 1.0}, "share of the rows"),
        ({"resamples": 1}, "resamples"),
        ({"level": 1.0}, "level"),
    ],
)
def test_arguments_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        gahmn(SHORT, **options)


def test_estimators_has_it_without_importing_flax():
    assert estimators.gahmn is gahmn
    with pytest.raises(AttributeError, match="no attribute"):
        _ = estimators.nothing


@pytest.mark.slow
def test_generators_see_the_covariates_and_effects_the_basis(data):
    design = covariate_basis(data, "second_degree")
    on_basis = gahmn(SHORT, n_seeds=2, basis="given", network_covariates=design.linear)
    found = jax.jit(on_basis)(KEY, design.data)
    plain = RUN(KEY, data)
    record = jax.jit(estimators.ols())(None, design.data)
    np.testing.assert_allclose(found.effects.total, record.effects.total, rtol=1e-9)
    first, second = (f.details.adversarial.effects.total for f in (found, plain))
    np.testing.assert_allclose(first, second, rtol=1e-6)
    assert abs(found.effects.total - plain.effects.total) > 1e-9
