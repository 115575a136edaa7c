"""The ledger as a file of JSON lines, of which every byte is checked.

Any line that is changed, gone, there twice, moved or from another ledger breaks the chain. Lines
cut off at the end do not: that is seen by the marks of the releases (`beside`). Without a key all
this is against accidents; whoever may write the ledger can make another one.
"""

import stat
from pathlib import Path
from typing import Any

from jaxmed.data.atomic import atomic_write
from jaxmed.data.documents import DocumentError, parse_document
from jaxmed.data.forms import SHA256, Choice, Each, Fields, Flag, Text, Whole
from jaxmed.federated.archive import SiteFileError
from jaxmed.federated.ledger import SCHEMA, VERSION, Entry, Ledger, line_of

__all__ = ["read_ledger", "write_ledger"]

_COPY = "restore it from a copy: without it overlapping releases go unseen"
_VERSION = Fields({"schema": Choice((SCHEMA,)), "version": Whole()}, open=True)
_HEAD = Fields(
    {
        "schema": Choice((SCHEMA,)),
        "version": Choice((VERSION,)),
        "ledger": Text("[0-9a-f]{32}"),
        "salt": SHA256,  # 32 bytes, too
    }
)
_ENTRY = Fields(
    {
        "previous": SHA256,
        "number": Whole(1),
        "kind": Choice(("summary", "second_round")),
        "digest": SHA256,
        "identified_by": Text(),
        "noise": Flag(),
        "rows": Each(Text("[0-9a-f]{32}"), least=1),
    }
)


def read_ledger(path: Path) -> Ledger | None:
    """The ledger in a file; None where there is no file.

    Raises:
      SiteFileError: any byte that is not as it was written, or a ledger of another version.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SiteFileError(path.name, "ledger", "is no regular file", "name another file")
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    first, *rest = raw.splitlines(keepends=True) or [b""]
    head, seal = _head(path, first)
    ledger = Ledger(head["ledger"], bytes.fromhex(head["salt"]), (first,), (seal,))
    for line in rest:
        ledger = _longer(path, ledger, line)
    return ledger


def write_ledger(path: Path, ledger: Ledger) -> None:
    """Private, whole or not at all, and on the disk before it returns.

    Raises:
      SiteFileError: the last release could not be read back.
    """
    if ledger.entries:
        _line(path, len(ledger.lines), ledger.lines[-1], _ENTRY)
    atomic_write(path, ledger.text, durable=True, private=True)


def _head(path: Path, line: bytes) -> tuple[dict[str, Any], str]:
    try:
        version = parse_document(line, _VERSION, file=path.name, remedy=_COPY)["version"]
    except DocumentError as error:
        raise _of_line(error, 1) from error
    if version == 1:
        raise SiteFileError(
            path.name,
            "version",
            "is 1, whose hashes cannot be compared with those of this jaxmed (identifiers are now "
            "brought into one form first)",
            "keep it, and start another ledger, in a folder of its own, only for persons who are "
            "not in it",
        )
    return _line(path, 1, line, _HEAD)


def _longer(path: Path, ledger: Ledger, line: bytes) -> Ledger:
    """The ledger with the next line of its file."""
    number = len(ledger.entries) + 1
    found, seal = _line(path, number + 1, line, _ENTRY)
    if found["previous"] != ledger.seals[-1] or found["number"] != number:
        raise SiteFileError(
            path.name,
            f"line {number + 1}",
            "does not follow the line before: lines are missing, moved, there twice or of another "
            "ledger",
            _COPY,
        )
    entry = Entry(
        found["kind"],
        found["digest"],
        found["identified_by"],
        found["noise"],
        frozenset(found["rows"]),
    )
    return ledger.with_line(entry, line, seal)


def _line(path: Path, place: int, line: bytes, form: Fields) -> tuple[dict[str, Any], str]:
    """Content and hash of a line whose text is the one that this content has."""
    try:
        found = parse_document(line, form, file=path.name, remedy=_COPY, seal=True)
    except DocumentError as error:
        raise _of_line(error, place) from error
    text, seal = line_of(found)
    if text != line:
        raise SiteFileError(path.name, f"line {place}", "was changed", _COPY)
    return found, seal


def _of_line(error: DocumentError, place: int) -> SiteFileError:
    return SiteFileError(error.file, f"line {place}, {error.field}", error.problem, error.remedy)
