"""Text tables (csv, tsv, txt): every row has as many fields as the header, or an error with a line.

pyarrow splits the text; all cells stay texts until their column is read, so that one reader says
what they are. Quotes are checked before: a field that a stray quote has run together with its
neighbours would be a row less, without a word.
"""

import csv
import dataclasses
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmed.data.column_reader import arrow_codes, arrow_values
from jaxmed.data.columns import Cells, Raw, unmark
from jaxmed.data.dialect import Dialect, decoded, dialect_of, encoding_of, sample_of
from jaxmed.data.library import library
from jaxmed.data.text import MISSING, read_codes
from jaxmed.data.validation import LARGEST_EXACT_INTEGER, InvalidDataError

__all__ = [
    "TextTable",
    "check_quotes",
    "header_of",
    "named_separator",
    "parse_options",
    "read_column",
    "text_table",
    "without_blank_end",
]

QUOTE, LINE_FEED, RETURN = b'"'[0], b"\n"[0], b"\r"[0]
LEAST_BLOCK = 1 << 24
# A row has to fit in a block: rows are at most so much longer than the header.
HEADERS_IN_BLOCK = 32
_NAMED_SEPARATOR = re.compile(rb"(?:\xef\xbb\xbf)?\"?sep=([\x09\x20-\x7e])\"?\r?\n")
_LAST_LINES = re.compile(rb"(?:\r?\n[ \x1a]+)+(?:\r?\n)*\Z|(?<=\n)\x1a\Z")
_ANY_ROW = re.compile(rb"[^\r\n]")
FIRST_ROW = 2  # of the data, as a spreadsheet counts: the header is row 1


@dataclasses.dataclass(frozen=True)
class TextTable:
    """Cells as texts, in columns."""

    names: tuple[str, ...]
    columns: tuple[Any, ...]  # pyarrow string columns, null where missing
    rows: int
    dialect: Dialect


def text_table(
    content: bytes,
    name: str,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    na: Sequence[str] = (),
) -> TextTable:
    """A table from the bytes of a text file.

    Args:
      content: of the file, unpacked.
      name: of the file, for messages.
      separator: found where None, like the next two.
      decimal: mark.
      encoding: of the text.
      na: texts that stand for missing values beside the usual ones.

    Raises:
      InvalidDataError: another number of fields than the header, a stray quote, text in another
        encoding: with the line and the remedy.
    """
    if encoding is None:
        encoding, asked = encoding_of(content, name, whole=True), False
    else:
        asked = True
    skipped, named = named_separator(content)
    content, separator = without_blank_end(content)[skipped:], separator or named
    sample = sample_of(content)
    dialect = dialect_of(
        sample,
        name,
        whole=len(content) <= len(sample),
        separator=separator,
        decimal=decimal,
        encoding=encoding,
    )
    if not asked:
        kept = tuple(key for key in dialect.asked if key != "encoding")
        dialect = dataclasses.replace(dialect, asked=kept)
    plain = as_utf8(content, dialect.encoding, name)
    check_quotes(plain, dialect.separator, name)
    names, start = header_of(plain, dialect.separator, name)
    columns, rows = _columns(plain, start, names, dialect.separator, na, name)
    return TextTable(names, columns, rows, dialect)


def named_separator(content: bytes) -> tuple[int, str | None]:
    """Excel's first line "sep=;": its length, and the separator that it names; 0 and None."""
    named = _NAMED_SEPARATOR.match(content)
    return (0, None) if named is None else (named.end(), named[1].decode())


def without_blank_end(content: bytes) -> bytes:
    """The text without last lines that hold blanks, or the Ctrl-Z of old systems, only."""
    tail = content[-4096:]
    blank = _LAST_LINES.search(tail)
    return content if blank is None else content[: len(content) - len(tail) + blank.start()] + b"\n"


def as_utf8(content: bytes, encoding: str, name: str) -> bytes:
    """The text in UTF-8, without a mark in front."""
    if encoding in ("utf-8", "ascii"):
        decoded(content, "utf-8", name, whole=True)
        return content
    return decoded(content, encoding, name, whole=True).lstrip("\ufeff").encode()


