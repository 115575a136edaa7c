"""Tables 1, 2, 3 and S2: cells at small counts against printed and exact values, and the pages."""

import dataclasses
import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from studies import made_up

from jaxmed.geometry.paths import paths
from jaxmed.reports.sections import TidyTable
from jaxmed.reports.tidy import table_csv, table_text
from jaxmed.simulate.linear_sem import sample
from jaxmed.simulate.sparse_paths import sparse_paths
from jaxmed.studies.optimal_composite import (
    STUDIES,
    columns,
    designs,
    printed,
    table_1,
    table_1_report,
    table_2,
    table_2_report,
    table_2_timings,
    table_3,
    table_3_report,
)
from jaxmed.studies.optimal_composite.numerical_peers import difference_gradient
from jaxmed.sweeps.reducers import Measure, Rate, rate_of
from jaxmed.sweeps.states import Summary
from jaxmed.sweeps.sweep import run_cell
from jaxmed.sweeps.task import named_key

TABLES = ("table-1", "table-s2", "table-2", "table-3")
BOUND = 4  # combined standard errors

pytestmark = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="studies of float64")


def finished(study, wanted, count, methods=None):
    """Results of the cells whose name is wanted, at a count of the test's own.

    With `methods`, only theirs of the methods of each cell's task: columns do not depend on which
    others there are.
    """
    key, found = jax.random.key(study.seed), {}
    for name, cell in made_up.built(lambda: study.cells(0.001), set(wanted)).items():
        cell = dataclasses.replace(cell, count=count, chunk=min(cell.chunk, count))
        if methods is not None:
            chosen = {method: cell.task.estimators[method] for method in methods}
            cell = dataclasses.replace(cell, task=dataclasses.replace(cell.task, estimators=chosen))
        found[name] = cell.reducer.finish(run_cell(named_key(key, name), cell))
    return found


def test_studies_are_named_after_what_they_reproduce():
    for name in TABLES:
        assert STUDIES[f"optimal-composite/{name}"].name == f"optimal-composite/{name}"
    assert "optimal-composite/figure-1" in STUDIES
    assert "optimal-composite/table-9" not in STUDIES
    with pytest.raises(KeyError):
        STUDIES["table-1"]


