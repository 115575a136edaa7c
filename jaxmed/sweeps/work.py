"""A worker: takes chunks of a run that nobody computes, until every chunk has its file."""

import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxmed.keys import as_key
from jaxmed.sweeps.chunks import dispatch, lift_chunk
from jaxmed.sweeps.leases import STALE_AFTER, Leases
from jaxmed.sweeps.plan import check_cells
from jaxmed.sweeps.store import Job, is_complete, jobs_of, write_chunk
from jaxmed.sweeps.task import Cell, named_key
from jaxmed.typing import Device, Key

__all__ = ["work"]

_GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it spread evenly over [0, 1), however many


class _Running(NamedTuple):
    """A chunk in flight on a device."""

    job: Job
    device: Device
    scores: Any


def work(
    directory: str | Path,
    cells: Sequence[Cell],
    key: Key,
    *,
    devices: Sequence[Device | None] = (None,),
    worker: int = 0,
    stale_after: float = STALE_AFTER,
    pause: float = 0.2,
    progress: Callable[[int], None] | None = None,
    report: Callable[[str], None] = warnings.warn,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Computes chunks of a run until every one has its file, alone or beside other workers.

    One chunk a device is computed at a time: that much is lost when the process is killed. Chunks
    that others hold are waited for, and taken over when their lease is stale.

    Args:
      directory: of the run.
      cells: of its plan.
      key: of the study; a cell's key is named_key(key, cell.name).
      devices: that compute a chunk at a time each; JAX's default device by default.
      worker: a number that makes workers start at different chunks.
      stale_after: seconds after which a lease that was not renewed is taken over; the same for
        all workers of a run.
      pause: seconds between two looks at chunks of others.
      progress: called with the number of replicates of every chunk written here.
      report: called with a sentence for every damaged file that was found; a warning by default.
      stop: asked before every claim; True ends the work early.

    Returns:
      Whether every chunk has its file (False after `stop`).
    """
    key = as_key(key)
    check_cells(cells)
    jobs = jobs_of(directory, cells)
    for folder in {job.path.parent for job in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    keys = {cell.name: named_key(key, cell.name) for cell in cells}
    start = int(len(jobs) * (worker * _GOLDEN % 1))
    todo = deque(jobs[start:] + jobs[:start])
    free, running = deque(devices), deque[_Running]()
    with Leases(stale_after) as leases:
        while True:
            while free and (job := _claim(todo, leases, report, stop)) is not None:
                device = free.popleft()
                scores = dispatch(job.cell, keys[job.cell.name], job.index, device)
                running.append(_Running(job, device, scores))
            if running:
                done = running.popleft()
                state = lift_chunk(done.job.cell, done.job.index, done.scores)
                # On the disk before the device goes on: a kill loses one chunk a device.
                write_chunk(done.job, state)
                leases.release(done.job.lease)
                free.append(done.device)
                if progress is not None:
                    progress(done.job.replicates)
            elif not todo or stop():
                return not todo
            else:
                time.sleep(pause)


def _claim(
    todo: deque[Job], leases: Leases, report: Callable[[str], None], stop: Callable[[], bool]
) -> Job | None:
    """The next chunk that nobody has or computes; finished ones leave the list, others stay."""
    for _ in range(len(todo)):
        if stop():
            return None
        job = todo.popleft()
        if is_complete(job, report):
            leases.clear(job.lease)
            continue
        if not leases.take(job.lease):
            todo.append(job)
            continue
        # Its worker may have finished between the look at the file and the lease.
        if not is_complete(job, report):
            return job
        leases.release(job.lease)
    return None
