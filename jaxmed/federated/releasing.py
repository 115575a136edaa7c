"""A release in three steps, each of which may fail without spending anything.

1. The file is written whole under a hidden name that only the owner can read.
2. The ledger is written.
3. The file gets its name.

Until 3 nobody has seen the file, so that an error in 2 or 3 takes the ledger back. A process that
is killed between 2 and 3 leaves the hidden file, which the next release of these rows puts in
place: with noise it must be that very file, because a second draw would tell more than one.
"""

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from jaxmed.data.atomic import atomic_write, mode_beside, write_new
from jaxmed.federated.archive import Content, archive_bytes, read_any
from jaxmed.federated.beside import SCHEMAS, check_beside, release_mark
from jaxmed.federated.identifiers import row_labels
from jaxmed.federated.ledger import Entry, Ledger, new_ledger
from jaxmed.federated.ledger_file import read_ledger, write_ledger
from jaxmed.federated.lock import alone
from jaxmed.federated.marks import Mark, marked
from jaxmed.federated.rules import ReleaseRefused
from jaxmed.federated.second_round import RoundSums, sums_content
from jaxmed.federated.summary import SiteSummary, content_of
from jaxmed.federated.unfinished import pending_of, unfinished

__all__ = ["Released", "write_release"]


@dataclasses.dataclass(frozen=True)
class Released:
    """What is in the file now."""

    path: Path
    mark: Mark
    # True: an earlier release of these rows had been interrupted, and its file was put in place;
    # what was given this time is not in it.
    finished: bool


def write_release(
    item: SiteSummary | RoundSums,
    out: str | Path,
    *,
    ledger: str | Path,
    identifiers: Sequence[str],
    identified_by: str,
    key: bytes | None = None,
) -> Released:
    """Writes a summary, or sums of a second round, to a file that may be sent, once.

    Args:
      item: of `summarise` or `round_sums`.
      out: the file, *.npz; one that exists is replaced, unless it is another release.
      ledger: of the site, which stays there; made on first use, readable by its owner only.
      identifiers: of the rows' persons, in any form that `row_labels` takes.
      identified_by: column or file that they come from.
      key: the file is signed with it, and so must be the signed releases beside.
    Raises:
      ReleaseRefused: persons of an earlier release, or persons that cannot be compared with
        one's; a second round without its summary; another release under that name.
      SiteFileError: a ledger that is damaged, or does not fit the releases beside it, see
        `check_beside`; another process is writing a release.
      ValueError: another name than *.npz, or that of the ledger.
      OSError: the file or the ledger cannot be written; the release is not spent then.
    """
    # One lock for one ledger, whatever links lead to it.
    out, path = Path(out), Path(ledger).resolve()
    _check_name(out)
    if out.resolve() == path:
        raise ValueError(f"{out.name} is the ledger itself: name another file for the release")
    labels = row_labels(identifiers)
    _check_given(item, labels)
    with alone(path), alone(out):
        before = read_ledger(path)
        check_beside(path, before, out, item.site, key)
        now = before or new_ledger()
        entry = _entry(item, identified_by, now.hashed(labels))
        mark = unfinished(out, now, entry, key)
        if mark is not None:
            _put_in_place(pending_of(out), out)
            return Released(out, mark, True)
        after, number = now.with_release(entry)
        mark = after.mark(number)
        _check_free(out, mark)
        _write(out, archive_bytes(marked(_content(item), mark), key), path, before, after)
    return Released(out, mark, False)


def _check_name(out: Path) -> None:
    if out.suffix != ".npz":
        raise ValueError(f"{out.name} does not end in .npz, by which releases are found: rename it")
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder: name a file in it")


def _check_given(item: SiteSummary | RoundSums, labels: Sequence[str]) -> None:
    """The ledger must hold the persons that the sums are about, and no others."""
    if item.given is None:
        raise ReleaseRefused(
            "what was read from a file is a release already: make it of the rows by `summarise` or "
            "`round_sums`"
        )
    rows, persons = len(labels), len(set(labels))
    if (rows, persons) != item.given:
        raise ReleaseRefused(
            f"{rows} identifiers of {persons} persons, but the sums were made of "
            f"{item.given.rows} rows of {item.given.persons} persons: give the identifiers of "
            "these rows here, and the same ones as persons= where the sums are made"
        )


def _check_free(out: Path, mark: Mark) -> None:
    """With another release its mark would be gone, which says that it was made."""
    content = read_any(out, SCHEMAS) if out.is_file() else None
    if content is not None and release_mark(content, out) not in (None, mark):
        raise ReleaseRefused(f"{out.name} is another release: name another file")


def _entry(item: SiteSummary | RoundSums, identified_by: str, rows: frozenset[str]) -> Entry:
    if isinstance(item, SiteSummary):
        return Entry("summary", item.digest, identified_by, item.noise is not None, rows)
    return Entry("second_round", item.merged, identified_by, False, rows)


def _content(item: SiteSummary | RoundSums) -> Content:
    return content_of(item) if isinstance(item, SiteSummary) else sums_content(item)


def _write(out: Path, raw: bytes, path: Path, before: Ledger | None, after: Ledger) -> None:
    pending = pending_of(out)
    try:
        # Half of it is no release, as its digest says.
        write_new(pending, raw, mode=0o600)
        if after is not before:
            write_ledger(path, after)
        _put_in_place(pending, out)
    except BaseException:
        if pending.exists():  # nobody saw it
            _take_back(path, before, pending)
        raise


def _put_in_place(pending: Path, out: Path) -> None:
    """Not waiting for the new name to be on the disk: as long as it is not, the hidden one is."""
    os.chmod(pending, mode_beside(out))
    os.replace(pending, out)


def _take_back(path: Path, before: Ledger | None, pending: Path) -> None:
    """The ledger as it was before a release that nobody saw.

    Where the disk refuses even that, the hidden file stays, and the next release finds it.
    """
    with contextlib.suppress(OSError):
        if before is None:
            path.unlink(missing_ok=True)
        elif path.read_bytes() != before.text:
            # Not waiting for the disk, which has just failed: should the machine stop here, the
            # ledger has one release too many, never one too few.
            atomic_write(path, before.text, private=True)
        pending.unlink()
