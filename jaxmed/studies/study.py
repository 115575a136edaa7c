"""A study: declared cells, and what is shown of their results."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import jax

from jaxmed.reports.sections import Section
from jaxmed.sweeps.task import Cell
from jaxmed.typing import Key

__all__ = ["Study", "precision_of"]


@dataclasses.dataclass(frozen=True)
class Study:
    """Everything `jaxmed study run` needs to know.

    Attributes:
      name: e.g. "optimal-composite/table-3".
      title: one line.
      cells: scale -> cells; scale 1 is the full study, smaller ones have fewer replicates.
      report: (cell name -> result of its reducer, result of `once`) -> sections.
      once: (key, scale) -> JSON values: what is not a sweep (timings, one analysis of one data
        set); run once, after the cells. None where there is nothing of the kind.
      precision: of all computations.
      seed: of the key.
    """

    name: str
    title: str
    cells: Callable[[float], Sequence[Cell]]
    report: Callable[[Mapping[str, Any], Mapping[str, Any]], Sequence[Section]]
    once: Callable[[Key, float], Mapping[str, Any]] | None = None
    precision: Literal["float32", "float64"] = "float64"
    seed: int = 20260101


def precision_of(study: Study) -> AbstractContextManager[Any]:
    """A context in which JAX computes in the precision of a study."""
    return jax.enable_x64(study.precision == "float64")
