"""The analyst's call on the bundled proteome: reference numbers, records, scales, refusals."""

import dataclasses
import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem
from proteome import SMALL, proteome
from scipy import stats

import jaxmed
from jaxmed import mediate, registry
from jaxmed.analysis.composites import _open_estimator
from jaxmed.analysis.fit import fit
from jaxmed.data import standardise
from jaxmed.estimators.penalised import family_of

STOCKS = pathlib.Path(__file__).parents[3] / "shared/data/us_stocks_2018/data.csv.gz"


def test_dual_reference_numbers(dual):
    record = dual.record
    paths, cosine = record.document["paths"], record.test("cosine")
    assert record.document["data"]["rows_used"] == 102
    assert (paths["regime"], paths["dimension"]) == ("dual", 99)
    assert round(paths["cosine"], 3) == -0.194
    assert round(cosine["statistic"], 2) == -1.96
    assert cosine["df"] == 98
    assert round(cosine["p_value"], 3) == 0.053
    total = record.effect("total_effect")
    assert round(total["estimate"], 3) == -0.365
    summary = record.document["mediator_summary"]
    assert (summary["q05"], summary["q10"]) == (13, 35)
    table = dual.to_pandas()
    assert (table["alpha_p"] < 0.05).sum() > 55  # 55 pass BH on the first path alone


def test_dual_says_what_does_not_exist(dual):
    record = dual.record
    total = record.effect("total_effect")["estimate"]
    parts = [record.effect(quantity) for quantity in ("direct_effect", "total_indirect")]
    assert [part["method"] for part in parts] == ["double_selection_zz"] * 2
    assert sum(part["estimate"] for part in parts) == pytest.approx(total, rel=1e-10)
    for quantity in ("concordant", "suppression"):
        entry = record.effect(quantity)
        assert math.isnan(entry["estimate"]) and math.isnan(entry["lower"])
        assert entry["status"] == "NOT_IN_DUAL"
        assert "residual sum of squares" in entry["reason"]
    for test in ("corrected_cosine", "joint", "total_robust", "intersection_union"):
        assert record.test(test)["status"] == "NOT_IN_DUAL"
        assert math.isnan(record.test(test)["p_value"])
    cross = record.effect("cross_fitted")
    assert cross["lower"] < cross["estimate"] < cross["upper"]
    assert 0 < record.test("permutation")["p_value"] < 0.3
    assert all(c["status"] == "RESTRICTED" for c in record.document["composites"])


@pytest.mark.parametrize(
    ("standardised", "cosine", "statistic"), [(True, -0.194, -1.96), (False, None, -2.38)]
)
def test_standardising_matters_in_the_dual(standardised, cosine, statistic):
    data, _ = proteome("prot_*")
    result = fit(standardise(data)[0] if standardised else data)
    assert round(float(result.cosine.statistic), 2) == statistic
    assert cosine is None or round(float(result.paths.cosine), 3) == cosine


def test_icu_reference_numbers():
    data, _ = proteome("prot_*", outcome="icu")
    result = fit(standardise(data)[0])
    assert round(float(result.paths.cosine), 3) == 0.247
    assert round(float(result.cosine.statistic), 2) == 2.52
    assert round(float(result.cosine.p_value), 3) == 0.013
    statistic = float(result.total.estimate / result.total.standard_error)
    assert round(2 * stats.t.sf(abs(statistic), 102 - 2 - 1), 2) == 0.36


