"""Sizes, coverage and widths that the inference specification asks for (its section 7).

The programs and settings are those of the study `composite-inference`, whose full tables stand in
docs/methods.md and docs/intervals.md. Tolerances are 4 Monte Carlo standard errors of the test's
own count; one shape is in every run, the others in make test-slow.
"""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from studies import made_up

from jaxmed.studies.composite_inference import coverage, designs, limits, rows, size
from jaxmed.sweeps.sweep import run_cell
from jaxmed.sweeps.task import named_key

pytestmark = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="studies of float64")

CHUNK = 500
KEY = jax.random.key(18)


def in_every_run(shapes, quick):
    return [shape if shape in quick else pytest.param(shape, marks=SLOW) for shape in shapes]


SLOW = pytest.mark.slow


@functools.cache
def cells_of(module):
    return made_up.built(lambda: module.cells(1.0))


def run(module, name, count):
    cell = cells_of(module)[name]
    cell = dataclasses.replace(cell, count=count, chunk=min(CHUNK, count))
    return cell.reducer.finish(run_cell(named_key(KEY, name), cell))


def slack(rate, count):
    return 4 * np.sqrt(rate * (1 - rate) / count)


QUICK, FULL = 1500, 4000


def sizes(shape):
    """Count and rates at .05 over the 16 nulls, by test."""
    count = QUICK if shape in QUICK_SHAPES else FULL
    found = run(size, designs.shape_name(shape), count)["five"]

    def of(test):
        nulls = designs.nulls_of(shape)
        return np.array([found[f"{designs.label(null)}/{test}"].rate for null in nulls])

    return count, {test: of(test) for test in ("W", "exact law")}


QUICK_SHAPES = ((200, 20),)


@pytest.mark.parametrize("shape", in_every_run(designs.SIZE_SHAPES, QUICK_SHAPES))
def test_size_at_every_null(shape):
    count, found = sizes(shape)
    assert (found["W"] <= 0.054 + slack(0.054, count)).all(), found["W"]
    by_law = found["exact law"]
    assert (by_law <= 0.056 + slack(0.056, count)).all(), by_law
    if shape[1] >= 10:
        assert (by_law >= 0.044 - slack(0.044, count)).all(), by_law


@SLOW
@pytest.mark.parametrize("shape", designs.SINGLE)
def test_size_of_the_single_mediator(shape):
    count, found = sizes(shape)
    assert (found["exact law"] <= 0.05 + slack(0.05, count)).all(), found


# Where percentile intervals of the concordant part cover .78 to .89.
WORST = ((0.3, 1.0, 1.0), (1.0, 0.3, 1.0), (0.3, 0.3, 1.0), (0.5, 0.5, 1.0), (0.5, 2.0, 1.0))
FEWER = 300


@pytest.mark.parametrize("shape", in_every_run(designs.COVERAGE_SHAPES, QUICK_SHAPES))
def test_coverage_at_every_setting(shape):
    count = FEWER if shape in QUICK_SHAPES else 1500
    found = run(coverage, f"inversion/{designs.shape_name(shape)}", count)

    def covered(part, settings=designs.SETTINGS):
        return 1 - np.array([found[f"{designs.label(s)}/{part}"].rate for s in settings])

    total = covered("total")
    assert (total >= 0.938 - slack(0.938, count)).all(), total
    assert (total <= 0.962 + slack(0.962, count)).all(), total
    for part in ("concordant", "suppression"):
        assert (covered(part) >= 0.935 - slack(0.935, count)).all(), (part, covered(part))
        worst = covered(part, WORST)
        assert (worst >= 0.945 - slack(0.945, count)).all(), (part, worst)


@SLOW
@pytest.mark.parametrize("shape", designs.SINGLE)
def test_coverage_of_the_single_mediator(shape):
    count = 4000
    found = run(coverage, f"inversion/{designs.shape_name(shape)}", count)
    for setting in designs.SINGLE_SETTINGS:
        covered = 1 - found[f"{designs.label(setting)}/total"].rate
        assert covered >= 0.938 - slack(0.938, count), (setting, covered)


@SLOW
@pytest.mark.parametrize("shape", [(100, 10), (200, 20), (1000, 500)])
def test_width_where_both_paths_are_active(shape):
    """At kA = kY = 1, c0 = .5 percentile intervals cover as they should: no wider than 1.2."""
    found = run(coverage, limits.limit_cell(shape, (1.0, 1.0, 0.5)), 200)
    for part in ("total", "concordant", "suppression"):
        ours, theirs = (found[f"{m} {part}/width"].mean for m in ("inversion", "percentile"))
        assert ours <= 1.2 * theirs, (part, ours, theirs)
        assert found[f"inversion {part}/covered"].mean >= 0.935 - slack(0.935, 200)


@SLOW
def test_robust_test_where_the_mediators_spread_follows_the_exposure():
    """kA = 0, kY = 1, sd(M given A) = exp(A/2): the exact variance has .11 to .13 here."""
    count = 1200
    name = rows.cell_name("sd(M given A) = exp(A/2)", (0.0, 1.0, 0.0))
    found = run(rows, name, count)
    assert found["W_R/p_value"].rate <= 0.07 + slack(0.07, count)
    assert found["W/p_value"].rate > 0.07 + slack(0.07, count)
