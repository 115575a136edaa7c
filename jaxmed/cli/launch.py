"""`jaxmed launch`: one command as several supervised processes."""

import argparse
import signal
import sys

from jaxmed.budget import check_at_least, check_processes
from jaxmed.cli.shared import progress
from jaxmed.parallel.supervisor import supervise

__all__ = ["launch_command"]


def launch_command(options: argparse.Namespace) -> int:
    """A command as several processes, and again from its checkpoint if one dies."""
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
