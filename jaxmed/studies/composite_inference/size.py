"""Size of the tests of the total indirect effect at 16 nulls, from the exact law."""

from collections.abc import Sequence

import jax
from jax import lax

from jaxmed.distributions.exact_law import Law
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.inference.joint_test import joint_test
from jaxmed.inference.total_indirect import (
    total_draws,
    total_test_by_law,
    total_test_of,
    total_test_of_single,
    total_variance,
)
from jaxmed.studies.composite_inference.designs import (
    NULLS,
    SINGLE,
    SINGLE_NULLS,
    SIZE_SHAPES,
    Setting,
    Shape,
    data_sets,
    label,
    laws_at,
    nulls_of,
    shape_name,
)
from jaxmed.studies.composite_inference.size_report import report
from jaxmed.studies.optimal_composite.columns import scaled
from jaxmed.studies.study import Study
from jaxmed.sweeps.reducers import combine, rejection_rate
from jaxmed.sweeps.task import Cell, Scores, Task
from jaxmed.typing import Array, Key

__all__ = ["DRAWS", "STUDY", "cells", "several_task", "single_task"]

COUNT = 30_000
CHUNK = 1000
DRAWS = 500  # of the law behind one p-value
REDUCER = combine(five=rejection_rate(0.05), one=rejection_rate(0.01))


def cells(scale: float) -> list[Cell]:
    """One cell a shape: a replicate is one data set of every null."""
    count = scaled(COUNT, scale)
    chunk = min(CHUNK, count)

    def cell(shape: Shape, task: Task) -> Cell:
        laws = laws_at(nulls_of(shape), shape)
        return Cell(shape_name(shape), task, laws, count, chunk, 1, REDUCER)

    several = [cell(shape, several_task) for shape in SIZE_SHAPES]
    return several + [cell(shape, single_task) for shape in SINGLE]


def several_task(key: Key, laws: Law) -> Scores:
    """P-values of the joint test, of W, and of W by its exact law.

    The data sets of the nulls are independent; their p-values by the law share its draws, which
    depend on rows and mediators only and cost more than everything else.
    """
    data_key, law_key = jax.random.split(key)
    q = data_sets(data_key, laws)
    draws = total_draws(law_key, jax.tree.map(lambda leaf: leaf[0], q), DRAWS)
    by_law = lax.map(lambda one: total_test_by_law(one, draws).p_value, q)
    return _scores(NULLS, q, total_test_of(q, total_variance(q)).p_value, by_law)


def single_task(key: Key, laws: Law) -> Scores:
    """The test of the only mediator, whose law needs no draws."""
    q = data_sets(key, laws)
    p_value = total_test_of_single(q).p_value
    return _scores(SINGLE_NULLS, q, p_value, p_value)


def _scores(nulls: Sequence[Setting], q: PathQuadratics, closed: Array, by_law: Array) -> Scores:
    found = {"joint": joint_test(q).p_value, "W": closed, "exact law": by_law}
    return {
        f"{label(null)}/{test}": values[i]
        for i, null in enumerate(nulls)
        for test, values in found.items()
    }


STUDY = Study(
    name="composite-inference/size",
    title="Size of the tests of the total indirect effect",
    cells=cells,
    report=report,
)
