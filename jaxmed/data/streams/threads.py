"""A core for the thread that reads, while the others multiply."""

import contextlib
import importlib
import os
from collections.abc import Iterator

__all__ = ["core_for_reading"]


@contextlib.contextmanager
def core_for_reading() -> Iterator[None]:
    """Within it BLAS uses all cores but one.

    A product is split evenly over BLAS's threads, and all wait for the slowest: with one thread
    too many, the one that shares its core with the reader. Where threadpoolctl (extra `io`) is
    missing, nothing changes but the time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        library = importlib.import_module("threadpoolctl")
    except ImportError:
        library = None
    if library is None or not cores or cores < 2:
        yield
        return
    now = max((pool["num_threads"] for pool in library.threadpool_info()), default=1)
    with library.threadpool_limits(limits=max(1, min(now, cores - 1)), user_api="blas"):
        yield
