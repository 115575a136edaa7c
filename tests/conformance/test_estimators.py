"""One list of estimators, one set of promises: shapes, statuses, jit, vmap, weights, dtypes."""

import dataclasses
import functools

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
# Of those that share a program's text one is enough in every run; the others are slow together.
ALIKE = (
    "maxie_suppression",
    "maxcor",
    "reg_outcome",
    "reg_exposure",
    "directions_hdmed",
    "numerical",
    "lasso_outcome",
)
MOST = [
    pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in ESTIMATORS
]
FITTED = [name for name in ESTIMATORS if name not in ALIKE]
CHEAPEST = [
    name if name == "maxie" else pytest.param(name, marks=pytest.mark.slow) for name in ESTIMATORS
]
IN_PRIMAL_ONLY = {"directions", "directions_hdmed", "numerical"}
N, P, Q = 60, 6, 1


@pytest.fixture(scope="module")
def batch():
    data = [problem(np.random.default_rng(i), N, P, Q, scale=0.0) for i in range(2)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *data)


@pytest.fixture(scope="module")
def fitted(batch):
    """Each estimator at most once, jitted and vmapped over two data sets."""
    keys = jax.random.split(jax.random.key(0), 2)
    return functools.cache(lambda name: jax.jit(jax.vmap(ESTIMATORS[name]))(keys, batch))


@pytest.fixture(scope="module")
def together(batch):
    """What those that are not fitted in every run say of the first data set, in one program."""

    def each(key, data):
        found = {name: ESTIMATORS[name](key, data) for name in ALIKE}
        return {
            name: (e.status, e.effects, e.selected, e.mediators.alpha, e.intervals.total)
            for name, e in found.items()
        }

    key, data = jax.random.split(jax.random.key(0), 2)[0], jax.tree.map(lambda x: x[0], batch)
    return jax.tree.map(np.asarray, jax.jit(each)(key, data))


@pytest.mark.parametrize("name", MOST)
def test_schema_and_additivity(fitted, name):
    estimate = fitted(name)
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ALIKE)
def test_effects_of_the_others(together, name):
    status, effects, selected, _, interval = together[name]
    assert selected.shape == (P,) and selected.dtype == bool and status.dtype == np.int32
    assert status < st.FIRST_FATAL and interval.lower < effects.total < interval.upper
    np.testing.assert_allclose(effects.direct + effects.indirect, effects.total, rtol=1e-9)


op_by_op = pytest.mark.programs(250, reason="the estimator is called op by op")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("maxie", jax.jit),
        *(pytest.param(x, jax.jit, marks=pytest.mark.slow) for x in ESTIMATORS if x != "maxie"),
        # Without jit such a call compiles for longer than the program.
        pytest.param("maxie", lambda f: f, marks=[pytest.mark.slow, op_by_op], id="maxie-eager"),
    ],
)
def test_batched_equals_alone(fitted, batch, name, how):
    key = jax.random.split(jax.random.key(0), 2)[1]
    alone = how(ESTIMATORS[name])(key, jax.tree.map(lambda leaf: leaf[1], batch))
    batched = fitted(name)
    np.testing.assert_allclose(batched.effects.indirect[1], alone.effects.indirect, rtol=1e-6)
    np.testing.assert_allclose(batched.mediators.beta[1], alone.mediators.beta, rtol=1e-9)


def test_total_effect_and_mediators_are_the_same_for_all(fitted):
    reference = fitted("maxie")
    total, alpha = reference.effects.total, reference.mediators.alpha
    for estimate in map(fitted, FITTED):
        np.testing.assert_allclose(estimate.effects.total, total, rtol=1e-10)
        np.testing.assert_allclose(estimate.mediators.alpha, alpha, rtol=1e-9)


@pytest.mark.slow
def test_total_effect_and_mediators_are_the_same_for_the_others(fitted, together):
    reference = fitted("maxie")
    for _, effects, _, paths, _ in together.values():
        np.testing.assert_allclose(effects.total, reference.effects.total[0], rtol=1e-10)
        np.testing.assert_allclose(paths, reference.mediators.alpha[0], rtol=1e-9)


def test_closed_forms_are_the_optima(fitted):
    """Nothing beats MaxIE."""
    largest = np.asarray(fitted("maxie").effects.indirect)
    for estimate in map(fitted, FITTED):
        assert np.all(estimate.effects.indirect <= largest * (1 + 1e-10))


@pytest.mark.slow
def test_closed_forms_are_the_optima_of_the_others(fitted, together):
    """Nothing beats MaxIE; the optimiser reaches it to 1e-10."""
    largest = float(fitted("maxie").effects.indirect[0])
    for _, effects, *_ in together.values():
        assert effects.indirect <= largest * (1 + 1e-10)
    np.testing.assert_allclose(together["numerical"][1].indirect, largest, rtol=1e-10)


def floats(estimate):
    return {leaf.dtype for leaf in jax.tree.leaves(estimate) if leaf.dtype.kind == "f"}


@pytest.mark.parametrize("name", FITTED)
def test_single_precision_stays_single(batch, name):
    single = jax.tree.map(lambda leaf: leaf[0].astype(np.float32), batch)
    found = jax.eval_shape(lambda d: ESTIMATORS[name](jax.random.key(0), d), single)
    assert floats((found.effects, found.intervals, found.mediators)) == {jnp.dtype("float32")}


@pytest.mark.parametrize("name", CHEAPEST)
def test_float32(batch, name):
    single = jax.tree.map(lambda leaf: leaf[0].astype(np.float32), batch)
    estimate = jax.jit(ESTIMATORS[name])(jax.random.key(0), single)
    assert estimate.effects.indirect.dtype == jnp.float32
    assert estimate.mediators.p_value.dtype == jnp.float32
    assert np.isfinite(float(estimate.effects.indirect))


@pytest.mark.parametrize("name", CHEAPEST)
def test_collinear_mediators_count_by_their_span(batch, name):
    """Directions have weights of norm 1, which a span does not determine."""
    data = jax.tree.map(lambda leaf: np.array(leaf[0]), batch)
    x = data.mediators
    x[:, 3] = 2 * x[:, 1] - x[:, 0]
    twice = dataclasses.replace(data, mediators=x)
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
            less = dataclasses.replace(twice, mediators=twice.mediators[:, left])
            other = jax.jit(ESTIMATORS[name])(jax.random.key(0), less)
            np.testing.assert_allclose(estimate.effects.indirect, other.effects.indirect, rtol=1e-9)


@pytest.mark.parametrize("name", CHEAPEST)
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


@pytest.mark.slow  # in every run test_edges.py has it of a method that selects
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
    data = jax.tree.map(lambda leaf: leaf[0], batch)
    with pytest.raises(ValueError, match="pass a key"):
        jax.eval_shape(lambda d: ESTIMATORS[name](None, d), data)
