"""Cross-fitted effects of `mediate`: whatever the order of the rows and the units, and printed."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxmed import mediate
from jaxmed.data.mediation_data import mediation_data
from jaxmed.reports.document import html
from jaxmed.reports.split_spread import split_lines

CASE = Path(__file__).parents[1] / "cases" / "base.csv"
# Size and settings of the degenerate tables in `test_edges`: the same programs.
FAST = {"key": 1, "permutations": 99, "replicates": 100, "basis": "linear", "effects": ()}
FIELDS = ("estimate", "standard_error", "lower", "upper", "split_sd", "split_lower", "split_upper")


def case():
    """60 rows whose one split said .49 [.05, 1.00] or .36 [-.06, .82] by the order of the rows."""
    columns = np.genfromtxt(CASE, delimiter=",", names=True)
    mediators = np.column_stack([columns[f"m{j}"] for j in range(1, 5)])
    return mediation_data(columns["x"], mediators, columns["y"])


@pytest.fixture(scope="module")
def result():
    return mediate(case(), **FAST)


def crossed(found):
    return np.asarray(
        [
            [found.record.effect(quantity)[field] for field in FIELDS]
            for quantity in ("cross_fitted", "cross_fitted_suppression")
        ]
    )


def test_neither_row_order_nor_units_move_the_effect(result):
    data, order = case(), np.random.default_rng(0).permutation(60)
    permuted = mediate(jax.tree.map(lambda v: v[order], data), **FAST)
    np.testing.assert_allclose(crossed(permuted), crossed(result), rtol=1e-9)
    units = dataclasses.replace(
        data,
        exposure=data.exposure * 7,
        mediators=data.mediators * np.asarray([3, 0.1, 1e5, 1.0]),
        outcome=data.outcome * 0.3 + 2,
    )
    scaled = crossed(mediate(units, **FAST))
    np.testing.assert_allclose(scaled * 7 / 0.3, crossed(result), rtol=1e-9)


def test_the_record_holds_the_spread(result):
    document = result.record.document
    assert document["settings"]["splits"] == 10
    entry, fit = result.record.effect("cross_fitted"), result.record
    assert (entry["splits"], entry["splits_used"]) == (10, 10)
    assert entry["split_lower"] < entry["estimate"] < entry["split_upper"]
    assert 0 < entry["split_sd"] < entry["split_upper"] - entry["split_lower"]
    assert entry["lower"] < entry["estimate"] < entry["upper"]
    lines = split_lines(fit)
    assert len(lines) == 2 and "over 10 splits" in lines[0]
    text = " ".join(result.summary().split())
    assert all(line in text for line in lines)
    assert "over 10 splits" in html(fit, {})


def test_lines_say_what_is_missing(result):
    record = result.record
    effects = [dict(entry) for entry in record.document["effects"]]
    for entry in effects:
        if entry["quantity"] == "cross_fitted":
            entry["splits_used"] = 8
        if entry["quantity"] == "cross_fitted_suppression":
            entry |= {"splits": 1, "splits_used": 1, "split_sd": float("nan")}
    other = dataclasses.replace(record, document=record.document | {"effects": effects})
    some, one = split_lines(other)
    assert "8 of 10 splits" in some
    assert "one split" in one and "sd" not in one
    for entry in effects:  # as written before splits were repeated
        for field in [f for f in entry if f.startswith("split")]:
            del entry[field]
    assert split_lines(other) == []


@pytest.mark.parametrize("folds", [0, 5])
def test_settings_out_of_range(folds):
    with pytest.raises(ValueError, match="splits must be at least"):
        mediate(case(), **FAST, folds=folds, splits=-1)
    with pytest.raises(ValueError, match="splits is"):
        mediate(case(), **FAST, folds=folds, splits=10**13)
