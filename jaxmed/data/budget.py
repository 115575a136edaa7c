"""Memory that one request may take, so that what cannot fit is refused before it is allocated."""

import os
from typing import Any

import numpy as np

__all__ = ["BYTES_A_DRAW", "check_fits", "check_whole", "default_budget"]

# An analysis in memory holds about four copies of the table.
SHARE_OF_MEMORY = 4
# A draw of the exact law, or a permutation: its quadratics and what is made of them.
BYTES_A_DRAW = 256
UNKNOWN = 16 * 2**30  # where the system does not tell its memory


def default_budget() -> int:
    """Bytes that a table, or the draws of one request, may take: a quarter of the memory."""
    if not hasattr(os, "sysconf"):
        return UNKNOWN
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // SHARE_OF_MEMORY


def check_whole(name: str, count: Any) -> None:
    """Refuses what is no whole number.

    Args:
      name: of the setting, for the message.
      count: what was given for it.

    Raises:
      ValueError: a fraction, a truth value, or no number at all.
    """
    if isinstance(count, bool | np.bool_) or not isinstance(count, int | np.integer):
        raise ValueError(f"{name} must be a whole number, not {count!r}")


def check_fits(name: str, count: int, bytes_each: int) -> None:
    """Refuse a number of draws that memory cannot hold.

    Args:
      name: of the setting, for the message.
      count: draws asked for.
      bytes_each: that each of them takes while all are held.

    Raises:
      ValueError: more than the budget, or no whole number.
    """
    check_whole(name, count)
    limit = default_budget()
    if count * bytes_each > limit:
        raise ValueError(
            f"{name} is {count:,}, which takes about {count * bytes_each / 2**30:,.0f} GiB, beyond "
            f"the {limit / 2**30:.1f} GiB that a request may take here: at most "
            f"{limit // bytes_each:,}"
        )
