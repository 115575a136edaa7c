"""Which columns: names, comma lists, globs and @files, with hints."""

import difflib
import fnmatch
from collections.abc import Sequence
from pathlib import Path

from jaxmed.data.validation import InvalidDataError, ShapeError


class UnknownColumnError(InvalidDataError):
    """A column that the table does not have."""


def find(name: str, available: Sequence[str], role: str) -> str:
    """The name itself if the table has it.

    Raises:
      UnknownColumnError: with the nearest names.
    """
    if name in available:
        return name
    near = difflib.get_close_matches(name, available, n=3, cutoff=0.5)
    if not near:
        lower = {candidate.lower(): candidate for candidate in available}
        near = [lower[n] for n in difflib.get_close_matches(name.lower(), list(lower), n=3)]
    hint = f"did you mean {', '.join(map(repr, near))}?" if near else _listing(available)
    raise UnknownColumnError(f"{role}: there is no column {name!r}; {hint}")


def names_of(spec: str | Sequence[str], available: Sequence[str]) -> tuple[str, ...]:
    """The entries of a comma list, of an @file (one per line, # comments), or of a sequence.

    Raises:
      InvalidDataError: an @file that cannot be read.
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
    return tuple(stripped for entry in spec.split(",") if (stripped := entry.strip()))


def select(
    spec: str | Sequence[str], available: Sequence[str], taken: Sequence[str]
) -> tuple[str, ...]:
    """Mediators in the order of the specification, each once.

    Args:
      spec: name, glob (* ? [seq], case-sensitive), comma list, @file, or a sequence of them.
      available: columns of the table.
      taken: exposure, outcome, covariates and weights: a glob passes over them.

    Raises:
      UnknownColumnError: a name that does not exist, or a glob that matches nothing.
      InvalidDataError: a taken column named as a mediator.
      ShapeError: nothing selected.
    """
    chosen: dict[str, None] = {}
    for entry in names_of(spec, available):
        if entry in available or not any(sign in entry for sign in "*?["):
            if entry in taken:
                raise InvalidDataError(f"mediators: {entry!r} already has another role")
            chosen[find(entry, available, "mediators")] = None
            continue
        matched = [n for n in fnmatch.filter(available, entry) if n not in taken]
        matched = [n for n in matched if fnmatch.fnmatchcase(n, entry)]
        if not matched:
            raise UnknownColumnError(
                f"mediators: no column matches {entry!r}; {_listing(available)}"
            )
        chosen.update(dict.fromkeys(matched))
    if not chosen:
        raise ShapeError("mediators: no column is named (p = 0)")
    return tuple(chosen)


def _listing(available: Sequence[str]) -> str:
    shown = ", ".join(map(repr, available[:8]))
    return f"columns are {shown}{', ...' if len(available) > 8 else ''}"
