"""Size, coverage and rows of the composite inference: designs, scores, pages."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from studies import made_up

from jaxmed.inference import total_indirect_test
from jaxmed.inference.inversion import part_limits, total_limits
from jaxmed.inference.total_indirect import total_draws
from jaxmed.reports.tidy import table_csv, table_text
from jaxmed.studies.composite_inference import STUDIES, coverage, designs, limits, rows, size
from jaxmed.studies.registry import find_study, registered
from jaxmed.sweeps.sweep import run_cell
from jaxmed.sweeps.task import named_key

NAMES = tuple(f"composite-inference/{name}" for name in ("size", "rows", "coverage"))
MODULES = {"size": size, "rows": rows, "coverage": coverage}

pytestmark = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="studies of float64")


def test_studies_are_registered():
    assert tuple(STUDIES) == NAMES and set(NAMES) <= set(registered())
    for name in NAMES:
        assert find_study(name) is STUDIES[name] and STUDIES[name].name == name


def test_designs_are_those_of_the_specification():
    assert len(designs.NULLS) == 16 and len(designs.SETTINGS) == 27 == len(set(designs.SETTINGS))
    assert all(k_a * k_y * cosine == 0 for k_a, k_y, cosine in designs.NULLS)
    worst = {(0.3, 1, 1), (1, 0.3, 1), (0.5, 0.5, 1), (0.5, 2, 1), (0.3, 0.3, 1), (1, 1, 0.5)}
    assert worst <= set(designs.SETTINGS) and (0, 0, 0) in designs.SETTINGS
    assert {(60, 2), (276, 2), (60, 5), (276, 5), (60, 10), (276, 10)} == set(designs.FEW)
    assert len(limits.LIMITS) == 12 == len(set(limits.LIMITS))
    assert designs.label((0.3, 10.0, -0.5)) == ".3 10 -.5"


@functools.cache
def abstract(name):
    return {cell.name: cell for cell in made_up.abstract(lambda: MODULES[name].cells(1.0))}


def test_counts_at_scale_1():
    assert {cell.count for cell in abstract("size").values()} == {30_000}
    assert {cell.count for cell in abstract("rows").values()} == {2500}
    counts = {cell.name.partition("/")[0]: cell.count for cell in abstract("coverage").values()}
    assert counts == {"inversion": 10_000, "bootstrap": 1000, "limits": 1000}


@pytest.mark.parametrize("name", MODULES)
def test_few_programs(name):
    """Cells that differ in their numbers only are one program."""

    def program(cell):
        shapes = [(leaf.shape, leaf.dtype.name) for leaf in jax.tree.leaves(cell.parameters)]
        return cell.task, cell.chunk, tuple(shapes)

    programs = {program(cell) for cell in abstract(name).values()}
    assert len(programs) == {"size": 2, "rows": 1, "coverage": 4}[name]


@pytest.mark.parametrize("name", MODULES)
def test_pages_of_made_up_results(name):
    """Every score that a report asks for is one that a task returns."""
    module = MODULES[name]
    sections = module.STUDY.report(made_up.results(lambda: module.cells(1.0)), {})
    for section in sections:
        assert section.table is not None and section.table.rows
        assert len(table_csv(section.table).splitlines()) == 1 + len(section.table.rows)
        assert table_text(section.table)
    drawn = [section for section in sections if section.figure is not None]
    assert len(drawn) == (0 if name == "rows" else 1)
    for section in drawn:
        assert len(section.figure().axes) == 3


def test_single_mediator_is_tested_as_the_library_does():
    """The scores of one replicate beside the public test of the same data set."""

    @jax.jit
    def both(key):
        laws = designs.laws_at(designs.SINGLE_NULLS, designs.SINGLE[0])
        return size.single_task(key, laws), designs.data_sets(key, laws)

    found, q = both(jax.random.key(3))
    for i in (0, 3):
        test = total_indirect_test(jax.tree.map(lambda leaf, i=i: np.asarray(leaf)[i], q))
        name = designs.label(designs.SINGLE_NULLS[i])
        assert float(found[f"{name}/W"]) == pytest.approx(float(test.p_value), rel=1e-9)
        assert float(found[f"{name}/joint"]) == pytest.approx(float(test.p_value), rel=1e-9)


@pytest.mark.slow
def test_acceptance_is_coverage_of_the_limits():
    """Where the p-value of the truth exceeds .05 the limits hold it, in every data set."""

    @jax.jit
    def both(key):
        laws = designs.laws_at(designs.SETTINGS, (60, 5))
        scores = coverage.accepted_task(key, laws)
        data_key, law_key = jax.random.split(key)
        q = designs.data_sets(data_key, laws)
        draws = total_draws(law_key, jax.tree.map(lambda leaf: leaf[0], q), coverage.DRAWS)

        def found(one):
            parts = part_limits(one, draws, 0.95)
            return total_limits(one, draws, 0.95), parts["concordant"][:2], parts["suppression"][:2]

        return scores, jax.lax.map(found, q), (laws.total_indirect, *laws.maximal_indirect)

    for seed in range(10):
        scores, ends, truths = both(jax.random.key(seed))
        for part, (low, high), truth in zip(
            ("total", "concordant", "suppression"), ends, truths, strict=True
        ):
            p_values = jnp.stack([scores[f"{designs.label(s)}/{part}"] for s in designs.SETTINGS])
            inside = (low <= truth + 1e-6) & (truth <= high + 1e-6)
            np.testing.assert_array_equal(np.asarray(inside), np.asarray(p_values > 0.05))


@functools.cache
def small_rows(wanted):
    cells = made_up.built(lambda: rows.cells(0.02), set(wanted))
    found = {}
    for name, cell in cells.items():
        cell = dataclasses.replace(cell, count=200, chunk=200)
        found[name] = cell.reducer.finish(run_cell(named_key(jax.random.key(1), name), cell))
    return found


@pytest.mark.slow
def test_rows_with_spread_by_exposure():
    """The intersection-union test fails where the mediators' spread follows the exposure."""
    null = rows.ROW_NULLS[2]
    names = tuple(rows.cell_name(d, null) for d in ("Gauss", "sd(M given A) = exp(A/2)"))
    plain, unequal = (small_rows(names)[name] for name in names)
    assert plain["IUT/p_value"].rate < 0.15 and unequal["IUT/p_value"].rate > 0.4


@pytest.mark.parametrize("design", rows.DESIGNS)
def test_rows_are_what_their_design_says(design):
    data = DRAW(jax.random.key(5), made_row(design))
    exposure, mediators = np.asarray(data.exposure), np.asarray(data.mediators)
    assert mediators.shape == (rows.ROWS, rows.MEDIATORS) and np.isfinite(mediators).all()
    if design == "binary exposure":
        assert set(np.unique(exposure)) == {0, 1} and 0.2 < exposure.mean() < 0.4
    assert (set(np.unique(data.outcome)) == {0, 1}) == (design == "Bernoulli outcome")
    own = mediators - np.outer(exposure, made_row(design).alpha)
    spread = {
        "lognormal": (0.5, 1.6),
        "sd(M given A) = exp(A/2)": (1.1, 1.6),
    }.get(design, (0.9, 1.1))
    assert spread[0] < own.std() < spread[1]
    if design == "lognormal":
        assert (own**3).mean() > 2


DRAW = jax.jit(rows.draw)


@functools.cache
def made_row(design):
    return jax.jit(lambda: rows.row_design(design, (1.0, 1.0, 0.0)))()
