"""The study of the generative paper's Table 1: its cells at small shapes, its numbers, its page."""

import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.estimators.oracle import oracle
from jaxmed.estimators.parts.basis import spline_basis
from jaxmed.reports.tidy import table_csv, table_text
from jaxmed.simulate.partially_linear import partially_linear, sample
from jaxmed.studies.generative_mediation import STUDIES, methods, printed, table_1, table_1_report
from jaxmed.studies.registry import find_study, registered
from jaxmed.sweeps.reducers import Measure
from jaxmed.sweeps.sweep import run_cell
from jaxmed.sweeps.task import named_key

pytestmark = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="studies of float64")
FEW = {name: methods.METHODS[name] for name in ("oracle, g known", methods.ORACLE)}


@pytest.fixture(scope="module")
def results():
    """Both settings at 200 rows and 8 mediators, with the oracles alone."""
    found = {}
    for setting in table_1.SETTINGS:
        cell = table_1.cell_of(setting, 200, 8, 60, FEW)
        key = named_key(jax.random.key(1), cell.name)
        found[cell.name] = cell.reducer.finish(run_cell(key, cell))
    return found


def test_study_is_registered_and_lazy():
    assert find_study("generative-mediation/table-1") is STUDIES["generative-mediation/table-1"]
    assert "optimal-composite/table-1" in registered()
    code = (
        "import sys; from jaxmed.studies.registry import registered; "
        "import jaxmed.studies.optimal_composite as o; assert len(o.STUDIES) == 9; "
        "assert len(registered()) >= 10; "
        "families = ('generative_mediation.', 'optimal_composite.'); "
        "assert not [m for m in sys.modules if any(f in m for f in families)]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_cells_of_the_full_study():
    cells = table_1.cells(1.0)
    assert [cell.name for cell in cells] == ["A/n=800/p=500", "B/n=800/p=500"]
    assert all(cell.count >= 100 for cell in cells)
    assert cells[0].task is cells[1].task  # one program
    assert {"Guo", "HIMA", "HIMA, as released", "PLSEM, tensor terms", "OLS, all mediators"} <= set(
        methods.METHODS
    )


@pytest.mark.slow
def test_oracles_are_unbiased_and_cover(results):
    for summary in results.values():
        for name in FEW:
            for effect in table_1_report.EFFECTS:
                error = summary[f"{name}/{effect} error"]
                assert error.count == 60 and abs(error.mean) < 4 * error.standard_error
                covered = summary[f"{name}/{effect} covered"].mean
                assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 60)
                square = summary[f"{name}/{effect} square"]
                assert square.mean == pytest.approx(error.mean**2 + error.sd**2 * 59 / 60)


@pytest.mark.slow
def test_traced_oracle_is_the_oracle():
    @jax.jit
    def both(key):
        model = partially_linear("B", 9)
        data = sample(key, model, 150)
        traced = methods.METHODS[methods.ORACLE](None, methods.Problem(data, model))
        told = oracle((2, 3, 4, 5, 6), lambda x, w: spline_basis(x, w, knots=4, kind="bspline"))(
            None, data
        )
        return traced.effects, told.effects

    traced, told = both(jax.random.key(2))
    for part in ("direct", "indirect"):
        np.testing.assert_allclose(getattr(traced, part), getattr(told, part), rtol=1e-10)


def test_page_shows_every_method_beside_the_printed_numbers(results):
    once = {"device": "cpu", "threads": 1, "rows": [[name, 0.5, 0.01] for name in FEW]}
    section = table_1.report(results, once)[0]
    assert section.table is not None
    rows = section.table.rows
    assert len(rows) == 2 * 2 * (len(FEW) + 1)
    known = [row for row in rows if row["method"] == "oracle, g known"]
    assert all(row["seconds"] == (0.5, 0.01) and row["ratio"][0] < 1.5 for row in known)
    alone = [row for row in rows if row["method"].startswith("GAHMN")]
    assert [row["printed"] for row in alone] == [0.502, 2.72, 0.501, 3.501]
    assert [row["printed_error"] for row in alone] == [0.002, -0.08, 0.001, -0.099]
    assert "coverage_se" in table_csv(section.table).splitlines()[0]
    assert "oracle, spline g" in table_text(section.table)


def test_printed_table_is_complete():
    labels = {"GAHMN", "HIMA", "PLSEM", "Guo"}
    effects = ("direct", "indirect")
    assert set(printed.TABLE_1) == {(s, m, e) for s in "AB" for m in labels for e in effects}
    assert set(methods.PRINTED_AS.values()) <= labels
    assert set(methods.PRINTED_AS) <= set(methods.METHODS)
    for there in printed.TABLE_1.values():
        assert there.lower < there.estimate < there.upper


def test_root_mean_square_and_its_error():
    root, error = table_1_report.root_mean_square(Measure(0.04, 0.004, 0.04, 100, 0))
    assert root == pytest.approx(0.2) and error == pytest.approx(0.01)


def test_no_interval_is_missing_not_a_failure():
    nan = jnp.asarray(jnp.nan)
    found = table_1._interval(table_1.Interval(nan, nan, 0.95, "none"), jnp.asarray(0.5))
    assert np.isnan(found["covered"]) and np.isnan(found["width"])
