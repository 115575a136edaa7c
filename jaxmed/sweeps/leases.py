"""Leases: which worker computes which chunk, by files that vanish with their worker.

A lease only saves double work. Two workers that compute the same chunk write the same bytes, so
nothing here has to be safe against clocks that disagree or against races of a few microseconds.
"""

import contextlib
import json
import os
import secrets
import socket
import stat
import threading
import time
from pathlib import Path
from typing import Any

from jaxmed.data.documents import DocumentError, read_document
from jaxmed.data.forms import Fields, Text, Whole
from jaxmed.sweeps.aside import set_aside

__all__ = ["STALE_AFTER", "Leases", "is_stale"]

STALE_AFTER = 60.0  # seconds without renewal
_OWNER = Fields({"host": Text(longest=255), "pid": Whole(1, 2**31 - 1), "token": Text(longest=64)})
_LARGEST = 4096  # bytes


class Leases:
    """The leases of one process, renewed by a thread of its own while the context is open.

    Args:
      stale_after: seconds without renewal after which a lease may be taken over.
    """

    def __init__(self, stale_after: float = STALE_AFTER) -> None:
        """See the class."""
        self._stale_after = stale_after
        self._content = json.dumps(
            {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}
        )
        self._held: set[Path] = set()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> "Leases":
        """Starts the renewal."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Gives back what is still held."""
        self._closed.set()
        self._thread.join()
        for path in tuple(self._held):
            self.release(path)

    def take(self, path: Path) -> bool:
        """Takes a lease that is free or stale; False where another process holds it."""
        if self._create(path):
            return True
        if not is_stale(path, self._stale_after):
            return False
        _remove(path)
        return self._create(path)

    def clear(self, path: Path) -> None:
        """Removes a lease that a process left behind with its work done."""
        if is_stale(path, self._stale_after):
            _remove(path)

    def release(self, path: Path) -> None:
        """Gives a lease back, unless another process took it over meanwhile."""
        self._held.discard(path)
        with contextlib.suppress(FileNotFoundError, DocumentError):
            if _owner(path) == json.loads(self._content):
                path.unlink()

    def _create(self, path: Path) -> bool:
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w") as stream:
            stream.write(self._content)
        self._held.add(path)
        return True

    def _renew(self) -> None:
        while not self._closed.wait(self._stale_after / 4):
            for path in tuple(self._held):
                with contextlib.suppress(OSError):  # taken over, or just released
                    os.utime(path)


def is_stale(path: Path, stale_after: float = STALE_AFTER) -> bool:
    """True where nobody works under a lease any more.

    That is at once where its process ran on this host and is gone, else when it was renewed more
    than `stale_after` seconds ago, or from now: a clock that is ahead holds no chunk for ever. A
    lease that cannot be read has an unknown owner. One that is not there is not stale.
    """
    try:
        age = abs(time.time() - path.lstat().st_mtime)  # of a link its own: it may lead nowhere
    except FileNotFoundError:
        return False
    try:
        owner = _owner(path)
    except (DocumentError, OSError):  # its process died, or is just about to write it
        return age > stale_after
    gone = owner["host"] == socket.gethostname() and not _is_running(owner["pid"])
    return gone or age > stale_after


def _owner(path: Path) -> dict[str, Any]:
    return read_document(path, _OWNER, remedy="it counts as nobody's", largest=_LARGEST)


def _remove(path: Path) -> None:
    """A lease out of the way; a folder in its place is kept under another name."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            set_aside(path, ".odd")
        else:
            path.unlink()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True
