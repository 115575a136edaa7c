"""What goes to the terminal: text of the data can neither move its cursor nor colour it."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from jaxmed.reports.format import visible

__all__ = ["below", "shown_plainly"]


class _Plain:
    """A stream that shows control characters, and what its encoding lacks, instead of sending them.

    Column names, levels and messages come from files; a terminal would obey them.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        raw = visible(text, keep="\n").encode(encoding, "backslashreplace")
        self.stream.write(raw.decode(encoding))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def below(stream: Any) -> Any:
    """The stream itself, for what draws on purpose (a progress bar)."""
    return stream.stream if isinstance(stream, _Plain) else stream


@contextlib.contextmanager
def shown_plainly() -> Iterator[None]:
    """All that is printed to stdout and stderr meanwhile goes through `_Plain`."""
    out: Any = _Plain(below(sys.stdout))
    error: Any = _Plain(below(sys.stderr))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        yield
