"""The process of a study's command: its settings, its end, and what it says."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from jaxmed.cli.programs import program_folder, prune
from jaxmed.cli.shared import use_cache
from jaxmed.sweeps.plan_form import MOST_THREADS

__all__ = ["prepare", "say", "terminable"]


def prepare(nproc: int) -> None:
    """Settings that have to stand before JAX starts its devices, and the cache of programs."""
    if not 1 <= nproc <= MOST_THREADS:
        raise ValueError(f"--nproc must lie between 1 and {MOST_THREADS}, not {nproc}")
    os.environ["NPROC"] = str(nproc)  # part of the identity of the numbers on CPUs
    # The parent and its workers share an accelerator.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        folder = program_folder()
    except OSError as error:
        say(f"compiled programs are not kept: {error}")
        return
    prune(folder)
    use_cache(folder)


def say(sentence: str) -> None:
    """A sentence for the user, not for a pipe."""
    print(f"jaxmed: {sentence}", file=sys.stderr, flush=True)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the work in order, like Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
