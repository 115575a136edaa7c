"""What a sweep repeats: a task from a key to named numbers, and a cell of a study made of it."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxmed.estimators.by_name import estimator_of
from jaxmed.estimators.estimate import Estimate
from jaxmed.keys import as_key
from jaxmed.registry import METHODS, check_methods
from jaxmed.sweeps.reducers import moments
from jaxmed.sweeps.states import STATUS, Reducer
from jaxmed.typing import Array, Estimator, Key

__all__ = [
    "BlockTask",
    "Cell",
    "Scores",
    "StudyTask",
    "Task",
    "effect_scores",
    "named_key",
    "study_task",
]

Scores = dict[str, Array]
Task = Callable[[Key, Any], Scores]
Generator = Callable[[Key, Any], Any]


@dataclasses.dataclass(frozen=True)
class BlockTask:
    """A task that draws a whole chunk of replicates at once (the exact law, say).

    Attributes:
      draw: (key, parameters, size) -> scores with leaves [size]; `size` is static.
    """

    draw: Callable[[Key, Any, int], Scores]


@dataclasses.dataclass(frozen=True, eq=False)  # one object is one compiled program
class StudyTask:
    """One data set a replicate, and every method's scores of it; made by `study_task`."""

    generator: Generator
    estimators: Mapping[str, Estimator]
    score: Callable[[Any, Any], Scores]

    def __call__(self, key: Key, parameters: Any) -> Scores:
        """The scores of one replicate."""
        data_key, method_key = jax.random.split(as_key(key))
        data = self.generator(data_key, parameters)
        scores: Scores = {}
        for name, estimator in self.estimators.items():
            found = self.score(estimator(named_key(method_key, name), data), data)
            scores |= {f"{name}/{measure}": jnp.asarray(value) for measure, value in found.items()}
        return scores

    def data(self, key: Key, parameters: Any) -> Any:
        """The data set of one replicate, without estimating anything."""
        return self.generator(jax.random.split(as_key(key))[0], parameters)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One setting of a study: the same task at its own parameters.

    Cells that share the `task` object and the shapes of their parameters share one compiled
    program. Everything here but `name` is part of the identity of the numbers.

    Attributes:
      name: unique in its study, e.g. "primal/both-null/p=20"; its hash makes the cell's key, so
        that cells are independent and adding one leaves the others unchanged.
      task: (key, parameters) -> flat dict of scalars, or a BlockTask.
      parameters: pytree of arrays, traced.
      count: replicates.
      chunk: replicates of one program call; a whole number of chunks is computed, the rest of
        the last one is dropped.
      batch: replicates vectorised at once inside a chunk; None for the whole chunk.
      reducer: what is kept of the replicates.
    """

    name: str
    task: Task | BlockTask
    parameters: Any
    count: int
    chunk: int = 1024
    batch: int | None = 1
    reducer: Reducer = dataclasses.field(default_factory=moments)

    @property
    def num_chunks(self) -> int:
        """Chunks that cover `count` replicates."""
        return -(-self.count // self.chunk)


def named_key(key: Key, name: str) -> Key:
    """The key of one named part: a stable hash of the name, whatever else there is."""
    key = as_key(key)
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def effect_scores(estimate: Estimate, data: Any) -> Scores:
    """Direct, indirect and total effect of an estimate, and its status."""
    del data
    effects = estimate.effects
    return {
        "direct": effects.direct,
        "indirect": effects.indirect,
        "total": effects.total,
        STATUS: estimate.status,
    }


def study_task(
    generator: Generator,
    estimators: Mapping[str, Estimator | str] | Sequence[str],
    score: Callable[[Any, Any], Scores] = effect_scores,
) -> StudyTask:
    """A task that draws one data set and lets every method see it.

    Methods are compared on common random numbers. The key of a method comes from a stable hash
    of its name: another method more leaves the numbers of the others as they were.

    Args:
      generator: (key, parameters) -> data, MediationData as a rule.
      estimators: label -> (key, data) -> Estimate (or whatever `score` reads), or a name of the
        registry; or such names alone. A method by name takes covariates as they are, and a 0/1
        outcome as a number.
      score: (estimate, data) -> dict of scalars; a "status" among them is counted by code, and
        a replicate with a fatal one is left out of that method's summaries.

    Returns:
      (key, parameters) -> {"method/measure": scalar}; `.data(key, parameters)` gives the data set
      alone.

    Raises:
      ValueError: no method, an unknown name, or a label that holds a slash.
    """
    if not isinstance(estimators, Mapping):
        estimators = {name: name for name in estimators}
    if not estimators:
        raise ValueError("a study needs at least one estimator")
    for name in estimators:
        if "/" in name:
            raise ValueError(
                f"method name {name!r} holds a slash, which separates it from measures"
            )
    check_methods([one for one in estimators.values() if isinstance(one, str)] or ("ols",))
    made = {
        label: estimator_of(METHODS[one]) if isinstance(one, str) else one
        for label, one in estimators.items()
    }
    return StudyTask(generator, made, score)
