"""The field's methods: one list, one set of promises, on data that are hard in one way each."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import estimators
from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.parts.reference import ReferenceWouldStop

METHODS = {
    "ols": estimators.ols(basis="linear"),
    "double_selection": estimators.double_selection(basis="linear", folds=3, num_penalties=10),
    "post_selection": estimators.post_selection(basis="linear", num_penalties=20),
    "hima": estimators.hima(num_penalties=20),
    "guo": estimators.guo(num_penalties=20),
    "plsem": estimators.plsem(basis="linear", num_penalties=20),
    "hima2": estimators.hima2(adjust="bh", folds=3, num_penalties=10),
    "ehima": estimators.ehima(num_penalties=20),
    "hdma": estimators.hdma(folds=3, num_penalties=10),
    "hilma": estimators.hilma(),
    "medfix": estimators.medfix(nlambda2=0, folds=3, num_penalties=20),
    "pathway_lasso": estimators.pathway_lasso(splits=2, lam=(0.01, 0.05, 0.2)),
    "pcma": estimators.pcma(components=5, replicates=20),
    "spcma": estimators.spcma(components=5, replicates=20),
    "meddic": estimators.meddic(folds=3, num_penalties=10),
}
N, P, Q = 48, 6, 2
# The same kernels as others of the list, or dear to compile and in every run elsewhere: guo in
# test_edges.py, the others against releases or explicit matrices in tests/estimators.
ALIKE = {"hima2", "pathway_lasso", "pcma", "spcma", "post_selection", "ehima", "hdma", "hilma"}
ALIKE |= {"medfix", "plsem", "guo", "double_selection"}
CHOSEN = [pytest.param(n, marks=pytest.mark.slow) if n in ALIKE else n for n in METHODS]
# Not a choice among mediators: all of them, or one component of all.
NO_SELECTION = {"ols", "pcma", "spcma"}
CASES = ("strong", "null", "constant", "all_constant", "weighted", "weighted_elsewhere")


def strong(seed, n=N, p=P):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, Q))
    a = rng.normal(size=n) + 0.5 * x[:, 0]
    m = rng.normal(size=(n, p)) + 0.3 * x[:, 1:]
    m[:, 0] += 1.5 * a
    y = 0.5 * a + 1.5 * m[:, 0] + x[:, 0] + 0.5 * rng.normal(size=n)
    return MediationData(a, m, y, x, np.ones(n))


def cases():
    base, rng = strong(0), np.random.default_rng(1)
    change = dataclasses.replace
    m = base.mediators
    constant = m.copy()
    constant[:, 2] = 7.0
    weights = np.resize([1.0, 2.0, 0.0], N)
    void = weights == 0
    elsewhere = change(
        base,
        weights=weights,
        outcome=np.where(void, 50.0, base.outcome),
        mediators=np.where(void[:, None], rng.normal(size=m.shape), m),
    )
    null = change(base, mediators=rng.normal(size=m.shape), outcome=rng.normal(size=N))
    data = (
        base,
        null,
        change(base, mediators=constant),
        change(base, mediators=np.full_like(m, 7.0)),
        change(base, weights=weights),
        elsewhere,
    )
    return jax.tree.map(lambda *leaves: np.stack(leaves), *data)


def numbers(estimate):
    """Without the product intervals of the mediators, half of the time to compile."""
    table = estimate.mediators
    return {
        "effects": estimate.effects,
        "errors": estimate.standard_errors,
        "intervals": estimate.intervals,
        "selected": estimate.selected,
        "status": estimate.status,
        "alpha": table.alpha,
        "p_value": table.p_value,
        "reason": table.reason,
    }


@pytest.fixture(scope="module")
def fit():
    """Each method's answers to all cases, compiled once and on demand."""
    found, data = {}, cases()

    def of(name):
        if name not in found:
            method = METHODS[name]
            program = jax.jit(lambda d: numbers(method(jax.random.key(3), d)))
            each = [
                program(jax.tree.map(lambda leaf, i=i: leaf[i], data)) for i in range(len(CASES))
            ]
            found[name] = jax.tree.map(lambda *leaves: np.stack(leaves), *each)
        return found[name]

    return of


def case(found, name):
    at = CASES.index(name)
    return jax.tree.map(lambda leaf: leaf[at], found)


def triple(effects):
    return np.array([effects.direct, effects.indirect, effects.total])


