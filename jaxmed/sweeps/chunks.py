"""One chunk of replicates as one compiled program, the same on every device."""

import functools
import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmed.sweeps.states import State
from jaxmed.sweeps.task import BlockTask, Cell, Scores, Task
from jaxmed.typing import Array, Device, Key

__all__ = ["columns_of", "dispatch", "lift_chunk", "program_digest"]


@functools.lru_cache(maxsize=256)
def _program(task: Task | BlockTask, chunk: int, batch: int | None) -> Any:
    """The jitted chunk: (key, index of the chunk, parameters) -> scores with leaves [chunk]."""
    if isinstance(task, BlockTask):
        draw = task.draw
        return jax.jit(
            lambda key, i, parameters: draw(jax.random.fold_in(key, i), parameters, chunk)
        )

    def run(key: Key, index: Array, parameters: Any) -> Scores:
        def one(i: Array) -> Scores:
            return task(jax.random.fold_in(key, i), parameters)

        ids = index * jnp.uint32(chunk) + jnp.arange(chunk, dtype=jnp.uint32)
        if batch is None or batch >= chunk:
            return jax.vmap(one)(ids)
        # One replicate a step keeps its draws in the cache: no batch dimension at all.
        return lax.map(one, ids, batch_size=None if batch == 1 else batch)

    return jax.jit(run)


def dispatch(cell: Cell, key: Key, index: int, device: Device | None = None) -> Scores:
    """Starts chunk `index` of a cell on a device and returns its columns, perhaps not yet ready.

    Args:
      cell: what is repeated.
      key: of the cell; replicate i uses fold_in(key, i) (a BlockTask, fold_in(key, chunk)).
      index: which chunk, 0 <= index < cell.num_chunks.
      device: where; None for JAX's default.
    """
    program = _program(cell.task, cell.chunk, cell.batch)
    arguments = (key, np.uint32(index), cell.parameters)
    return program(*(arguments if device is None else jax.device_put(arguments, device)))


def program_digest(cell: Cell, key: Key) -> str:
    """Sha256 of a cell's program before compilation, constants included, parameters not.

    It changes with the code of the task and of all that it calls, and with settings of JAX that
    change numbers; computing it traces the task once, as running it does.
    """
    program = _program(cell.task, cell.chunk, cell.batch)
    text = program.lower(key, np.uint32(0), cell.parameters).as_text()
    return hashlib.sha256(text.encode()).hexdigest()


def columns_of(cell: Cell, index: int, scores: Scores) -> dict[str, np.ndarray]:
    """The columns on the host, without the replicates beyond the cell's count.

    Raises:
      ValueError: the task returned something that is not one scalar per replicate.
    """
    kept = min(cell.chunk, cell.count - index * cell.chunk)
    # dict(sorted): JAX returns dicts sorted by key, a user's order would not survive anyway.
    columns = {name: np.asarray(values) for name, values in sorted(scores.items())}
    for name, values in columns.items():
        if values.shape != (cell.chunk,):
            raise ValueError(
                f"a task returns scalars, but {name!r} of cell {cell.name!r} has shape "
                f"{values.shape[1:]} per replicate: split it into named scalars"
            )
    return {name: values[:kept] for name, values in columns.items()}


def lift_chunk(cell: Cell, index: int, scores: Scores) -> State:
    """The reducer's state of one chunk; waits until the columns are ready."""
    return cell.reducer.lift(columns_of(cell, index, scores))
