"""A sweep in this process: chunks in turn on every device, folded in order."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jax.sharding import Mesh

from jaxmed.budget import check_at_least, check_count, check_fits, check_whole, said
from jaxmed.keys import as_key
from jaxmed.sweeps.chunks import dispatch, lift_chunk
from jaxmed.sweeps.reducers import moments
from jaxmed.sweeps.states import Reducer, State
from jaxmed.sweeps.task import BlockTask, Cell, Task
from jaxmed.typing import Device, Key

__all__ = ["MAX_COUNT", "check_cell", "devices_of", "run_cell", "sweep"]

BYTES_KEPT = 32  # of a replicate that is kept: some columns, twice while they are joined
MAX_COUNT = 2**31  # replicate numbers are folded into keys as uint32


def sweep(
    key: Key,
    task: Task | BlockTask,
    count: int,
    *,
    parameters: Any = None,
    reducer: Reducer | None = None,
    chunk: int = 1024,
    batch: int | None = 1,
    mesh: Mesh | Sequence[Device] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Any:
    """Repeats a task and reduces its replicates, in the memory of one chunk and the reducer's.

    Replicate i uses fold_in(key, i). Every device runs the same compiled program of one chunk
    (nothing is communicated), and chunks are folded in their order: the result is the same to
    the last bit on 1, 2 or 4 devices, given the chunk, the batch and, on CPUs, the size of XLA's
    thread pool (environment variable NPROC, which `jaxmed study` fixes for its workers).

    Args:
      key: PRNG key; consumed.
      task: (key, parameters) -> flat dict of scalars, or a BlockTask.
      count: replicates, up to 2^31.
      parameters: pytree of arrays, traced: changing its values does not compile again.
      reducer: what is kept; means with Monte Carlo standard errors by default.
      chunk: replicates per program call.
      batch: replicates vectorised at once. 1 keeps one data set in the cache; None vectorises
        the whole chunk, for tasks of a few numbers.
      mesh: devices that take chunks in turn; JAX's default device if None.
      progress: called with the number of replicates of every finished chunk.

    Returns:
      What the reducer finishes with.

    Raises:
      ValueError: count, chunk or batch out of range; a task that returns anything but scalars.
    """
    key = as_key(key)
    cell = Cell("sweep", task, parameters, count, chunk, batch, reducer or moments())
    return cell.reducer.finish(run_cell(key, cell, devices_of(mesh), progress))


def run_cell(
    key: Key,
    cell: Cell,
    devices: Sequence[Device | None] = (None,),
    progress: Callable[[int], None] | None = None,
) -> State:
    """All chunks of one cell, in order, as the reducer's state."""
    key = as_key(key)
    check_cell(cell)
    folded: State | None = None
    for index, state in _chunks(key, cell, devices):
        folded = state if folded is None else cell.reducer.merge(folded, state)
        if progress is not None:
            progress(min(cell.chunk, cell.count - index * cell.chunk))
    assert folded is not None  # count >= 1
    return folded


def _chunks(key: Key, cell: Cell, devices: Sequence[Device | None]) -> Iterator[tuple[int, State]]:
    """States of the chunks in order, with one chunk in flight per device and one waiting."""
    pending: deque[tuple[int, Any]] = deque()
    for index in range(cell.num_chunks):
        pending.append((index, dispatch(cell, key, index, devices[index % len(devices)])))
        if len(pending) > len(devices):
            first, scores = pending.popleft()
            yield first, lift_chunk(cell, first, scores)
    for first, scores in pending:
        yield first, lift_chunk(cell, first, scores)


def check_cell(cell: Cell) -> None:
    """Raises ValueError for a count, chunk or batch out of range."""
    check_whole("count", cell.count)
    if not 1 <= cell.count <= MAX_COUNT:
        raise ValueError(f"count must lie between 1 and 2^31, not {said(cell.count)}")
    if cell.reducer.keeps_all:
        check_fits("count", cell.count, BYTES_KEPT)
    check_count("chunk", cell.chunk)
    if cell.batch is not None:
        check_at_least("batch", cell.batch, 1)


def devices_of(mesh: Mesh | Sequence[Device] | None) -> list[Device | None]:
    """The devices of a mesh or a sequence; None stands for JAX's default one."""
    if mesh is None:
        return [None]
    devices = list(mesh.devices.flat) if isinstance(mesh, Mesh) else list(mesh)
    if not devices:
        raise ValueError("mesh names no device")
    return devices
