"""Where in its site's ledger a release stands, kept in the release's own file."""

import dataclasses
from pathlib import Path

from jaxmed.data.documents import check_document
from jaxmed.data.forms import SHA256, Fields, Maybe, Text, Whole
from jaxmed.federated.archive import Content, SiteFileError

__all__ = ["Mark", "mark_of", "marked", "unmarked"]

_FIELD = "ledger"
_FORM = Maybe(Fields({"ledger": Text("[0-9a-f]{32}"), "head": SHA256, "length": Whole(1)}))


@dataclasses.dataclass(frozen=True)
class Mark:
    """By which a ledger that lost releases is told from a whole one.

    It says nothing about persons: the ledger's hash covers a secret salt. Whoever can write the
    files can write another mark, unless they are signed.
    """

    ledger: str  # the ledger's public name, random
    head: str  # SHA-256 of the release's line, which covers all lines before
    length: int  # releases up to this one


def marked(content: Content, mark: Mark | None) -> Content:
    """Content with the mark; digests of releases are those of the content without."""
    value = None if mark is None else dataclasses.asdict(mark)
    return dataclasses.replace(content, metadata={**content.metadata, _FIELD: value})


def unmarked(content: Content) -> Content:
    """Content as it was before `marked`."""
    metadata = {name: value for name, value in content.metadata.items() if name != _FIELD}
    return dataclasses.replace(content, metadata=metadata)


def mark_of(content: Content, path: str | Path) -> Mark | None:
    """The mark in the content of a file; None for a release that was in no ledger.

    Raises:
      SiteFileError: no mark where one belongs, or of another form.
    """
    held = {name: value for name, value in content.metadata.items() if name == _FIELD}
    found = check_document(
        held,
        Fields({_FIELD: _FORM}),
        file=Path(path).name,
        remedy="ask the site to write the file again",
        error=SiteFileError,
    )
    return None if found[_FIELD] is None else Mark(**found[_FIELD])
