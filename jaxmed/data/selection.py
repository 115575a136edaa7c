"""Which columns: names, lists as in a csv, globs and @files, with hints."""

import csv
import fnmatch
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxmed.data.tables import UnknownColumnError, check_single, listing, unknown
from jaxmed.data.validation import InvalidDataError, ShapeError

__all__ = ["UnknownColumnError", "listed", "names_of", "select"]

QUOTING = (
    "a name that holds a comma is put in double quotes, as in '\"m,1\",m2', or into a file with "
    "one name per line, @FILE"
)


def listed(text: str) -> tuple[str, ...]:
    """The entries of a list as a line of csv has them: commas between, double quotes around.

    Raises:
      InvalidDataError: a quote that is not closed.
    """
    text = re.sub(r'"\s+(?=,|$)', '"', text.strip())  # blanks behind a quoted name
    try:
        entries = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise InvalidDataError(f"the list {text!r} cannot be read ({error}): {QUOTING}") from error
    return tuple(entry.strip() for entry in entries if entry.strip())


def names_of(spec: str | Sequence[str], available: Sequence[str]) -> tuple[str, ...]:
    """The entries of a list, of an @file (one per line, # comments), or of a sequence.

    A text that is the name of a column as a whole is that name.

    Raises:
      InvalidDataError: a list or an @file that cannot be read.
    """
    if not isinstance(spec, str):
        return tuple(str(entry) for entry in spec)
    if spec in available:
        return (spec,)
    if spec.startswith("@"):
        try:
            lines = Path(spec[1:]).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidDataError(
                f"the list of columns {spec!r} cannot be read: {error}"
            ) from error
        return tuple(s for line in lines if (s := line.strip()) and not s.startswith("#"))
    return listed(spec)


def select(
    spec: str | Sequence[str],
    available: Sequence[str],
    taken: Sequence[str],
    *,
    others: Sequence[str] = (),
    doubled: Mapping[str, tuple[int, ...]] | None = None,
) -> tuple[str, ...]:
    """Mediators in the order of the specification, each once.

    Args:
      spec: name, glob (* ? [seq], case-sensitive), list, @file, or a sequence of them. Brackets
        that stand in the name of a column stand for themselves.
      available: columns that a glob may pick.
      taken: exposure, outcome, covariates and weights: a glob passes over them.
      others: columns that are found by their whole name only.
      doubled: names that two columns have.

    Raises:
      UnknownColumnError: a name that does not exist, or a glob that matches nothing.
      InvalidDataError: a taken column named as a mediator, or a name that two columns have.
      ShapeError: nothing selected.
    """
    chosen: dict[str, None] = {}
    known, roles, doubled = {*available, *others}, set(taken), doubled or {}
    for entry in names_of(spec, available):
        if entry in known or entry in doubled or not any(sign in entry for sign in "*?["):
            check_single(entry, doubled, "mediators")
            if entry in roles:
                raise InvalidDataError(f"mediators: {entry!r} already has another role")
            if entry not in known:
                raise _unknown(entry, spec, available)
            chosen[entry] = None
            continue
        matched = _matched(entry, (*available, *doubled))
        for name in matched:
            check_single(name, doubled, f"mediators: {entry!r}")
        matched = [name for name in matched if name not in roles]
        if not matched:
            raise UnknownColumnError(
                f"mediators: no column matches {entry!r}; {listing(available)}"
            )
        chosen.update(dict.fromkeys(matched))
    if not chosen:
        raise ShapeError("mediators: no column is named (p = 0)")
    return tuple(chosen)


def _matched(pattern: str, names: Sequence[str]) -> list[str]:
    """Names by a glob; brackets are a class only where they match nothing as they stand."""
    literal = pattern.replace("[", "[[]")
    found = [name for name in names if fnmatch.fnmatchcase(name, literal)]
    return found or [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def _unknown(entry: str, spec: str | Sequence[str], available: Sequence[str]) -> UnknownColumnError:
    """With a word on quotes where the text is a piece of a name with a comma."""
    error = unknown(entry, available, "mediators")
    torn = isinstance(spec, str) and any("," in name and entry in name for name in available)
    return UnknownColumnError(f"{error}; {QUOTING}") if torn else error