def check_quotes(
    content: bytes, separator: str, name: str, *, width: int | None = None, line: int = 1
) -> None:
    """Refuse quotes that do not open a field, or close it before its end.

    Args:
      content: whole rows in UTF-8.
      separator: of fields.
      name: of the file, for messages.
      width: number of columns; of the header in the content where None.
      line: what the first line is called in messages.

    Raises:
      InvalidDataError: with the line.
    """
    if QUOTE not in content:
        return
    text = np.frombuffer(content, np.uint8)
    at = np.flatnonzero(text == QUOTE)
    line_end = np.array([LINE_FEED], np.uint8)
    padded = np.concatenate([line_end, text, line_end])
    edge = np.isin(padded, [LINE_FEED, RETURN, ord(separator)])
    opening, closing = at[0::2], at[1::2]
    doubled = np.zeros(len(at) + 1, bool)  # quote i is right behind quote i - 1
    doubled[1:-1] = np.diff(at) == 1
    wrong = opening[~(edge[opening] | doubled[0:-1:2][: len(opening)])]
    late = closing[~(edge[closing + 2] | doubled[2::2][: len(closing)])]
    stray = np.sort(np.concatenate([wrong, late]))
    if stray.size:
        raise InvalidDataError(
            f"{name}: line {_line(content, int(stray[0]), line)} holds a quote within a field: put "
            "the field in quotes and double those inside, or take it out"
        )
    if len(at) % 2:
        raise InvalidDataError(
            f"{name}: the quote opened in line {_line(content, int(at[-1]), line)} is never closed"
        )
    if width is None:
        width = len(header_of(content, separator, name)[0])
    _check_long_fields(content, separator, name, opening, closing, width, line)


def _check_long_fields(
    content: bytes,
    separator: str,
    name: str,
    opening: np.ndarray,
    closing: np.ndarray,
    width: int,
    line: int,
) -> None:
    """Refuse rows that a lost quote has run together to one field of several lines.

    Such a field holds the separators of a row, and where it meets the quote of the next field, that
    quote stands behind a separator or a line end. Notes of several lines hardly ever do both.
    """
    marks = re.escape(separator.encode()) + rb"\r\n"
    met = re.compile(rb'[%s](?:""|\Z)' % marks)
    breaks = np.flatnonzero(np.isin(np.frombuffer(content, np.uint8), [LINE_FEED, RETURN]))
    within = np.searchsorted(opening, breaks) > np.searchsorted(closing, breaks)
    for field in np.unique(np.searchsorted(opening, breaks[within]) - 1).tolist():
        first, last = int(opening[field]), int(closing[field])
        inside = content[first + 1 : last]
        if width > 1 and inside.count(separator.encode()) >= width - 1 and met.search(inside):
            raise InvalidDataError(
                f"{name}: the field quoted from line {_line(content, first, line)} to "
                f"{_line(content, last, line)} holds as many separators as a row: a quote is "
                "missing"
            )


def _line(content: bytes, position: int, first: int) -> int:
    ends = content.count(b"\n", 0, position) or content.count(b"\r", 0, position)
    return ends + first


