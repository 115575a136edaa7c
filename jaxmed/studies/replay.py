"""One replicate of a run again, with its data."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmed import status
from jaxmed.studies.run import open_run
from jaxmed.sweeps.chunks import dispatch
from jaxmed.sweeps.states import is_status
from jaxmed.sweeps.task import BlockTask, Cell, StudyTask, named_key
from jaxmed.typing import Key

__all__ = ["Replayed", "replay"]


@dataclasses.dataclass(frozen=True)
class Replayed:
    """One replicate.

    Attributes:
      scores: column -> value, numbers of NumPy.
      statuses: method -> name and meaning of its status.
      data: arrays of its data set by name; None where the task draws no data.
    """

    scores: dict[str, Any]
    statuses: dict[str, str]
    data: dict[str, np.ndarray] | None


def replay(
    directory: str | Path,
    cell: str,
    replicate: int,
    *,
    study: str | None = None,
    trust: bool = False,
) -> Replayed:
    """Computes one replicate of a run again (of a BlockTask, its whole chunk).

    Outside its chunk a replicate is compiled apart, and may differ in the last bits.

    Args:
      directory: of the run; nothing in it is changed.
      cell: name of the cell.
      replicate: 0 <= replicate < count.
      study: file of the study, where it came from one.
      trust: take the path of that file from the plan that the run records.

    Raises:
      ValueError: no such cell or replicate; see `open_run`.
    """
    with open_run(directory, study=study, trust=trust) as run:
        found = {c.name: c for c in run.cells}.get(cell)
        if found is None:
            raise ValueError(f"no cell {cell!r}; there are {[c.name for c in run.cells]}")
        if not 0 <= replicate < found.count:
            raise ValueError(f"replicate must lie between 0 and {found.count - 1}: {replicate}")
        key = named_key(run.key, cell)
        scores = _scores(found, key, replicate)
        return Replayed(scores, _statuses(scores), _data(found, key, replicate))


def _scores(cell: Cell, key: Key, replicate: int) -> dict[str, Any]:
    if isinstance(cell.task, BlockTask):
        index, place = divmod(replicate, cell.chunk)
    else:
        cell, index, place = dataclasses.replace(cell, chunk=1, batch=1), replicate, 0
    columns = dispatch(cell, key, index)
    return {name: np.asarray(values)[place] for name, values in sorted(columns.items())}


def _statuses(scores: dict[str, Any]) -> dict[str, str]:
    codes = {
        name.rpartition("/")[0]: int(value) for name, value in scores.items() if is_status(name)
    }
    return {name: f"{status.name(code)}: {status.message(code)}" for name, code in codes.items()}


def _data(cell: Cell, key: Key, replicate: int) -> dict[str, np.ndarray] | None:
    if not isinstance(cell.task, StudyTask):
        return None
    drawn = jax.jit(cell.task.data)(jax.random.fold_in(key, replicate), cell.parameters)
    leaves = jax.tree_util.tree_leaves_with_path(drawn)
    return {
        jax.tree_util.keystr(path, simple=True, separator=".") or "data": np.asarray(leaf)
        for path, leaf in leaves
    }
