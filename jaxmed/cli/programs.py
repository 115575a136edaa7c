"""Where commands keep compiled programs: a private folder of this user, in no run directory.

What is in it is executed. A run directory may come from elsewhere; this folder does not.
"""

import contextlib
import gc
import hashlib
import os
import platform
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from jaxmed.program_key import processor
from jaxmed.program_store import ENDING, open_store

__all__ = ["MOST_BYTES", "keep_programs", "program_folder", "prune", "trace_quickly"]

MOST_BYTES = 2 * 2**30


def keep_programs(
    say: Callable[[str], None], directory: Path | None = None, *, wanted: bool = True
) -> None:
    """Has JAX keep what it compiles and read it back in the next process.

    Settings of JAX that the user made come before ours: another folder, or none.

    Args:
      say: takes a sentence where the folder is new, or cannot be had.
      directory: instead of this user's folder; treat it as executable code.
      wanted: False keeps nothing and reads nothing.
    """
    if not wanted:
        open_store(None)
        jax.config.update("jax_enable_compilation_cache", False)
    elif directory is not None:
        _use(say, lambda: _made_private(directory))
    elif _setting("jax_enable_compilation_cache") and not _setting("jax_compilation_cache_dir"):
        _use_own(say)


def trace_quickly() -> None:
    """Settings for a process that traces some dozens of programs and then ends."""
    # Stack traces written into programs are read by profilers only.
    _unless_set("jax_traceback_in_locations_limit", 0)
    # Tracing makes many objects and little garbage: at the default every 700 start a search.
    gc.set_threshold(50_000, 20, 50)


def _use_own(say: Callable[[str], None]) -> None:
    """The folder of this user, where there can be one."""
    known = _has_folder()
    folder = _use(say, program_folder)
    if folder is None:
        return
    if not known:
        say(
            f"compiled programs are kept in {folder}, so that the next start takes less time; the "
            "folder may be deleted at any time, and --no-cache does without it"
        )
    prune(folder.parent)


def _has_folder() -> bool:
    """Whether this user has one already, of any processor."""
    with contextlib.suppress(OSError):  # no home: said where the folder is to be made
        return _place().parent.is_dir()
    return False


def _use(say: Callable[[str], None], make: Callable[[], Path]) -> Path | None:
    """Keeps programs in the folder that this makes, unless others may write to it."""
    try:
        folder = make()
    except OSError as error:
        say(f"compiled programs are not kept: {error}")
        open_store(None)
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # An analysis is some dozens of programs, each of which compiles in less than a second.
    _unless_set("jax_persistent_cache_min_compile_time_secs", 0.0)
    _unless_set("jax_persistent_cache_min_entry_size_bytes", -1)
    open_store(folder)
    return folder


def _setting(name: str) -> Any:
    return getattr(jax.config, name)


def _unless_set(setting: str, value: Any) -> None:
    if setting.upper() not in os.environ:
        jax.config.update(setting, value)


def program_folder() -> Path:
    """The folder for this kind of processor, made if need be.

    Raises:
      OSError: it cannot be made, or may be written to by others.
    """
    whole = _place()
    for folder in (whole.parents[1], whole.parent, whole):
        _made_private(folder)
    whole.chmod(0o700)
    return whole


def _made_private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_private(folder)
    return folder


def prune(folder: Path, most: int = MOST_BYTES) -> None:
    """Deletes the oldest programs in and below a folder until the rest has at most so many bytes.

    What cannot be deleted stays: the command has other work.

    JAX can bound its folder itself, but needs a library for it that it does not bring along.
    """
    found = []
    for path in (*folder.rglob("*-cache"), *folder.rglob(f"*{ENDING}")):
        with contextlib.suppress(OSError):  # another process does the same
            facts = path.stat()
            if stat.S_ISREG(facts.st_mode):
                found.append((facts.st_mtime, facts.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most:
            return
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            total -= size


def _place() -> Path:
    kind = hashlib.sha256(processor().encode()).hexdigest()[:12]
    return _base() / "jaxmed" / "programs" / f"{platform.machine()}-{kind}"


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
