"""One process at a time: two releases at once could both find no overlap."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from jaxmed.federated.archive import SiteFileError

__all__ = ["alone"]


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Holds the lock of a file while the context is open.

    The operating system keeps the lock and frees it with the process, however that ends: a lock
    file that a killed process left behind stops nobody. Between machines it is as good as the
    locks of their common file system.

    Raises:
      SiteFileError: another process holds it, or the file system has no locks.
    """
    lock = path.with_name(f"{path.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _taken(lock)
    try:
        yield
    finally:
        if sys.platform != "win32":  # where an open file cannot be removed
            os.unlink(lock)
        os.close(handle)


def _taken(lock: Path) -> int:
    while True:
        handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            _lock(handle, lock)
            # Whoever held it before may have removed the file that was just opened.
            if _is_file(handle, lock):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _lock(handle: int, lock: Path) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise SiteFileError(
            lock.name, "lock", "another release is being written", "wait for it, then try again"
        ) from error
    except OSError as error:
        raise SiteFileError(
            lock.name,
            "lock",
            f"cannot be taken ({error.strerror})",
            "keep the ledger on a disk whose file system has locks",
        ) from error


def _is_file(handle: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(lock))
    except FileNotFoundError:
        return False
