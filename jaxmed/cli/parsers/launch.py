"""`jaxmed launch`."""

import argparse
from typing import Any

from jaxmed.cli.parsers.arguments import at_run, message_arguments

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
    launch.set_defaults(run=at_run("launch.launch_command"))
