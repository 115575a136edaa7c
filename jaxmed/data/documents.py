"""JSON documents read with their form checked: what is wrong is named by file and field.

A file from elsewhere, or one that a crash or a disk damaged, is data of unknown form: every reader
of jaxmed says which form it expects, and gets plain values of it or a `DocumentError`.
"""

import hashlib
import json
import math
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxmed.data.forms import Fields, Mapped, Wrong, shown

__all__ = [
    "SEAL",
    "DocumentError",
    "canonical",
    "check_document",
    "parse_document",
    "read_document",
    "sealed",
]

SEAL = "sha256"  # the field that a sealed document protects the others with
LARGEST_BYTES = 64 * 2**20
DEEPEST = 64  # lists and objects in each other; what is written here has a handful


class DocumentError(ValueError):
    """A file that does not hold what it should: names file, field and remedy."""

    def __init__(self, file: str, field: str, problem: str, remedy: str) -> None:
        """Of one field of one file."""
        super().__init__(f"{file}: {field}: {problem}; {remedy}")
        self.file, self.field, self.problem, self.remedy = file, field, problem, remedy


def canonical(document: Any) -> bytes:
    """The one text of a JSON value: names sorted, no blanks, ASCII.

    Raises:
      ValueError: NaN or an infinity in it.
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the SHA-256 of its other fields under `SEAL`.

    Against accidents: whoever changes a document can seal it again.
    """
    rest = {name: value for name, value in document.items() if name != SEAL}
    return {**rest, SEAL: hashlib.sha256(canonical(rest)).hexdigest()}


def read_document(
    path: str | Path,
    kind: Fields | Mapped,
    *,
    remedy: str,
    seal: bool = False,
    largest: int = LARGEST_BYTES,
) -> dict[str, Any]:
    """The document in a file.

    Args:
      path: of a regular file.
      kind: the form that it must have.
      remedy: what to do where it has not; ends the message.
      seal: whether it was written by `sealed`, which is then verified (`kind` does not name it).
      largest: bytes that the file may have.
    Raises:
      FileNotFoundError: no such file.
      DocumentError: no JSON, of another form, or changed since it was sealed.
    """
    path = Path(path)
    # A pipe would be waited for at its opening, a device read for ever.
    if not stat.S_ISREG(path.stat().st_mode):
        raise DocumentError(path.name, "document", "is no regular file", remedy)
    with path.open("rb") as stream:
        raw = stream.read(largest + 1)
    if len(raw) > largest:
        raise DocumentError(path.name, "document", f"has more than {largest} bytes", remedy)
    return parse_document(raw, kind, file=path.name, remedy=remedy, seal=seal)


def parse_document(
    raw: bytes,
    kind: Fields | Mapped,
    *,
    file: str,
    remedy: str,
    seal: bool = False,
    error: type[DocumentError] = DocumentError,
) -> dict[str, Any]:
    """The document in bytes; arguments and errors as of `read_document`.

    Args:
      raw: the bytes.
      kind: the form.
      file: name in a message.
      remedy: ends the message.
      seal: whether it is sealed.
      error: raised instead of a plain `DocumentError`.
    """
    try:
        found = json.loads(
            raw.decode(), object_pairs_hook=_once, parse_constant=_refused, parse_float=_finite
        )
        _check_depth(found)
    except Wrong as wrong:
        raise error(file, wrong.field, wrong.problem, remedy) from None
    except (ValueError, RecursionError) as wrong:
        raise error(file, "document", f"is no JSON ({wrong})", remedy) from wrong
    return check_document(found, kind, file=file, remedy=remedy, seal=seal, error=error)


def check_document(
    found: Any,
    kind: Fields | Mapped,
    *,
    file: str,
    remedy: str,
    seal: bool = False,
    error: type[DocumentError] = DocumentError,
) -> dict[str, Any]:
    """A document that was read already, without its seal; arguments and errors as above."""
    try:
        if seal:
            found = _unsealed(found)
        kind.check(found, "")
    except Wrong as wrong:
        raise error(file, wrong.field, wrong.problem, remedy) from None
    return found


def _unsealed(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict) or SEAL not in found:
        raise Wrong(SEAL, "is missing")
    if sealed(found)[SEAL] != found[SEAL]:
        raise Wrong(SEAL, "does not fit the content: the file was changed")
    return {name: value for name, value in found.items() if name != SEAL}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Wrong(shown(name), "is there twice")
            seen.add(name)
    return found


def _refused(constant: str) -> Any:
    raise Wrong("document", f"holds {constant}, which JSON does not have")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Wrong("document", f"holds {shown(text)}, which is too large for a number")
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        parts = [one.values() if isinstance(one, dict) else one for one in level if _nests(one)]
        level = [item for part in parts for item in part if _nests(item)]
        if not level:
            return
    raise Wrong("document", f"nests more than {DEEPEST} levels")


def _nests(value: Any) -> bool:
    return isinstance(value, dict | list)