@pytest.mark.slow  # in every run test_study_is_registered_and_lazy asks for this too
def test_registry_imports_no_study():
    code = (
        "import sys, jaxmed.studies.optimal_composite as o; assert len(o.STUDIES) == 9; "
        "assert not [m for m in sys.modules if 'optimal_composite.' in m]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_printed_numbers_are_complete():
    sizes = [*designs.PRIMAL_SIZES, designs.DUAL_SIZE]
    assert set(printed.TABLE_1) == {(s, n, p) for s in designs.SCENARIOS for n, p in sizes}
    assert len(printed.TABLE_3_TOP) == len(printed.TABLE_3_TOP_UNION) == 15
    assert len(printed.TABLE_3_BOTTOM) == 30
    assert set(printed.CHECK_TOP) == set(printed.TABLE_3_TOP)
    assert set(printed.CHECK_BOTTOM) == set(printed.TABLE_3_BOTTOM)


@pytest.mark.parametrize("shared", [0, 1, 4])
def test_sparse_paths_overlap_as_told(shared):
    draw = jax.jit(lambda key, shared: sparse_paths(key, 20, 4, shared))
    alpha, beta = map(np.asarray, draw(jax.random.key(shared), shared))
    np.testing.assert_allclose([alpha @ alpha, beta @ beta], 1, rtol=1e-12)
    assert np.count_nonzero(alpha) == np.count_nonzero(beta) == 4
    both = (alpha != 0) & (beta != 0)
    assert both.sum() == shared
    ratio = alpha[both] / beta[both]
    np.testing.assert_allclose(ratio, ratio[:1].repeat(shared), rtol=1e-12)
    if shared == 4:
        np.testing.assert_allclose(alpha, beta, rtol=1e-12)


def test_union_test_as_printed_against_its_definition():
    n, p = 60, 5

    @jax.jit
    def drawn():
        data = sample(jax.random.key(0), designs.entry_model(p, (0.3, 0.3), direct=0.25), n)
        return data, columns.printed_intersection_union(paths(data))

    data, found = drawn()
    a, x, y = (np.asarray(v) for v in (data.exposure, data.mediators, data.outcome))
    a, x, y = a - a.mean(), x - x.mean(axis=0), y - y.mean()
    z = x - np.outer(a, a @ x / (a @ a))
    fit = z @ np.linalg.lstsq(z, y, rcond=None)[0]
    f_outcome = (fit @ fit / p) / ((y @ y - fit @ fit) / (n - p - 1))
    fit_a = x @ np.linalg.lstsq(x, a, rcond=None)[0]
    f_exposure = (fit_a @ fit_a / p) / ((a @ a - fit_a @ fit_a) / (n - p - 1))
    expected = max(stats.f.sf(f, p, n - p - 1) for f in (f_outcome, f_exposure))
    np.testing.assert_allclose(found.p_value, expected, rtol=1e-9)


def test_z_scores():
    z = columns.rate_z(rate_of(60, 1000), 0.04, 1000)
    assert z == pytest.approx(0.02 / math.sqrt(0.05 * 0.95 * 2 / 1000))
    assert columns.rate_z(rate_of(0, 100), 0.0, 1000) == 0
    measure = Measure(1.0, 0.03, 0.3, 100, 0)
    assert columns.mean_z(measure, 0.9, 0.2, 25) == pytest.approx(0.1 / 0.05)


def test_gradient_by_differences():
    x = np.array([0.3, -1.2, 2.0])
    found = jax.jit(jax.grad(difference_gradient(lambda v: 3 * jnp.sum(jnp.sin(v)))))(x)
    np.testing.assert_allclose(found, 3 * np.cos(x), atol=1e-6)


def test_cells_of_one_shape_share_a_program():
    programs = {id(cell.task) for cell in made_up.abstract(lambda: table_3.STUDY.cells(0.001))}
    # Top: 3 shapes in one task object and the exact law; bottom: 6 n; permutation: 2 n.
    assert len(programs) == 1 + 1 + 6 + 2
    cells, others = (
        made_up.abstract(lambda study=study: study.cells(0.001))
        for study in (table_1.STUDY, table_1.TABLE_S2)
    )
    assert [c.name for c in cells] == [c.name for c in others]
    assert min(c.count for c in cells) == 20


@pytest.mark.parametrize(
    ("study", "wanted"),
    [
        pytest.param(  # test_small_size_of_table_1_agrees_with_printed asks for them too
            table_1.STUDY,
            {"MaxIE/indirect", "MaxCor/index", "DM (software)/indirect"},
            marks=pytest.mark.slow,
        ),
        (table_2.STUDY, {"MaxIE by L-BFGS, exact gradient/excess", "MaxIE/value"}),
        (table_3.STUDY, {"cosine/p_value", "IUT as printed/p_value"}),
    ],
    ids=["table-1", "table-2", "table-3"],
)
def test_the_first_cell_has_the_columns_of_its_table(study, wanted):
    """By its trace; `finished` runs the cells."""
    first = made_up.abstract(lambda: study.cells(0.001))[0]
    assert wanted <= set(made_up.names(first))


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(("beta-null", "signal-0.2"), marks=pytest.mark.slow),
        pytest.param(tuple(designs.TOP_ROWS), marks=pytest.mark.slow),
    ],
    ids=["two", "all"],
)
def test_exact_law_of_the_top_panel_agrees_with_the_check(rows):
    names = {row: f"top/exact/p=20/{row}" for row in rows}
    found = finished(table_3.STUDY, names.values(), 32_768)
    for row, name in names.items():
        check = printed.CHECK_TOP[20, row]
        assert abs(columns.rate_z(found[name]["cosine/p_value"], check, 10**6)) < BOUND, row
    # The printed column is no correct intersection-union test.
    correct = found[names["beta-null"]]["IUT/p_value"]
    assert columns.rate_z(correct, printed.TABLE_3_TOP_UNION[20, "beta-null"], 1000) > BOUND


