"""Many methods on one data set: shared resamples, counted failures, reasons, reports."""

import csv
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed import status as st
from jaxmed.analysis.chosen_methods import Chosen, MethodOptions, choose
from jaxmed.analysis.compare import compare
from jaxmed.data.mediation_data import Names
from jaxmed.data.row_order import in_canonical_order
from jaxmed.estimators.estimate import Effects, Estimate, MediatorEffects, poison
from jaxmed.estimators.parts.reference import stops
from jaxmed.registry import METHODS, Method
from jaxmed.reports.comparison_figure import comparison_figure
from jaxmed.sweeps.shared_resamples import even_chunk, resample_rows
from jaxmed.sweeps.task import named_key
from jaxmed.typing import Interval

N, P, B, SEED = 60, 4, 9, 5
PARTS = ("direct", "indirect", "total")


def least_squares(*, level=0.95, limit=jnp.inf, noise=0.0, select=P):
    """Least squares on all mediators, as small as an estimator can be.

    Fails where the weighted mean of the outcome exceeds `limit`; adds `noise` from its key.
    """
    if isinstance(limit, str):
        raise TypeError("a limit is a number")

    def estimate(key, data):
        one = jnp.ones_like(data.exposure)
        w = one if data.weights is None else data.weights
        base = jnp.column_stack([one, data.exposure, data.covariates])
        full = jnp.column_stack([base, data.mediators])
        first, second = (
            jnp.linalg.solve((w[:, None] * x).T @ x, (w[:, None] * x).T @ data.outcome)
            for x in (base, full)
        )
        code = st.when(jnp.sum(w * data.outcome) / jnp.sum(w) > limit, st.RANK_DEFICIENT)
        shift = noise * jax.random.normal(key) if noise else 0.0
        direct, total = second[1] + shift, first[1]
        effects = poison(Effects(direct, total - direct, total), code)
        error = Effects(*(jnp.full_like(total, 0.1) for _ in PARTS))
        own = [Interval(x - 0.2, x + 0.2, level, "plain") for x in vars(effects).values()]
        p = data.mediators.shape[1]
        alone = [jnp.arange(p, dtype=total.dtype)] * 10
        table = MediatorEffects(*alone, jnp.full(p, st.OK, jnp.int32))
        chosen = jnp.arange(p) < select
        return Estimate(effects, error, Effects(*own), table, chosen, code, None)

    return estimate


def refusing(*, level=0.95):
    raise ValueError("has no use for these data")


def reference(*, level=0.95):
    """A release that stops on any data."""
    inner = least_squares()

    def estimate(key, data):
        code = stops(jnp.sum(data.exposure) > -1e9, "the release divides by zero")
        found = inner(key, data)
        return Estimate(
            poison(found.effects, code),
            found.standard_errors,
            found.intervals,
            found.mediators,
            found.selected,
            code,
            None,
        )

    return estimate


def rows(p=P, n=N, weights=None):
    data = problem(np.random.default_rng(4), n, p, 1, scale=0.3)
    return data if weights is None else dataclasses.replace(data, weights=weights)


LIMIT = float(np.mean(rows().outcome)) + 0.05
LEAST_SQUARES = f"{__name__}:least_squares"
STUBS = (
    Method("plain", "Plain", LEAST_SQUARES, note="of use"),
    Method("copied", "Copied", LEAST_SQUARES, takes_weights=False),
    Method("noisy", "Noisy", LEAST_SQUARES, random=True, settings=(("noise", 1.0),)),
    Method("flaky", "Flaky", LEAST_SQUARES, settings=(("select", 1), ("limit", LIMIT))),
    Method("refusing", "Refusing", f"{__name__}:refusing"),
    Method("reference", "Reference", f"{__name__}:reference"),
    Method("whole", "Whole", LEAST_SQUARES, estimand="composite"),
)


@pytest.fixture(autouse=True, scope="module")
def stubs():
    with pytest.MonkeyPatch.context() as patch:
        for method in STUBS:
            patch.setitem(METHODS, method.name, method)
        yield


