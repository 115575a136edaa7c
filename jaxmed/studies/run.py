"""Runs a study: in this process, through a run directory, or with worker processes on it."""

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from jaxmed.budget import check_processes, said
from jaxmed.keys import check_seed
from jaxmed.studies.once import in_json, stored_once
from jaxmed.studies.origin import check_origin, named_again
from jaxmed.studies.registry import find_study, name_of_source, source_of
from jaxmed.studies.result import StudyResult
from jaxmed.studies.study import Study, precision_of
from jaxmed.studies.workers import pool_size, run_workers
from jaxmed.sweeps.plan import make_plan, read_plan, store_plan
from jaxmed.sweeps.store import IncompleteRunError, fold, num_complete
from jaxmed.sweeps.sweep import run_cell
from jaxmed.sweeps.task import Cell, named_key
from jaxmed.sweeps.work import work
from jaxmed.typing import Device, Key

__all__ = ["Progress", "Run", "StudyResult", "open_run", "plan_study", "run_study", "work_on"]

Progress = Callable[[int, int], None]  # (replicates done, of how many)
_ONCE_KEY = "#once"
MAX_SCALE = 1_000_000  # replicates of a cell are counted up to 2^31


@dataclasses.dataclass(frozen=True)
class Run:
    """A study at one scale and seed, with its cells made."""

    study: Study
    plan: dict[str, Any]
    cells: Sequence[Cell]
    key: Key

    @property
    def replicates(self) -> int:
        """Of all cells together."""
        return sum(cell.count for cell in self.cells)


def run_study(
    study: Study | str,
    *,
    out: str | Path | None = None,
    scale: float = 1.0,
    seed: int | None = None,
    workers: int | None = None,
    devices: int | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = warnings.warn,
) -> StudyResult:
    """Runs every cell of a study and makes its tables.

    The numbers are the same to the last bit with and without a directory, for any number of
    workers and devices, and after any number of interruptions, as long as XLA's thread pool has
    one size, OpenBLAS one thread and processors are of one model: NPROC, as it was when this
    process started JAX, is recorded and given to workers, which have OPENBLAS_NUM_THREADS=1.

    Args:
      study: a Study, the name of a registered one, or "path/to/file.py:variable".
      out: run directory; finished chunks in it are kept, so that the same call resumes. None
        keeps nothing.
      scale: share of the full number of replicates.
      seed: 0 to 2^32 - 1; the study's own by default.
      workers: processes that work on the directory; None computes in this process. Needs `out`
        and a study given by name.
      devices: of each process; all that JAX has by default (on CPUs one).
      progress: called with (replicates done, replicates in all).
      say: told of damaged chunk files and of workers that failed; a warning by default.

    Raises:
      PlanMismatchError: the directory holds another run.
      IncompleteRunError: workers failed and left chunks.
      ValueError: an unknown study, one whose file lies in the directory, or workers without a
        directory or a name.
    """
    source = {} if isinstance(study, str) else {"object": study.name}
    if workers is not None:
        check_processes("workers", workers)
    if devices is not None:
        check_processes("devices", devices)
    if workers is not None and (out is None or "object" in source):
        raise ValueError("workers need a run directory, and a study by name or FILE.py:VARIABLE")
    if isinstance(study, str):
        study, source = _loaded(study, out)
    show = progress or (lambda done, total: None)
    with _prepared(study, source, scale, seed) as run:
        if out is None:
            results, once = _in_process(run, devices, show), _once(run)
        else:
            results = _through(Path(out), run, workers, devices, show, say)
            once = {}
            if run.study.once is not None:
                once = stored_once(Path(out), run.plan["config"], lambda: _once(run), say)
        sections = tuple(study.report(results, once))
    return StudyResult(study, run.plan, results, once, sections)


def plan_study(
    study: str, out: str | Path, *, scale: float = 1.0, seed: int | None = None
) -> dict[str, Any]:
    """Makes the run directory of a study and computes nothing; returns the plan.

    Workers may then be started on it anywhere; `run_study` with the same arguments finishes it.

    Raises:
      PlanMismatchError: the directory holds another run.
      ValueError: the study's file lies inside the directory.
    """
    with _prepared(*_loaded(study, out), scale, seed) as run:
        store_plan(out, run.plan)
        return run.plan


