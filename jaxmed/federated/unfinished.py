"""The hidden file of a release whose process was killed before the file had its name."""

from pathlib import Path

from jaxmed.federated.archive import Content, SiteFileError, digest_of, read_any
from jaxmed.federated.beside import SCHEMAS
from jaxmed.federated.ledger import Entry, Ledger
from jaxmed.federated.marks import Mark, mark_of, unmarked
from jaxmed.federated.rules import ReleaseRefused
from jaxmed.federated.summary import SCHEMA as SUMMARY

__all__ = ["pending_of", "unfinished"]


def pending_of(out: Path) -> Path:
    """Where a release lies until the ledger knows of it."""
    return out.with_name(f".{out.name}.pending")


def unfinished(out: Path, ledger: Ledger, entry: Entry, key: bytes | None = None) -> Mark | None:
    """The mark of a hidden file that may now be put in place; what the ledger lacks is removed.

    Args:
      out: the file that it would become.
      ledger: of the site.
      entry: the release that is asked for; the hidden one must be of the same persons.
      key: a signature must be of this key.
    Raises:
      ReleaseRefused: the hidden file is a release of other persons.
      SiteFileError: it was signed with another key.
    """
    pending = pending_of(out)
    if not pending.exists():
        return None
    mark = _known(pending, ledger)
    if mark is None:
        pending.unlink()
        return None
    earlier = ledger.entries[mark.length - 1]
    if (earlier.kind, earlier.rows) != (entry.kind, entry.rows):
        raise ReleaseRefused(
            f"{pending.name} is an interrupted release of other rows: repeat that one, which puts "
            "its file in place, or write to another file"
        )
    read_any(pending, SCHEMAS, key=key)
    return mark


def _known(pending: Path, ledger: Ledger) -> Mark | None:
    """The mark of a whole file whose digest is in the ledger."""
    try:
        content = read_any(pending, SCHEMAS)
        mark = None if content is None else mark_of(content, pending)
    except SiteFileError:
        return None
    if content is None or mark is None or not ledger.holds(mark):
        return None
    return mark if _digest(content) == ledger.entries[mark.length - 1].digest else None


def _digest(content: Content) -> str:
    """That the ledger knows a release by."""
    if content.metadata["schema"] == SUMMARY:
        return digest_of(unmarked(content))
    return content.metadata["merged"]
