"""Chunk files of a run directory: `chunks/<cell>/<index>.npz`, whole or not there.

A file holds the reducer's state of one chunk. Folding the files in the order of the chunks gives
the same bytes as the sweep in one process, whoever wrote them and however often.
"""

import contextlib
import dataclasses
import itertools
import os
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.archive import read_arrays
from jaxmed.data.atomic import atomic_write, npz_bytes
from jaxmed.sweeps.aside import set_aside
from jaxmed.sweeps.leases import STALE_AFTER, is_stale
from jaxmed.sweeps.plan import read_plan
from jaxmed.sweeps.states import State
from jaxmed.sweeps.task import Cell

__all__ = [
    "CellProgress",
    "CorruptChunkError",
    "IncompleteRunError",
    "Job",
    "file_name",
    "fold",
    "is_complete",
    "jobs_of",
    "num_complete",
    "progress_of",
    "read_chunk",
    "write_chunk",
]

_LONGEST_SLUG = 80


class CorruptChunkError(ValueError):
    """A chunk file cannot be read, or is not the chunk that its name says."""


class IncompleteRunError(ValueError):
    """A run has chunks that nobody has computed yet."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One chunk of one cell, and where its file belongs."""

    cell: Cell
    index: int
    path: Path
    run: str = ""  # which plan the chunk belongs to

    @property
    def lease(self) -> Path:
        """The file that says who works on it."""
        return self.path.with_suffix(".lease")

    @property
    def replicates(self) -> int:
        """Replicates of the chunk that count."""
        return min(self.cell.chunk, self.cell.count - self.index * self.cell.chunk)


@dataclasses.dataclass(frozen=True)
class CellProgress:
    """How far one cell of a run is."""

    name: str
    done: int  # chunks
    leased: int  # chunks somebody works on
    stale: int  # leases nobody works under any more
    num_chunks: int
    replicates: int  # in finished chunks
    count: int


def jobs_of(directory: str | Path, cells: Sequence[Cell]) -> list[Job]:
    """Every chunk of a run, in the order of the cells and of the replicates."""
    has_plan = (Path(directory) / "plan.json").exists()
    run = read_plan(directory)["config"][:16] if has_plan else ""
    return [
        Job(cell, index, _folder(directory, cell.name) / f"{index:06d}.npz", run)
        for cell in cells
        for index in range(cell.num_chunks)
    ]


def write_chunk(job: Job, state: State) -> None:
    """Writes the state of one chunk; the same state always gives the same bytes."""
    # Names of columns hold slashes and colons, which names of members of an archive should not.
    arrays = {
        "label": np.array([_label(job)]),
        "names": np.array(list(state), dtype=np.str_),
        **{str(place): np.asarray(value) for place, value in enumerate(state.values())},
    }
    atomic_write(job.path, npz_bytes(arrays), durable=True)


def read_chunk(job: Job) -> State:
    """The state of one chunk.

    Raises:
      CorruptChunkError: the file is damaged or belongs elsewhere.
      FileNotFoundError: there is none.
    """
    # A pipe would be waited for at its opening.
    if not stat.S_ISREG(job.path.stat().st_mode):
        raise CorruptChunkError(f"{job.path} is no regular file")
    try:
        arrays = read_arrays(job.path)
        label, names = str(arrays.pop("label")[0]), [str(name) for name in arrays.pop("names")]
        if label != _label(job):
            raise CorruptChunkError(f"{job.path} holds {label}, not {_label(job)}")
        return {name: arrays[str(place)] for place, name in enumerate(names)}
    except (ValueError, KeyError, IndexError, struct.error) as error:
        if isinstance(error, CorruptChunkError):
            raise
        raise CorruptChunkError(f"{job.path} is damaged ({error})") from error


def is_complete(job: Job, report: Callable[[str], None]) -> bool:
    """True where the chunk has a sound file; a damaged one is reported and set aside."""
    try:
        read_chunk(job)
    except FileNotFoundError:
        return False
    except CorruptChunkError as error:
        aside = set_aside(job.path, ".corrupt")
        report(f"{error}: kept as {aside.name}, computed again")
        return False
    return True


def fold(directory: str | Path, cells: Sequence[Cell]) -> dict[str, Any]:
    """What the reducer of every cell finishes with, from its chunk files in order.

    Returns:
      Cell name -> result, the same to the last bit as of the sweep in one process.

    Raises:
      IncompleteRunError: a chunk is not there.
      CorruptChunkError: a chunk file is damaged; working on the run again replaces it.
    """
    jobs = itertools.groupby(jobs_of(directory, cells), lambda job: job.cell.name)
    return {name: _folded(list(chunks)) for name, chunks in jobs}


def progress_of(
    directory: str | Path, cells: Sequence[dict[str, Any]], stale_after: float = STALE_AFTER
) -> Iterator[CellProgress]:
    """How far each cell of a run is, from the cells of its plan."""
    for cell in cells:
        folder, number = _folder(directory, cell["name"]), cell["num_chunks"]
        done = _indices(folder, ".npz", number)
        leases = _indices(folder, ".lease", number) - done
        stale = sum(is_stale(folder / f"{index:06d}.lease", stale_after) for index in leases)
        last = cell["count"] - (number - 1) * cell["chunk"]
        replicates = len(done) * cell["chunk"] - (cell["chunk"] - last) * (number - 1 in done)
        live = len(leases) - stale
        yield CellProgress(cell["name"], len(done), live, stale, number, replicates, cell["count"])


def num_complete(directory: str | Path, cells: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """(finished chunks, replicates in them) of all cells of a plan."""
    found = list(progress_of(directory, cells))
    return sum(cell.done for cell in found), sum(cell.replicates for cell in found)


def _folded(chunks: Sequence[Job]) -> Any:
    """What the reducer of one cell finishes with."""
    cell, folded = chunks[0].cell, None
    for job in chunks:
        try:
            state = read_chunk(job)
        except FileNotFoundError as error:
            raise IncompleteRunError(
                f"chunk {job.index} of cell {cell.name!r} was not computed yet"
            ) from error
        folded = state if folded is None else cell.reducer.merge(folded, state)
    assert folded is not None  # every cell has a chunk
    return cell.reducer.finish(folded)


def file_name(name: str) -> str:
    """The name of a cell as part of a file's name; not unique."""
    return re.sub(r"[^A-Za-z0-9=.+-]+", "_", name)[:_LONGEST_SLUG]


def _folder(directory: str | Path, name: str) -> Path:
    """The folder of a cell: readable, safe as a file name, and unique by the hash."""
    return Path(directory) / "chunks" / f"{file_name(name)}-{zlib.crc32(name.encode()):08x}"


def _label(job: Job) -> str:
    run = f" of run {job.run}" if job.run else ""
    return f"chunk {job.index} of {job.cell.name}, {job.replicates} replicates{run}"


def _indices(folder: Path, suffix: str, number: int) -> set[int]:
    """Numbers of the files of one kind."""
    with contextlib.suppress(FileNotFoundError):
        names = [entry.name for entry in os.scandir(folder)]
        found = {int(n.removesuffix(suffix)) for n in names if re.fullmatch(rf"\d+\{suffix}", n)}
        return {index for index in found if index < number}
    return set()