def test_primal_reference_numbers_and_identities(primal):
    record = primal.record
    cosine = record.test("cosine")
    assert round(cosine["cosine"] if "cosine" in cosine else record.document["paths"]["cosine"], 3)
    assert round(record.document["paths"]["cosine"], 3) == -0.138
    assert round(cosine["statistic"], 2) == -0.98
    assert cosine["df"] == 49
    assert round(cosine["p_value"], 2) == 0.33
    effect = {e["quantity"]: e for e in reversed(record.document["effects"])}
    parts = effect["concordant"]["estimate"] + effect["suppression"]["estimate"]
    assert parts == pytest.approx(effect["total_indirect"]["estimate"], rel=1e-10)
    whole = effect["direct_effect"]["estimate"] + effect["total_indirect"]["estimate"]
    assert whole == pytest.approx(effect["total_effect"]["estimate"], rel=1e-10)
    assert effect["concordant"]["naive"] > effect["concordant"]["estimate"]
    for quantity in ("total_effect", "direct_effect", "total_indirect", "concordant"):
        entry = effect[quantity]
        assert entry["status"] == "OK"
        assert entry["lower"] < entry["estimate"] < entry["upper"]
    composites = {c["label"]: c for c in record.document["composites"]}
    assert composites["Reg A~X"]["indirect"] == pytest.approx(
        effect["total_indirect"]["estimate"], rel=1e-9
    )
    largest = composites["MaxIE upward"]["indirect"]
    assert all(c["indirect"] <= largest * (1 + 1e-9) for c in composites.values())


def test_composites_come_in_the_order_asked_for(primal):
    labels = [c["label"] for c in primal.record.document["composites"]]
    assert labels == [
        "MaxIE upward",
        "MaxIE downward",
        "MaxCor upward",
        "MaxCor downward",
        "Reg Y~X",
        "Reg A~X",
        "Directions of mediation",
    ]


@pytest.mark.slow
def test_an_open_method_stands_where_it_was_asked_for():
    data = problem(np.random.default_rng(0), 60, 4, scale=0.0)
    methods = ("reg_exposure", "lasso_exposure", "maxie", "directions", "reg_outcome")
    settings = {"key": 0, "permutations": 99, "replicates": 100, "basis": "linear"}
    result = mediate(data, composites=methods, **settings)
    # Methods that draw from the key change no number of the others.
    alone = mediate(data, composites=("reg_exposure", "maxie", "reg_outcome"), **settings).record
    assert alone.test("permutation") == result.record.test("permutation")
    for quantity in ("concordant", "cross_fitted"):
        assert alone.effect(quantity) == result.record.effect(quantity)
    assert [c["label"] for c in result.record.document["composites"]] == [
        "Reg A~X",
        "Lasso-A",
        "MaxIE upward",
        "MaxIE downward",
        "Directions of mediation",
        "Reg Y~X",
    ]


def test_direct_effect_is_the_regression_on_everything(primal):
    data, _ = proteome(list(primal.record.mediators["name"]))
    design = np.column_stack([np.ones(102), data.covariates, data.exposure, data.mediators])
    beta, rss, _, _ = np.linalg.lstsq(design, data.outcome, rcond=None)
    df = 102 - design.shape[1]
    error = np.sqrt(rss[0] / df * np.linalg.inv(design.T @ design)[2, 2])
    entry = primal.record.effect("direct_effect")
    assert entry["estimate"] == pytest.approx(beta[2], rel=1e-8)
    assert entry["standard_error"] == pytest.approx(error, rel=1e-8)


def test_weights_on_both_scales_give_the_score(primal):
    data, _ = proteome(list(primal.record.mediators["name"]))
    table = primal.record.mediators
    per_unit, per_sd = table["weight_maxie_concordant"], table["weight_per_sd_maxie_concordant"]
    np.testing.assert_allclose(per_sd, per_unit * table["sd"], rtol=1e-10)
    design = np.column_stack([np.ones(102), data.covariates])
    score = data.mediators @ per_unit
    score = score - design @ np.linalg.lstsq(design, score, rcond=None)[0]
    np.testing.assert_allclose(score @ score / (102 - 1 - 1), 1.0, rtol=1e-8)
    np.testing.assert_allclose(primal.record.rows["score_maxie_concordant"], score, atol=1e-8)


