"""Progress of long work as sentences: which step it is, what is done of it, the seconds to go."""

import time
from collections.abc import Callable

from jaxmed.typing import Counted

__all__ = ["SILENT", "SPEAK_EVERY", "Steps", "in_chunks", "now_and_then"]

SILENT = 2.0  # seconds that work may take without a sentence about it
SPEAK_EVERY = 5.0  # seconds between two sentences
Say = Callable[[str], None]


def now_and_then(say: Say, what: str) -> Counted:
    """A callback (done, total) that speaks some seconds apart: "3 of 9 blocks, 12 s to go".

    The rate is that since the first call, before which programs are compiled.

    Args:
      say: called with the sentences.
      what: is counted, with the words that follow the numbers.
    """
    due = time.monotonic() + SILENT
    first: tuple[float, int] | None = None

    def tell(done: int, total: int) -> None:
        nonlocal due, first
        now = time.monotonic()
        if first is None:
            first = now, done
        if now < due or done >= total:
            return
        due = now + SPEAK_EVERY
        since, before = first
        left = (now - since) * (total - done) / (done - before) if done > before else None
        say(f"{done} of {total} {what}{'' if left is None else f', {left:.0f} s to go'}")

    return tell


def in_chunks(tell: Counted, total: int) -> Callable[[int], None]:
    """A callback (replicates of a finished chunk), as sweeps have it, from one (done, total)."""
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        tell(done, total)

    return add


class Steps:
    """Sentences that number the steps of an analysis: "method 2 of 3 (about 40 s to go): HIMA"."""

    def __init__(self, say: Say, what: str, total: int) -> None:
        """Of so many steps; the time to go is that of the mean step until now."""
        self._say, self._what, self._total = say, what, total
        self._begun, self._taken = 0, 0
        self._start = time.monotonic()

    def begin(self, name: str) -> None:
        """Says which step begins."""
        computed, seconds = self._begun - self._taken, time.monotonic() - self._start
        left = self._total - self._begun
        self._begun += 1
        known = computed > 0 and seconds >= SILENT
        ahead = f" (about {seconds / computed * left:.0f} s to go)" if known else ""
        self._say(f"{self._what} {self._begun} of {self._total}{ahead}: {name}")

    def take(self) -> None:
        """The step was done before, and took no time that tells of others."""
        self._taken += 1
