"""One mediator, by Python and by the command line: one effect with one interval, and no parts."""

import dataclasses
import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed import mediate

pandas = pytest.importorskip("pandas", reason="tables are read with pandas")
pytest.importorskip("matplotlib", reason="the report needs matplotlib")

from jaxmed.cli import main  # noqa: E402
from jaxmed.reports import figures  # noqa: E402
from jaxmed.reports.text import summary  # noqa: E402

CASE = Path(__file__).parents[1] / "cases" / "one_mediator.csv"
FAST = {
    "permutations": 99,
    "replicates": 100,
    "folds": 2,
    "effects": (),
}  # as in `test_edges`: one program
pytestmark = pytest.mark.float32
TOLERANCE = 1e-9 if jax.config.jax_enable_x64 else 2e-3


@pytest.fixture(scope="module")
def result():
    data = jaxmed.from_frame(CASE, exposure="x", outcome="y", mediators=["m1"])
    return mediate(data, key=0, **FAST)


def coefficients():
    """alpha, beta and their errors by least squares."""
    table = pandas.read_csv(CASE)
    one = np.ones(len(table))
    found = []
    for response, columns in (("m1", [one, table["x"]]), ("y", [one, table["x"], table["m1"]])):
        design = np.column_stack(columns)
        inverse = np.linalg.inv(design.T @ design)
        b = inverse @ design.T @ table[response]
        rest = table[response] - design @ b
        variance = rest @ rest / (len(table) - design.shape[1])
        found += [b[-1], math.sqrt(variance * inverse[-1, -1])]
    return found


def test_the_numbers_are_those_of_least_squares(result):
    alpha, alpha_se, beta, beta_se = coefficients()
    total = result.record.effect("total_indirect")
    assert total["estimate"] == pytest.approx(alpha * beta, rel=TOLERANCE)
    error = math.hypot(alpha * beta_se, beta * alpha_se)
    assert total["standard_error"] == pytest.approx(error, rel=TOLERANCE)
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 400_000))
    limits = np.quantile((alpha + alpha_se * z[0]) * (beta + beta_se * z[1]), [0.025, 0.975])
    assert (total["lower"], total["upper"]) == pytest.approx(tuple(limits), abs=0.003)
    # Where the mirrored limits had .190 and .787.
    assert (total["lower"], total["upper"]) == pytest.approx((0.248, 0.858), abs=0.002)


def test_one_quantity_has_one_interval(result):
    table = result.record.mediators
    total = result.record.effect("total_indirect")
    for field, column in (
        ("lower", "indirect_lower"),
        ("upper", "indirect_upper"),
        ("estimate", "indirect"),
        ("standard_error", "indirect_se"),
    ):
        assert total[field] == pytest.approx(table[column][0], rel=TOLERANCE)
    assert total["interval"] == "product of normals" and total["reason"] == ""
    for name in ("joint", "intersection_union"):
        assert result.record.test(name)["p_value"] == pytest.approx(table["p_value"][0], rel=1e-3)
    # Nothing is learned, so that held-out rows have the same effect and no interval of their own.
    assert not any("cross_fitted" in e["quantity"] for e in result.record.document["effects"])


def test_parts_say_that_there_are_none(result):
    total = result.record.effect("total_indirect")["estimate"]
    for quantity, value in (("concordant", total), ("suppression", 0.0)):
        entry = result.record.effect(quantity)
        assert entry["estimate"] == pytest.approx(value, rel=1e-6, abs=0)
        assert (entry["status"], entry["notes"]) == ("OK", ["NO_PARTS"])
        assert "single mediator" in entry["reason"]
        assert all(math.isnan(entry[field]) for field in ("lower", "upper", "standard_error"))
    assert {c["direction"] for c in result.record.document["composites"]} == {"concordant"}
    for name in ("cosine", "corrected_cosine", "permutation"):
        assert result.record.test(name)["status"] == "NOT_APPLICABLE"


def test_report_shows_total_direct_and_indirect(result):
    text = summary(result.record)
    effects = text[text.index("Effects, ") : text.index("Tests ")]
    assert "Upward part" not in effects and "Downward part" not in effects
    assert "[0.248, 0.858]" in effects and "in-sample" not in effects
    text = " ".join(text.split())
    assert text.count("[0.248, 0.858]") == 2 and "MaxIE" not in text and "cosine 1" not in text
    assert "Through m1" in text and "offsets" not in text and "1 of 1" not in text
    drawn = figures.all_figures(result.record)
    assert sorted(drawn) == ["alpha_beta", "checks", "decomposition", "scores"]
    labels = [
        t.get_text().strip() for a in drawn["decomposition"].axes for t in a.get_yticklabels()
    ]
    assert labels.count("+ indirect") == 1 and not any("part" in label for label in labels)


def test_negative_effect_is_suppression_alone():
    data = problem(np.random.default_rng(0), 60, 1)  # of the size, and the programs, of CASE
    found = [
        mediate(dataclasses.replace(data, outcome=sign * data.outcome), key=0, **FAST).record
        for sign in (1, -1)
    ]
    totals = [r.effect("total_indirect") for r in found]
    assert totals[0]["estimate"] == pytest.approx(-totals[1]["estimate"], rel=1e-6)
    assert totals[0]["lower"] == pytest.approx(-totals[1]["upper"], rel=1e-3)
    for record, total in zip(found, totals, strict=True):
        kept = "concordant" if total["estimate"] > 0 else "suppression"
        assert {c["direction"] for c in record.document["composites"]} == {kept}
        for composite in record.document["composites"]:
            assert composite["indirect"] == pytest.approx(total["estimate"], rel=1e-6)
        other = "suppression" if kept == "concordant" else "concordant"
        assert record.effect(other)["estimate"] == 0


def test_command_line(tmp_path, capsys):
    command = [
        "mediate",
        str(CASE),
        "--exposure",
        "x",
        "--outcome",
        "y",
        "--mediators",
        "m1",
        "--permutations",
        "99",
        "--folds",
        "2",
        "--replicates",
        "100",
        "--quiet",
        "--out",
        str(tmp_path),
    ]
    assert main(command) == 0
    assert (
        "35% [16%, 57%] of the total effect of x on y runs through m1." in capsys.readouterr().out
    )
    document = json.loads((tmp_path / "result.json").read_text())
    total = next(e for e in document["effects"] if e["quantity"] == "total_indirect")
    part = next(e for e in document["effects"] if e["quantity"] == "suppression")
    assert part["lower"] is None and part["estimate"] == 0 and part["notes"] == ["NO_PARTS"]
    row = pandas.read_csv(tmp_path / "mediators.csv").iloc[0]
    assert total["lower"] == pytest.approx(row["indirect_lower"], rel=TOLERANCE)
    page = (tmp_path / "report.html").read_text()
    assert "every composite is the mediator itself" in page
    assert page.count("Downward part") == 1  # among what does not exist