def test_single_mediator_columns_are_plain_regressions(primal):
    data, _ = proteome(list(primal.record.mediators["name"]))
    table = primal.record.mediators
    for j in (0, 17, 49):
        first = np.column_stack([np.ones(102), data.covariates, data.exposure])
        alpha, rss, _, _ = np.linalg.lstsq(first, data.mediators[:, j], rcond=None)
        error = np.sqrt(rss[0] / 99 * np.linalg.inv(first.T @ first)[2, 2])
        assert table["alpha"][j] == pytest.approx(alpha[2], rel=1e-8)
        assert table["alpha_se"][j] == pytest.approx(error, rel=1e-8)
        second = np.column_stack([first, data.mediators[:, j]])
        beta, rss, _, _ = np.linalg.lstsq(second, data.outcome, rcond=None)
        error = np.sqrt(rss[0] / 98 * np.linalg.inv(second.T @ second)[3, 3])
        assert table["beta"][j] == pytest.approx(beta[3], rel=1e-8)
        assert table["beta_se"][j] == pytest.approx(error, rel=1e-8)
        assert table["indirect"][j] == pytest.approx(alpha[2] * beta[3], rel=1e-8)
        assert table["indirect_lower"][j] < table["indirect"][j] < table["indirect_upper"][j]


def test_record_is_strict_versioned_json_with_seed(primal):
    document = json.loads(primal.to_json(), parse_constant=lambda c: pytest.fail(c))
    assert (document["schema"], document["schema_version"]) == ("jaxmed.mediate", 3)
    assert document["settings"]["seed"] == 1
    assert document["software"]["precision"] == "float64"
    assert {"jaxmed", "jax", "jaxlib", "numpy", "python"} <= set(document["software"])
    assert document["data"]["source"]["rows_read"] == 127


def test_same_seed_same_record(primal):
    data, source = proteome(list(primal.record.mediators["name"]))
    closed = ("maxie", "maxcor", "reg_outcome", "reg_exposure")
    first, again = (
        mediate(data, composites=closed, key=1, source=source, **SMALL) for _ in range(2)
    )
    assert again.to_json() == first.to_json()
    # Methods that draw from the key change no number of the others.
    for quantity in ("concordant", "cross_fitted"):
        for field in ("estimate", "lower", "upper"):
            value = primal.record.effect(quantity)[field]
            assert first.record.effect(quantity)[field] == pytest.approx(value, rel=1e-12)
    assert first.record.test("permutation") == primal.record.test("permutation")


@pytest.mark.slow
def test_single_mediator_is_the_baron_kenny_product():
    data = problem(np.random.default_rng(0), 80, 1, 1)
    result = mediate(data, key=0, permutations=19, replicates=100, folds=2, basis="linear")
    first = np.column_stack([np.ones(80), data.covariates, data.exposure])
    alpha = np.linalg.lstsq(first, data.mediators[:, 0], rcond=None)[0][2]
    second = np.column_stack([first, data.mediators[:, 0]])
    beta = np.linalg.lstsq(second, data.outcome, rcond=None)[0][3]
    estimate = result.record.effect("total_indirect")["estimate"]
    assert estimate == pytest.approx(alpha * beta, rel=1e-12)
    part = max(result.record.document["composites"][:2], key=lambda c: abs(c["indirect"]))
    assert part["indirect"] == pytest.approx(alpha * beta, rel=1e-12)
    assert result.record.test("cosine")["status"] == "NOT_APPLICABLE"
    with pytest.raises(ValueError, match="needs two"):
        jaxmed.cosine_test(result.fit.paths)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(("numerical",), marks=pytest.mark.slow),
        pytest.param(
            ("lasso_exposure", "lasso_outcome", "directions", "numerical"), marks=pytest.mark.slow
        ),
    ],
    ids=["numerical", "all"],
)
def test_every_method_takes_the_route_of_the_fit(more):
    """Under jit the choice of the QR route cannot be made again; it is handed on."""
    # Size and settings are those of the degenerate tables in `test_edges`: the same programs.
    data = problem(np.random.default_rng(0), 60, 4, scale=0.0)
    x = data.mediators.copy()
    x[:, 3] = x[:, 0] + 2e-6 * np.random.default_rng(1).normal(size=60)
    settings = {"key": 0, "permutations": 99, "replicates": 100}
    result = mediate(
        dataclasses.replace(data, mediators=x), composites=("maxie", "maxcor", *more), **settings
    )
    assert result.fit.paths.route == "qr"
    composites = {c["label"]: c for c in result.record.document["composites"]}
    assert {c["status"] for c in composites.values()} == {"OK"}
    assert result.record.effect("cross_fitted")["status"] == "OK"
    largest = composites["MaxIE upward"]["indirect"]
    # Gradients in double precision at cond 1e12; by the Gram route L-BFGS "beats" MaxIE by 3e-6.
    assert composites["L-BFGS"]["indirect"] == pytest.approx(largest, rel=1e-9)


