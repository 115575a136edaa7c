"""`jaxmed launch`: one command as several supervised processes."""

import argparse
import signal
import sys
from typing import Any

from jaxmed.budget import check_at_least, check_processes
from jaxmed.cli.shared import message_arguments, progress

__all__ = ["add_command"]


def add_command(commands: Any) -> None:
    """Adds `launch` to the commands."""
    launch = commands.add_parser(
        "launch",
        help="run a command as several processes, and again from its checkpoint if one dies",
        description="Everything behind -- is the command: one of jaxmed's own (mediate FILE ...), "
        "or any program that calls jaxmed.parallel.processes.join() before it uses a device. "
        "Without --processes the peers are found by SLURM, Open MPI or Kubernetes, each of which "
        "starts one `jaxmed launch` per task.",
    )
    launch.add_argument("--processes", type=int, metavar="K", help="on this machine")
    launch.add_argument("--restarts", type=int, default=3, help="after the death of a process")
    launch.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    message_arguments(launch)
    launch.set_defaults(run=_launch)


def _launch(options: argparse.Namespace) -> int:
    from jaxmed.parallel.supervisor import supervise

    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise ValueError("launch needs a command: jaxmed launch --processes 2 -- mediate FILE ...")
    if options.processes is not None:
        check_processes("processes", options.processes)
    check_at_least("restarts", options.restarts, 0)
    # A supervisor that is asked to end takes its children with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    own = [sys.executable, "-m", "jaxmed"] if command[0] in OWN else []
    return supervise(
        [*own, *command], options.processes, restarts=options.restarts, say=progress(options.quiet)
    )


OWN = ("mediate",)  # commands that share their work among processes
