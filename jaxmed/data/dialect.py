"""How a text file writes a table: encoding, separator, decimal mark. Found, and said.

The first 64 KiB decide. What stands there is never a guess about single values: a file is read in
one dialect, and a row that does not fit it is an error with its line.
"""

import codecs
import csv
import dataclasses
import io
import re
from typing import Any

from jaxmed.data.text import COMMA, DOTTED_THOUSANDS, NUMBER, THOUSANDS
from jaxmed.data.validation import InvalidDataError

__all__ = ["SNIFFED", "Dialect", "dialect_of", "encoding_of", "sample_of"]

SNIFFED = 1 << 16
SAMPLED_LINES = 20
LARGEST_SAMPLE = 1 << 24
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "blank"}
STRAY = 10  # of so many numbers one may be written otherwise: its column will say so
RECORDS = 100  # compared with the header
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What Windows writes in Western Europe; it holds Latin-1's letters.
FALLBACK = "cp1252"


@dataclasses.dataclass(frozen=True)
class Dialect:
    """The dialect of one file; `asked` names what was not found but given."""

    encoding: str
    separator: str
    decimal: str
    asked: tuple[str, ...] = ()

    def sentence(self) -> str:
        """For the data report."""
        separator = SEPARATORS.get(self.separator, repr(self.separator))
        decimal = "comma" if self.decimal == "," else "point"
        given = f" ({', '.join(self.asked)} as asked for)" if self.asked else ""
        return f"read as {self.encoding}, separator {separator}, decimal {decimal}{given}"

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, ready for JSON."""
        return dataclasses.asdict(self) | {"asked": list(self.asked)}


def encoding_of(start: bytes, name: str, *, whole: bool) -> str:
    """The encoding of text by its mark, or by what it can be.

    Args:
      start: the first bytes.
      name: of the file, for messages.
      whole: False where the file goes on after `start`, perhaps within a character.

    Raises:
      InvalidDataError: some characters are UTF-8 and others are not: one of them would be wrong.
    """
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return encoding
    if start[:512].count(0) > len(start[:512]) // 8:
        # Every second byte of Latin letters in UTF-16 is 0.
        odd, even = start[1:512:2].count(0), start[0:512:2].count(0)
        if max(odd, even) > 0.3 * len(start[:512]) / 2 and min(odd, even) == 0:
            return "utf-16-le" if odd > even else "utf-16-be"
        raise InvalidDataError(f"{name}: holds zero bytes, so it is no text of a table")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start, whole)
    except UnicodeDecodeError as error:
        line = start.count(b"\n", 0, error.start) + 1
        if _has_utf8(start):
            raise InvalidDataError(
                f"{name}: line {line} holds a byte that is no UTF-8, others hold characters that "
                'are: repair it, or name the encoding, as encoding="cp1252"'
            ) from error
        return FALLBACK
    return "utf-8"


def _has_utf8(text: bytes) -> bool:
    """True where a character of several bytes stands in UTF-8."""
    return re.search(rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}", text) is not None


def dialect_of(
    start: bytes,
    name: str,
    *,
    whole: bool,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
) -> Dialect:
    """The dialect of a file by its first bytes; what is given is not looked for.

    Raises:
      InvalidDataError: an unknown encoding, text that is not in it, no line at all.
    """
    given = {"separator": separator, "decimal": decimal, "encoding": encoding}
    asked = tuple(key for key, value in given.items() if value is not None)
    if encoding is None:
        encoding = encoding_of(start, name, whole=whole)
    else:
        encoding = _known(encoding)
    text = decoded(start, encoding, name, whole=whole)
    lines = text if whole else text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    if not lines.strip():
        raise InvalidDataError(f"{name}: holds no line of text")
    if separator is None:
        separator = _separator(lines, name)
    if len(separator) != 1 or not separator.isascii() or separator in '"\r\n':
        raise InvalidDataError(f"{name}: a separator is one ASCII character, not {separator!r}")
    if decimal is None:
        decimal = _decimal(lines, separator)
    if decimal not in (".", ","):
        raise InvalidDataError(f'{name}: decimal is "." or ",", not {decimal!r}')
    return Dialect(encoding, separator, decimal, asked)


def sample_of(content: bytes) -> bytes:
    """The first 64 KiB, or more where the first rows are longer."""
    end = 0
    for _ in range(SAMPLED_LINES):
        found = content.find(b"\n", end)
        if found < 0 or found > LARGEST_SAMPLE:
            break
        end = found + 1
    return content[: max(SNIFFED, end)]


def decoded(content: bytes, encoding: str, name: str, *, whole: bool) -> str:
    """Text of bytes.

    Raises:
      InvalidDataError: a byte that has no meaning in the encoding, with its line.
    """
    try:
        return codecs.getincrementaldecoder(encoding)().decode(content, whole)
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = content.count(b"\n", 0, start) + 1
        raise InvalidDataError(
            f"{name}: line {line} is no text in {encoding} ({getattr(error, 'reason', error)}): "
            'name another one, as encoding="cp1252", or save the file as UTF-8'
        ) from error


def _known(encoding: str) -> str:
    try:
        "".encode(encoding)  # refuses what is no encoding of text, such as zlib
        return codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:
        raise InvalidDataError(f"there is no encoding {encoding!r}: utf-8, cp1252, ...") from error


def _separator(text: str, name: str) -> str:
    """The separator by which most records have as many fields as the header, more than one."""
    best, score = "", (0.0, 0)
    for candidate in SEPARATORS:
        records = _records(text, candidate)
        if not records or len(records[0]) < 2:
            continue
        width = len(records[0])
        share = sum(len(record) == width for record in records) / len(records)
        if candidate == " ":
            share /= 2  # blanks also stand within texts
        if (share, width) > score:
            best, score = candidate, (share, width)
    if best:
        return best
    if name.lower().split(".")[-2 if name.count(".") > 1 else -1].endswith("tsv"):
        return "\t"
    return ","


def _records(text: str, separator: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    found: list[list[str]] = []
    try:
        for record in reader:
            if record:
                found.append(record)
            if len(found) > RECORDS:
                break
    except csv.Error:  # a field of more than 128 KiB, or a NUL: the strict reading will tell
        pass
    return found


def _decimal(text: str, separator: str) -> str:
    """A comma where numbers hold one that cannot be thousands, and hardly any holds a point."""
    if separator == ",":
        return "."  # quoted decimal commas beside points: a matter of single columns
    cells = {cell.strip() for record in _records(text, separator)[1:] for cell in record}
    commas = [cell for cell in cells if COMMA.fullmatch(cell)]
    points = [
        cell
        for cell in cells
        if "." in cell and NUMBER.fullmatch(cell) and not DOTTED_THOUSANDS.fullmatch(cell)
    ]
    sure = any(not THOUSANDS.fullmatch(cell) for cell in commas)
    return "," if sure and len(points) <= len(commas) / STRAY else "."
