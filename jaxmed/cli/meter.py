"""Progress of a study on stderr: replicates, rate and time to go."""

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxmed.cli.terminal import below
from jaxmed.studies.run import Progress

__all__ = ["meter"]

_EVERY = 5.0  # seconds between two lines where there is no bar


@contextmanager
def meter(quiet: bool) -> Iterator[Progress]:
    """A callback (done, total): a bar where tqdm is installed and stderr a terminal, else lines."""
    if quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None:
        bar = _Bar()
        try:
            yield bar.show
        finally:
            bar.close()
    else:
        yield _Lines().show


class _Bar:
    """A tqdm bar, made when the first number comes."""

    def __init__(self) -> None:
        self._bar: Any = None

    def show(self, done: int, total: int) -> None:
        if self._bar is None:
            from tqdm import tqdm

            # `initial`: what an earlier run has done does not count for the rate.
            self._bar = tqdm(
                total=total,
                initial=done,
                unit=" replicates",
                unit_scale=True,
                file=below(sys.stderr),
            )
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class _Lines:
    """A line every few seconds, for log files."""

    def __init__(self) -> None:
        self._start: tuple[float, int] | None = None
        self._last = (-_EVERY, -1)  # when, and how many replicates

    def show(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._start is None:
            self._start = now, done
        when, shown = self._last
        if done == shown or (done < total and now - when < _EVERY):
            return
        self._last = now, done
        since, before = self._start
        rate = (done - before) / max(now - since, 1e-9)
        text = f"{done:,} of {total:,} replicates"
        if rate > 0:
            text += f", {rate:,.0f}/s"
            text += f", {(total - done) / rate:.0f} s to go" if done < total else ""
        print(text, file=sys.stderr, flush=True)
