"""Files that appear whole or not at all."""

import contextlib
import io
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import numpy as np

__all__ = ["atomic_write", "mode_beside", "npz_bytes", "sync_folder", "write_new"]


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An .npz archive of these arrays, without pickle; `archive.read_arrays` reads it back."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
    return stream.getvalue()


def atomic_write(
    path: str | Path, content: bytes | str, *, durable: bool = False, private: bool = False
) -> Path:
    """Writes a file so that no reader ever sees half of it; makes the folder.

    Args:
      path: of the file; one that exists is replaced.
      content: text is written as UTF-8.
      durable: waits until the file and its name are on the disk, so that they survive a crash of
        the machine and not only of the process.
      private: only the owner may read or write the file (mode 0600).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = content.encode() if isinstance(content, str) else content
    handle, temporary = _beside(path, 0o600 if private else 0o666)
    try:
        _fill(handle, raw, durable)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if durable:
        sync_folder(path.parent)
    return path


def write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Writes a file that must not be there yet; it and its name are on the disk on return.

    Raises:
      FileExistsError: it is there.
    """
    _fill(_new(path, mode), content, durable=True)
    sync_folder(path.parent)


def mode_beside(path: Path) -> int:
    """The mode that this process gives to new files in the folder of a path."""
    handle, probe = _beside(path, 0o666)
    try:
        return os.fstat(handle).st_mode & 0o777
    finally:
        os.close(handle)
        os.unlink(probe)


def sync_folder(folder: Path) -> None:
    """Waits until the names in it are on the disk."""
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fill(handle: int, content: bytes, durable: bool) -> None:
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        if durable:
            stream.flush()
            os.fsync(stream.fileno())


def _new(path: Path, mode: int) -> int:
    """A file that was not there, open for writing.

    The kernel takes the umask off its mode. To ask for the umask is to change it for a moment, in
    which other threads would make files that everybody may write.
    """
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), mode)


def _beside(path: Path, mode: int) -> tuple[int, Path]:
    """A file beside `path` that nobody else has, open for writing."""
    while True:
        # A long name has no room for a suffix: 255 bytes are what file systems take.
        beside = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}")
        with contextlib.suppress(FileExistsError):
            return _new(beside, mode), beside
