"""The process of a study's command: its settings, its end, and what it says."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from jaxmed.cli.programs import keep_programs
from jaxmed.cli.shared import notice
from jaxmed.sweeps.plan_form import MOST_THREADS

__all__ = ["prepare", "say", "terminable"]


def prepare(nproc: int, *, cache: bool = True) -> None:
    """Settings that have to stand before JAX starts its devices, and the cache of programs."""
    if not 1 <= nproc <= MOST_THREADS:
        raise ValueError(f"--nproc must lie between 1 and {MOST_THREADS}, not {nproc}")
    os.environ["NPROC"] = str(nproc)  # part of the identity of the numbers on CPUs
    # The parent and its workers share an accelerator.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if not cache:
        os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # of the workers, too
    keep_programs(say, wanted=cache)


say = notice(quiet=False)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the work in order, like Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
