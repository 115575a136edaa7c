"""Degenerate tables through the analyses: the right number, or a reason."""

import dataclasses
import json
import math
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed.analysis.effects import effects
from jaxmed.cli import main

CASES = Path(__file__).parent.parent / "cases"
# Folds, splits and permutations of `test_cross_fit_record` too: one program.
FAST = {"key": 0, "permutations": 99, "replicates": 100, "effects": ()}
SIZE = 60, 4, 0  # rows, mediators and covariates of most cases: one size, one set of programs
BOTH = ("total_effect", "direct_effect", "total_indirect")


def read(name, **roles):
    roles = {"exposure": "x", "outcome": "y", "mediators": "m*"} | roles
    return jaxmed.from_frame(CASES / name, **roles)


def mediate(data, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return jaxmed.mediate(data, **FAST | settings).record


def reasons(document):
    """(number, status, notes, reason) of every entry that has a number to show."""
    for entry in document["effects"]:
        yield entry["quantity"], (entry["estimate"], entry["lower"], entry["upper"]), entry
    for entry in document["tests"]:
        yield entry["test"], (entry["p_value"],), entry
    for entry in document["composites"]:
        yield entry["label"], (entry["indirect"], entry["direct"]), entry


def assert_nothing_silent(record):
    """A number that does not exist has a status or a note, and no interval has width 0."""
    for name, numbers, entry in reasons(record.document):
        if any(v is None or math.isnan(v) for v in numbers):
            assert entry["status"] != "OK" or entry["notes"], name
            assert entry["reason"], name
    for entry in record.document["effects"]:
        assert not entry["lower"] == entry["upper"], entry["quantity"]
    table = record.mediators
    silent = np.isnan(table["p_value"]) & (table["status"] == "OK")
    assert not silent.any()


@pytest.fixture(scope="module")
def composition():
    return mediate(read("comp.csv"), basis="linear")


def test_shares_that_sum_to_one(composition):
    """K06: the total effect does not use the mediators, and the others are those of their span."""
    total, direct, indirect = (composition.effect(quantity) for quantity in BOTH)
    np.testing.assert_allclose(
        [total["estimate"], total["lower"], total["upper"]], [1.4740, 1.079, 1.869], atol=6e-4
    )
    np.testing.assert_allclose(
        [direct["estimate"], indirect["estimate"]], [1.5250, -0.0511], atol=6e-5
    )
    assert composition.document["paths"]["notes"] == ["SPAN_ONLY"]
    assert_nothing_silent(composition)


@pytest.mark.slow
def test_whichever_share_is_dropped():
    settings = {"folds": 2, "replicates": 200, "splits": 3, "basis": "linear"}
    composition = mediate(read("comp.csv"), **settings)
    for left in (["m2", "m3", "m4"], ["m1", "m2", "m3"]):
        less = mediate(read("comp.csv", mediators=left), **settings)
        for effect in less.document["effects"]:
            own = composition.effect(effect["quantity"])
            for part in ("estimate", "lower", "upper"):
                np.testing.assert_allclose(own[part], effect[part], rtol=1e-8, atol=1e-12)
        for test in less.document["tests"]:
            own = composition.test(test["test"])["p_value"]
            np.testing.assert_allclose(own, test["p_value"], rtol=1e-9, err_msg=test["test"])


def test_effects_and_mediate_agree_where_a_mediator_is_the_exposure():
    """K06: m3 is the exposure; left out, said, answered."""
    data = read("med_exposure.csv")
    record = mediate(data, basis="linear")
    with pytest.warns(UserWarning, match="m3"):
        jaxmed.mediate(data, basis="linear", **FAST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        row = effects(data, key=0, basis="linear").rows[0]
    for quantity, part, right in zip(
        BOTH, ("total", "direct", "indirect"), (1.4740, 1.0145, 0.4595), strict=True
    ):
        assert record.effect(quantity)["estimate"] == pytest.approx(right, abs=6e-5)
        assert row[part] == pytest.approx(right, abs=6e-5)
    table = record.mediators
    assert table["status"].tolist() == ["OK", "OK", "CONSTANT_MEDIATOR", "OK"]
    assert_nothing_silent(record)


@pytest.mark.parametrize("folds", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_only_mediator_is_the_exposure(folds):
    """Both routes: the total effect, and no direct and indirect effect to tell apart."""
    data = problem(np.random.default_rng(1), 60, 1, scale=0.0)
    data = dataclasses.replace(data, mediators=3 - 2 * data.exposure[:, None])
    record = mediate(data, basis="linear", folds=folds)
    row = effects(data, key=0, basis="linear").rows[0]
    total = record.effect("total_effect")
    assert total["estimate"] == pytest.approx(row["total"], rel=1e-9) and total["status"] == "OK"
    assert row["status"] == record.document["paths"]["status"] == "CONSTANT_MEDIATOR"
    assert math.isnan(row["indirect"]) and math.isnan(row["direct"])
    assert math.isnan(record.effect("direct_effect")["estimate"])
    assert_nothing_silent(record)


@pytest.mark.parametrize("folds", [0, pytest.param(5, marks=pytest.mark.slow)])
def test_exact_outcome(folds):
    """K08: a score computed from the exposure and one mediator."""
    record = mediate(read("exact_outcome.csv"), basis="linear", folds=folds)
    table = record.mediators
    assert table["status"][0] == "ZERO_RESIDUAL" and table["beta_p"][0] == 0
    np.testing.assert_allclose(
        [table["indirect_lower"][0], table["indirect_upper"][0]], [0.415, 0.903], atol=6e-4
    )
    assert table["p_value"][0] == pytest.approx(2e-6, rel=0.1)
    for quantity in ("direct_effect", "total_indirect"):
        assert record.effect(quantity)["status"] == "ZERO_RESIDUAL"
    direct = record.effect("direct_effect")
    assert math.isnan(direct["lower"]) and math.isfinite(direct["estimate"])
    assert_nothing_silent(record)


def test_outcome_that_the_exposure_fits_exactly():
    data = problem(np.random.default_rng(0), *SIZE, scale=0.0)
    data = dataclasses.replace(data, outcome=2 * data.exposure - 3)
    record = mediate(data, basis="linear")
    total, indirect = record.effect("total_effect"), record.effect("total_indirect")
    assert total["estimate"] == pytest.approx(2) and indirect["estimate"] == pytest.approx(0)
    for test in record.document["tests"]:
        assert test["p_value"] is None or not test["p_value"] == 1, test["test"]
    assert_nothing_silent(record)


def test_total_effect_near_zero(tmp_path):
    """K18: no share of what may be nothing, in the files and on the terminal."""
    out = tmp_path / "out"
    arguments = ["--exposure", "x", "--outcome", "y", "--mediators", "m*", "--basis", "linear"]
    path = str(CASES / "total0.csv")
    assert main(["mediate", path, *arguments, "--method", "effects", "--out", str(out)]) == 0
    row = json.loads((out / "effects.json").read_text())["table"][0]
    assert row["proportion_mediated"] is None and "zero" in row["proportion_reason"]
    record = mediate(read("total0.csv"), basis="linear")
    assert all(math.isnan(c["proportion_mediated"]) for c in record.document["composites"])


def test_mediator_made_of_the_exposure_and_another_is_not_identified():
    data = problem(np.random.default_rng(1), 60, 3, scale=0.0)
    mixed = np.c_[data.mediators, data.mediators[:, 0] + data.exposure]
    mixed = dataclasses.replace(data, mediators=mixed)
    record = mediate(mixed, basis="linear")
    assert record.document["paths"]["status"] == "RANK_DEFICIENT"
    assert record.document["paths"]["notes"] == []
    assert not any("span" in sentence for sentence in record.document["warnings"])
    row = effects(mixed, key=0, basis="linear").rows[0]
    total = record.effect("total_effect")["estimate"]
    assert row["total"] == pytest.approx(total, rel=1e-9) and math.isfinite(row["total_lower"])
    assert math.isnan(row["direct"]) and row["status"] == "RANK_DEFICIENT"
    assert math.isfinite(record.effect("total_effect")["lower"])
    assert math.isnan(record.effect("direct_effect")["estimate"])
    assert_nothing_silent(record)


def test_order_and_units_of_the_table_change_nothing():
    """K13: every number of the record, permutations and folds included."""
    data = read("base.csv")
    order = np.random.default_rng(3).permutation(60)
    first = mediate(data)
    shuffled = dataclasses.replace(
        jax.tree.map(lambda v: v[order], data), outcome=100 * data.outcome[order]
    )
    second = mediate(shuffled)
    for effect in first.document["effects"]:
        own = second.effect(effect["quantity"])
        unit = 1 if effect["quantity"] == "proportion_mediated" else 100
        for part in ("estimate", "lower", "upper"):
            np.testing.assert_allclose(own[part], unit * effect[part], rtol=1e-7)
    for test in first.document["tests"]:
        np.testing.assert_allclose(second.test(test["test"])["p_value"], test["p_value"], rtol=1e-7)


@pytest.mark.slow
def test_compare_does_not_see_the_order_of_the_table():
    data = read("base.csv")
    order = np.random.default_rng(4).permutation(60)
    tables = [
        jaxmed.compare(d, ["double_selection_zz"], key=1, bootstrap=0)
        for d in (data, jax.tree.map(lambda v: v[order], data))
    ]
    for part in ("direct", "indirect", "total"):  # resamples: `test_compare`
        first, second = (t["double_selection_zz"][part] for t in tables)
        assert first == pytest.approx(second, rel=1e-9)


@pytest.mark.parametrize("unit", [1e-155, 1e155])
def test_any_unit_of_the_outcome(unit):
    data = problem(np.random.default_rng(2), *SIZE, scale=0.0)
    first = mediate(data, basis="linear")
    second = mediate(dataclasses.replace(data, outcome=data.outcome * unit), basis="linear")
    for effect in first.document["effects"]:
        own = second.effect(effect["quantity"])
        scale = 1 if effect["quantity"] == "proportion_mediated" else unit
        for part in ("estimate", "lower", "upper", "standard_error"):
            np.testing.assert_allclose(own[part] / scale, effect[part], rtol=1e-6)
    for test in first.document["tests"]:
        np.testing.assert_allclose(second.test(test["test"])["p_value"], test["p_value"], rtol=1e-6)
    np.testing.assert_allclose(second.mediators["beta"] / unit, first.mediators["beta"], rtol=1e-9)
    norms = [r.document["paths"]["outcome_norm"] for r in (first, second)]
    assert norms[1] / unit == pytest.approx(norms[0], rel=1e-9)
    same, other = (
        jaxmed.evaluate(d, ("maxie", "maxcor"), key=0, basis="linear", holdout=0.5).rows
        for d in (data, dataclasses.replace(data, outcome=data.outcome * unit))
    )
    for a, b in zip(same, other, strict=True):
        assert b["indirect"] / unit == pytest.approx(a["indirect"], rel=1e-9)
        assert a["proportion_mediated"] == pytest.approx(
            b["proportion_mediated"], rel=1e-9, nan_ok=True
        )


@pytest.mark.slow
def test_shares_and_gaps_in_any_unit():
    data = problem(np.random.default_rng(2), *SIZE, scale=0.0)
    shares = []
    for unit in (1, 1e-155, 1e10):
        other = dataclasses.replace(data, outcome=data.outcome * unit)
        table = jaxmed.compare(other, ["ols", "hilma"], key=0, bootstrap=0, basis="linear")
        shares.append([table["ols"][f"proportion_{part}"] for part in ("lower", "upper")])
        assert table["hilma"]["status"] == "OK"
    np.testing.assert_allclose(shares[1:], [shares[0]] * 2, rtol=1e-9)
    assert np.isfinite(shares).all()


def test_mediators_in_any_unit():
    data = problem(np.random.default_rng(2), *SIZE, scale=0.0)
    first = effects(data, key=0, basis="linear")
    for unit in (1e-200, 1e160):
        other = dataclasses.replace(data, mediators=data.mediators * unit)
        second = effects(other, key=0, basis="linear")
        assert second.rows[0]["indirect"] == pytest.approx(first.rows[0]["indirect"], rel=1e-9)
        np.testing.assert_allclose(
            second.mediators["alpha"] / unit, first.mediators["alpha"], rtol=1e-9
        )


def test_one_dimension_has_one_direction():
    """Opposed paths of one mediator (and its copies) leave no concordant composite."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=60)
    m = 0.6 * x + rng.normal(size=60)
    y = x - 0.7 * m + rng.normal(size=60)
    for mediators in (m[:, None], np.c_[m, 2 * m - 1, -m]):
        data = jaxmed.mediation_data(x, mediators, y)
        paths = jax.jit(jaxmed.paths)(data)
        maxie = jax.jit(jaxmed.maxie, static_argnames="sign")
        assert float(maxie(paths, sign=1).indirect) == 0
        assert float(maxie(paths, sign=-1).indirect) < -0.1


def test_single_mediator_that_is_the_outcome():
    """No error of beta: the joint test is that of alpha, as in the table."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=60)
    m = 0.4 * x + rng.normal(size=60)
    record = mediate(jaxmed.mediation_data(x, m[:, None], m))
    joint = record.test("joint")
    assert joint["p_value"] == pytest.approx(record.mediators["p_value"][0], rel=1e-9)
    assert record.effect("total_effect")["status"] == "OK"
    assert_nothing_silent(record)
