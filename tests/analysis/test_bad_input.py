"""Bad input: a typed error with the column and the remedy, or a status; never a number."""

import dataclasses

import jax
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed import status as st
from jaxmed.analysis.fit import fit
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import InvalidDataError, ShapeError
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.paths import paths, regime_of
from jaxmed.inference.cosine_test import cosine_test

# Linear covariates: the programs that `fit` has for the same data.
FAST = {
    "key": 0,
    "permutations": 0,
    "folds": 0,
    "replicates": 100,
    "basis": "linear",
    "effects": (),
}
compiled = jax.jit(lambda d: (lambda r: (r, maxie(r)))(paths(d, route="gram")))
cosine_of = jax.jit(lambda d: (lambda r: (r, cosine_test(r)))(paths(d, route="gram")))


def data(n=40, p=4, q=1, seed=0):
    """One size of each regime, 40 x 4 and 20 x 30, where the test does not need another."""
    return problem(np.random.default_rng(seed), n, p, q, scale=0.0)


def repeated_rows():
    """20 rows and 30 mediators, the last three rows equal to the first three."""
    return jax.tree.map(lambda v: np.concatenate([v, v[:3]]), data(n=17, p=30))


def assert_no_number(result, composite, code):
    assert int(result.status) == code
    for value in (result.cosine, composite.indirect, composite.index, *composite.weights):
        assert np.isnan(float(value))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("column", ["exposure", "mediators", "outcome", "covariates"])
def test_nan_and_infinity(column, value):
    bad = data()
    array = getattr(bad, column).copy()
    array.flat[5] = value
    bad = dataclasses.replace(bad, **{column: array})
    with pytest.raises(InvalidDataError, match="holds 1 "):
        jaxmed.mediate(bad, **FAST)
    assert_no_number(*compiled(bad), st.NONFINITE)


def test_constant_exposure():
    bad = dataclasses.replace(data(), exposure=np.full(40, 0.1))
    with pytest.raises(InvalidDataError, match="exposure"):
        jaxmed.mediate(bad, **FAST)
    result, composite = compiled(bad)
    assert_no_number(result, composite, max(st.DEGENERATE_EXPOSURE, int(result.status)))
    assert int(result.status) in (st.DEGENERATE_EXPOSURE, st.RANK_DEFICIENT)


def test_exposure_in_the_span_of_the_covariates():
    good = data()
    bad = dataclasses.replace(good, exposure=3 - 2 * good.covariates[:, 0])
    result = fit(bad)
    assert int(result.paths.status) in (st.DEGENERATE_EXPOSURE, st.RANK_DEFICIENT)
    assert np.isnan(float(result.total.estimate))


@pytest.mark.parametrize("kind", ["constant", "duplicate"])
def test_degenerate_mediators_are_dropped_listed_and_kept_in_the_table(kind):
    bad = data(p=5)
    x = bad.mediators.copy()
    x[:, 2] = 7.3 if kind == "constant" else x[:, 0]
    bad = dataclasses.replace(bad, mediators=x)
    with pytest.warns(UserWarning, match="1 mediators were left out"):
        result = jaxmed.mediate(bad, **FAST)
    table = result.record.mediators
    assert len(table["name"]) == 5
    assert np.isnan(table["weight_maxie_concordant"][2]) and np.isnan(table["alpha"][2])
    assert table["status"][2] == f"{kind.upper()}_MEDIATOR"
    assert [m["name"] for m in result.record.document["data"]["dropped_mediators"]] == ["m3"]
    assert np.isfinite(np.delete(table["weight_maxie_concordant"], 2)).all()
    found, composite = compiled(bad)
    assert int(found.notes) == st.Note.SPAN_ONLY
    less = dataclasses.replace(bad, mediators=np.delete(x, 2, axis=1))
    np.testing.assert_allclose(composite.indirect, compiled(less)[1].indirect, rtol=1e-9)


