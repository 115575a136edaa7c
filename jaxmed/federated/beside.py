"""A ledger against the releases that lie beside it, whose files say how far it had come.

A ledger that was deleted, cut short, or replaced by an older copy or a new one would let rows out
a second time. This protects against accidents: who moves the releases away, too, is not stopped,
and without a key marks can be written by hand. Marks of signed releases cannot.
"""

from collections.abc import Iterator
from pathlib import Path

from jaxmed.federated.archive import MAX_BYTES, Content, SiteFileError, read_any
from jaxmed.federated.ledger import Ledger
from jaxmed.federated.marks import Mark, mark_of
from jaxmed.federated.second_round import SCHEMA as SUMS
from jaxmed.federated.summary import SCHEMA as SUMMARY

__all__ = ["SCHEMAS", "check_beside", "release_mark"]

SCHEMAS = (SUMMARY, SUMS)
_RESTORE = "restore the ledger from a copy"
_APART = "releases of other persons under a ledger of their own belong in a folder of their own"


def check_beside(
    path: Path, ledger: Ledger | None, out: Path, site: str, key: bytes | None = None
) -> None:
    """Refuses a ledger in which a release beside it is not.

    Args:
      path: of the ledger; its folder is looked at.
      ledger: None: there is no file yet.
      out: of the next release; its folder is looked at, too.
      site: label of this site. Releases of other ledgers and other labels are not its own, as in
        the folder of a coordinator.
      key: of this site's signed releases.
    Raises:
      SiteFileError: the ledger is shorter than, other than, or missing beside a release; or a
        release is damaged, larger than MAX_BYTES, or signed with another key.
    """
    for file, content in _releases({path.parent.resolve(), out.parent.resolve()}):
        ours = content.metadata.get("site") == site
        if ledger is None:
            if ours:
                raise SiteFileError(
                    path.name,
                    "ledger",
                    f"is missing beside {file.name}, a release of {site!r}",
                    f"{_RESTORE}, or name the place where it is; {_APART}",
                )
            continue
        mark = release_mark(content, file)
        if mark is None:
            continue
        if mark.ledger == ledger.name:
            read_any(file, SCHEMAS, key=key)
            _check_mark(path, ledger, file, mark)
        elif ours:
            raise SiteFileError(
                path.name,
                "ledger",
                f"is another than that of {file.name}, a release of {site!r}",
                f"{_RESTORE}; {_APART}",
            )


def _check_mark(path: Path, ledger: Ledger, file: Path, mark: Mark) -> None:
    if ledger.holds(mark):
        return
    problem = f"has {len(ledger.entries)} releases, {file.name} is number {mark.length}"
    if mark.length <= len(ledger.entries):
        problem = f"has another release number {mark.length} than {file.name}"
    raise SiteFileError(path.name, "ledger", problem, _RESTORE)


def release_mark(content: Content, file: Path) -> Mark | None:
    """None, too, for a release of the time before marks."""
    return None if content.metadata.get("version") == 1 else mark_of(content, file)


def _releases(folders: set[Path]) -> Iterator[tuple[Path, Content]]:
    for folder in sorted(folders):
        for file in sorted(folder.glob("*.npz")):
            # Whoever may write there may leave half a megabyte that unpacks to gigabytes.
            content = read_any(file, SCHEMAS, max_bytes=MAX_BYTES) if file.is_file() else None
            if content is not None:
                yield file, content