@pytest.fixture(scope="module")
def result(stubs):
    names = ["plain", "copied", "noisy", "flaky", "refusing", "reference"]
    with pytest.warns(UserWarning) as told:
        found = compare(rows(), names, key=SEED, bootstrap=B, basis="linear")
    assert {str(w.message) for w in told} == {
        "Refusing: has no use for these data",
        "Reference: the release divides by zero",
    }
    return found


def oracle_draws(weights=None):
    """Effects on copied rows by NumPy, and the mean outcome of each resample."""
    data, draws, means = in_canonical_order(rows(weights=weights)), [], []
    root = np.ones(N) if weights is None else np.sqrt(data.weights)
    base = np.column_stack([np.ones(N), data.exposure, data.covariates])
    full = np.column_stack([base, data.mediators])
    key = named_key(jax.random.key(SEED), "bootstrap")
    for i in range(B):
        picked = np.asarray(resample_rows(jax.random.split(jax.random.fold_in(key, i))[0], N))
        total, direct = (
            np.linalg.lstsq((root[:, None] * x)[picked], (root * data.outcome)[picked], rcond=None)[
                0
            ][1]
            for x in (base, full)
        )
        draws.append([direct, total - direct, total])
        means.append(data.outcome[picked].mean())
    return np.asarray(draws), np.asarray(means)


@pytest.mark.parametrize("method", ["plain", "copied"])
def test_percentile_limits_are_those_of_copied_rows(result, method):
    lower, upper = np.quantile(oracle_draws()[0], [0.025, 0.975], axis=0)
    row = result[method]
    for i, part in enumerate(PARTS):
        assert row[f"{part}_bootstrap_lower"] == pytest.approx(lower[i], rel=1e-8)
        assert row[f"{part}_bootstrap_upper"] == pytest.approx(upper[i], rel=1e-8)
        assert row[f"{part}_upper"] - row[part] == pytest.approx(0.2)
    assert row["resampling"].startswith("row copies" if method == "copied" else "case weights")


def test_resamples_do_not_see_the_order_of_the_table(result):
    order = np.random.default_rng(4).permutation(N)
    shuffled = jax.tree.map(lambda v: v[order], rows())
    again = compare(shuffled, ["plain"], key=SEED, bootstrap=B, basis="linear")["plain"]
    for part in PARTS:
        for field in (part, f"{part}_bootstrap_lower", f"{part}_bootstrap_upper"):
            assert again[field] == pytest.approx(result["plain"][field], rel=1e-9)


def test_failed_resamples_are_counted_by_status_and_left_out(result):
    draws, means = oracle_draws()
    bad = means > np.mean(rows().outcome) + 0.05
    assert 0 < bad.sum() < B
    row = result["flaky"]
    assert row["failed"] == {"RANK_DEFICIENT": bad.sum()}
    assert row["total_bootstrap_upper"] == pytest.approx(np.quantile(draws[~bad, 2], 0.975))
    assert result.table["failed"][3] == f"RANK_DEFICIENT {bad.sum()}"


def test_a_method_that_refuses_has_its_reason_and_stops_no_other(result):
    row = result["refusing"]
    assert row["status"] == "STOPPED" and row["reason"] == "has no use for these data"
    assert np.isnan(row["direct"]) and row["selected"] is None and row["resamples"] == 0
    assert result["reference"]["status"] == "REFERENCE_STOPS"
    assert result["reference"]["reason"] == "the release divides by zero"
    assert np.isfinite(result["plain"]["total"])


def test_another_method_changes_no_number(result):
    alone = compare(rows(), ["noisy"], key=SEED, bootstrap=B, basis="linear", chunk=4)["noisy"]
    timed = ("seconds", "bootstrap_seconds")
    for name, value in alone.items():
        if name not in timed and isinstance(value, float):
            np.testing.assert_allclose(value, result["noisy"][name], rtol=1e-12)
    assert result["noisy"]["direct"] != result["plain"]["direct"]