def test_collinear_mediators_are_computed_on_their_span_and_named():
    bad = data()
    x = bad.mediators.copy()
    x[:, 3] = x[:, 0] + x[:, 1] - 2 * x[:, 2]
    with pytest.warns(UserWarning, match="linear combinations .* m4"):
        result = jaxmed.mediate(dataclasses.replace(bad, mediators=x), **FAST)
    assert any("m4" in warning for warning in result.record.document["warnings"])
    less = jaxmed.mediate(dataclasses.replace(bad, mediators=x[:, :3]), **FAST).record
    for effect in less.document["effects"]:
        own = result.record.effect(effect["quantity"])
        for part in ("estimate", "lower", "upper"):
            np.testing.assert_allclose(own[part], effect[part], rtol=1e-9, atol=1e-9)
    for test in less.document["tests"]:
        np.testing.assert_allclose(
            result.record.test(test["test"])["p_value"], test["p_value"], rtol=1e-9
        )
    # One mediator at a time they are all estimated, as beside another with which none is singular.
    table = result.record.mediators
    x = np.column_stack([bad.mediators[:, 3], x[:, 1:]])
    other = jaxmed.mediate(dataclasses.replace(bad, mediators=x), **FAST).record
    assert other.document["paths"]["status"] == "OK"
    for column in ("alpha", "alpha_se", "beta", "beta_se", "p_value", "indirect_upper"):
        np.testing.assert_allclose(table[column][1:], other.mediators[column][1:], rtol=1e-9)
    assert set(table["status"]) == {"OK"} and np.isfinite(table["weight_maxie_concordant"]).all()
    assert result.summary()


@pytest.mark.parametrize(
    ("n", "p", "exposure"),
    [
        (40, 4, 0),
        (40, 4, 1),
        pytest.param(4000, 4, 0, marks=pytest.mark.slow),
        pytest.param(4000, 4, 1, marks=pytest.mark.slow),
        pytest.param(20, 30, 1, marks=pytest.mark.slow),
    ],
)
def test_a_mediator_made_of_other_columns_has_no_regression(n, p, exposure):
    bad = data(n=n, p=p)
    x = bad.mediators.copy()
    x[:, 2] = 3 - bad.covariates[:, 0] + exposure * bad.exposure
    table = jaxmed.mediate(dataclasses.replace(bad, mediators=x), **FAST).record.mediators
    assert table["status"][2] == "CONSTANT_MEDIATOR"
    for column in ("alpha", "alpha_se", "beta", "beta_se", "p_value", "q_value", "indirect"):
        assert np.isnan(table[column][2])
        assert np.isfinite(np.delete(table[column], 2)).all()


@pytest.mark.slow
def test_a_missing_test_gives_the_graver_reason():
    single = data(p=1)
    failed = jaxmed.mediate(dataclasses.replace(single, mediators=2 * single.covariates), **FAST)
    assert failed.record.document["paths"]["status"] == "CONSTANT_MEDIATOR"
    assert failed.record.test("cosine")["status"] == "CONSTANT_MEDIATOR"
    assert np.isfinite(failed.record.effect("total_effect")["lower"])
    failed = jaxmed.mediate(repeated_rows(), **FAST)
    assert failed.record.document["paths"]["status"] == "RANK_DEFICIENT"
    assert failed.record.test("total_robust")["status"] == "RANK_DEFICIENT"


def test_duplicates_share_weight_in_the_dual():
    good = data(n=20, p=30)
    x = good.mediators.copy()
    x[:, 7] = x[:, 3]
    result = fit(dataclasses.replace(good, mediators=x))
    w = np.asarray(result.composites["maxie_concordant"].weights)
    np.testing.assert_allclose(w[7], w[3], rtol=1e-9)


def test_methods_that_need_a_residual_are_nan_in_the_dual():
    # Beside the closed forms, whose program the other tests have.
    methods = ("maxie", "maxcor", "directions", "numerical")
    result = jaxmed.mediate(data(n=20, p=30), composites=methods, **FAST)
    statuses = [c["status"] for c in result.record.document["composites"]]
    assert statuses == ["RESTRICTED"] * 4 + ["NOT_IN_DUAL"] * 2
    assert np.isnan(result.record.mediators["weight_directions"]).all()
    assert np.isfinite(result.record.test("cosine")["p_value"])


def test_repeated_rows_make_the_dual_singular():
    assert_no_number(*compiled(repeated_rows()), st.RANK_DEFICIENT)


@pytest.mark.parametrize(("n", "p"), [(40, 4), (20, 30)])
def test_outcome_in_the_span_of_exposure_and_covariates(n, p):
    good = data(n=n, p=p)
    bad = dataclasses.replace(good, outcome=2 * good.exposure - good.covariates[:, 0] + 1)
    result = fit(bad)
    assert int(result.paths.status) == st.ZERO_RESIDUAL
    # An effect of exactly 0 without error is no test with p = 1.
    assert np.isnan(float(result.cosine.p_value))
    assert int(result.cosine.status) == st.ZERO_RESIDUAL
    assert np.isnan(float(result.joint.p_value))
    assert float(result.composites["maxie_concordant"].indirect) == 0


