"""Tables of the GAHMN studies from columns made here, and the firms of Table 3."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxmed import status as st
from jaxmed.studies.gahmn import ablation, firms
from jaxmed.studies.gahmn import table_3 as third
from jaxmed.studies.gahmn.printed import IE, TABLE_3, TRUTH
from jaxmed.studies.gahmn.simulation import COUNTS, cells
from jaxmed.studies.gahmn.simulation_report import paired_ratio, table_1, table_2
from jaxmed.studies.generative_mediation.methods import ORACLE
from jaxmed.studies.registry import registered


@pytest.fixture(scope="module")
def columns():
    """Forty data sets of setting A: the oracle has errors of sd .1, everything else of sd .2."""
    rng = np.random.default_rng(0)
    n, found = 40, {}
    for method, spread in ((ORACLE, 0.1), ("refit", 0.2), ("GAHMN", 0.2)):
        for part in ("direct", "indirect"):
            values = TRUTH["A"][part] + spread * rng.normal(size=n)
            found[f"{method}/{part}"] = values
            found[f"{method}/{part} lower"] = values - 1.96 * spread
            found[f"{method}/{part} upper"] = values + 1.96 * spread
        for k, truth in enumerate(TRUTH["A"]["mediators"]):
            values = truth + 0.1 * rng.normal(size=n)
            found[f"{method}/IE_{k + 1}"] = values
            found[f"{method}/IE_{k + 1} lower"] = values - 0.2
            found[f"{method}/IE_{k + 1} upper"] = values + 0.2
            found[f"{method}/adversarial IE_{k + 1}"] = values + 0.5
        found[f"{method}/status"] = np.zeros(n)
    for part in ("direct", "indirect"):
        found[f"GAHMN/adversarial {part}"] = found[f"GAHMN/{part}"] + 1.0
        found[f"GAHMN/simulation {part} lower"] = np.full(n, 50.0)
        found[f"GAHMN/simulation {part} upper"] = np.full(n, 51.0)
    for name in ("null IE kept", "null a kept", "null b kept", "IE missed", "kept"):
        found[f"GAHMN/{name}"] = np.full(n, 0.25)
    found["GAHMN/training status"] = np.where(np.arange(n) < 3, st.CRITIC_WON, st.OK)
    return found


def test_table_1_from_known_columns(columns):
    effects, selection, mediators = table_1({"improved/A/rho=0.5": columns}, {})
    rows = {(row["effect"], row["method"]): row for row in effects.table.rows}
    reported = rows["DE", "improved, reported"]
    error = columns["GAHMN/direct"] - 0.5
    oracle = columns[f"{ORACLE}/direct"] - 0.5
    assert reported["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    ratio = np.sqrt(np.mean(error**2) / np.mean(oracle**2))
    assert reported["ratio"] == pytest.approx(ratio)
    assert reported["ratio_low"] < ratio < reported["ratio_high"]
    own = rows["TIE", "improved, adversarial"]
    assert own["bias"][0] == pytest.approx(
        1 + np.mean(columns["GAHMN/indirect"]) - TRUTH["A"]["indirect"]
    )
    assert own["coverage"][0] == 0.0 and own["width"][0] == 1.0  # of the simulation interval
    assert "ratio" not in rows["DE", "oracle, spline g"]
    assert rows["DE", "GAHMN, as printed"]["printed"] == 0.502
    (row,) = selection.table.rows
    assert row["status"] == "OK 37, CRITIC_WON 3" and row["null a kept"][0] == 0.25
    third_row = mediators.table.rows[2]
    assert third_row["truth"] == 0.8 and third_row["printed"] == IE["A"][2].estimate
    assert third_row["coverage"][0] == pytest.approx(
        np.mean(np.abs(columns["GAHMN/IE_3"] - 0.8) <= 0.2)
    )


def test_faithful_rows_have_no_reported_interval(columns):
    faithful = {"faithful/B/rho=0.3": columns}
    mediators, _ = table_2(faithful, {})
    assert all("reported" not in row for row in mediators.table.rows)
    effects = table_1(faithful, {})[0]
    labels = {row["method"] for row in effects.table.rows}
    assert "faithful, adversarial" in labels and "faithful, reported" not in labels


def test_paired_ratio_of_equal_errors_is_one():
    errors = np.random.default_rng(1).normal(size=30)
    assert paired_ratio(errors, errors) == (1.0, 1.0, 1.0)
    ratio, low, high = paired_ratio(3 * errors, errors)
    assert ratio == pytest.approx(3) and low == pytest.approx(3) and high == pytest.approx(3)


def test_declared_cells():
    whole = cells(1.0)
    assert len(whole) == 2 * len(COUNTS) and sum(cell.count for cell in whole) == 200
    assert {cell.name.split("/")[2] for cell in cells(0.05)} == {"rho=0.5"}
    assert {"gahmn/table-1", "gahmn/table-2", "gahmn/table-3"} <= set(registered())
    for part in ("direct", "indirect"):
        assert TRUTH["A"][part] > 0
    assert sum(TRUTH["A"]["mediators"]) == pytest.approx(TRUTH["A"]["indirect"])
    assert sum(TRUTH["B"]["mediators"]) == pytest.approx(TRUTH["B"]["indirect"])


def test_ablation_changes_one_ingredient_at_a_time(columns):
    whole = dataclasses.asdict(ablation.VARIANTS[ablation.WHOLE])
    for label, config in ablation.VARIANTS.items():
        changed = {key for key, value in dataclasses.asdict(config).items() if value != whole[key]}
        # Without a warm start the penalty, too, must do its work.
        assert len(changed) == {ablation.WHOLE: 0, "outcome: no warm start": 2}.get(label, 1), label
    assert [cell.name for cell in ablation.cells(1.0)] == list(ablation.VARIANTS)
    assert [(cell.name, cell.count) for cell in ablation.cells(0.05)] == [
        (label, 2) for label in ablation.FEW
    ]

    (section,) = ablation.report({"improved": columns, "outcome: dense critic": columns}, {})
    first, second = section.table.rows
    own = columns["GAHMN/adversarial direct"]
    assert first["direct"][0] == pytest.approx(np.mean(own) - 0.5)
    moved = np.sqrt(np.mean((own - columns["refit/direct"]) ** 2))
    assert first["direct moved"] == pytest.approx(moved) and moved > 0.9
    assert second["status"] == "OK 37, CRITIC_WON 3"


def test_firms_are_what_they_are_said_to_be(monkeypatch, tmp_path):
    data = jax.jit(lambda k: firms.look_alike(k, 4000, 30))(jax.random.key(0))
    alpha, beta = firms.paths_of(30)
    x, t = np.asarray(data.covariates)[:, 0], np.asarray(data.exposure)
    design = np.column_stack([np.ones(4000), x, x**2, np.sin(2 * x), t, np.asarray(data.mediators)])
    found, *_ = np.linalg.lstsq(design, np.asarray(data.outcome), rcond=None)
    np.testing.assert_allclose(found[5:], beta, atol=0.04)
    assert found[4] == pytest.approx(firms.DIRECT, abs=5 * 0.02)
    moved, *_ = np.linalg.lstsq(design[:, :5], np.asarray(data.mediators), rcond=None)
    np.testing.assert_allclose(moved[4], alpha, atol=0.35)
    assert int(np.sum((np.asarray(alpha) * np.asarray(beta)) != 0)) == 3

    monkeypatch.delenv(firms.STOCKS, raising=False)
    assert firms.stocks() is None
    monkeypatch.setenv(firms.STOCKS, str(tmp_path / "no.csv"))
    with pytest.raises(ValueError, match="no file"):
        firms.stocks()


def test_table_3_shows_ours_beside_the_printed_numbers():
    part = {
        "data": "look-alike",
        "n": 10,
        "p": 3,
        "seeds": 2,
        "tuning": "path",
        "truth": {"direct": 0.1, "indirect": 0.02, "active": 1},
        "rows": [
            {
                "method": "GAHMN, reported",
                "direct": 0.1,
                "direct_lower": 0.0,
                "direct_upper": 0.2,
                "indirect": 0.0,
                "indirect_lower": float("nan"),
                "indirect_upper": 0.1,
                "selected": 3,
                "status": 0,
                "printed_as": None,
            },
            {
                "method": "Guo",
                "direct": 0.1,
                "indirect": 0.0,
                "selected": 2,
                "printed_as": "Guo",
                "status": st.EMPTY_SELECTION,
            },
        ],
    }
    table = third._table(part)
    first, second = table.rows
    assert first["printed_direct"] == TABLE_3["GAHMN"][0].estimate
    assert "indirect_lower" not in first
    assert second["printed_selected"] == "not given" and second["ended"] == "EMPTY_SELECTION"
    assert "true direct effect 0.1" in third._text(part)[-1].lower()
