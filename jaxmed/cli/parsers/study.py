"""`jaxmed study` and its own commands."""

import argparse
from pathlib import Path
from typing import Any

from jaxmed.cli.parsers.arguments import at_run, message_arguments, no_cache_argument

__all__ = ["add_command"]


def add_command(commands: Any) -> None:
    """Adds `study` and its own commands to the parser of `jaxmed`."""
    study = commands.add_parser("study", help="simulation studies: run, status, resume, replay")
    parts = study.add_subparsers(required=True, metavar="list|run|all|plan|status|resume|replay")

    listed = parts.add_parser("list", help="the studies that come with jaxmed")
    listed.set_defaults(run=at_run("study.list_command"), traceback=False)

    run = parts.add_parser("run", help="a study, or the rest of it where DIR holds a part")
    _plan_arguments(run)
    _worker_arguments(run)
    run.set_defaults(run=at_run("study.run_command"))

    every = parts.add_parser("all", help="every study of `jaxmed study list`, with an index page")
    every.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder per study")
    _scale_arguments(every)
    _worker_arguments(every)
    every.set_defaults(run=at_run("study.all_command"))

    plan = parts.add_parser("plan", help="make DIR and compute nothing, for workers elsewhere")
    _plan_arguments(plan)
    plan.add_argument("--traceback", action="store_true", help="full Python traceback on errors")
    plan.set_defaults(run=at_run("study.plan_command"))

    resume = parts.add_parser("resume", help="the rest of a run, and its page")
    resume.add_argument("directory", type=Path, metavar="DIR")
    _origin_arguments(resume)
    no_cache_argument(resume)
    _worker_arguments(resume)
    resume.set_defaults(run=at_run("study.resume_command"))

    status = parts.add_parser("status", help="how far a run is")
    status.add_argument("directory", type=Path, metavar="DIR")
    status.set_defaults(run=at_run("study.status_command"), traceback=False)

    again = parts.add_parser("replay", help="one replicate again, with its data")
    again.add_argument("directory", type=Path, metavar="DIR")
    _origin_arguments(again)
    no_cache_argument(again)
    again.add_argument("--cell", required=True, metavar="NAME")
    again.add_argument("--replicate", type=int, required=True, metavar="I", help="from 0")
    again.add_argument("--out", type=Path, metavar="FILE.npz", help="where its data go")
    again.add_argument("--traceback", action="store_true", help="full Python traceback on errors")
    again.set_defaults(run=at_run("study.replay_command"))

    # One worker of a run: what `run` and `resume` start, and the tasks of a cluster's job array.
    work = parts.add_parser("work")
    work.add_argument("directory", type=Path, metavar="DIR")
    _origin_arguments(work)
    no_cache_argument(work)
    work.add_argument("--worker", type=int, default=0, metavar="I")
    work.add_argument("--devices", type=int, metavar="D")
    work.add_argument("--parent", type=int, metavar="PID", help="stop when this process is gone")
    work.add_argument("--traceback", action="store_true")
    work.set_defaults(run=at_run("study.work_command"))


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of `jaxmed study list`, or FILE.py:VARIABLE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="run directory")
    _scale_arguments(parser)


def _scale_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full replicates")
    parser.add_argument("--seed", type=int, help="the study's own by default")
    parser.add_argument("--nproc", type=int, default=2, help="threads of XLA's pool (default 2)")
    no_cache_argument(parser)


def _worker_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, metavar="K", help="processes; one a core, up to 8")
    parser.add_argument("--devices", type=int, metavar="D", help="of each process; on CPUs made")
    message_arguments(parser)


def _origin_arguments(parser: argparse.ArgumentParser) -> None:
    """What allows the study of a run to be run, where it came from a file."""
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument("--study", metavar="FILE.py:VARIABLE", help="of DIR, where it is now")
    origin.add_argument(
        "--trust", action="store_true", help="run the file that DIR names; it is a program"
    )
