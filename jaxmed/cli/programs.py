"""Where the studies of this user keep compiled programs: a private folder, in no run directory.

What is in it is executed. A run directory may come from elsewhere; this folder does not.
"""

import os
import re
import socket
import stat
from pathlib import Path

__all__ = ["MOST_BYTES", "program_folder", "prune"]

MOST_BYTES = 2 * 2**30


def program_folder() -> Path:
    """The folder of this host (programs are compiled for its processor), made if need be.

    Raises:
      OSError: it cannot be made, or may be written to by others.
    """
    host = re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname())
    folder = _base()
    for part in ("jaxmed", "programs", host):
        folder = folder / part
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(folder)
    folder.chmod(0o700)
    return folder


def prune(folder: Path, most: int = MOST_BYTES) -> None:
    """Deletes the oldest programs until the rest has at most so many bytes.

    JAX can bound its folder itself, but needs a library for it that it does not bring along.
    """
    found = []
    for path in folder.glob("*-cache"):
        try:
            facts = path.stat()
        except FileNotFoundError:  # another process does the same
            continue
        found.append((facts.st_mtime, facts.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= size


def _base() -> Path:
    """The folder for caches of this user; the specification of it has a relative one ignored."""
    named = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    if os.path.isabs(named):
        return Path(named)
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        raise OSError("this user has no home folder")
    return Path(home) / ".cache"


def _check_private(folder: Path) -> None:
    if os.name == "nt":  # folders of a profile are its user's
        return
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        raise OSError(f"{folder} is a link, not a folder")
    if facts.st_uid != os.geteuid():
        raise OSError(f"{folder} belongs to somebody else")
    if facts.st_mode & 0o022:
        raise OSError(f"others may write to {folder}: delete it, or chmod 700 it if you trust it")
