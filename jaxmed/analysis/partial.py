"""Finished methods of an analysis on disk, so that an interrupted one goes on where it stopped.

One file per method, whole or not there. Its name and its content hold the fingerprint of all that
the numbers depend on, and the content is sealed: a file of other data or settings, or a damaged
one, is never taken for an answer.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.analysis.record_values import plain
from jaxmed.analysis.user_warnings import warn_user
from jaxmed.data.archive import read_arrays
from jaxmed.data.atomic import atomic_write, npz_bytes
from jaxmed.data.documents import canonical, parse_document, sealed
from jaxmed.data.forms import SHA256, Choice, Each, Fields, Text
from jaxmed.reports.format import count

__all__ = ["Checkpoint", "Finished", "Partial", "partial_results"]

SCHEMA = "jaxmed.partial"
SUFFIX = ".partial.npz"
SLUG, HASH = 14, 12  # letters of a file's name; with the suffix as many as `atomic_write` keeps
COLUMN = "column_"
NONFINITE = "nonfinite"
_FORM = Fields(
    {
        "schema": Choice((SCHEMA,)),
        "method": Text(any_character=True),
        "fingerprint": SHA256,
        "rows": Each(Fields({}, open=True)),
        "columns": SHA256,
    }
)
_BROKEN = (ValueError, KeyError, OSError, struct.error)


@dataclasses.dataclass(frozen=True)
class Finished:
    """What one method left: rows of the table, and columns of the table of mediators, if any."""

    rows: list[dict[str, Any]]
    columns: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


class Partial:
    """The folder of the finished methods of one analysis, or of several with other data."""

    def __init__(self, folder: Path | None, resume: bool, say: Callable[[str], None]) -> None:
        """Of a folder, made with its first file; None keeps nothing."""
        self._folder, self._resume, self._say = folder, resume, say
        self._used: set[Path] = set()
        self._found = False
        if folder is None:
            return
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"{folder} is no folder: finished methods are kept in one")
        found = self._files()
        self._found = bool(found)
        if resume:
            say(f"{count(len(found), 'finished method')} in {folder}")
        elif found:
            say(f"{count(len(found), 'finished method')} in {folder} left out: a fresh start")
            self._delete()

    def finished(
        self,
        name: str,
        identity: Callable[[], str | None],
        compute: Callable[[], Finished],
    ) -> tuple[Finished, bool]:
        """What a method left before, or what it leaves now; True where it was there.

        Args:
          name: of the method, for messages.
          identity: the fingerprint of all that its numbers depend on; None where that cannot be
            known, so that nothing is kept.
          compute: the method itself.
        """
        if self._folder is None:
            return compute(), False
        fingerprint = identity()
        if fingerprint is None:
            self._say(f"{name}: nothing tells whether a later call asks for the same: not kept")
            return compute(), False
        path = self._folder / f"{_slug(name)}-{fingerprint[:HASH]}{SUFFIX}"
        found = self._read(path, name, fingerprint) if self._resume else None
        taken = found is not None
        if found is None:
            found = compute()
            atomic_write(path, _bytes(found, name, fingerprint), durable=True)
        self._used.add(path)
        return found, taken

    def _read(self, path: Path, name: str, fingerprint: str) -> Finished | None:
        if not path.exists():
            if self._found:
                self._say(f"{name}: no finished one of these data, settings and versions")
            return None
        try:
            found = _parsed(path, fingerprint)
        except _BROKEN as error:
            warn_user(f"{name}: computed anew, {error}")
            return None
        self._say(f"{name}: taken from {path.name}")
        return found

    def remove(self) -> None:
        """Deletes the files; those that nobody asked for are counted in a warning."""
        if self._folder is None:
            return
        unused = [path for path in self._files() if path not in self._used]
        if unused:
            warn_user(
                f"{count(len(unused), 'finished method')} in {self._folder} not used: of other "
                "data, settings or versions"
            )
        self._delete()
        with contextlib.suppress(OSError):  # files of others are in it
            self._folder.rmdir()

    def _files(self) -> list[Path]:
        assert self._folder is not None
        return sorted(path for path in self._folder.glob(f"*{SUFFIX}") if path.name[0] != ".")

    def _delete(self) -> None:
        assert self._folder is not None
        halves = self._folder.glob(f".*{SUFFIX}.*")  # of a writer that was killed
        for path in (*self._files(), *halves):
            path.unlink(missing_ok=True)


# Where finished methods are kept: a folder of one call, or one that somebody opened for several.
Checkpoint = str | Path | Partial | None


@contextlib.contextmanager
def partial_results(
    checkpoint: Checkpoint, *, resume: bool, progress: Callable[[str], None] | None
) -> Iterator[Partial]:
    """The folder of finished methods while an analysis runs; deleted when it ends well.

    Args:
      checkpoint: the folder; None keeps nothing. One that is open already is its opener's to
        delete.
      resume: goes on from what is there; otherwise that is deleted first.
      progress: called with what was found.

    Raises:
      ValueError: to resume without a folder.
    """
    if isinstance(checkpoint, Partial):
        yield checkpoint
        return
    if resume and checkpoint is None:
        raise ValueError("resume=True needs the folder of the interrupted call: checkpoint=FOLDER")
    folder = None if checkpoint is None else Path(checkpoint)
    partial = Partial(folder, resume, progress or (lambda sentence: None))
    yield partial
    partial.remove()


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", name)[:SLUG]


def _bytes(found: Finished, name: str, fingerprint: str) -> bytes:
    record = {
        "schema": SCHEMA,
        "method": name,
        "fingerprint": fingerprint,
        "rows": [_coded(plain(row)) for row in found.rows],
        "columns": _digest(found.columns),
    }
    columns = {f"{COLUMN}{column}": values for column, values in found.columns.items()}
    return npz_bytes({"record": np.asarray(json.dumps(sealed(record))), **columns})


def _parsed(path: Path, fingerprint: str) -> Finished:
    """What a file holds; raises one of `_BROKEN` for anything else than what was asked for."""
    if not path.is_file():
        raise ValueError(f"{path.name} is no regular file")
    arrays = read_arrays(path)
    if "record" not in arrays:
        raise ValueError(f"{path.name} holds no record")
    text = str(arrays.pop("record"))
    record = parse_document(text.encode(), _FORM, file=path.name, remedy="delete it", seal=True)
    columns = {name.removeprefix(COLUMN): values for name, values in arrays.items()}
    if record["fingerprint"] != fingerprint:
        raise ValueError(f"{path.name} is of other data or settings")
    if record["columns"] != _digest(columns):
        raise ValueError(f"{path.name}: the columns were changed")
    return Finished([_decoded(row) for row in record["rows"]], columns)


def _digest(columns: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, values in columns.items():
        digest.update(canonical([name, str(values.dtype), list(values.shape)]))
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _coded(value: Any) -> Any:
    """A value with names for the numbers that JSON does not have; others come back as they are."""
    if isinstance(value, dict):
        return {name: _coded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_coded(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {NONFINITE: str(value)}
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {NONFINITE}:
        return float(value[NONFINITE])
    return {name: _decoded(item) for name, item in value.items()}
