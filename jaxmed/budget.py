"""Memory that one request may take, so that what cannot fit is refused before it is allocated."""

import math
import numbers
import os
from pathlib import Path
from typing import Any

__all__ = [
    "BYTES_A_DRAW",
    "check_at_least",
    "check_count",
    "check_fits",
    "check_processes",
    "check_whole",
    "default_budget",
    "memory",
    "said",
]

# An analysis in memory holds about four copies of the table.
SHARE_OF_MEMORY = 4
# A draw of the exact law, or a permutation: its quadratics and what is made of them.
BYTES_A_DRAW = 256
BYTES_A_PROCESS = 300 * 2**20  # a whole JAX
UNKNOWN = 64 * 2**30  # where the system does not tell its memory
GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory() -> int:
    """Bytes this process may have: the machine's, or less where group or shell set a limit."""
    if not hasattr(os, "sysconf"):
        return UNKNOWN
    return min(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *_limits())


def _limits() -> list[int]:
    """Limits in bytes of the control group and of the address space, and one beyond them all."""
    import resource  # not on every system

    texts = [Path(name).read_text().strip() for name in GROUP_LIMITS if os.path.isfile(name)]
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    given = [int(text) for text in texts if text.isdigit()]
    return [*given, *([] if space == resource.RLIM_INFINITY else [space]), 2**62]


def default_budget() -> int:
    """Bytes that a table, or the draws of one request, may take: a quarter of the memory."""
    return memory() // SHARE_OF_MEMORY


def check_whole(name: str, count: Any) -> None:
    """Refuses what is no whole number.

    Args:
      name: of the setting, for the message.
      count: what was given for it.

    Raises:
      ValueError: a fraction, a truth value, or no number at all.
    """
    if isinstance(count, bool) or not isinstance(count, numbers.Integral):
        raise ValueError(f"{name} must be a whole number, not {said(count)}")


def check_at_least(name: str, count: Any, least: int) -> None:
    """Refuses what is no whole number, or one below `least`; raises ValueError."""
    check_whole(name, count)
    if count < least:
        raise ValueError(f"{name} must be at least {least}, not {said(count)}")


def check_count(name: str, count: Any, least: int = 1, bytes_each: int = BYTES_A_DRAW) -> None:
    """Refuses a number of draws below `least`, or more than memory holds; raises ValueError."""
    check_at_least(name, count, least)
    check_fits(name, count, bytes_each)


def check_processes(name: str, count: Any) -> None:
    """Refuses a number of processes that memory cannot hold; raises ValueError."""
    check_at_least(name, count, 1)
    check_fits(name, count, BYTES_A_PROCESS, limit=memory())


def check_fits(
    name: str,
    count: Any,
    bytes_each: int,
    *,
    power: int = 1,
    limit: int | None = None,
    remedy: str = "",
) -> None:
    """Refuse a number of draws, rows or columns that memory cannot hold.

    Args:
      name: of the setting, for the message.
      count: asked for.
      bytes_each: that each of them takes while all are held.
      power: 2 where what is held is a square of so many rows and columns.
      limit: bytes it may take; `default_budget` if None.
      remedy: what else to do, beside asking for less.

    Raises:
      ValueError: more than the budget, or no whole number.
    """
    check_whole(name, count)
    limit = default_budget() if limit is None else limit
    needed = int(count) ** power * bytes_each if count > 0 else 0
    if needed > limit:
        most = math.isqrt(limit // bytes_each) if power == 2 else limit // bytes_each
        gib = f"about {needed // 2**30:,} GiB" if needed < 2**90 else "more than there is"
        raise ValueError(
            f"{name} is {said(count)}, which takes {gib}, beyond the "
            f"{limit / 2**30:.1f} GiB that a request may take here: at most {most:,}{remedy}"
        )


def said(value: Any) -> str:
    """A value in a message: numbers with their thousands apart, and nothing longer than a line."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        value = int(value)
        large = abs(value) >= 10**18
        return f"a number of {value.bit_length():,} bits" if large else f"{value:,}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
