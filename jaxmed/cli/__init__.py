"""The `jaxmed` command: analyses of a data file, and simulation studies."""

import argparse
import sys
from collections.abc import Sequence

from jaxmed.cli import analyses, compare, launch, site, study

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status (2 for a problem with data or arguments)."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except (ValueError, TypeError, KeyError, ImportError, OSError) as error:
        if options.traceback:
            raise
        print(f"jaxmed: {_message(error)}", file=sys.stderr)
        return 2


def _message(error: Exception) -> str:
    # str(KeyError) quotes its message.
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxmed", description="High-dimensional mediation analysis.", allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    analyses.add_commands(commands)
    compare.add_command(commands)
    study.add_command(commands)
    site.add_command(commands)
    launch.add_command(commands)
    return parser
