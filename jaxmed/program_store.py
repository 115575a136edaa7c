"""Whole compiled programs kept between processes, so that a later one neither traces nor lowers.

JAX's own cache saves the compiler's time only: it finds a program by its lowered form. Nothing is
kept until a folder is named. What is in it is executed, so it must be nobody else's to write to.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import re
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache

__all__ = ["ENDING", "call_program", "is_open", "open_store"]

ENDING = "-program"
DIGEST_BYTES = hashlib.sha256().digest_size
# Calls out of a program that find their functions again in another process. Others may hold an
# address of this one.
CALLS = re.compile(r"custom_call\s*@([\w.$]+)|custom_call.*call_target_name = \"([^\"]+)\"")
LAPACK = "lapack_"


class _Store:
    """Where programs are kept, and those that this process has read or made."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.programs: dict[str, Callable[..., Any]] = {}


_store = _Store()


def open_store(folder: Path | None) -> None:
    """From now on programs are kept in a folder, which is private to this user; None ends it."""
    _store.folder = folder
    _store.programs.clear()


def is_open() -> bool:
    """Whether programs are kept."""
    return _store.folder is not None


def call_program(
    key: str, lower: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """What a program returns: one of this process, of an earlier one, or compiled now and kept.

    Args:
      key: of `program_key.program_key`.
      lower: makes what JAX compiles, if need be.
      args: without configuration.
      kwargs: without configuration.
    """
    if _store.folder is None:
        raise RuntimeError("no folder for programs is open")
    if key in _store.programs:
        return _store.programs[key](*args, **kwargs)
    path = _store.folder / f"{key}{ENDING}"
    try:
        program = _read(path)
        if program is not None:
            # What XLA misses in a program of a file shows when it runs.
            found = jax.block_until_ready(program(*args, **kwargs))
            _store.programs[key] = program
            return found
    except jax.errors.JaxRuntimeError:  # if it is no fault of the file, it comes again below
        path.unlink(missing_ok=True)
    _store.programs[key] = _made(path, lower)
    return _store.programs[key](*args, **kwargs)


def _read(path: Path) -> Callable[..., Any] | None:
    """The program of a file; None where there is none, or one that was damaged and is deleted."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, packed = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if _digest(path, packed) != digest:
        path.unlink(missing_ok=True)
        return None
    program, trees, uses_lapack = pickle.loads(zlib.decompress(packed))
    if uses_lapack:
        _find_lapack()
    return serialize_executable.deserialize_and_load(program, *trees)


def _digest(path: Path, packed: bytes) -> bytes:
    """Of the content and its name, so that no program answers for another one."""
    return hashlib.sha256(path.name.encode() + packed).digest()


def _made(path: Path, lower: Callable[[], Any]) -> Callable[..., Any]:
    """The program, compiled and written to the file if it can be."""
    with _without_jax_cache():
        lowered = lower()
        compiled = lowered.compile()
    calls = {a or b for a, b in CALLS.findall(lowered.as_text())}
    if all(name.startswith(LAPACK) for name in calls):
        try:
            program, *trees = serialize_executable.serialize(compiled)
        except NotImplementedError:  # it closes over arrays
            return compiled
        except jax.errors.JaxRuntimeError as error:
            # XLA cannot write a sort of a program that this process compiled before.
            if not str(error).startswith("UNIMPLEMENTED"):
                raise
            return compiled
        packed = zlib.compress(pickle.dumps((program, trees, bool(calls))), level=1)
        _write(path, _digest(path, packed) + packed)
    return compiled


@contextlib.contextmanager
def _without_jax_cache() -> Iterator[None]:
    """Has XLA compile: what it reads back from JAX's cache it cannot write whole once more."""
    before = jax.config.values["jax_enable_compilation_cache"]
    try:
        jax.config.update("jax_enable_compilation_cache", False)
        compilation_cache.reset_cache()  # JAX looks at the setting once
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()


def _write(path: Path, content: bytes) -> None:
    """The whole file or none, readable by this user only."""
    partial = None
    try:
        handle, partial = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(partial, path)
    except OSError as error:  # as JAX does for its own cache
        warnings.warn(f"a compiled program is not kept: {error}", stacklevel=2)
        if partial is not None:
            Path(partial).unlink(missing_ok=True)


@functools.cache
def _find_lapack() -> None:
    """Has JAX look up LAPACK's functions, which it does when it lowers a call of one of them."""
    cholesky = functools.partial(jax.lax.linalg.cholesky, symmetrize_input=False)
    jax.jit(cholesky).lower(np.ones((1, 1)))
