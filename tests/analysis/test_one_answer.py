"""One call answers: the first paragraph on real and simulated tables, one total effect in all."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed.reports.paragraph import first_paragraph

FAST = {"key": 1, "permutations": 0, "folds": 0, "replicates": 100}


def paragraph(result):
    return " ".join(first_paragraph(result.record))


def least_squares(outcome, *columns):
    """Coefficients of `numpy.linalg.lstsq` with an intercept, which is left out."""
    design = np.column_stack([np.ones(len(outcome)), *columns])
    return np.linalg.lstsq(design, outcome, rcond=None)[0][1:]


def test_proteome_of_more_proteins_than_patients(dual):
    text = paragraph(dual)
    assert "is -0.365 [-0.555, -0.175]" in text
    effects = dual.effects
    share = effects["total_indirect"]["estimate"] / effects["total_effect"]["estimate"]
    assert f"{100 * share:.0f}%" in text and "The estimator is Double selection, robust." in text
    assert "the downward composite (with the total) carries" in text
    holds = effects["total_indirect"]["lower"] < 0 < effects["total_indirect"]["upper"]
    assert holds == ("The interval of the total indirect effect holds zero" in text)
    assert dual.methods == ("double_selection_zz",)


def test_proteome_of_fewer_proteins_than_patients(primal):
    text = paragraph(primal)
    assert "is -0.365 [-0.555, -0.175]" in text and "44% [" in text
    assert "OLS, all mediators" in text and "Double selection, robust" in text
    assert "the downward composite (with the total) carries" in text
    assert primal.methods == ("ols", "double_selection_zz")
    by = primal.effects.where(quantity="total_indirect")
    assert [row["method"] for row in by] == ["ols", "double_selection_zz"]
    assert [row["of_record"] for row in by] == [True, False]


def test_parts_of_every_estimator_add_up(dual, primal):
    for result in (dual, primal):
        total = result.effects["total_effect"]["estimate"]
        for method in result.methods:
            rows = result.effects.where(method=method)
            parts = [rows[q]["estimate"] for q in ("direct_effect", "total_indirect")]
            assert sum(parts) == pytest.approx(total, rel=1e-9)
            assert rows["proportion_mediated"]["estimate"] == pytest.approx(parts[1] / total)


def test_single_mediators_are_joint_where_the_estimator_has_them(dual):
    assert not any(name.startswith("joint_") for name in dual.record.mediators)
    data = problem(np.random.default_rng(2), 60, 16, 1)
    own = {"own": jaxmed.estimators.ols(basis="given", level=0.95)}
    found = jaxmed.mediate(data, effects=own, **FAST, basis="linear")
    columns = found.record.mediators
    indirect = found.effects.where(method="own")["total_indirect"]["estimate"]
    assert columns["joint_indirect"].sum() == pytest.approx(indirect, rel=1e-9)
    joint = least_squares(data.outcome, data.mediators, data.exposure, data.covariates)[:16]
    np.testing.assert_allclose(columns["joint_beta"], joint, rtol=1e-8)
    assert found.methods == ("own",) and found.reason == "asked for by name"


@pytest.mark.slow
def test_the_estimator_of_record_is_that_of_compare():
    data = problem(np.random.default_rng(2), 60, 16, 1)
    result = jaxmed.mediate(data, effects="double_selection_zz", **FAST, basis="linear")
    row = jaxmed.compare(data, ["double_selection_zz"], key=1, basis="linear").rows[0]
    own = result.effects.where(method="double_selection_zz")
    for quantity, part in (("direct_effect", "direct"), ("total_indirect", "indirect")):
        for field, column in (("estimate", part), ("lower", f"{part}_lower")):
            assert own[quantity][field] == pytest.approx(row[column], rel=1e-9)


def published_shape(seed=4):
    """85 rows, 11 mediators, 8 covariates: the shape of a published data set."""
    rng = np.random.default_rng(seed)
    covariates = rng.normal(size=(85, 8))
    covariates[:, :3] = rng.integers(0, 2, (85, 3))
    exposure = rng.normal(size=85) + covariates[:, 0]
    mediators = rng.normal(size=(85, 11)) + 0.4 * exposure[:, None]
    outcome = mediators[:, 0] + 0.3 * exposure + covariates @ rng.normal(size=8)
    return jaxmed.mediation_data(exposure, mediators, outcome + rng.normal(size=85), covariates)


@pytest.mark.parametrize("effects", ["ols", pytest.param("auto", marks=pytest.mark.slow)])
def test_a_table_of_many_covariates_answers_and_says_the_linear_answer(effects):
    data = published_shape()
    result = jaxmed.mediate(data, effects=effects, **FAST)
    own = [result.effects[q] for q in ("total_effect", "direct_effect", "total_indirect")]
    assert all(np.isfinite([row["estimate"], row["lower"], row["upper"]]).all() for row in own)
    design = result.record.document["design"]
    direct = least_squares(data.outcome, data.exposure, data.mediators, data.covariates)[0]
    total = least_squares(data.outcome, data.exposure, data.covariates)[0]
    linear = design["linear"]
    assert linear is not None, "the basis of these rows is richer than linear"
    for part, value in (("direct", direct), ("total", total), ("indirect", total - direct)):
        assert linear[part]["estimate"] == pytest.approx(value, rel=1e-8), part
    assert "with linear covariates" in " ".join(result.summary().split())


def test_labels_and_screening_are_in_the_record():
    data = published_shape()
    labels = {"m1": "ALB", "m2": ""}
    data = dataclasses.replace(
        data, names=dataclasses.replace(data.names, mediators=tuple(f"m{i}" for i in range(1, 12)))
    )
    result = jaxmed.mediate(data, labels=labels, screened="both", effects=(), **FAST)
    assert list(result.record.mediators["label"])[:3] == ["ALB", "m2", "m3"]
    assert result.mediators["m1"]["label"] == "ALB"
    assert result.threats["SCREENED_UNKNOWN"]["severity"] == "warn"
    assert result.record.document["settings"]["screened"] == "both"
    assert result.methods == ()


def test_mediate_is_no_part_of_a_program():
    data = published_shape()
    with pytest.raises(ValueError, match="runs on the host.*jaxmed.estimators"):
        jax.jit(jaxmed.mediate, static_argnames="key")(data, key=1)


def test_an_estimator_as_the_second_argument_is_told_where_it_goes():
    data = published_shape()
    for given in (jaxmed.estimators.ols(), {"mine": "ols"}, [jaxmed.estimators.ols()]):
        with pytest.raises(ValueError, match="give estimators by effects="):
            jaxmed.mediate(data, given, key=1)


def test_labels_of_estimators_stay_apart_from_least_squares():
    data = problem(np.random.default_rng(2), 60, 16, 1)
    settings = {**FAST, "basis": "linear"}
    found = jaxmed.mediate(data, effects={"a": "ols"}, **settings)
    assert found.methods == ("a",)
    rows = found.effects.where(quantity="total_indirect")
    assert [(row["method"], row["of_record"]) for row in rows] == [("a", True)]
    own = jaxmed.mediate(data, effects=jaxmed.estimators.ols(level=0.95), **settings)
    rows = own.effects.where(quantity="total_indirect")
    assert [(row["method"], row["of_record"]) for row in rows] == [("ols", True)]
    with pytest.raises(ValueError, match="is the name of another method"):
        jaxmed.mediate(data, effects={"ols": "hima"}, **settings)
    with pytest.raises(ValueError, match="and no estimator"):
        jaxmed.mediate(data, effects=(), options={"hima": {"n_include": 3}}, **settings)


def log_odds(key, data):
    """An estimator whose effects are log odds, and that says so."""
    found = jaxmed.estimators.ols(level=0.95)(key, data)
    return dataclasses.replace(found, status=jnp.int32(jaxmed.status.LOG_ODDS))


def test_an_estimator_that_says_log_odds_is_on_that_scale():
    data = problem(np.random.default_rng(2), 60, 16, 1)
    data = dataclasses.replace(data, outcome=2 * data.outcome)
    found = jaxmed.mediate(data, effects=log_odds, **FAST, basis="linear")
    rows = found.effects.where(method="log_odds")
    assert {row["unit"] for row in rows} == {"log odds", "share of the total effect"}


def test_streams_refuse_before_they_read(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(rng.normal(size=(40, 5)), columns=["a", "y", "m1", "m2", "m3"])
    frame["y"] = rng.integers(0, 3, 40)
    frame.to_csv(tmp_path / "d.csv", index=False)
    roles = {"exposure": "a", "outcome": "y", "mediators": "m*"}
    rows = jaxmed.stream(tmp_path / "d.csv", **roles)
    codes = [t["code"] for t in jaxmed.mediate(rows, key=1, replicates=100).threats]
    assert "OUTCOME_COUNT" in codes
    monkeypatch.setattr("jaxmed.analysis.streamed.read_moments", None)
    for settings, said in (
        ({"composites": "numerical"}, "need the rows"),
        ({"effects": "ols", "assume": "sparse"}, "assume goes with"),
        ({"labels": {"other": "x"}}, "none of the 3 mediators"),
        ({"folds": 3}, "folds is a setting of analyses of rows"),
    ):
        with pytest.raises(ValueError, match=said):
            jaxmed.mediate(rows, key=1, **settings)
