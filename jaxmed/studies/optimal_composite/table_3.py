"""Table 3: size and power of the tests, in the primal (top panel) and the dual (bottom panel)."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxmed.data.mediation_data import MediationData
from jaxmed.geometry.paths import Paths, paths
from jaxmed.inference.cosine_test import cosine_test
from jaxmed.inference.permutation import exposure_permutation_test
from jaxmed.reports.sections import Section
from jaxmed.simulate.linear_sem import LinearSem, law_of, sample, sample_moments, whitened
from jaxmed.studies.optimal_composite.columns import (
    AS_PRINTED,
    QUADRATIC_TESTS,
    p_value_scores,
    printed_intersection_union,
    scaled,
)
from jaxmed.studies.optimal_composite.designs import (
    BOTTOM_ROWS,
    CORRELATION,
    DIRECT,
    TOP_ROWS,
    entry_model,
)
from jaxmed.studies.optimal_composite.table_3_report import report_sections
from jaxmed.studies.study import Study
from jaxmed.sweeps.levels import path_task
from jaxmed.sweeps.reducers import rejection_rate
from jaxmed.sweeps.task import BlockTask, Cell, StudyTask, Task, study_task
from jaxmed.typing import Estimator, Key, pytree

__all__ = ["STUDY"]

TOP_ROWS_COUNT = 200  # n of the top panel
TOP_P = (20, 40, 80)
BOTTOM_P = 200
BOTTOM_N = (40, 60, 80, 100, 120, 140)
DATA_COUNT = 6_000
EXACT_COUNT = 1_000_000
PERMUTATION_COUNT = 1_000
PERMUTATIONS = 199

# Rates need no double precision, and float32 draws and factors cost half as much.
DATA_DTYPE = "float32"

# Settings in which the permutation of the exposure is run too: (panel, n, p, rows).
PERMUTED = (
    ("top", 200, 20, ("beta-null", "alpha-null", "signal-0.2")),
    ("top", 200, 80, ("beta-null", "alpha-null", "signal-0.2")),
    ("bottom", 100, 200, ("beta-null", "alpha-null", "signal-0.5")),
)


@pytree
class Rows:
    """One data set and its paths."""

    data: MediationData
    paths: Paths


def cells(scale: float) -> list[Cell]:
    """Cells of both panels; the top one at the level of data and of the exact law."""
    return [
        *_top_data(scaled(DATA_COUNT, scale)),
        *_top_exact(scaled(EXACT_COUNT, scale, 1000)),
        *_bottom(scaled(DATA_COUNT, scale)),
        *_permuted(scaled(PERMUTATION_COUNT, scale)),
    ]


def report(results: Mapping[str, Any], once: Mapping[str, Any]) -> Sequence[Section]:
    """Sections of the study's page."""
    del once
    return report_sections(results, TOP_P, BOTTOM_N, PERMUTED)


def _top_data(count: int) -> Iterable[Cell]:
    for p in TOP_P:
        for row in TOP_ROWS:
            model = whitened(_top_model(p, row, DATA_DTYPE))
            yield _cell(f"top/data/p={p}/{row}", _primal_task(TOP_ROWS_COUNT), model, count, 100)


def _top_exact(count: int) -> Iterable[Cell]:
    for p in TOP_P:
        for row in TOP_ROWS:
            law = law_of(_top_model(p, row), TOP_ROWS_COUNT)
            yield _cell(f"top/exact/p={p}/{row}", _exact_task(), law, count, 16_384)


def _bottom(count: int) -> Iterable[Cell]:
    for n in BOTTOM_N:
        for row, entries in BOTTOM_ROWS.items():
            model = entry_model(BOTTOM_P, entries, dtype=DATA_DTYPE)
            yield _cell(f"bottom/data/n={n}/{row}", _dual_task(n), model, count, 100)


def _permuted(count: int) -> Iterable[Cell]:
    for panel, n, p, rows in PERMUTED:
        for row in rows:
            if panel == "top":
                model = whitened(_top_model(p, row, DATA_DTYPE))
            else:
                model = entry_model(p, BOTTOM_ROWS[row], dtype=DATA_DTYPE)
            name = f"permutation/n={n}/p={p}/{row}"
            yield _cell(name, _permutation_task(n), model, count, 20)


def _cell(name: str, task: Task | BlockTask, parameters: Any, count: int, chunk: int) -> Cell:
    return Cell(name, task, parameters, count, chunk, reducer=rejection_rate())


def _top_model(p: int, row: str, dtype: str = "float64") -> LinearSem:
    return entry_model(p, TOP_ROWS[row], correlation=CORRELATION, direct=DIRECT, dtype=dtype)


@functools.cache
def _primal_task(num_rows: int) -> StudyTask:
    """Data of `num_rows` rows, as the moments that the primal needs; every test of them."""

    def generator(key: Key, model: LinearSem) -> Paths:
        return paths(sample_moments(key, model, num_rows))

    tests = {**QUADRATIC_TESTS, AS_PRINTED: printed_intersection_union}
    return study_task(
        generator, {name: _of_data(test) for name, test in tests.items()}, p_value_scores
    )


@functools.cache
def _exact_task() -> Task | BlockTask:
    """The exact law: n and p are numbers in it, so that one program serves every cell."""

    def score(quadratics: Any) -> dict[str, Any]:
        return {
            f"{name}/{measure}": value
            for name, test in QUADRATIC_TESTS.items()
            for measure, value in p_value_scores(test(quadratics)).items()
        }

    return path_task("exact", score)


@functools.cache
def _dual_task(num_rows: int) -> StudyTask:
    """Data of `num_rows` rows; the cosine test with exact and with the printed df."""

    def generator(key: Key, model: LinearSem) -> Paths:
        return paths(sample(key, model, num_rows))

    tests: dict[str, Any] = {
        "cosine": lambda key, found: cosine_test(found),
        "cosine, printed df": lambda key, found: cosine_test(found, df="printed"),
    }
    return study_task(generator, tests, p_value_scores)


@functools.cache
def _permutation_task(num_rows: int) -> StudyTask:
    """Data of `num_rows` rows; permutation of the exposure, and the cosine test beside it."""

    def generator(key: Key, model: LinearSem) -> Rows:
        data = sample(key, model, num_rows)
        return Rows(data, paths(data))

    tests: dict[str, Any] = {
        "cosine": lambda key, rows: cosine_test(rows.paths),
        "permutation": lambda key, rows: exposure_permutation_test(
            key, rows.data, PERMUTATIONS, observed=rows.paths
        ),
    }
    return study_task(generator, tests, p_value_scores)


def _of_data(test: Any) -> Estimator:
    return lambda key, data: test(data)


STUDY = Study(
    name="optimal-composite/table-3",
    title="Table 3: size and power of tests of a composite mediator",
    cells=cells,
    report=report,
)
