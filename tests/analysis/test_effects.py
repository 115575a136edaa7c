"""The default choice of method for direct and indirect effect, and its result."""

import json

import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed import mediate
from jaxmed.analysis import old_calls
from jaxmed.analysis.chosen_effects import choose_effects
from jaxmed.analysis.effects import EffectsResult, effects

PARTS = ("direct", "indirect", "total")


@pytest.mark.parametrize(
    ("n", "p", "q", "assume", "names"),
    [
        (400, 90, 10, "unknown", ("ols",)),
        (400, 90, 10, "sparse", ("ols",)),
        (399, 90, 10, "unknown", ("ols", "double_selection_zz")),
        (399, 90, 10, "dense", ("ols", "double_selection_zz")),
        (399, 90, 10, "sparse", ("double_selection",)),
        (126, 90, 10, "unknown", ("ols", "double_selection_zz")),
        (125, 90, 10, "unknown", ("double_selection_zz",)),
        (125, 90, 10, "dense", ("double_selection_zz",)),
        (50, 900, 10, "sparse", ("double_selection",)),
    ],
)
def test_the_table_of_defaults(n, p, q, assume, names):
    chosen, reason = choose_effects(n, p, q, assume=assume)
    assert chosen == names
    assert f"{n} rows, {p} mediators and {q} columns" in reason


def test_case_weights_count_rows_in_the_choice():
    assert choose_effects(200, 90, 10)[0] == ("ols", "double_selection_zz")
    assert choose_effects(200, 90, 10, np.full(200, 2.0))[0] == ("ols",)


def test_unknown_assumptions_are_refused():
    with pytest.raises(ValueError, match="assume must be one of"):
        choose_effects(100, 5, 1, assume="few")
    data = problem(np.random.default_rng(1), 60, 6, 1)
    with pytest.raises(ValueError, match="assume goes with"):
        mediate(data, effects="ols", key=0, assume="sparse")
    with (
        pytest.warns(DeprecationWarning, match="composites"),
        pytest.raises(ValueError, match="stood alone"),
    ):
        mediate(data, ("maxie", "effects"), key=0)
    with pytest.raises(ValueError, match="no covariate 'age'"):
        effects(data, key=0, covariates_outcome=("age",))
    with pytest.raises(ValueError, match="basis must be"):
        effects(data, key=0, basis="cubic")


@pytest.fixture(scope="module")
def result():
    data = problem(np.random.default_rng(2), 60, 16, 1)
    return data, effects(data, key=3, basis="linear")


def test_two_methods_side_by_side(result):
    _, found = result
    assert isinstance(found, EffectsResult)
    assert found.methods == ("ols", "double_selection_zz")
    for row in found.rows:
        assert abs(row["direct"] + row["indirect"] - row["total"]) < 1e-10
        for part in PARTS:
            assert row[f"{part}_lower"] < row[part] < row[f"{part}_upper"]
    text = " ".join(found.summary().split())
    assert found.reason in text and "a difference of" in text


def test_mediators_and_files(result, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    data, found = result
    frame = found.to_pandas()
    assert frame.shape[0] == 2 * data.mediators.shape[1]
    ols = frame.loc["ols"]
    assert ols["indirect"].sum() == pytest.approx(found["ols"]["indirect"], abs=1e-10)
    found.save(tmp_path)
    document = json.loads((tmp_path / "effects.json").read_text())
    assert document["schema"] == "jaxmed.effects"
    assert document["choice"]["methods"] == ["ols", "double_selection_zz"]
    assert found.reason in (tmp_path / "report.html").read_text()


def test_the_old_call_of_mediate_is_this_result(monkeypatch):
    given = {}
    monkeypatch.setattr(old_calls, "effects", lambda data, **k: given.update(k) or "found")
    data = problem(np.random.default_rng(1), 60, 6, 1)
    for method in ("effects", ("effects",)):
        with pytest.warns(DeprecationWarning, match=r"jaxmed.mediate\(composites\)"):
            assert mediate(data, method, key=3, level=0.9, assume="dense") == "found"
        assert (given["key"], given["level"], given["assume"]) == (3, 0.9, "dense")
    with pytest.warns(DeprecationWarning):
        mediate(data, "effects", key=3)
    assert given["assume"] == "unknown"
    with pytest.raises(ValueError, match="goes with none of effects"):
        mediate(data, "effects", key=3, effects="hima")
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="needs rows"):
        mediate(jaxmed.cross_moments(data), "effects", key=3)
