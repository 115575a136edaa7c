"""The `jaxmed` command: analyses of a data file, and simulation studies."""

import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from jaxmed.cli.parsers import make_parser
from jaxmed.cli.terminal import shown_plainly
from jaxmed.cli.wording import at_the_terminal, message_of

__all__ = ["main"]

SIGNED = ("--contrast", "--levels", "--na")
INTERRUPTED = 130  # as shells count SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status.

    2 is a problem with data or arguments, in one line on stderr; 1 a fault of jaxmed; 130 an
    interruption. A traceback is shown with --traceback only.
    """
    # Read when JAX is loaded. XLA calls every program that it reads back one for another machine,
    # for tuning preferences that are no features of a processor; what fails raises.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    given = sys.argv[1:] if arguments is None else arguments
    options = make_parser().parse_args(_joined(given))

    def said(text: str) -> str:
        return at_the_terminal(text, lambda name: hasattr(options, name))

    def show(message: Any, *_: Any) -> None:
        print(f"jaxmed: warning: {said(str(message))}", file=sys.stderr)

    with shown_plainly(), warnings.catch_warnings():
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


def _joined(arguments: Sequence[str]) -> list[str]:
    """Values that begin with a minus sign tied to their option: --contrast -1,1, --na -9."""
    found: list[str] = []
    for argument in arguments:
        value = re.match(r"-\.?\d", argument) and found and found[-1] in SIGNED
        if value:
            found[-1] += f"={argument}"
        else:
            found.append(argument)
    return found