@pytest.mark.slow
def test_top_panel_data_exact_and_check_agree():
    levels = ("data", "exact")
    names = {
        (level, row): f"top/{level}/p=20/{row}" for level in levels for row in designs.TOP_ROWS
    }
    data = finished(table_3.STUDY, [names["data", row] for row in designs.TOP_ROWS], 400)
    exact = finished(table_3.STUDY, [names["exact", row] for row in designs.TOP_ROWS], 32_768)
    for row in designs.TOP_ROWS:
        here, there = data[names["data", row]], exact[names["exact", row]]
        for test in columns.QUADRATIC_TESTS:
            # Exact binomial: a rate of .0025 is too far from normal at this count.
            rate, law = here[f"{test}/p_value"], there[f"{test}/p_value"].rate
            hits = round(rate.rate * rate.count)
            assert stats.binomtest(hits, rate.count, law).pvalue > 2 * stats.norm.sf(BOUND), test
        check = printed.CHECK_TOP[20, row]
        assert abs(columns.rate_z(there["cosine/p_value"], check, 10**6)) < BOUND, row
        variant, as_printed = here["IUT as printed/p_value"], printed.TABLE_3_TOP_UNION[20, row]
        assert abs(columns.rate_z(variant, as_printed, 1000)) < BOUND, row
    # The printed column is no correct intersection-union test.
    correct = exact[names["exact", "beta-null"]]["IUT/p_value"]
    assert columns.rate_z(correct, printed.TABLE_3_TOP_UNION[20, "beta-null"], 1000) > BOUND


@pytest.mark.parametrize(
    "rows",
    [
        ("alpha-null", "signal-0.3"),
        pytest.param(tuple(designs.BOTTOM_ROWS), marks=pytest.mark.slow),
    ],
    ids=["two", "all"],
)
def test_bottom_panel_agrees_with_printed_and_check(rows):
    names = {row: f"bottom/data/n=40/{row}" for row in rows}
    found = finished(table_3.STUDY, names.values(), 300)
    for row, name in names.items():
        rate = found[name]["cosine, printed df/p_value"]
        assert abs(columns.rate_z(rate, printed.TABLE_3_BOTTOM[40, row], 1000)) < BOUND, row
        assert abs(columns.rate_z(rate, printed.CHECK_BOTTOM[40, row], 6000)) < BOUND, row
        assert found[name]["cosine/p_value"].rate <= rate.rate  # one df less is more cautious


@pytest.mark.slow
def test_permutation_rejects_where_the_cosine_test_does():
    name = "permutation/n=200/p=20/signal-0.2"
    found = finished(table_3.STUDY, [name], 20)[name]
    assert found["permutation/p_value"].missing == 0
    assert abs(found["permutation/p_value"].rate - found["cosine/p_value"].rate) <= 0.2


@pytest.mark.parametrize("count", [10, pytest.param(40, marks=pytest.mark.slow)])
def test_small_size_of_table_1_agrees_with_printed(count):
    names = [f"{scenario}/n=500/p=20" for scenario in designs.SCENARIOS]
    found = finished(table_1.STUDY, names, count)
    z = table_1_report.agreement(found)
    assert len(z) == 4 + 4 + 4  # MaxIE, MaxCor; in S4 both regressions, and DM twice
    for (cell, composite), value in z.items():
        if not composite.startswith("DM"):  # neither variant is the printed one
            assert abs(value) < BOUND, (cell, composite)
    for summary in found.values():
        effect = {c: summary[f"{c}/indirect"].mean for c in table_1_report.PRINTED_COLUMN}
        index = {c: summary[f"{c}/index"].mean for c in table_1_report.PRINTED_COLUMN}
        assert max(effect, key=effect.__getitem__) == "MaxIE"
        assert max(index, key=index.__getitem__) == "MaxCor"
        # Both are the total indirect effect a'b.
        assert effect["DM (software)"] == pytest.approx(effect["Reg A~X"], rel=1e-9)
        assert summary["MaxIE/indirect"].missing == 0


SEARCHES = ("MaxIE by L-BFGS, exact gradient", "MaxCor by L-BFGS, differences")


