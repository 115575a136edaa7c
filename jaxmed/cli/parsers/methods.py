"""`jaxmed methods`."""

from typing import Any

from jaxmed.cli.parsers.arguments import at_run

__all__ = ["add_command"]


def add_command(commands: Any) -> None:
    """Adds the command to the parser of `jaxmed`."""
    run = commands.add_parser("methods", help="every method by name: what it estimates, and when")
    run.set_defaults(run=at_run("methods.methods_command"), traceback=False)
