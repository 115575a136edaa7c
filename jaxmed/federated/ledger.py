"""A site's private record of whose rows it has released, so that no two releases differ by a few.

Sums of n and of n - 1 rows give away the one person between them. The ledger keeps salted hashes
of identifiers beside the data; it never leaves the site. Its lines are chained: each holds the
hash of the line before.
"""

import dataclasses
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from jaxmed.data.documents import SEAL, canonical, sealed
from jaxmed.federated.marks import Mark
from jaxmed.federated.rules import ReleaseRefused

__all__ = ["SCHEMA", "VERSION", "Entry", "Ledger", "line_of", "new_ledger"]

SCHEMA, VERSION = "jaxmed.release_ledger", 2
HASH_CHARACTERS = 32  # of hexadecimal: 128 bits


@dataclasses.dataclass(frozen=True)
class Entry:
    """One release."""

    kind: str  # "summary" or "second_round"
    digest: str  # of the summary as released; of the merged moments for a second round
    identified_by: str  # where identifiers came from
    noise: bool
    rows: frozenset[str]  # salted hashes of the persons


@dataclasses.dataclass(frozen=True)
class Ledger:
    """Public name, salt and all releases; immutable."""

    name: str  # 32 hexadecimal digits
    salt: bytes
    lines: tuple[bytes, ...]
    seals: tuple[str, ...]  # SHA-256 of the head line, then of each release's
    entries: tuple[Entry, ...] = ()

    @property
    def text(self) -> bytes:
        """Of the file."""
        return b"".join(self.lines)

    def hashed(self, labels: Sequence[str]) -> frozenset[str]:
        """Salted hashes of identifiers in the form of `row_labels`."""
        return frozenset(
            hmac.new(self.salt, name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[
                :HASH_CHARACTERS
            ]
            for name in labels
        )

    def mark(self, number: int) -> Mark:
        """The mark of a release, counted from 1."""
        return Mark(self.name, self.seals[number], number)

    def holds(self, mark: Mark) -> bool:
        """Whether the release of a mark is in this very history."""
        within = mark.ledger == self.name and mark.length <= len(self.entries)
        return within and mark == self.mark(mark.length)

    def with_release(self, entry: Entry) -> tuple["Ledger", int]:
        """The ledger after a release and its number; the same ledger where it is in it already.

        Raises:
          ReleaseRefused: rows of an earlier release, or rows that cannot be compared with one.
        """
        for number, earlier in enumerate(self.entries, 1):
            if earlier == entry and not entry.noise:
                return self, number
            _check_apart(earlier, entry)
        if entry.kind == "second_round" and not self._released(entry.rows):
            raise ReleaseRefused("these rows have no summary in the ledger: run `summarise` first")
        return self.appended(entry), len(self.entries) + 1

    def appended(self, entry: Entry) -> "Ledger":
        """With one release more, whatever it shares with others."""
        fields = {**vars(entry), "rows": sorted(entry.rows)}
        place = {"previous": self.seals[-1], "number": len(self.entries) + 1}
        return self.with_line(entry, *line_of(place | fields))

    def with_line(self, entry: Entry, line: bytes, seal: str) -> "Ledger":
        """With one line more, and what it says."""
        return dataclasses.replace(
            self,
            lines=(*self.lines, line),
            seals=(*self.seals, seal),
            entries=(*self.entries, entry),
        )

    def _released(self, rows: frozenset[str]) -> bool:
        return any(e.kind == "summary" and e.rows == rows for e in self.entries)


def new_ledger() -> Ledger:
    """An empty one, with a name and a salt of its own."""
    name, salt = secrets.token_hex(16), secrets.token_bytes(32)
    head = {"schema": SCHEMA, "version": VERSION, "ledger": name, "salt": salt.hex()}
    line, seal = line_of(head)
    return Ledger(name, salt, (line,), (seal,))


def line_of(fields: Mapping[str, Any]) -> tuple[bytes, str]:
    """The one text of a line, and its SHA-256 over everything else in it."""
    document = sealed(fields)
    return canonical(document) + b"\n", document[SEAL]


def _check_apart(earlier: Entry, entry: Entry) -> None:
    """Two releases of one kind share no person."""
    if earlier.kind != entry.kind:
        return
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