def test_mediators_are_per_unit_and_those_left_out_have_a_reason():
    data = rows()
    flat = np.column_stack([data.mediators, np.ones(N)])
    data = dataclasses.replace(data, mediators=flat)
    with pytest.warns(UserWarning, match="constant"):
        found = compare(data, ["plain", "flaky"], key=0, bootstrap=0)
    table = found.mediators
    assert list(table["mediator"][: P + 1]) == ["m1", "m2", "m3", "m4", "m5"]
    sd = flat[:, :P].std(axis=0, ddof=1)
    np.testing.assert_allclose(table["alpha"][:P], np.arange(P) * sd, rtol=1e-12)
    np.testing.assert_allclose(table["beta_se"][:P], np.arange(P) / sd, rtol=1e-12)
    np.testing.assert_allclose(table["share"][:P], np.arange(P) / 6, rtol=1e-12)
    assert table["status"][P] == "CONSTANT_MEDIATOR" and np.isnan(table["alpha"][P])
    assert table["selected"].tolist() == [True] * 4 + [False] + [True] + [False] * 4
    assert np.isnan(found["plain"]["direct_bootstrap_lower"])
    assert found["plain"]["resampling"] == "none asked for"


def test_a_composite_has_no_bootstrap_in_the_dual():
    row = compare(rows(p=30, n=20), ["whole"], key=0, bootstrap=3)["whole"]
    assert row["resampling"].startswith("none: with p > n") and row["failed"] == {}
    assert np.isfinite(row["total"]) and np.isnan(row["total_bootstrap_lower"])


def test_configured_estimators_by_label():
    found = compare(rows(), {"one": least_squares(select=1)}, key=jax.random.key(1), bootstrap=2)
    assert found["one"]["selected"] == 1 and found.document["settings"]["seed"] is None
    with pytest.raises(KeyError, match="no method 'two'"):
        found["two"]


def test_methods_of_every_form_together():
    def own(key, data):
        return least_squares(select=2)(key, data)

    mixed = {"few": "flaky", "many": least_squares(), "plain": "plain", "own": own}
    found = compare(rows(), mixed, key=1, basis="linear")
    assert [row["method"] for row in found.rows] == list(mixed)
    assert [row["selected"] for row in found.rows] == [1, P, P, 2]
    assert [row["label"] for row in found.rows] == ["few", "many", "Plain", "own"]
    bare = compare(rows(), own, key=1, basis="linear")
    assert [row["method"] for row in bare.rows] == ["own"]
    assert bare["own"]["total"] == found["own"]["total"]
    nameless = compare(rows(), lambda key, data: own(key, data), key=1, basis="linear")
    assert [row["method"] for row in nameless.rows] == ["<lambda>"]


def test_no_resamples_unless_asked_for_and_the_table_says_how():
    found = compare(rows(), "plain", key=0, basis="linear")
    row = found["plain"]
    assert row["resampling"] == "none asked for" and row["resamples"] == 0
    assert np.isnan(row["total_bootstrap_upper"]) and np.isfinite(row["total_upper"])
    said = "bootstrap=200 in Python, --bootstrap 200 on the command line"
    text = found.summary().replace("\n", " ")
    assert said in text and "Bootstrap interval" not in text


def test_a_table_with_resamples_does_not_say_how_to_get_them(result):
    assert "bootstrap=200" not in result.summary()


def test_warnings_name_the_line_of_the_user():
    data = rows()
    flat = dataclasses.replace(
        data,
        mediators=np.column_stack([data.mediators, np.ones(N)]),
        covariates=np.column_stack([data.covariates, data.covariates]),
    )
    with pytest.warns(UserWarning) as told:
        compare(flat, ["plain", "refusing"], key=0, basis="linear")
    assert len(told) == 3
    assert {each.filename for each in told} == {__file__}


