"""JSON documents read with their form checked: what is wrong is named by file and field.

A file from elsewhere, or one that a crash or a disk damaged, is data of unknown form: every reader
of jaxmed says which form it expects, and gets plain values of it or a `DocumentError`.
"""

import dataclasses
import hashlib
import json
import math
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

__all__ = [
    "SEAL",
    "Anything",
    "Choice",
    "DocumentError",
    "Each",
    "Fields",
    "Flag",
    "Kind",
    "Mapped",
    "Maybe",
    "Number",
    "Text",
    "Whole",
    "canonical",
    "parse_document",
    "read_document",
    "sealed",
]

SEAL = "sha256"  # the field that a sealed document protects the others with
LARGEST_BYTES = 64 * 2**20
DEEPEST = 64  # lists and objects in each other; what is written here has a handful
_UNSAFE = "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"
_SHOWN = 60  # characters of a wrong value in a message


class DocumentError(ValueError):
    """A file that does not hold what it should: names file, field and remedy."""

    def __init__(self, file: str, field: str, problem: str, remedy: str) -> None:
        """Of one field of one file."""
        super().__init__(f"{file}: {field}: {problem}; {remedy}")
        self.file, self.field, self.problem, self.remedy = file, field, problem, remedy


class Kind(Protocol):
    """The form of a value."""

    def check(self, value: Any, field: str) -> None:
        """Raises `_Wrong` where the value at a field has another form."""
        ...


class _Wrong(Exception):
    """A field and what is wrong with it; files and remedies are the reader's business."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field, self.problem = field, problem


def _shown(value: Any) -> str:
    text = ascii(value) if not isinstance(value, int) or abs(value) < 10**20 else "a huge number"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


@dataclasses.dataclass(frozen=True)
class Anything:
    """Any JSON value."""

    def check(self, value: Any, field: str) -> None:
        """Never raises."""


@dataclasses.dataclass(frozen=True)
class Flag:
    """True or false."""

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if not isinstance(value, bool):
            raise _Wrong(field, f"is {_shown(value)}, neither true nor false")


@dataclasses.dataclass(frozen=True)
class Whole:
    """A whole number within limits."""

    least: int = 0
    most: int = 2**53

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise _Wrong(field, f"is {_shown(value)}, no whole number")
        if not self.least <= value <= self.most:
            raise _Wrong(field, f"is {_shown(value)}, not within {self.least} and {self.most}")


@dataclasses.dataclass(frozen=True)
class Number:
    """A finite number within limits."""

    least: float = -math.inf
    most: float = math.inf

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _Wrong(field, f"is {_shown(value)}, no number")
        # Python compares a whole number of any length with a float without an overflow.
        if not max(self.least, -1.8e308) <= value <= min(self.most, 1.8e308):
            raise _Wrong(field, f"is {_shown(value)}, not within {self.least:g} and {self.most:g}")


@dataclasses.dataclass(frozen=True)
class Text:
    """A text without control characters, of a pattern where one is given.

    `any_character` allows them: a column of the data may be called anything, and whoever shows
    its name escapes them.
    """

    pattern: str | None = None
    longest: int = 10_000
    any_character: bool = False

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if not isinstance(value, str):
            raise _Wrong(field, f"is {_shown(value)}, no text")
        if len(value) > self.longest:
            raise _Wrong(field, f"has {len(value)} characters, more than {self.longest}")
        # A terminal would obey them; a half of a surrogate pair cannot be written anywhere.
        if not self.any_character and re.search(_UNSAFE, value):
            raise _Wrong(field, f"holds control characters ({_shown(value)})")
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise _Wrong(field, f"is {_shown(value)}, which it cannot be")


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Any, ...]

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if not any(type(value) is type(one) and value == one for one in self.values):
            known = " or ".join(map(_shown, self.values))
            raise _Wrong(field, f"is {_shown(value)}, not {known}")


@dataclasses.dataclass(frozen=True)
class Maybe:
    """A value of a kind, or null."""

    kind: Kind

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if value is not None:
            self.kind.check(value, field)


@dataclasses.dataclass(frozen=True)
class Each:
    """A list of values of one kind."""

    kind: Kind
    least: int = 0
    most: int = 10**7

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if not isinstance(value, list):
            raise _Wrong(field, f"is {_shown(value)}, no list")
        if not self.least <= len(value) <= self.most:
            raise _Wrong(field, f"has {len(value)} entries, not {self.least} to {self.most}")
        for place, item in enumerate(value):
            self.kind.check(item, f"{field}[{place}]")


@dataclasses.dataclass(frozen=True)
class Mapped:
    """An object with names of any text and values of one kind."""

    kind: Kind

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if not isinstance(value, dict):
            raise _Wrong(field or "document", f"is {_shown(value)}, no object")
        for name, item in value.items():
            Text().check(name, f"a name in {field or 'the document'}")
            self.kind.check(item, _joined(field, name))


@dataclasses.dataclass(frozen=True)
class Fields:
    """An object with these fields, and no other unless it is open."""

    fields: Mapping[str, Kind]
    optional: Mapping[str, Kind] = dataclasses.field(default_factory=dict)
    open: bool = False

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if not isinstance(value, dict):
            raise _Wrong(field or "document", f"is {_shown(value)}, no object")
        known = {**self.fields, **self.optional}
        for name in self.fields:
            if name not in value:
                raise _Wrong(_joined(field, name), "is missing")
        for name, item in value.items():
            if name in known:
                known[name].check(item, _joined(field, name))
            elif not self.open:
                raise _Wrong(_joined(field, _shown(name)), "is no field that this version knows")


def _joined(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


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
    raw: bytes, kind: Fields | Mapped, *, file: str, remedy: str, seal: bool = False
) -> dict[str, Any]:
    """The document in bytes; arguments and errors as of `read_document`."""
    try:
        found = json.loads(
            raw.decode(), object_pairs_hook=_once, parse_constant=_refused, parse_float=_finite
        )
        _check_depth(found)
    except _Wrong as error:
        raise DocumentError(file, error.field, error.problem, remedy) from None
    except (ValueError, RecursionError) as error:
        raise DocumentError(file, "document", f"is no JSON ({error})", remedy) from error
    try:
        if seal:
            found = _unsealed(found)
        kind.check(found, "")
    except _Wrong as error:
        raise DocumentError(file, error.field, error.problem, remedy) from None
    return found


def _unsealed(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict) or SEAL not in found:
        raise _Wrong(SEAL, "is missing")
    if sealed(found)[SEAL] != found[SEAL]:
        raise _Wrong(SEAL, "does not fit the content: the file was changed")
    return {name: value for name, value in found.items() if name != SEAL}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Wrong(_shown(twice), "is there twice")
    return found


def _refused(constant: str) -> Any:
    raise _Wrong("document", f"holds {constant}, which JSON does not have")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _Wrong("document", f"holds {text[:_SHOWN]}, which is too large for a number")
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        parts = [one.values() if isinstance(one, dict) else one for one in level if _nests(one)]
        level = [item for part in parts for item in part if _nests(item)]
        if not level:
            return
    raise _Wrong("document", f"nests more than {DEEPEST} levels")


def _nests(value: Any) -> bool:
    return isinstance(value, dict | list)