def test_outcome_in_the_span_of_everything():
    good = data()
    bad = dataclasses.replace(
        good, outcome=good.exposure + good.mediators @ np.arange(1.0, 5) - good.covariates[:, 0]
    )
    result = fit(bad)
    assert int(result.paths.status) == st.ZERO_RESIDUAL
    assert np.isnan(float(result.joint.p_value)) and int(result.joint.status) == st.ZERO_RESIDUAL
    assert np.isfinite(float(result.cosine.statistic))


@pytest.mark.parametrize(("n", "p", "q"), [(3, 1, 1), (4, 2, 2), (2, 1, 0)])
def test_too_few_rows(n, p, q):
    rng = np.random.default_rng(0)
    bad = MediationData(
        rng.normal(size=n), rng.normal(size=(n, p)), rng.normal(size=n), rng.normal(size=(n, q))
    )
    with pytest.raises(ShapeError):
        jaxmed.mediate(bad, **FAST)


def fit_of(rows):
    result = fit(rows)
    return result.paths, result.cosine


@pytest.mark.parametrize(
    ("p", "answer"),
    [
        *((p, cosine_of) for p in (17, 18)),
        *(pytest.param(p, cosine_of, marks=pytest.mark.slow) for p in (16, 19, 20)),
        *(pytest.param(p, fit_of, marks=pytest.mark.slow) for p in (17, 18)),
    ],
)
def test_the_boundary_between_the_regimes(p, answer):
    """n = 20, q = 1: primal up to p = 17; the degrees of freedom are in the result and positive."""
    found, cosine = answer(data(n=20, p=p))
    assert found.regime == regime_of(20, p, 1) == ("primal" if p <= 17 else "dual")
    assert float(cosine.df) == min(p, 17) - 1
    assert np.isfinite(float(cosine.p_value))


def test_moments_alone_do_not_serve_the_dual():
    with pytest.raises(ValueError, match="pass the MediationData"):
        paths(jaxmed.cross_moments(data(n=20, p=30)))


@pytest.mark.parametrize("scale", [1e150, 1e-150])
def test_extreme_units_in_float64(scale):
    good = data()
    reference = fit(good)
    for column in ("exposure", "mediators", "outcome"):
        other = fit(dataclasses.replace(good, **{column: getattr(good, column) * scale}))
        np.testing.assert_allclose(other.paths.cosine, reference.paths.cosine, rtol=1e-9)
        np.testing.assert_allclose(other.cosine.statistic, reference.cosine.statistic, rtol=1e-9)
        factor = {"exposure": 1 / scale, "mediators": 1, "outcome": scale}[column]
        np.testing.assert_allclose(
            float(other.composites["maxie_concordant"].indirect) / factor,
            reference.composites["maxie_concordant"].indirect,
            rtol=1e-9,
        )


def test_extreme_units_in_float32_are_an_error():
    good = jax.tree.map(lambda v: (v * 1e20).astype(np.float32), data())
    with pytest.raises(InvalidDataError, match="float"):
        jaxmed.mediate(good, **FAST)


def test_all_zero_weights_and_bad_batches_are_a_status():
    """One bad data set of a batch is NaN with its reason; its neighbours are untouched."""
    good = data()
    bad = dataclasses.replace(good, exposure=np.zeros(40))
    batch = jax.tree.map(lambda a, b: np.stack([a, b]), good, bad)
    result = jax.jit(jax.vmap(lambda d: maxie(paths(d, route="gram"))))(batch)
    np.testing.assert_allclose(result.indirect[0], compiled(good)[1].indirect, rtol=1e-10)
    assert np.isnan(float(result.indirect[1]))
    assert int(result.status[1]) >= st.FIRST_FATAL


@pytest.mark.parametrize("folds", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_rows_without_weight_take_no_part(folds):
    """Kept with weight zero or dropped: the same analysis, also where the regime differs."""
    full = data(n=40, p=30)
    present = np.arange(40) % 2 == 0
    weighted = dataclasses.replace(full, weights=present.astype(float))
    dropped = jax.tree.map(lambda v: v[present], full)
    first, second = (
        jaxmed.mediate(d, key=0, permutations=99, folds=folds, replicates=100)
        for d in (weighted, dropped)
    )
    assert first.record.document["paths"]["regime"] == "dual"
    for name in ("cosine", "permutation"):
        assert first.record.test(name)["p_value"] == pytest.approx(
            second.record.test(name)["p_value"], rel=1e-9
        )
    if folds:
        assert first.record.effect("cross_fitted")["estimate"] == pytest.approx(
            second.record.effect("cross_fitted")["estimate"], rel=1e-6
        )
