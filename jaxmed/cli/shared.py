"""What several commands share."""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from jaxmed.analysis.comparison import MethodTable
from jaxmed.analysis.levels import LevelsResult
from jaxmed.analysis.partial import Partial, partial_results
from jaxmed.reports.text import files_written

__all__ = ["Say", "kept_methods", "notice", "progress", "show_levels", "show_table"]

Say = Callable[[str], None]


def progress(quiet: bool) -> Callable[[str], None]:
    """Prints sentences to stderr, each with the seconds since now."""
    start = time.monotonic()

    def say(sentence: str) -> None:
        if not quiet:
            print(f"[{time.monotonic() - start:6.1f} s] {sentence}", file=sys.stderr, flush=True)

    return say


def notice(quiet: bool) -> Callable[[str], None]:
    """Prints sentences to stderr that are no progress: for the user, not for a pipe."""

    def say(sentence: str) -> None:
        if not quiet:
            print(f"jaxmed: {sentence}", file=sys.stderr, flush=True)

    return say


def kept_methods(options: argparse.Namespace, say: Say) -> AbstractContextManager[Partial]:
    """OUT/partial with every finished method, until the reports are written."""
    folder = None if options.out is None else options.out / "partial"
    return partial_results(folder, resume=options.resume, progress=say)


def show_table(
    result: MethodTable, options: argparse.Namespace, say: Callable[[str], None]
) -> None:
    """Prints effects by method and, with --out, writes their files."""
    print(result.summary())
    if options.out is not None:
        say(f"writing {options.out}")
        print(f"\n{files_written(result.save(options.out, figures=not options.no_figures))}")


def show_levels(
    result: LevelsResult, options: argparse.Namespace, say: Callable[[str], None]
) -> None:
    """Prints the results of every level and, with --out, writes a folder for each."""
    print(result.summary())
    if options.out is not None:
        say(f"writing {options.out}")
        print(f"\n{files_written(result.save(options.out, figures=not options.no_figures))}")
