"""Debiased effects with their exact-law intervals, one program for all data sets of one precision."""

import functools

import jax

from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.geometry.paths import Paths
from jaxmed.inference.intervals import IndirectInterval, indirect_interval
from jaxmed.typing import Key

PARTS = ("total", "concordant", "suppression")


def law_inference(
    key: Key, paths: Paths, *, level: float, replicates: int
) -> dict[str, IndirectInterval]:
    """Intervals of the total indirect effect and its two parts; NaN with NOT_IN_DUAL in the dual.

    The program depends on no dimension of the data and is compiled once per process.
    """
    return _program(key, paths.quadratics, level, replicates)


@functools.partial(jax.jit, static_argnames=("level", "replicates"))
def _program(
    key: Key, quadratics: PathQuadratics, level: float, replicates: int
) -> dict[str, IndirectInterval]:
    return {
        part: indirect_interval(key, quadratics, level=level, part=part, replicates=replicates)
        for part in PARTS
    }
