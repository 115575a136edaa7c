"""Columns of text: numbers, TRUE/FALSE, dates or categories, as their values say.

The texts themselves decide, so that a column means the same in a csv, a spreadsheet, a data frame
or an archive. A column that is nearly all numbers is neither: it is read with a `trouble`, a
sentence that names the values that are no numbers, their rows and the remedy.
"""

import dataclasses
import datetime
import re
from collections.abc import Sequence

import numpy as np

from jaxmed.data.columns import Cells, Factor, Raw, factor_of, unmark
from jaxmed.data.validation import LARGEST_EXACT_INTEGER

__all__ = ["MISSING", "NUMBER", "is_missing", "read_text", "text_factor"]

# Empty cells, and what R, pandas, SQL and Excel write for a missing value.
MISSING = frozenset(
    ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "NaT")
)
NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)"
)
COMMA = re.compile(r"[+-]?(?:[0-9]+,[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?")
THOUSANDS = re.compile(
    r"[+-]?[0-9]{1,3}(?:([,.' \u00a0\u2009\u202f])[0-9]{3})(?:\1[0-9]{3})*(?:[.,][0-9]+)?"
)
DOTTED_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+")
# Digits behind a zero are a code (a postcode, a plate well), not a number.
CODE = re.compile(r"[+-]?0[0-9]+")
INTEGER = re.compile(r"[+-]?[0-9]+")
# A number with something around it: "<0.1", "12 %", "~3", "1.2*", "1.5 H".
ADORNED = re.compile(
    r"[<>=~\u2264\u2265\u00b1$\u20ac\u00a3 ]*[+\u2212-]?[0-9]+(?:[.,][0-9]+)?"
    r"\s*(?:[%*+\u2030$\u20ac\u00a3]|[HL])?"
)
UNIT = re.compile(r"[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)\s*([^\W\d_][^\d\s]*)")
ISO_DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:[ T]\d{1,2}:\d{2}.*)?")
OTHER_DATE = re.compile(
    r"(?:\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{1,2}[ -]?[A-Za-z]{3,9}[ -]?(?:\d{4}|\d{2})"
    r"|[A-Za-z]{3,9} \d{1,2},? \d{4})(?:[ T]\d{1,2}:\d{2}.*)?"
)
LOGICAL = {"TRUE": 1.0, "True": 1.0, "true": 1.0, "FALSE": 0.0, "False": 0.0, "false": 0.0}
# A column of which at least this share of cells, or of different texts, are numbers is a damaged
# column of numbers.
NEARLY = 0.5
LONGEST_DIGITS = 300  # Python refuses to read integers of some thousand digits
SHOWN = 3


@dataclasses.dataclass(frozen=True)
class _Texts:
    """Different texts of a column: where they stand, and how often."""

    name: str
    codes: np.ndarray  # [n] index into texts, -1 where missing
    texts: tuple[str, ...]  # sorted, without surrounding blanks
    cells: Cells
    note: str

    def share(self, flags: Sequence[bool]) -> float:
        """Share of the cells with a value, or of the texts, that are flagged: the larger one."""
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts))
        rows = counts[np.asarray(flags, bool)].sum() / max(counts.sum(), 1)
        return float(max(rows, np.mean(flags)))

    def examples(self, texts: Sequence[str]) -> str:
        """Up to three of the texts with the rows where they stand first, in the order of rows."""
        first = np.zeros(len(self.texts) + 1, int)
        first[self.codes[::-1]] = np.arange(len(self.codes))[::-1]
        wanted = set(texts)
        found = {int(first[j]): text for j, text in enumerate(self.texts) if text in wanted}
        shown = [f"{found[row]!r} (row {row + self.cells.first_row})" for row in sorted(found)]
        more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
        return ", ".join(shown[:SHOWN]) + more

    def factor(self) -> Factor:
        """The column as a category."""
        return Factor(self.codes, self.texts)

    def numbers(self, values: Sequence[float]) -> np.ndarray:
        """The number of each row [n], NaN where missing."""
        return np.asarray([*values, np.nan])[self.codes]


def is_missing(text: str, cells: Cells) -> bool:
    """True for a text without its blanks that stands for no value."""
    return text in MISSING or text in cells.na


def read_text(name: str, values: Sequence[str | None] | np.ndarray, cells: Cells) -> Raw:
    """A column of text as what its values are.

    Args:
      name: of the column, for messages.
      values: texts [n], None where missing.
      cells: how ambiguous cells are read.
    """
    return read_codes(name, *_factorised(values), cells)


