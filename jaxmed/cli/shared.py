"""What several commands share."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax

from jaxmed.analysis.comparison import MethodTable
from jaxmed.analysis.levels import LevelsResult

__all__ = ["Say", "message_arguments", "progress", "show_levels", "show_table", "use_cache"]


Say = Callable[[str], None]


def message_arguments(parser: argparse.ArgumentParser) -> None:
    """Options on what is told besides the result."""
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--traceback", action="store_true", help="full Python traceback on errors")


def progress(quiet: bool) -> Callable[[str], None]:
    """Prints sentences to stderr, each with the seconds since now."""
    start = time.monotonic()

    def say(sentence: str) -> None:
        if not quiet:
            print(f"[{time.monotonic() - start:6.1f} s] {sentence}", file=sys.stderr, flush=True)

    return say


def show_table(
    result: MethodTable, options: argparse.Namespace, say: Callable[[str], None]
) -> None:
    """Prints effects by method and, with --out, writes their files."""
    print(result.summary())
    if options.out is not None:
        say(f"writing {options.out}")
        result.save(options.out, figures=not options.no_figures)
        print(f"\nReport: {options.out / 'report.html'}")


def show_levels(
    result: LevelsResult, options: argparse.Namespace, say: Callable[[str], None]
) -> None:
    """Prints the results of every level and, with --out, writes a folder for each."""
    print(result.summary())
    if options.out is not None:
        say(f"writing {options.out}")
        result.save(options.out, figures=not options.no_figures)
        print(f"\nReports: {options.out / 'index.html'}")


def use_cache(directory: Path) -> None:
    """Compiled programs are kept between runs; treat the folder as executable code."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(directory))
    if getattr(jax.config, "jax_logging_level", "NOTSET") == "NOTSET":
        # XLA calls every program it reads back one for another machine, for tuning preferences
        # that are no features of a processor; what fails still raises.
        jax.config.update("jax_logging_level", "CRITICAL")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