@contextmanager
def open_run(
    directory: str | Path, *, study: str | None = None, trust: bool = False
) -> Iterator[Run]:
    """The run of a directory, made again and checked against its plan.

    Precision is the study's own inside the context. Nothing is run before the hash of the study's
    file was found to be the recorded one, and never what lies inside the directory.

    Args:
      directory: of the run.
      study: "path/to/file.py:variable" of a study that came from a file, where it is now.
      trust: instead run the file at the path that the directory records; all who can write to the
        directory then choose what is run.

    Raises:
      PlanMismatchError: the study, the versions or NPROC are no longer what they were.
      ValueError: no run directory, a study that cannot be found again, or one of a file that was
        neither named nor trusted.
    """
    plan = read_plan(directory)
    name = named_again(directory, plan["study"]["source"], study, trust)
    with _prepared(*_loaded(name, directory), plan["scale"], plan["seed"]) as run:
        store_plan(directory, run.plan)
        yield run


def work_on(
    directory: str | Path,
    *,
    study: str | None = None,
    trust: bool = False,
    worker: int = 0,
    devices: int | None = None,
    say: Callable[[str], None] = warnings.warn,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """One worker of a run directory, in this process; returns whether every chunk is there.

    `study` and `trust` as of `open_run`.
    """
    with open_run(directory, study=study, trust=trust) as run:
        return work(
            directory,
            run.cells,
            run.key,
            devices=_devices(devices),
            worker=worker,
            report=say,
            stop=stop,
        )


def _loaded(name: str, directory: str | Path | None) -> tuple[Study, Mapping[str, str]]:
    """A study and its source; its file is run after it was found to be the directory's."""
    source = source_of(name)
    if directory is not None:
        check_origin(directory, source)
    return find_study(name, source.get("sha256")), source


@contextmanager
def _prepared(
    study: Study, source: Mapping[str, str], scale: float, seed: int | None
) -> Iterator[Run]:
    """The cells of a study and their plan, in the precision of the study."""
    if not 0 < scale <= MAX_SCALE:
        raise ValueError(f"scale must be positive and at most {MAX_SCALE:,}, not {said(scale)}")
    seed = check_seed(study.seed if seed is None else seed, "seed")
    with precision_of(study):
        cells = tuple(study.cells(scale))
        plan = make_plan(
            cells,
            study={"name": study.name, "title": study.title, "source": dict(source)},
            scale=scale,
            seed=seed,
            precision=study.precision,
            nproc=pool_size(),
        )
        yield Run(study, plan, cells, jax.random.key(seed, impl="threefry2x32"))


def _devices(number: int | None) -> Sequence[Device]:
    found = jax.local_devices()
    if number is not None and not 1 <= number <= len(found):
        raise ValueError(
            f"devices must lie between 1 and the {len(found)} there are, not {said(number)}"
        )
    return found[:number]


def _in_process(run: Run, devices: int | None, show: Progress) -> dict[str, Any]:
    counted = _counter(0, run.replicates, show)
    states = {
        cell.name: run_cell(named_key(run.key, cell.name), cell, _devices(devices), counted)
        for cell in run.cells
    }
    return {cell.name: cell.reducer.finish(states[cell.name]) for cell in run.cells}


def _through(
    directory: Path,
    run: Run,
    workers: int | None,
    devices: int | None,
    show: Progress,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The results of a run directory, after its missing chunks were computed."""
    store_plan(directory, run.plan)
    described = run.plan["cells"]
    done = num_complete(directory, described)[1]
    if workers is None or done == run.replicates:  # nothing to start processes for
        counted = _counter(done, run.replicates, show)
        work(directory, run.cells, run.key, devices=_devices(devices), progress=counted, report=say)
        return fold(directory, run.cells)
    source = run.plan["study"]["source"]
    failed = run_workers(
        directory,
        run.plan,
        workers=workers,
        devices=devices,
        say=say,
        study=name_of_source(source) if "file" in source else None,
        watch=lambda: show(num_complete(directory, described)[1], run.replicates),
    )
    try:
        return fold(directory, run.cells)
    except IncompleteRunError as error:
        endings = "; ".join(worker.ending() for worker in failed) or "workers were stopped"
        raise IncompleteRunError(f"{error}: {endings}. Finished chunks are kept") from error


def _counter(done: int, total: int, show: Progress) -> Callable[[int], None]:
    """A callback for increments that shows the sum."""

    def count(more: int) -> None:
        nonlocal done
        done += more
        show(min(done, total), total)

    show(done, total)
    return count


def _once(run: Run) -> dict[str, Any]:
    """What is computed once, as it reads back from JSON."""
    if run.study.once is None:
        return {}
    return in_json(run.study.once(named_key(run.key, _ONCE_KEY), run.plan["scale"]))