def read_codes(name: str, codes: np.ndarray, texts: Sequence[str], cells: Cells) -> Raw:
    """As `read_text`, of a column stored as codes [n] (-1 missing) of texts in any order."""
    found = _stripped(name, codes, texts, cells)
    if name in cells.factors:
        return Raw(_category(found))
    if not found.texts:
        return Raw(np.full(len(codes), np.nan), found.note)
    for attempt in (_logical, _number, _date):
        read = attempt(found)
        if read is not None:
            return read
    return Raw(found.factor(), found.note, _trouble(found))


def _category(found: _Texts) -> Factor:
    """The column as a category that was asked for: numbers in their order, as in any door."""
    for attempt in (_logical, _number, _date):
        read = attempt(found) if found.texts else None
        if read is not None and not read.trouble and isinstance(read.values, np.ndarray):
            return factor_of(read.values)
    return dataclasses.replace(found.factor(), declared=True)


def text_factor(name: str, values: Sequence[str | None] | np.ndarray, cells: Cells) -> Factor:
    """The texts as they are (identifiers), whatever they look like."""
    return _stripped(name, *_factorised(values), cells).factor()


def _factorised(values: Sequence[str | None] | np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    places: dict[str, int] = {}
    codes = [-1 if v is None else places.setdefault(v, len(places)) for v in values]
    return np.asarray(codes, int), tuple(str(text) for text in places)


def _stripped(name: str, codes: np.ndarray, texts: Sequence[str], cells: Cells) -> _Texts:
    """Texts without blanks around them, sorted; missing markers are no texts."""
    used = np.zeros(len(texts) + 1, bool)
    used[codes] = True
    bare = [text.strip() for text in texts]
    keep = [used[j] and not is_missing(text, cells) for j, text in enumerate(bare)]
    levels = sorted({text for text, kept in zip(bare, keep, strict=True) if kept})
    place = {text: j for j, text in enumerate(levels)}
    moved = [place[text] if kept else -1 for text, kept in zip(bare, keep, strict=True)]
    blanks = any(k and text != b for text, b, k in zip(texts, bare, keep, strict=True))
    note = "blanks around values taken off" if blanks else ""
    return _Texts(name, np.asarray([*moved, -1], int)[codes], tuple(levels), cells, note)


def _logical(found: _Texts) -> Raw | None:
    if not all(text in LOGICAL for text in found.texts):
        return None
    values = found.numbers([LOGICAL[text] for text in found.texts])
    return Raw(values, "TRUE/FALSE read as 1/0")


def _number(found: _Texts) -> Raw | None:
    marks = _decimal(found)
    if marks is None or any(CODE.fullmatch(text) for text in found.texts):
        return None
    texts = [text.replace(",", ".") for text in found.texts] if marks == "," else found.texts
    if not all(NUMBER.fullmatch(text) for text in texts):
        return None
    large = [text for text in found.texts if INTEGER.fullmatch(text) and _beyond(text)]
    if large:
        return Raw(found.factor(), found.note, too_large(found.name, found.examples(large[:1])))
    note = 'decimal commas read as "."' if marks == "," else found.note
    return Raw(unmark(found.numbers([float(text) for text in texts]), found.cells), note)


def _beyond(digits: str) -> bool:
    """True for an integer that a float64 cannot hold exactly."""
    return len(digits) > LONGEST_DIGITS or abs(int(digits)) > LARGEST_EXACT_INTEGER


def too_large(name: str, example: str) -> str:
    """The trouble of integers that a float cannot hold."""
    return (
        f"{name!r} holds integers beyond 2**53, {example}, which floats cannot represent: is it an "
        "identifier? Otherwise subtract an offset first"
    )


def _decimal(found: _Texts) -> str | None:
    """The mark that makes numbers of every text; None where it cannot be told."""
    if found.cells.decimal == ".":
        return "."
    commas = [text for text in found.texts if "," in text]
    dotted = [text for text in found.texts if "." in text]
    if commas:
        return "," if not dotted and all(COMMA.fullmatch(text) for text in commas) else None
    # Decimal commas elsewhere: here 1.234 would be a thousand, and 1.5 cannot be.
    ambiguous = bool(dotted) and all(DOTTED_THOUSANDS.fullmatch(text) for text in dotted)
    return None if ambiguous else "."


def _date(found: _Texts) -> Raw | None:
    if not all(ISO_DATE.fullmatch(text) for text in found.texts):
        return None
    try:
        days = [iso_date(text) for text in found.texts]
    except ValueError:
        return None
    values = np.array([*days, np.datetime64("NaT", "us")], "datetime64[us]")[found.codes]
    return Raw(values, "dates")


def iso_date(text: str) -> np.datetime64:
    """A date, or a date and time, as written in ISO 8601; with a time zone in UTC.

    Raises:
      ValueError: none.
    """
    match = re.fullmatch(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(.*)", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no date: 2020-01-31")
    year, month, day, rest = match.groups()
    clock = rest.replace("Z", "+00:00")
    moment = datetime.datetime.fromisoformat(f"{year}-{int(month):02d}-{int(day):02d}{clock}")
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(moment, "us")


def _is_date(text: str) -> bool:
    try:
        iso_date(text)
    except ValueError:
        return False
    return True


def _trouble(found: _Texts) -> str:
    """Why the texts are no category, or "" where they are one."""
    name, texts = found.name, found.texts
    codes = [text for text in texts if CODE.fullmatch(text)]
    if codes and all(text.isdecimal() for text in texts) and len(set(map(len, texts))) == 1:
        return ""
    if codes and all(NUMBER.fullmatch(text) for text in texts):
        return (
            f"{name!r} holds numbers and codes with a zero in front, {found.examples(codes)}: as a "
            f'category, factor="{name}"; as numbers, write them without it'
        )
    plain = [bool(NUMBER.fullmatch(text)) for text in texts]
    dates = [bool(ISO_DATE.fullmatch(t) or OTHER_DATE.fullmatch(t)) for t in texts]
    if found.share(dates) >= NEARLY:
        odd = [t for t in texts if not _is_date(t)]
        return (
            f"{name!r} looks like dates, but {found.examples(odd)} cannot be read as one: write "
            f'dates as 2020-01-31; if it is a category, factor="{name}"'
        )
    if found.cells.decimal == "," and all(NUMBER.fullmatch(text) for text in texts):
        dotted = [text for text in texts if DOTTED_THOUSANDS.fullmatch(text)]
        return (
            f"{name!r} holds {found.examples(dotted)}, and decimals are commas: thousands or "
            f'decimals? Write thousands without ".", or read the file with decimal="."'
        )
    units = {match[1] if (match := UNIT.fullmatch(text)) else "" for text in texts}
    if len(texts) > 1 and len(units) == 1 and units != {""}:
        return (
            f"{name!r} holds numbers with a unit, {found.examples(texts)}: write bare numbers; if "
            f'it is a category, factor="{name}"'
        )
    commas = [bool(COMMA.fullmatch(text)) for text in texts]
    thousands = [bool(THOUSANDS.fullmatch(text)) for text in texts]
    adorned = [bool(ADORNED.fullmatch(text)) for text in texts]
    like = [any(kinds) for kinds in zip(plain, commas, thousands, adorned, strict=True)]
    if found.share(like) < NEARLY:
        return ""
    odd = [text for text, is_plain in zip(texts, plain, strict=True) if not is_plain]
    remedy = _remedy(name, odd, found)
    return f"{name!r} holds numbers, but {found.examples(odd)} cannot be read as one: {remedy}"


def _remedy(name: str, odd: Sequence[str], found: _Texts) -> str:
    category = f'if it is a category, factor="{name}"'
    if all(COMMA.fullmatch(text) for text in odd):
        if all(THOUSANDS.fullmatch(text) for text in odd):
            return (
                'decimal commas are read with decimal=","; thousands have to be written without '
                f"separators; {category}"
            )
        mixed = any("." in text for text in found.texts)
        if not mixed and found.cells.decimal == ".":
            return f'decimal commas are read with decimal=","; {category}'
        return "decimal points and decimal commas are mixed: write all of them as points"
    if all(THOUSANDS.fullmatch(text) for text in odd):
        return f"write numbers without thousands separators; {category}"
    if all(ADORNED.fullmatch(text) for text in odd):
        return (
            "write bare numbers (a value below its limit of detection as a number of your choice, "
            f'or as missing with na="{odd[0]}"); {category}'
        )
    return f'if that means missing, na="{odd[0]}"; {category}'
