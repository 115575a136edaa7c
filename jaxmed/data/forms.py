"""Forms that a JSON value may have: each kind says of a value what is wrong with it."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, Protocol

from jaxmed.vocabulary import UNSAFE

__all__ = [
    "SHA256",
    "Anything",
    "Choice",
    "Each",
    "Fields",
    "Flag",
    "Kind",
    "Mapped",
    "Maybe",
    "Number",
    "Text",
    "Whole",
    "Wrong",
    "shown",
]

SHOWN = 60  # characters of a wrong value in a message


class Kind(Protocol):
    """The form of a value."""

    def check(self, value: Any, field: str) -> None:
        """Raises `Wrong` where the value at a field has another form."""
        ...


class Wrong(Exception):
    """A field and what is wrong with it; files and remedies are the reader's business."""

    def __init__(self, field: str, problem: str) -> None:
        """Of one field."""
        super().__init__(field, problem)
        self.field, self.problem = field, problem


def shown(value: Any) -> str:
    """A value of any kind as a few ASCII characters."""
    text = ascii(value) if not isinstance(value, int) or abs(value) < 10**20 else "a huge number"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


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
            raise Wrong(field, f"is {shown(value)}, neither true nor false")


@dataclasses.dataclass(frozen=True)
class Whole:
    """A whole number within limits."""

    least: int = 0
    most: int = 2**53

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(field, f"is {shown(value)}, no whole number")
        if not self.least <= value <= self.most:
            raise Wrong(field, f"is {shown(value)}, not within {self.least} and {self.most}")


@dataclasses.dataclass(frozen=True)
class Number:
    """A finite number within limits."""

    least: float = -math.inf
    most: float = math.inf

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Wrong(field, f"is {shown(value)}, no number")
        # Python compares a whole number of any length with a float without an overflow.
        if not max(self.least, -1.8e308) <= value <= min(self.most, 1.8e308):
            raise Wrong(field, f"is {shown(value)}, not within {self.least:g} and {self.most:g}")


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
            raise Wrong(field, f"is {shown(value)}, no text")
        if len(value) > self.longest:
            raise Wrong(field, f"has {len(value)} characters, more than {self.longest}")
        if not self.any_character and re.search(UNSAFE, value):
            raise Wrong(field, f"holds control characters ({shown(value)})")
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise Wrong(field, f"is {shown(value)}, which it cannot be")


SHA256 = Text("[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Any, ...]

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if not any(type(value) is type(one) and value == one for one in self.values):
            known = " or ".join(map(shown, self.values))
            raise Wrong(field, f"is {shown(value)}, not {known}")


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
            raise Wrong(field, f"is {shown(value)}, no list")
        if not self.least <= len(value) <= self.most:
            raise Wrong(field, f"has {len(value)} entries, not {self.least} to {self.most}")
        for place, item in enumerate(value):
            self.kind.check(item, f"{field}[{place}]")


@dataclasses.dataclass(frozen=True)
class Mapped:
    """An object with names of any text and values of one kind."""

    kind: Kind

    def check(self, value: Any, field: str) -> None:
        """See `Kind`."""
        if not isinstance(value, dict):
            raise Wrong(field or "document", f"is {shown(value)}, no object")
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
            raise Wrong(field or "document", f"is {shown(value)}, no object")
        known = {**self.fields, **self.optional}
        for name in self.fields:
            if name not in value:
                raise Wrong(_joined(field, name), "is missing")
        for name, item in value.items():
            if name in known:
                known[name].check(item, _joined(field, name))
            elif not self.open:
                raise Wrong(_joined(field, shown(name)), "is no field that this version knows")


def _joined(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
