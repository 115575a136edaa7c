"""Debiased effects with exact-law intervals, one program for all data sets of a precision."""

import numpy as np

from jaxmed.compile import quick_jit
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.geometry.paths import Paths
from jaxmed.inference.debiased import bootstrap_estimates, naive_indirect
from jaxmed.inference.intervals import IndirectInterval, law_intervals, single_interval
from jaxmed.status import NOT_IN_DUAL
from jaxmed.typing import Array, Interval, Key

PARTS = ("total", "concordant", "suppression")


def law_inference(
    key: Key, paths: Paths, *, level: float, replicates: int
) -> dict[str, IndirectInterval]:
    """Intervals of the total indirect effect and its two parts; NaN with NOT_IN_DUAL in the dual.

    As `indirect_intervals`, whose choice between a single mediator and several is made here, where
    the dimension is known: each has a program of its own, which depends on no dimension of the
    data and is compiled once per process.
    """
    if paths.regime == "dual":
        return _missing(paths.quadratics, level)
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
) -> dict[str, IndirectInterval]:
    draws = bootstrap_estimates(key, quadratics, replicates)
    return law_intervals(quadratics, draws, level=level)


def _single(quadratics: PathQuadratics, level: float) -> dict[str, IndirectInterval]:
    return {part: single_interval(quadratics, level=level, part=part) for part in PARTS}


_program = quick_jit(_law_inference, ("level", "replicates"))
_single_program = quick_jit(_single, ("level",))
_naive_program = quick_jit(_naive)
