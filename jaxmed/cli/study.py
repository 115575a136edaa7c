"""`jaxmed study`: simulation studies in a run directory that survives interruption."""

import argparse
import os
import shlex
import time
from pathlib import Path
from typing import Any

import jax

from jaxmed.budget import check_processes
from jaxmed.cli.meter import meter
from jaxmed.cli.study_process import prepare, say, terminable
from jaxmed.data.atomic import atomic_write, npz_bytes
from jaxmed.reports.index_page import IndexEntry, index_html
from jaxmed.reports.sections import TidyTable
from jaxmed.reports.style import require
from jaxmed.reports.tidy import table_text
from jaxmed.studies.keep_out import keep_out
from jaxmed.studies.origin import named_again
from jaxmed.studies.registry import is_file, registered
from jaxmed.studies.replay import replay
from jaxmed.studies.run import plan_study, run_study, work_on
from jaxmed.studies.workers import default_workers
from jaxmed.sweeps.plan import read_plan
from jaxmed.sweeps.store import IncompleteRunError, file_name, progress_of

__all__ = [
    "all_command",
    "list_command",
    "plan_command",
    "replay_command",
    "resume_command",
    "run_command",
    "status_command",
    "work_command",
]

_INTERRUPTED = 130  # as shells count SIGINT


def list_command(options: argparse.Namespace) -> None:
    """The studies that come with jaxmed."""
    del options
    studies = registered()
    width = max(map(len, studies))
    for name, study in studies.items():
        print(f"{name:{width}s}  {study.title}")


def run_command(options: argparse.Namespace) -> int:
    """A study, or the rest of it."""
    return _finish(options, options.name, options.out, options.scale, options.seed, options.nproc)


def all_command(options: argparse.Namespace) -> int:
    """Every study in turn, each in its own folder; the index says how long each took."""
    settings = options.scale, options.seed, options.nproc
    entries = []
    for name, study in registered().items():
        folder = options.out / name.replace("/", "-")
        start = time.monotonic()
        status = _finish(options, name, folder, *settings)
        if status:
            return status
        took = f"{name}, {time.monotonic() - start:.0f} s"
        entries.append(IndexEntry(study.title, f"{folder.name}/report.html", took))
    index = options.out / "index.html"
    atomic_write(index, index_html(entries, "Studies"))
    print(f"\nAll studies: {index}")
    return 0


def plan_command(options: argparse.Namespace) -> None:
    """A run directory for workers that are started elsewhere."""
    keep_out(options.out)
    prepare(options.nproc, cache=not options.no_cache)
    plan = plan_study(options.name, options.out, scale=options.scale, seed=options.seed)
    number = sum(cell["num_chunks"] for cell in plan["cells"])
    print(f"{number} chunks. On any machine that sees {options.out}, as often as you like:")
    print(f"  {_command('work', options.out, options.name)} --worker I")
    print(f"and in the end, for the tables: {_command('resume', options.out, options.name)}")


def _command(word: str, directory: Path, name: str) -> str:
    """A command on a run, with the file of its study where it has one."""
    study = f" --study {shlex.quote(name)}" if is_file(name) else ""
    return f"jaxmed study {word} {shlex.quote(str(directory))}{study}"


def resume_command(options: argparse.Namespace) -> int:
    """The rest of a run, and its page."""
    keep_out(options.directory)
    plan = read_plan(options.directory)
    name = _allowed(options, plan)
    settings = plan["scale"], plan["seed"], plan["nproc"]
    return _finish(options, name, options.directory, *settings)


def _allowed(options: argparse.Namespace, plan: dict[str, Any]) -> str:
    return named_again(options.directory, plan["study"]["source"], options.study, options.trust)


def _finish(
    options: argparse.Namespace, name: str, out: Path, scale: float, seed: int | None, nproc: int
) -> int:
    """Computes what is missing of a run, then prints and writes its tables."""
    keep_out(out)
    # The page comes at the end of what may be hours: its libraries are asked for now.
    require("jinja2", "the page of a study")
    require("matplotlib", "the figures of a study")
    if options.workers is not None:
        check_processes("--workers", options.workers)
    if options.devices is not None:
        check_processes("--devices", options.devices)
    prepare(nproc, cache=not options.no_cache)
    workers = options.workers or default_workers(jax.default_backend())
    try:
        with terminable(), meter(options.quiet) as show:
            result = run_study(
                name,
                out=out,
                scale=scale,
                seed=seed,
                workers=workers,
                devices=options.devices,
                progress=show,
                say=say,
            )
            written = result.save(out)
    except KeyboardInterrupt:
        say(f"interrupted; finished chunks are kept. Go on with: {_command('resume', out, name)}")
        return _INTERRUPTED
    except IncompleteRunError as error:
        again = _command("resume", out, name)
        raise IncompleteRunError(f"{error}. Go on with: {again}") from error
    print(result.summary())
    print(f"\nReport: {written[-1]}")
    return 0


def work_command(options: argparse.Namespace) -> int:
    """One worker of a run."""
    keep_out(options.directory)
    plan = read_plan(options.directory)
    name = _allowed(options, plan)
    prepare(plan["nproc"], cache=not options.no_cache)
    if options.devices is not None:
        check_processes("--devices", options.devices)
        jax.config.update("jax_num_cpu_devices", options.devices)
    parent = options.parent
    try:
        with terminable():
            whole = work_on(
                options.directory,
                study=name,
                worker=options.worker,
                devices=options.devices,
                say=say,
                stop=lambda: parent is not None and os.getppid() != parent,
            )
    except KeyboardInterrupt:
        say("interrupted")
        return _INTERRUPTED
    if not whole:
        say("stopped: the process that started this one is gone")
    return 0


def status_command(options: argparse.Namespace) -> None:
    """How far a run is."""
    keep_out(options.directory)
    plan = read_plan(options.directory)
    cells = list(progress_of(options.directory, plan["cells"]))
    done, number = sum(c.done for c in cells), sum(c.num_chunks for c in cells)
    columns = {
        "cell": "Cell",
        "done": "Chunks",
        "num_chunks": "of",
        "leased": "leased",
        "stale": "stale",
        "replicates": "Replicates",
        "count": "of",
    }
    rows = [{name: getattr(c, name, c.name) for name in columns} for c in cells]
    print(f"{plan['study']['name']}: {done} of {number} chunks\n")
    total = {name: sum(getattr(c, name) for c in cells) for name in columns if name != "cell"}
    print(table_text(TidyTable(columns, [*rows, {"cell": "total"} | total])))


def replay_command(options: argparse.Namespace) -> None:
    """One replicate again, with its data."""
    keep_out(options.directory)
    plan = read_plan(options.directory)
    name = _allowed(options, plan)
    prepare(plan["nproc"], cache=not options.no_cache)
    found = replay(options.directory, options.cell, options.replicate, study=name)
    print(f"{plan['study']['name']}, cell {options.cell}, replicate {options.replicate}\n")
    width = max(map(len, found.scores))
    for name, value in found.scores.items():
        print(f"{name:{width}s}  {value}")
    for method, sentence in found.statuses.items():
        print(f"status of {method or 'the replicate'}: {sentence}")
    if found.data is None:
        print("This task draws no data set: there is none to write.")
        return
    name = f"replicate-{file_name(options.cell)}-{options.replicate}.npz"
    out = options.out or options.directory / name
    atomic_write(out, npz_bytes(found.data))
    print(f"Data: {out}")
