"""Test, debiased effects and intervals by the exact law, one program for all data sets."""

import numpy as np

from jaxmed.compile import quick_jit
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.geometry.paths import Paths
from jaxmed.inference.debiased import naive_indirect
from jaxmed.inference.intervals import inverted_intervals
from jaxmed.inference.part_interval import IndirectInterval, single_interval
from jaxmed.inference.total_indirect import (
    TotalIndirectTest,
    total_draws,
    total_test_by_law,
    total_test_of_single,
)
from jaxmed.status import NOT_IN_DUAL
from jaxmed.typing import Array, Interval, Key, pytree

PARTS = ("total", "concordant", "suppression")


@pytree
class LawInference:
    """What the exact law says of one data set."""

    intervals: dict[str, IndirectInterval]  # by part
    test: TotalIndirectTest | None  # of the total; None in the dual


def law_inference(key: Key, paths: Paths, *, level: float, replicates: int) -> LawInference:
    """Intervals of the total indirect effect and its two parts, and the test of the total.

    NaN with NOT_IN_DUAL in the dual. As `indirect_intervals` and `total_indirect_test` by one set
    of draws; the choice between a single mediator and several is made here, where the dimension is
    known: each has a program of its own, which depends on no dimension of the data and is compiled
    once per process.
    """
    if paths.regime == "dual":
        return LawInference(_missing(paths.quadratics, level), None)
    if int(paths.quadratics.dimension) == 1:
        return _single_program(paths.quadratics, level)
    return _program(key, paths.quadratics, level, replicates)


def _missing(quadratics: PathQuadratics, level: float) -> dict[str, IndirectInterval]:
    """In-sample values, and NaN for what needs a residual, without compiling the law."""
    naive = _naive_program(quadratics)
    nan = np.asarray(np.nan)
    code = np.asarray(max(int(quadratics.status), NOT_IN_DUAL), np.int32)
    none = Interval(nan, nan, level, "none")  # type: ignore[arg-type]
    return {part: IndirectInterval(nan, naive[part], none, nan, code) for part in PARTS}  # type: ignore[arg-type]


def _naive(quadratics: PathQuadratics) -> dict[str, Array]:
    return {part: naive_indirect(quadratics, part) for part in PARTS}


def _law_inference(
    key: Key, quadratics: PathQuadratics, level: float, replicates: int
) -> LawInference:
    draws = total_draws(key, quadratics, replicates)
    return LawInference(
        inverted_intervals(quadratics, draws, level=level), total_test_by_law(quadratics, draws)
    )


def _single(quadratics: PathQuadratics, level: float) -> LawInference:
    intervals = {part: single_interval(quadratics, level=level, part=part) for part in PARTS}
    return LawInference(intervals, total_test_of_single(quadratics))


_program = quick_jit(_law_inference, ("level", "replicates"))
_single_program = quick_jit(_single, ("level",))
_naive_program = quick_jit(_naive)