@pytest.mark.parametrize("name", CHOSEN)
def test_answers(fit, name):
    """Schema, effects that add up, and the right answer to every case."""
    found = fit(name)
    assert found["selected"].shape == (len(CASES), P) and found["selected"].dtype == bool
    assert found["status"].shape == (len(CASES),) and found["reason"].shape == (len(CASES), P)
    direct, indirect, total = triple(found["effects"])
    whole = np.isfinite(direct)  # without direct and indirect effect there is a total effect
    np.testing.assert_allclose((direct + indirect)[whole], total[whole], atol=1e-9)
    assert (found["status"] < st.FIRST_FATAL)[[0, 1, 2, 4, 5]].all()
    assert np.isfinite(triple(found["errors"]))[:, [0, 2, 4, 5]].all()
    lower, upper = found["intervals"].indirect.lower, found["intervals"].indirect.upper
    assert (lower[[0, 2]] < indirect[[0, 2]]).all() and (indirect[[0, 2]] < upper[[0, 2]]).all()

    good = case(found, "strong")
    assert good["selected"][0] and int(good["status"]) in (st.OK, st.SMALL_SAMPLE)
    # 1.5 * 1.5 and 0.5 with 48 rows; shrinkage and five components of six mediators included.
    assert abs(good["effects"].indirect - 2.25) < 1.2 and good["effects"].total == pytest.approx(
        2.75, abs=0.8
    )
    if name != "hilma":  # tests the total indirect effect only
        assert np.nanargmin(good["p_value"]) == 0

    if name not in NO_SELECTION:
        empty = case(found, "null")
        assert empty["selected"].sum() <= 1
        if not empty["selected"].any():
            assert int(empty["status"]) in (st.EMPTY_SELECTION, st.OK, st.SMALL_SAMPLE)

    one = case(found, "constant")
    assert not one["selected"][2] and one["selected"][0]
    assert int(one["reason"][2]) == st.CONSTANT_MEDIATOR and np.isnan(one["p_value"][2])
    assert np.isnan(one["alpha"][2])


@pytest.mark.parametrize("name", CHOSEN)
def test_constant_mediators_carry_nothing(fit, name):
    nothing = case(fit(name), "all_constant")
    assert not nothing["selected"].any() and (nothing["reason"] == st.CONSTANT_MEDIATOR).all()
    data = strong(0)
    base = np.column_stack([np.ones(N), data.exposure, data.covariates])
    total = np.linalg.lstsq(base, data.outcome, rcond=None)[0][1]
    if int(nothing["status"]) < st.FIRST_FATAL:
        assert nothing["effects"].indirect == 0
        # HILMA's direction is Dantzig's, which leaves a share of its penalty as bias.
        rtol = 0.02 if name == "hilma" else 1e-8
        np.testing.assert_allclose(nothing["effects"].direct, total, rtol=rtol)
    else:
        assert np.isnan(triple(nothing["effects"])[:2]).all()
        if name == "ols":
            assert int(nothing["status"]) == st.CONSTANT_MEDIATOR
            np.testing.assert_allclose(nothing["effects"].total, total, rtol=1e-9)


@pytest.mark.parametrize("name", CHOSEN)
def test_rows_of_weight_zero_do_not_exist(fit, name):
    first, second = case(fit(name), "weighted"), case(fit(name), "weighted_elsewhere")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9), first, second)
    assert abs(first["effects"].total - case(fit(name), "strong")["effects"].total) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_batched_is_alone(fit, name):
    program = jax.jit(jax.vmap(lambda d: numbers(METHODS[name](jax.random.key(3), d))))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9),
        fit(name),
        program(cases()),
    )


@pytest.mark.parametrize("name", CHOSEN)
def test_single_precision_stays_single(name):
    data = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), strong(0))
    shapes = jax.eval_shape(lambda d: METHODS[name](jax.random.key(3), d), data)
    parts = (shapes.effects, shapes.standard_errors, shapes.intervals, shapes.mediators)
    for leaf in jax.tree.leaves(parts):
        assert leaf.dtype in (jnp.float32, jnp.int32)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(48, 1), (30, 45)])
@pytest.mark.parametrize("name", METHODS)
def test_one_mediator_and_more_than_rows(name, shape):
    data = strong(4, *shape)
    found = jax.jit(lambda d: numbers(METHODS[name](jax.random.key(3), d)))(data)
    direct, indirect, total = triple(found["effects"])
    if name == "ols" and shape[1] > shape[0]:
        assert int(found["status"]) >= st.FIRST_FATAL and np.isnan([direct, indirect]).all()
        base = np.column_stack([np.ones(shape[0]), data.exposure, data.covariates])
        alone = np.linalg.lstsq(base, data.outcome, rcond=None)[0][1]
        assert total == pytest.approx(alone, rel=1e-9)  # no mediator takes part in it
        return
    assert int(found["status"]) < st.FIRST_FATAL
    assert total == pytest.approx(direct + indirect, abs=1e-9)
    if shape[1] == 1 and name not in ("pathway_lasso",):
        base = np.column_stack([np.ones(48), data.exposure, data.covariates])
        alpha = np.linalg.lstsq(base, data.mediators[:, 0], rcond=None)[0][1]
        both = np.column_stack([base, data.mediators])
        beta = np.linalg.lstsq(both, data.outcome, rcond=None)[0][-1]
        assert indirect == pytest.approx(alpha * beta, rel=0.05)


REFERENCES = {
    "hima_hdmed": estimators.hima(compat="r", flavor="hdmed"),
    "hdma": estimators.hdma(compat="r", folds=3),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_release_that_stops_is_said_to_stop(name):
    """Both stop where there is exactly one covariate."""
    data = strong(0)
    single = MediationData(data.exposure, data.mediators, data.outcome, data.covariates[:, :1])
    with pytest.raises(ReferenceWouldStop, match="covariate"):
        jax.eval_shape(lambda d: REFERENCES[name](jax.random.key(0), d), single)
