"""Train and test: the split, the columns against plain regressions, and honest inference."""

import dataclasses
import json

import jax
import numpy as np
import oracle
import pytest
from problems import problem

from jaxmed import evaluate
from jaxmed.analysis import evaluate as module
from jaxmed.data.validation import InvalidDataError
from jaxmed.estimators.single_score import predict_score
from jaxmed.reports.evaluation import save_evaluation, summary_of_evaluation
from jaxmed.reports.format import number
from jaxmed.statistics.score_ranks import area_under_curve

PARTS = ("train", "test")
METHODS = ("maxie", "maxcor", "reg_exposure", "lasso_outcome")
HALF = {"key": 3, "holdout": 0.5, "basis": "linear"}  # parts of one size share their programs


def rare(n=240, p=8):
    """A 0/1 outcome with one case in eight that the mediators predict."""
    data = problem(np.random.default_rng(5), n, p, 1, signal=1.0)
    score = data.outcome - data.outcome.mean()
    return dataclasses.replace(data, outcome=(score > np.quantile(score, 7 / 8)).astype(float))


@pytest.fixture(scope="module")
def result():
    return evaluate(rare(), METHODS, **HALF)


def test_one_row_per_method_and_part(result):
    rows = [(row["method"], row["part"]) for row in result.rows]
    assert len(rows) == len(set(rows)) == 2 * len(METHODS)
    assert json.loads(result.to_json())["schema"] == "jaxmed.evaluate"
    assert result.to_pandas().shape[0] == 2 * len(METHODS)


def test_split_is_a_partition_by_strata():
    data = rare()
    train, test = module._split(module.jax.random.key(0), data, 0.3, data.covariates.shape[1])
    assert sorted([*train, *test]) == list(range(240))
    assert len(test) == 72
    assert data.outcome[test].sum() == round(0.3 * data.outcome.sum())


def test_test_columns_are_plain_regressions_on_the_test_rows():
    data = rare()
    found = evaluate(data, METHODS, standardise=False, **HALF)
    split = module.jax.random.split(module.jax.random.key(3))[0]
    train, test = module._split(split, data, 0.5, data.covariates.shape[1])
    from jaxmed.geometry.bisector import maxie
    from jaxmed.geometry.paths import paths

    w = np.asarray(jax.jit(lambda d: maxie(paths(d)).weights)(module._rows(data, train)))
    held = module._rows(data, test)
    alpha, _, indirect, index = oracle.effects(held, w)
    row = next(r for r in found.rows if r["method"] == "maxie_concordant" and r["part"] == "test")
    assert row["indirect"] == pytest.approx(indirect, rel=1e-8)
    assert row["index"] == pytest.approx(index, rel=1e-8)
    assert np.sign(row["exposure_correlation"]) == np.sign(alpha)
    assert row["lower"] < row["indirect"] < row["upper"]
    score = held.mediators @ w
    pairs = np.subtract.outer(score[held.outcome == 1], score[held.outcome == 0])
    assert row["auc"] == pytest.approx(np.mean(pairs > 0) + np.mean(pairs == 0) / 2, rel=1e-12)
    assert row["group_means"][-1] > row["group_means"][0]


def test_training_rows_have_no_interval_and_flatter(result):
    by = {(r["method"], r["part"]): r for r in result.rows}
    for method in ("maxie_concordant", "maxcor_concordant"):
        assert np.isnan(by[(method, "train")]["lower"])
    largest = max(r["indirect"] for r in result.rows if r["part"] == "train")
    assert by[("maxie_concordant", "train")]["indirect"] == pytest.approx(largest, rel=1e-9)


def test_an_interrupted_evaluation_goes_on(result, tmp_path, monkeypatch):
    learn, learned = module.composites_of_method, []

    def third_stops(name, *rest):
        if len(learned) == 2:
            raise KeyboardInterrupt
        learned.append(name)
        return learn(name, *rest)

    folder = tmp_path / "partial"
    monkeypatch.setattr(module, "composites_of_method", third_stops)
    with pytest.raises(KeyboardInterrupt):
        evaluate(rare(), METHODS, checkpoint=folder, **HALF)
    assert len(list(folder.iterdir())) == 2
    learned.append("from here on nothing stops")
    said = []
    found = evaluate(rare(), METHODS, checkpoint=folder, resume=True, progress=said.append, **HALF)
    assert learned[3:] == list(METHODS[2:]) and not folder.exists()
    assert repr(found.document) == repr(result.document)
    assert "composite 1 of 4: MaxIE" in said and any("maxie: taken from" in s for s in said)
    learned.clear()
    with pytest.raises(KeyboardInterrupt):
        evaluate(rare(), METHODS, checkpoint=folder, **HALF)
    learned.append("from here on nothing stops")
    with pytest.warns(UserWarning, match="2 finished methods in .* not used"):
        evaluate(rare(), METHODS[:3], checkpoint=folder, resume=True, **HALF)
    assert learned[3:] == list(METHODS[:3]), "closed forms share a program with other methods"


