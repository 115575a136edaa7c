"""The `jaxmed` command: analyses of a data file, and simulation studies."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from jaxmed.cli import analyses, compare, launch, site, study
from jaxmed.cli.wording import at_the_terminal, message_of

__all__ = ["main"]

INTERRUPTED = 130  # as shells count SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status.

    2 is a problem with data or arguments, in one line on stderr; 1 a fault of jaxmed; 130 an
    interruption. A traceback is shown with --traceback only.
    """
    options = _parser().parse_args(arguments)

    def said(text: str) -> str:
        return at_the_terminal(text, lambda name: hasattr(options, name))

    def show(message: Any, *_: Any) -> None:
        print(f"jaxmed: warning: {said(str(message))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        try:
            return options.run(options) or 0
        except KeyboardInterrupt:
            print("jaxmed: interrupted", file=sys.stderr)
            return INTERRUPTED
        except Exception as error:
            if options.traceback:
                raise
            sentence, status = message_of(error)
            print(f"jaxmed: {said(sentence)}", file=sys.stderr)
            return status


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
