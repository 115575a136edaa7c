"""One list of estimators, one set of promises: shapes, statuses, jit, vmap, weights, dtypes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem

from jaxmed import estimators
from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData

ESTIMATORS = {
    "maxie": estimators.maxie(),
    "maxie_suppression": estimators.maxie(sign=-1),
    "maxcor": estimators.maxcor(),
    "reg_outcome": estimators.reg_outcome(),
    "reg_exposure": estimators.reg_exposure(),
    "directions": estimators.directions(),
    "directions_hdmed": estimators.directions(variant="hdmed", starts=1),
    "numerical": estimators.numerical(restarts=3),
    "lasso_exposure": estimators.lasso_exposure(folds=3),
    "lasso_outcome": estimators.lasso_outcome(folds=3),
}
# Of those that share a program's text one is enough in every run.
MOST = [
    pytest.param(name, marks=pytest.mark.slow)
    if name in ("maxie_suppression", "maxcor", "reg_outcome", "directions_hdmed", "lasso_outcome")
    else name
    for name in ESTIMATORS
]
IN_PRIMAL_ONLY = {"directions", "directions_hdmed", "numerical"}
N, P, Q = 60, 6, 1


@pytest.fixture(scope="module")
def batch():
    data = [problem(np.random.default_rng(i), N, P, Q, scale=0.0) for i in range(2)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *data)


@pytest.fixture(scope="module")
def fitted(batch):
    """Each estimator once, jitted and vmapped over two data sets."""
    keys = jax.random.split(jax.random.key(0), 2)
    return {name: jax.jit(jax.vmap(e))(keys, batch) for name, e in ESTIMATORS.items()}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_schema_and_additivity(fitted, name):
    estimate = fitted[name]
    assert estimate.selected.shape == (2, P) and estimate.selected.dtype == bool
    assert estimate.status.shape == (2,) and estimate.status.dtype == jnp.int32
    for leaf in jax.tree.leaves(estimate.mediators):
        assert leaf.shape == (2, P)
    effects = estimate.effects
    np.testing.assert_allclose(effects.direct + effects.indirect, effects.total, rtol=1e-9)
    assert np.all(np.asarray(estimate.status) < st.FIRST_FATAL)
    interval = estimate.intervals.total
    assert np.all((interval.lower < effects.total) & (effects.total < interval.upper))
    # Weights are optimised on the same rows: no standard error is made up.
    assert np.all(np.isnan(estimate.standard_errors.indirect))


@pytest.mark.programs(300, reason="one estimator is called op by op")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_batched_equals_alone(fitted, batch, name):
    key = jax.random.split(jax.random.key(0), 2)[1]
    # Op by op, without jit, is one of them: such a call compiles for longer than the program.
    one = ESTIMATORS[name] if name == "maxie" else jax.jit(ESTIMATORS[name])
    alone = one(key, jax.tree.map(lambda leaf: leaf[1], batch))
    np.testing.assert_allclose(fitted[name].effects.indirect[1], alone.effects.indirect, rtol=1e-6)
    np.testing.assert_allclose(fitted[name].mediators.beta[1], alone.mediators.beta, rtol=1e-9)


def test_total_effect_and_mediators_are_the_same_for_all(fitted):
    reference = fitted["maxie"]
    for estimate in fitted.values():
        np.testing.assert_allclose(estimate.effects.total, reference.effects.total, rtol=1e-10)
        np.testing.assert_allclose(estimate.mediators.alpha, reference.mediators.alpha, rtol=1e-9)


def test_closed_forms_are_the_optima(fitted):
    """Nothing beats MaxIE; the optimiser reaches it to 1e-10."""
    largest = np.asarray(fitted["maxie"].effects.indirect)
    for estimate in fitted.values():
        assert np.all(estimate.effects.indirect <= largest * (1 + 1e-10))
    np.testing.assert_allclose(fitted["numerical"].effects.indirect, largest, rtol=1e-10)


@pytest.mark.parametrize("name", MOST)
def test_float32(batch, name):
    single = jax.tree.map(lambda leaf: leaf[0].astype(jnp.float32), batch)
    estimate = jax.jit(ESTIMATORS[name])(jax.random.key(0), single)
    assert estimate.effects.indirect.dtype == jnp.float32
    assert estimate.mediators.p_value.dtype == jnp.float32
    assert np.isfinite(float(estimate.effects.indirect))


@pytest.mark.parametrize("name", MOST)
def test_collinear_mediators_count_by_their_span(batch, name):
    """Directions have weights of norm 1, which a span does not determine."""
    data = jax.tree.map(lambda leaf: leaf[0], batch)
    x = data.mediators
    twice = dataclasses.replace(data, mediators=x.at[:, 3].set(2 * x[:, 1] - x[:, 0]))
    estimate = jax.jit(ESTIMATORS[name])(jax.random.key(0), twice)
    assert int(estimate.notes) & st.Note.SPAN_ONLY
    base = np.column_stack([np.ones(N), data.exposure, data.covariates])
    total = np.linalg.lstsq(base, data.outcome, rcond=None)[0][1]
    np.testing.assert_allclose(estimate.effects.total, total, rtol=1e-9)
    if name.startswith("directions"):
        assert int(estimate.status) == st.RANK_DEFICIENT
        assert np.isnan(float(estimate.effects.indirect)) and not np.any(estimate.selected)
        return
    assert int(estimate.status) == st.OK
    if name in ("maxie", "maxcor", "reg_exposure"):  # whichever of the three is left out
        for left in ([0, 1, 2, 4, 5], [0, 2, 3, 4, 5]):
            less = dataclasses.replace(twice, mediators=twice.mediators[:, jnp.asarray(left)])
            other = jax.jit(ESTIMATORS[name])(jax.random.key(0), less)
            np.testing.assert_allclose(estimate.effects.indirect, other.effects.indirect, rtol=1e-9)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_more_mediators_than_rows(name):
    data = problem(np.random.default_rng(3), 30, 45, 1)
    estimate = jax.jit(ESTIMATORS[name])(jax.random.key(0), data)
    if name in IN_PRIMAL_ONLY:
        assert int(estimate.status) == st.NOT_IN_DUAL
        assert np.isnan(float(estimate.effects.indirect))
    else:
        optimum = not name.startswith("lasso")
        expected = (st.RESTRICTED,) if optimum else (st.OK, st.EMPTY_SELECTION)
        assert int(estimate.status) in expected
        assert np.isfinite(float(estimate.effects.indirect))
    assert np.all(np.isfinite(estimate.mediators.p_value))


def test_nothing_selected_is_a_zero_effect():
    rng = np.random.default_rng(1)
    data = MediationData(
        rng.normal(size=60), rng.normal(size=(60, 4)), rng.normal(size=60), np.zeros((60, 0))
    )
    estimate = jax.jit(estimators.lasso_outcome(folds=5, rule="1se"))(jax.random.key(0), data)
    assert int(estimate.status) == st.EMPTY_SELECTION
    assert float(estimate.effects.indirect) == 0
    assert float(estimate.effects.direct) == float(estimate.effects.total)


@pytest.mark.parametrize(
    "make",
    [
        lambda: estimators.maxie(sign=0),
        lambda: estimators.directions(variant="chen"),  # type: ignore[arg-type]
        lambda: estimators.directions(starts=0),
        lambda: estimators.numerical(objective="h"),  # type: ignore[arg-type]
        lambda: estimators.numerical(restarts=0),
        lambda: estimators.lasso_outcome(folds=1),
        lambda: estimators.lasso_outcome(rule="cv"),  # type: ignore[arg-type]
        lambda: estimators.lasso_exposure(family="poisson"),  # type: ignore[arg-type]
    ],
)
def test_wrong_configuration_is_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()


@pytest.mark.parametrize("name", ["numerical", "lasso_exposure", "lasso_outcome"])
def test_random_methods_need_a_key(batch, name):
    with pytest.raises(ValueError, match="pass a key"):
        ESTIMATORS[name](None, jax.tree.map(lambda leaf: leaf[0], batch))