@pytest.mark.parametrize(
    ("searches", "methods", "count"),
    [
        # The search that the study has of its own; the other is of an estimator with own tests.
        (SEARCHES[1:], SEARCHES[1:], 2),
        pytest.param(SEARCHES, None, 10, marks=pytest.mark.slow),
    ],
    ids=["one", "all"],
)
def test_objectives_of_table_2_are_equal(searches, methods, count):
    name = "S3/n=500/p=20"
    found = finished(table_2.STUDY, [name], count, methods)
    assert table_2_report.largest_difference(found) < 1e-6
    for way in searches:
        excess = found[name][f"{way}/excess"]
        assert abs(excess.mean) + 3 * excess.sd < 1e-6
        assert excess.missing == 0


class _Anything(dict):
    """A value for every column that a report asks for."""

    def __missing__(self, key):
        return rate_of(5, 100)


def test_page_of_table_3_gives_every_rate_its_error():
    cells = made_up.abstract(lambda: table_3.STUDY.cells(0.001))
    results = {cell.name: Summary(_Anything(), {}, 100) for cell in cells}
    sections = table_3.STUDY.report(results, {})
    assert [len(section.table.rows) for section in sections] == [8, 15, 15, 30, 15, 9]
    for section in sections[1:]:
        checked(section.table)
        for row in section.table.rows:
            bare = {k for k, v in row.items() if not isinstance(v, tuple | str)}
            assert bare <= {"p", "n", "z", "z_data", "z_exact"}
    z = table_3_report.agreement(results)
    assert len(z["bottom, data - printed"]) + len(z["top, data - printed"]) == 45


def test_pages_of_tables_1_and_s2():
    measure = Measure(0.9, 0.02, 0.1, 25, 0)
    results = {}
    for cell in made_up.abstract(lambda: table_1.STUDY.cells(0.001)):
        primal = "p=1000" not in cell.name
        names = [c for c in table_1_report.PRINTED_COLUMN if primal or not c.startswith("DM")]
        values = {f"{c}/{m}": measure for c in names for m in ("indirect", "index")}
        results[cell.name] = Summary(values, {}, 25)
    first, second = table_1.STUDY.report(results, {})
    (alone,) = table_1.TABLE_S2.report(results, {})
    assert alone == second
    assert len(first.table.rows) == len(second.table.rows) == 4 * (3 * 6 + 4)
    checked(first.table)
    checked(second.table)
    z = {row["z"] for row in first.table.rows if "z" in row}
    assert round((0.9 - 0.86) / math.hypot(0.02, 0.19 / math.sqrt(20)), 2) in z
    # What our copy of the paper lacks is left empty.
    lost = [row for row in first.table.rows if row["composite"].startswith("DM")]
    assert all("printed_sd" in row for row in lost)
    assert sum("printed" in row for row in lost) == 4


def test_page_of_table_2():
    measure = Measure(0.9, 0.02, 0.1, 25, 0)
    values = {"MaxIE/value": measure, "MaxIE/excess": Measure(0.0, 0.0, 0.0, 25, 0)}
    timed = {
        "device": "cpu",
        "threads": 1,
        "rows": [[500, 20, "MaxIE", 2.0, 0.2], [500, 20, "MaxIE by SciPy, differences", 8.0, 0.8]],
    }
    values_section, times = table_2.STUDY.report({"S3/n=500/p=20": Summary(values, {}, 25)}, timed)
    assert values_section.table.rows[0]["excess"] == (0.0, 0.0)
    ratio, error = times.table.rows[1]["ratio"]
    assert ratio == 4 and error == pytest.approx(4 * math.hypot(0.1, 0.1))
    assert "ratio" not in times.table.rows[0]
    checked(times.table)


def test_times_are_means_of_repeats():
    mean, error = table_2_timings._time(lambda: None)
    assert 0 < mean < 10 and 0 <= error < 10


@pytest.mark.slow
def test_times_of_the_smallest_size():
    once = table_2.once(jax.random.key(0), 0.05)
    methods = [row[2] for row in once["rows"]]
    assert len(methods) == len(set(methods)) == 12
    assert all(row[3] > 0 for row in once["rows"])


def checked(table: TidyTable):
    """Renders, and has no column without a heading."""
    assert table_text(table) and table_csv(table)
    assert all(set(row) <= set(table.columns) for row in table.rows)


def test_rates_of_the_fake_are_rates():
    assert isinstance(_Anything()["x"], Rate)