def test_methods_are_composites_by_name(result):
    with pytest.raises(ValueError, match="there is no composite 'ols'.*ols: an estimator"):
        evaluate(rare(), "ols", **HALF)
    with pytest.raises(ValueError, match="composites by name: maxie"):
        evaluate(rare(), [lambda key, data: None], **HALF)
    with pytest.raises(ValueError, match="standardise must be True or False, not 'no'"):
        evaluate(rare(), standardise="no", **HALF)
    labels = {row["method"]: row["label"] for row in result.rows}
    assert labels["maxie_concordant"] == "MaxIE upward" and labels["reg_exposure"] == "Reg A~X"


def test_auc_counts_ties_half():
    outcome = np.array([0, 0, 1, 1, 1])
    score = np.array([1.0, 2, 2, 3, 0])
    assert area_under_curve(score, outcome, np.ones(5)) == pytest.approx((1.5 + 2 + 0) / 6)


def test_auc_and_fifths_of_weighted_rows_are_those_of_repeated_rows():
    rng = np.random.default_rng(7)
    data, score = rare(n=90), np.round(rng.normal(size=90), 1)  # with ties
    times = rng.integers(0, 4, 90)
    weights = times * np.count_nonzero(times) / times.sum()
    auc, groups = predict_score(dataclasses.replace(data, weights=weights), score, 0.1)
    repeated = np.repeat(np.arange(90), times)
    expected = predict_score(module._rows(data, repeated), score[repeated], 0.1)
    assert auc == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(groups, expected[1], rtol=1e-12)
    plain = predict_score(data, score, 0.1)
    assert auc != pytest.approx(plain[0], rel=1e-3)
    ones = predict_score(dataclasses.replace(data, weights=np.ones(90)), score, 0.1)
    jax.tree.map(np.testing.assert_array_equal, plain, ones)
    traced = jax.jit(lambda d, s: predict_score(d, s, 0.1))(
        dataclasses.replace(data, weights=weights), score
    )
    np.testing.assert_allclose(traced[0], auc, rtol=1e-12)
    np.testing.assert_allclose(traced[1], groups, rtol=1e-12)


def test_fifths_hold_a_fifth_of_the_rows_each():
    data = rare(n=60)
    data = dataclasses.replace(data, outcome=np.arange(60.0), exposure=np.zeros(60))
    _, means = predict_score(data, np.arange(60.0), 0.0)
    assert means.tolist() == [5.5, 17.5, 29.5, 41.5, 53.5]


def test_reports(result, tmp_path):
    pytest.importorskip("matplotlib", reason="the figure needs matplotlib")
    text = summary_of_evaluation(result.document)
    assert "test rows" in text and "MaxIE upward" in text
    total = result.document["data"]["total"]
    for part in PARTS:
        assert f"{number(total[part])} of the {'training' if part == 'train' else 'test'}" in text
        rows = [row["total"] for row in result.rows if row["part"] == part]
        np.testing.assert_allclose(rows, total[part], rtol=1e-10)
    assert f"total effect: {number(total['whole']['estimate'])} [" in text
    base = np.column_stack([np.ones(240), rare().exposure, rare().covariates])
    whole = np.linalg.lstsq(base, rare().outcome, rcond=None)[0][1]
    assert total["whole"]["estimate"] == pytest.approx(whole, rel=1e-10)
    written = save_evaluation(result.document, tmp_path)
    assert {p.name for p in written} == {
        "evaluation.json",
        "evaluation.csv",
        "evaluation.png",
        "evaluation.svg",
    }
    assert all(p.stat().st_size > 200 for p in written)


@pytest.mark.parametrize(
    ("holdout", "message"), [(0.0, "between 0 and 1"), (1.2, "between"), (0.02, "at least")]
)
def test_impossible_splits_are_refused(holdout, message):
    with pytest.raises(ValueError, match=message):
        evaluate(rare(), ("maxie",), key=0, holdout=holdout)


def test_bad_data_are_refused():
    data = rare()
    with pytest.raises(InvalidDataError):
        evaluate(dataclasses.replace(data, outcome=data.outcome * np.nan), ("maxie",), key=0)