def header_of(content: bytes, separator: str, name: str) -> tuple[tuple[str, ...], int]:
    """Names of the columns, and where the rows begin.

    Raises:
      InvalidDataError: no header.
    """
    begin = len(content) - len(content.lstrip(b"\r\n"))
    end, quotes = begin, 0
    for match in re.finditer(rb"\r\n|\n|\r|\"", content[begin:]):
        if match[0] == b'"':
            quotes += 1
        elif quotes % 2 == 0:
            end = begin + match.end()
            break
    else:
        end = len(content)
    try:
        line = content[begin:end].decode().rstrip("\r\n")
        names = next(csv.reader([line], delimiter=separator, strict=True), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidDataError(f"{name}: the header cannot be read ({error})") from error
    if not names:
        raise InvalidDataError(f"{name}: holds no header")
    return tuple(text.strip() for text in names), end


def parse_options(arrow_csv: Any, separator: str, names: Sequence[str], na: Sequence[str]) -> Any:
    """Settings of pyarrow under which all cells are texts: (parse, convert)."""
    string = library("pyarrow", "io", ".csv").string()
    keys = [f"f{j}" for j in range(len(names))]
    return (
        arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(keys, string),
            null_values=[*MISSING, *na],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )


def _columns(
    content: bytes,
    start: int,
    names: tuple[str, ...],
    separator: str,
    na: Sequence[str],
    name: str,
) -> tuple[tuple[Any, ...], int]:
    arrow, arrow_csv = library("pyarrow", "io", ".csv"), library("pyarrow.csv", "io", ".csv")
    parse, convert = parse_options(arrow_csv, separator, names, na)
    if _ANY_ROW.search(content, start) is None:
        empty = arrow.chunked_array([], arrow.string())
        return tuple(empty for _ in names), 0
    read = arrow_csv.ReadOptions(
        column_names=[f"f{j}" for j in range(len(names))],
        block_size=min(max(LEAST_BLOCK, HEADERS_IN_BLOCK * start), 2**31 - 1),
    )
    try:
        table = arrow_csv.read_csv(
            arrow.BufferReader(memoryview(content)[start:]),
            read_options=read,
            parse_options=parse,
            convert_options=convert,
        )
    except arrow.ArrowInvalid as error:
        raise ragged(
            io.StringIO(content.decode(), newline=""), names, separator, name, error
        ) from (error)
    return tuple(table.columns), table.num_rows


def ragged(
    lines: Any, names: Sequence[str], separator: str, name: str, error: Exception
) -> InvalidDataError:
    """The refusal of a file by its first row that does not fit the header, in its own words."""
    reader = csv.reader(lines, delimiter=separator)
    width, wrong, where = len(names), None, 0
    counts: dict[int, int] = {}
    first = True
    try:
        for record in reader:
            if not record:
                continue
            if first:
                first = False
                continue
            counts[len(record)] = counts.get(len(record), 0) + 1
            if len(record) != width and wrong is None:
                wrong, where = record, reader.line_num
    except csv.Error as problem:
        return InvalidDataError(f"{name}: line {reader.line_num} cannot be read ({problem})")
    if wrong is None:
        return InvalidDataError(f"{name}: cannot be read ({error})")
    hint = "is a separator or a quote missing, or one too many?"
    if set(counts) == {width + 1}:
        hint = (
            "all rows end with a separator: take it off"
            if not wrong[-1].strip()
            else "all rows have one more: give the first column (row names?) a heading"
        )
    return InvalidDataError(
        f"{name}: line {where} has {len(wrong)} fields, the header has {width} ({hint} Another "
        f'separator than {separator!r} is named as sep=";")'
    )


def read_column(name: str, column: Any, cells: Cells) -> Raw:
    """A column of texts, by way of pyarrow where all of it is plain numbers."""
    if name not in cells.factors:
        numbers = _numbers(column, cells)
        if numbers is not None:
            return numbers
    codes, texts = arrow_codes(column.dictionary_encode())
    return read_codes(name, codes, texts, cells)


def _numbers(column: Any, cells: Cells) -> Raw | None:
    """Plain numbers [n], or None where the texts have to be looked at one by one."""
    arrow, compute = library("pyarrow", "io", ".csv"), library("pyarrow.compute", "io", ".csv")
    note = ""
    if cells.decimal == ",":
        if _any(compute, column, "."):
            return None
        if _any(compute, column, ","):
            column, note = compute.replace_substring(column, ",", "."), 'decimal commas read as "."'
    try:
        found = compute.cast(column, arrow.float64())
    except arrow.ArrowInvalid:
        return None
    numbers = arrow_values(found)
    odd = np.isnan(numbers).sum() != column.null_count  # other spellings of NaN
    large = numbers.size and np.nanmax(np.abs(numbers), initial=0) > LARGEST_EXACT_INTEGER
    if odd or large or _codes(compute, column, numbers):
        return None
    return Raw(unmark(numbers, cells), note)


def _codes(compute: Any, column: Any, numbers: np.ndarray) -> bool:
    """True where a zero stands in front of digits; looked for among whole numbers only."""
    present = numbers[~np.isnan(numbers)]
    if not (present == np.round(present)).all():
        return False
    found = compute.match_substring_regex(column, r"^[+-]?0[0-9]+$")
    return bool(compute.any(found).as_py())


def _any(compute: Any, column: Any, mark: str) -> bool:
    return bool(compute.any(compute.match_substring(column, mark)).as_py())