def test_options_reach_their_method_and_the_record():
    options = {"plain": {"select": 2}, "flaky": {"limit": np.inf, "select": np.int64(3)}}
    found = compare(
        rows(), {"one": "plain", "two": "plain", "flaky": "flaky"}, key=0, options=options
    )
    assert [row["selected"] for row in found.rows] == [2, 2, 3]
    recorded = json.loads(found.to_json())["settings"]["options"]
    assert recorded == {"plain": {"select": 2}, "flaky": {"limit": None, "select": 3}}


@pytest.mark.parametrize("how", [jax.jit, lambda f: jax.vmap(f, in_axes=0)])
def test_a_comparison_is_no_program(how):
    batch = jax.tree.map(lambda v: jnp.stack([v, v]), rows())
    for call in (
        lambda data: compare(data, "plain", key=0),
        lambda data: jaxmed.evaluate(data, key=0),
    ):
        with pytest.raises(ValueError, match=r"runs on the host.*estimators\.\*"):
            how(call)(batch)


def test_progress_numbers_the_methods():
    said = []
    compare(rows(), ["plain", "copied"], key=0, bootstrap=2, basis="linear", progress=said.append)
    assert said[0] == "method 1 of 2: Plain" and said[1] == "Plain: 2 resamples"
    assert said[2].startswith("method 2 of 2") and said[2].endswith(": Copied")


def test_case_weights_take_part_in_resamples():
    weights = np.random.default_rng(0).uniform(0.2, 3, N)
    row = compare(rows(weights=weights), ["plain"], key=SEED, bootstrap=B, basis="linear")["plain"]
    lower = np.quantile(oracle_draws(weights)[0], 0.025, axis=0)
    assert row["total_bootstrap_lower"] == pytest.approx(lower[2], rel=1e-8)
    assert row["indirect_bootstrap_lower"] == pytest.approx(lower[1], rel=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ["nope"]}, "choose from"),
        ({"methods": []}, "choose from"),
        ({"methods": ["plain", "plain"]}, "come twice"),
        ({"methods": {}}, "choose from"),
        ({"methods": [3]}, "a name, an estimator"),
        ({"methods": [jaxmed.estimators.ols]}, "makes estimators"),
        ({"methods": {"one": "nope"}}, "choose from"),
        ({"bootstrap": 1}, "bootstrap must be"),
        ({"chunk": 0}, "chunk must be"),
        ({"compat": "R"}, "compat must be"),
        ({"level": 1.0}, "level must be"),
        ({"standardise": 1}, "standardise must be True or False"),
        ({"resume": True}, "checkpoint="),
        ({"methods": [lambda k, d: None, lambda k, d: None]}, "come twice: <lambda>; label"),
        ({"options": {"copied": {}}}, "options for copied, which is not among the methods"),
        (
            {"options": {"plain": {"selekt": 1}}},
            "plain has no option 'selekt'; it has limit,",
        ),
        ({"options": {"plain": {"level": 0.9}}}, "level is one for all methods"),
        ({"options": {"plain": {"limit": "much"}}}, "plain does not take limit='much': a limit"),
        ({"covariates_outcome": ("age",)}, "no covariate 'age'"),
    ],
)
def test_misuse_is_refused(change, message):
    arguments = {"methods": ["plain"], "key": 0, "bootstrap": 2} | change
    with pytest.raises(ValueError, match=message):
        compare(rows(), arguments.pop("methods"), **arguments)


def keeping(*, covariates_mediator=None, covariates_outcome=None, compat="correct"):
    """A factory that shows what it was given."""
    return dict(locals())


def test_separate_covariates_reach_the_method_or_its_row():
    options = MethodOptions(0.9, "r", (), (0,))
    keeping = Chosen("keeping", "Keeping", Method("keeping", "Keeping", f"{__name__}:keeping"))
    made = keeping.make(rows(), options)
    assert made == {"covariates_mediator": (), "covariates_outcome": (0,), "compat": "r"}
    with pytest.raises(ValueError, match="one set of covariates"):
        choose("maxie")[0].make(rows(), options)