def test_every_method_that_is_a_program_of_its_own_is_given_the_route():
    data = problem(np.random.default_rng(0), 60, 4, scale=0.0)
    family = family_of(data.exposure)
    assert family == family_of(data.outcome)
    for name in set(registry.COMPOSITES) - set(registry.CLOSED):
        given = {"family": family} if name.startswith("lasso") else {}
        for route in ("gram", "qr"):
            expected = getattr(jaxmed.estimators, name)(route=route, **given)
            assert _open_estimator(name, data, route) is expected, name


@pytest.mark.slow
def test_float32_agrees_where_float32_can(primal):
    data, _ = proteome(list(primal.record.mediators["name"]))
    single = jax.tree.map(lambda v: v.astype(np.float32), data)
    result = fit(standardise(single)[0])
    assert result.paths.exposure_path.dtype == jnp.float32
    reference = primal.fit
    np.testing.assert_allclose(result.paths.cosine, reference.paths.cosine, rtol=2e-4)
    np.testing.assert_allclose(result.joint.p_value, reference.joint.p_value, rtol=1e-3)


@pytest.mark.skipif(not STOCKS.exists(), reason="us_stocks_2018 is not shipped (licence unclear)")
def test_stocks_opposing_paths():
    data, _ = jaxmed.from_frame_with_report(
        jaxmed.read_table(STOCKS),
        exposure="high_tech",
        outcome="log_return_2019",
        mediators="fi_*",
        covariates=["log10_market_cap"],
        where="in_sample == 1",
    )
    result = fit(standardise(data)[0])
    assert round(float(result.cosine.statistic), 2) == -0.79
    assert round(float(result.cosine.p_value), 2) == 0.43
    assert float(result.intersection_union.p_value) < 1e-35
    assert round(float(result.joint.p_outcome), 2) == 0.15
    assert round(float(result.composites["maxie_concordant"].indirect), 3) == 0.231
    assert round(float(result.composites["maxie_suppression"].indirect), 3) == -0.262
    estimates = jaxmed.indirect_estimates(result.paths)
    assert round(float(estimates.concordant), 3) == 0.181
    assert round(float(estimates.suppression), 3) == -0.212
    assert round(float(estimates.total), 3) == -0.031


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": -1}, "between 0 and 2"),
        ({"key": 2**32}, "between 0 and 2"),
        ({"key": 1.5}, "integer seed"),
        ({"key": True}, "integer seed"),
        ({"key": jnp.zeros(3)}, "jax.random.key"),
        ({"key": jnp.uint32(7)}, "jax.random.key"),
        ({"key": jax.random.split(jax.random.key(0))}, "pass one of them"),
        ({"key": jax.random.split(jax.random.PRNGKey(0))}, "jax.random.key"),
        ({"level": 1.0}, "level must be"),
        ({"composites": "maxi"}, "no composite 'maxi'.*did you mean maxie"),
        ({"composites": ()}, "no composite named"),
        ({"composites": "hima"}, "no composite 'hima'.*effects=.hima"),
        ({"effects": "himma"}, "no method 'himma'.*did you mean hima"),
        ({"effects": ("ols", "ols")}, "come twice"),
        ({"effects": 3}, "a name, an estimator"),
        ({"options": {"hdma": {"n_include": 9}}}, "not among the methods"),
        ({"effects": "hdma", "options": {"hdma": {"keep": 9}}}, "hdma has no option 'keep'"),
        ({"screened": "yes"}, "screened must be"),
        ({"labels": {"other": "name"}}, "none of the 3 mediators has a label"),
        ({"replicates": 10**13}, "replicates is 10,000,000,000,000.*at most"),
        ({"permutations": 10**13}, "permutations is"),
        ({"folds": 1}, "folds must be"),
        ({"permutations": -1}, "permutations must be"),
        ({"replicates": 5}, "replicates must be"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    settings = {"key": 0} | change
    with pytest.raises(ValueError, match=message):
        mediate(problem(np.random.default_rng(0), 20, 3), **settings)
