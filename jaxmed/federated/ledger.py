"""A site's private record of whose rows it has released, so that no two releases differ by a few.

Sums of n and of n - 1 rows give away the one person between them. The ledger keeps salted hashes
of row identifiers beside the data; it never leaves the site.
"""

import contextlib
import dataclasses
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.atomic import atomic_write
from jaxmed.federated.archive import SiteFileError
from jaxmed.federated.release import ReleaseRefused

__all__ = ["LEDGER_NAME", "Entry", "Ledger", "record_release", "row_labels"]

LEDGER_NAME = "jaxmed_releases.jsonl"
SCHEMA, VERSION = "jaxmed.release_ledger", 1
HASH_CHARACTERS = 32  # of hexadecimal: 128 bits


@dataclasses.dataclass(frozen=True)
class Entry:
    """One release."""

    kind: str  # "summary" or "second_round"
    digest: str  # of the summary; of the merged moments for a second round
    identified_by: str  # where row identifiers came from
    noise: bool
    rows: frozenset[str]  # salted hashes


@dataclasses.dataclass(frozen=True)
class Ledger:
    """Salt and all releases; immutable."""

    salt: bytes
    entries: tuple[Entry, ...] = ()

    def hashed(self, identifiers: Sequence[str]) -> frozenset[str]:
        """Salted hashes of row identifiers."""
        return frozenset(
            hmac.new(self.salt, name.encode(), hashlib.sha256).hexdigest()[:HASH_CHARACTERS]
            for name in identifiers
        )

    def with_release(self, entry: Entry) -> "Ledger":
        """The ledger after a release, itself if the very same one is in it.

        Raises:
          ReleaseRefused: rows of an earlier release, or rows that cannot be compared with one.
        """
        for earlier in self.entries:
            if earlier.kind != entry.kind:
                continue
            if earlier == entry and not entry.noise:
                return self
            if earlier.identified_by != entry.identified_by:
                raise ReleaseRefused(
                    f"an earlier release identified rows by {earlier.identified_by}, this one by "
                    f"{entry.identified_by}: whether they are the same persons cannot be seen; use "
                    "the same row identifiers, or another ledger for other persons"
                )
            shared = len(earlier.rows & entry.rows)
            if shared:
                again = " (with noise, each release spends epsilon again)" if entry.noise else ""
                raise ReleaseRefused(
                    f"{shared} of {len(entry.rows)} rows are in an earlier release{again}: the "
                    "difference of two releases is about the rows between them; send the earlier "
                    "file again"
                )
        if entry.kind == "second_round" and not self._released(entry.rows):
            raise ReleaseRefused("these rows have no summary in the ledger: run `summarise` first")
        return dataclasses.replace(self, entries=(*self.entries, entry))

    def _released(self, rows: frozenset[str]) -> bool:
        return any(e.kind == "summary" and e.rows == rows for e in self.entries)


def row_labels(values: Any) -> list[str]:
    """Identifiers as texts; 17 and 17.0 are the same.

    Raises:
      ReleaseRefused: a missing identifier.
    """
    array = np.asarray(values)
    if array.dtype.kind == "f":
        if np.isnan(array).any():
            raise ReleaseRefused("a row has no identifier: fill the column in, or leave it out")
        whole = array == np.round(array)
        return [str(int(v)) if w else repr(float(v)) for v, w in zip(array, whole, strict=True)]
    labels = [str(value).strip() for value in array.tolist()]
    if not all(labels):
        raise ReleaseRefused("a row has no identifier: fill the column in, or leave it out")
    return labels


def record_release(
    path: str | Path,
    *,
    kind: str,
    digest: str,
    identifiers: Sequence[str],
    identified_by: str,
    noise: bool = False,
) -> Ledger:
    """Checks a release against the ledger of the site and writes it down, before anything is sent.

    Args:
      path: the ledger; made on first use, readable by its owner only.
      kind: "summary" or "second_round".
      digest: of what is released.
      identifiers: of the rows.
      identified_by: column or file that they come from.
      noise: whether noise was added.
    Returns:
      The ledger as it is now in the file.
    Raises:
      ReleaseRefused: see `Ledger.with_release`.
      SiteFileError: the file is no ledger, or another process is writing it.
    """
    path = Path(path)
    with _alone(path):
        ledger = _read(path) if path.exists() else Ledger(secrets.token_bytes(32))
        entry = Entry(kind, digest, identified_by, noise, ledger.hashed(identifiers))
        after = ledger.with_release(entry)
        if after is not ledger:
            atomic_write(path, _text(after), durable=True, private=True)
    return after


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two releases at once could both find no overlap."""
    lock = path.with_name(f"{path.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError as error:
        raise SiteFileError(
            lock.name, "lock", "another release is being written",
            "wait for it; if none runs, remove this file",
        ) from error  # fmt: skip
    try:
        os.close(handle)
        yield
    finally:
        os.unlink(lock)


def _text(ledger: Ledger) -> str:
    head = {"schema": SCHEMA, "version": VERSION, "salt": ledger.salt.hex()}
    lines = [head] + [dataclasses.asdict(e) | {"rows": sorted(e.rows)} for e in ledger.entries]
    return "".join(json.dumps(line) + "\n" for line in lines)


def _read(path: Path) -> Ledger:
    try:
        head, *rest = (json.loads(line) for line in path.read_text().splitlines())
        if head["schema"] != SCHEMA or head["version"] != VERSION:
            raise ValueError(f"schema {head['schema']!r}, version {head['version']!r}")
        entries = (
            Entry(
                str(e["kind"]), str(e["digest"]), str(e["identified_by"]), bool(e["noise"]),
                frozenset(map(str, e["rows"])),
            )
            for e in rest
        )  # fmt: skip
        return Ledger(bytes.fromhex(head["salt"]), tuple(entries))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SiteFileError(
            path.name, "ledger", f"cannot be read ({error!r})",
            "restore it from a copy: without it overlapping releases go unseen",
        ) from error  # fmt: skip