def test_released_packages_have_linear_covariates(stubs):
    data = rows()
    curved = np.random.default_rng(1).normal(size=(len(data.exposure), 2))
    data = dataclasses.replace(data, covariates=curved, names=Names())
    kept = compare(data, {"one": least_squares(select=1)}, key=1, bootstrap=0, compat="r")
    assert kept.document["design"]["basis"] == "linear"
    own = compare(data, {"one": least_squares(select=1)}, key=1, bootstrap=0)
    assert own.document["design"]["basis"] != "linear"


def test_registry_makes_every_estimator():
    data = rows()
    for method in choose(list(METHODS)):
        if method.name != "refusing":
            assert callable(method.make(data, MethodOptions(0.9))), method.name
        if method.name not in ("refusing", "meddic"):
            assert callable(method.make(data, MethodOptions(0.9, "r"))), method.name
        assert method.label and method.name.isidentifier()
    with pytest.raises(ValueError, match="no release"):
        choose("meddic")[0].make(data, MethodOptions(0.9, "r"))
    zero_one = dataclasses.replace(data, outcome=(data.outcome > 8).astype(float))
    assert not choose("lasso_outcome")[0].log_odds(zero_one)


def test_chunks_waste_little():
    assert [even_chunk(count) for count in (1, 10, 11, 200)] == [1, 10, 6, 10]
    assert [even_chunk(count, None) for count in (1, 32, 33, 200)] == [1, 32, 17, 29]


def test_saved_files_read_back(result, tmp_path):
    pytest.importorskip("matplotlib")
    pandas = pytest.importorskip("pandas")
    paths = result.save(tmp_path)
    assert {p.name for p in paths} == {
        "compare.csv",
        "compare.json",
        "compare_mediators.csv",
        "compare.png",
        "compare.svg",
        "report.html",
    }
    document = json.loads((tmp_path / "compare.json").read_text())
    assert document["schema"] == "jaxmed.compare" and document["settings"]["seed"] == SEED
    assert document["table"][4]["direct"] is None
    with (tmp_path / "compare.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert [line["method"] for line in lines] == list(result.to_pandas().index)
    assert float(lines[0]["indirect"]) == result["plain"]["indirect"]
    long = pandas.read_csv(tmp_path / "compare_mediators.csv")
    assert len(long) == len(lines) * P == len(result.mediators_to_pandas())
    page = (tmp_path / "report.html").read_text()
    assert "has no use for these data" in page and "<script" not in page
    text = result.summary()
    assert "Plain: of use" in text and "STOPPED" in text and "RANK_DEFICIENT" in text


def test_labels_of_twenty_methods_do_not_overlap(result):
    pytest.importorskip("matplotlib")
    rows = [result["plain"] | {"label": f"A method of some name {i}"} for i in range(20)]
    rows[3] = rows[3] | {"direct_upper": 1e6, "scale": "log odds"}
    figure = comparison_figure(result.document | {"table": rows})
    renderer = figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in figure.axes[0].get_yticklabels()]
    assert len(boxes) == 20
    for upper, lower in zip(boxes, boxes[1:], strict=False):
        assert upper.y0 > lower.y1
    legend = figure.legends[0].get_window_extent(renderer)
    for axes in figure.axes:
        assert legend.y0 > axes.get_tightbbox(renderer).y1
    assert figure.axes[0].get_xlim()[1] < 1e3
    for axes in figure.axes:
        ticks = [t.get_window_extent(renderer) for t in axes.get_xticklabels() if t.get_text()]
        inside = [b for b in ticks if axes.bbox.x0 - 1 <= (b.x0 + b.x1) / 2 <= axes.bbox.x1 + 1]
        assert all(a.x1 < b.x0 for a, b in zip(inside, inside[1:], strict=False))


def test_methods_that_learn_curves_need_the_covariates_themselves():
    options = MethodOptions(raw=None)
    with pytest.raises(ValueError, match="named basis"):
        choose("gahmn")[0].make(rows(), options)
    assert choose("gahmn")[0].make(rows(), MethodOptions(raw=(0,)))
