"""Odd or damaged text files, 2,000 when slow: what is read is right in every cell not touched.

Each file is a small table in a random dialect, most of them with one damage at a known place. A
file that is read must hold the undamaged table in every other cell: no column shifted, none
renamed, no row invented. All others must be refused with a typed error that names a line, a column
or what is wrong with the file.
"""

import bz2
import gzip
import lzma
import re
import time

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from jaxmed.data import InvalidDataError, ShapeError, open_table  # noqa: E402
from jaxmed.data.columns import Factor  # noqa: E402
from jaxmed.data.streams import open_source  # noqa: E402

NAMES = ("x", "y", "m_1", "größe [cm]", "site", "note, long")
SEPARATORS = (",", ";", "\t", "|")
LINE_ENDS = ("\n", "\r\n", "\r")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252")
INSERTED = ('"', ",", ";", "\n", "\r", "\t", " ", "\x00", "é", "x", "7", ".", "-", "NA")
PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


class Sheet:
    """A table as text, and where each of its cells stands."""

    def __init__(self, rng):
        rows = int(rng.integers(4, 15))
        self.separator = str(rng.choice(SEPARATORS))
        self.end = str(rng.choice(LINE_ENDS))
        self.comma = self.separator != "," and rng.random() < 0.4
        places = rng.normal(size=(rows, 3)) * 10.0 ** rng.integers(-3, 4)
        numbers = [[repr(round(v, 5)) for v in row] for row in places.tolist()]
        whole = rng.integers(0, 5000, rows).astype(str)
        sites = rng.choice(["north", "south, east", 'the "hill"', "é"], rows)
        notes = rng.choice(["", "fine", "two\nlines", "a;b"], rows)
        self.cells = [list(NAMES)]
        for i in range(rows):
            marked = [t.replace(".", ",") if self.comma else t for t in numbers[i]]
            self.cells.append([*marked, whole[i], str(sites[i]), str(notes[i])])
        quoted = rng.random() < 0.3
        text, self.spans = "", []
        for i, row in enumerate(self.cells):
            for j, cell in enumerate(row):
                must = any(c in cell for c in (self.separator, '"', "\n", "\r", ","))
                field = '"' + cell.replace('"', '""') + '"' if must or quoted else cell
                last = j == len(row) - 1
                self.spans.append((len(text), len(text) + len(field), i, j))
                text += field + (self.end if last else self.separator)
        self.text = text

    def touched(self, start, stop):
        """Cells that a change of text[start:stop] touches, itself or by the mark beside it."""
        return {
            (i, j) for first, last, i, j in self.spans if first - 1 <= stop and start <= last + 1
        }


def damaged(sheet, rng):
    """(text, cells touched, may have lost rows) of a random damage, or of none."""
    text, n = sheet.text, len(sheet.text)
    at = int(rng.integers(0, n))
    kind = rng.integers(0, 9)
    if kind == 0:
        return text, set(), False
    if kind == 1:  # cut off
        lost = {cell for cell in sheet.touched(at, n)}
        return text[:at], lost, True
    if kind == 2:  # one character lost
        return text[:at] + text[at + 1 :], sheet.touched(at, at + 1), False
    if kind == 3:  # one character more
        new = str(rng.choice(INSERTED))
        return text[:at] + new + text[at:], sheet.touched(at, at), False
    if kind == 4:  # one character for another
        new = str(rng.choice(INSERTED))
        return text[:at] + new + text[at + 1 :], sheet.touched(at, at + 1), False
    marks = [k for k, c in enumerate(text) if c in (sheet.separator, '"', "\n", "\r")]
    at = int(rng.choice(marks))
    if kind == 5:  # a mark lost
        return text[:at] + text[at + 1 :], sheet.touched(at, at + 1), False
    if kind == 6:  # a mark twice
        return text[: at + 1] + text[at:], sheet.touched(at, at + 1), False
    # a cell replaced by something of another type
    first, last, i, j = sheet.spans[int(rng.integers(len(sheet.spans)))]
    new = str(rng.choice(["n.d.", "<0.1", "2020-01-31", "1e999", "TRUE", "", "12 %", "x"]))
    return text[:first] + new + text[last:], {(i, j)}, False


def encoded(sheet, text, rng):
    encoding = str(rng.choice(ENCODINGS))
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.encode("utf-8")


def column_of(table, name):
    """A column as comparable cells: numbers, texts, None where missing; and its trouble."""
    raw = table.read(name)
    if isinstance(raw.values, Factor):
        levels = [*raw.values.levels, None]
        return [levels[code] for code in raw.values.codes], raw.trouble
    return [None if np.isnat(v) else str(v) for v in raw.values] if (
        raw.values.dtype.kind == "M"
    ) else [None if v != v else float(v) for v in raw.values], raw.trouble


def truth(sheet, j):
    """The cells of a column as they were meant."""
    cells = [row[j].strip() for row in sheet.cells[1:]]
    if j < 4:
        return [float(cell.replace(",", ".")) for cell in cells]
    return [cell or None for cell in cells]


def check(sheet, table, touched, shorter):
    """Everything that the damage left alone is as it was."""
    width = len(NAMES)
    headings = {j for i, j in touched if i == 0}
    assert len(table.names) + sum(len(w) - 1 for w in table.doubled.values()) <= width
    rows = len(sheet.cells) - 1
    assert table.rows == rows or (shorter and table.rows < rows), "rows"
    for j, name in enumerate(NAMES):
        if j in headings or name in table.doubled:
            continue
        assert name in table.names, f"{name} lost or renamed"
        found, trouble = column_of(table, name)
        own = {i - 1 for i, k in touched if k == j}
        expected = truth(sheet, j)[: table.rows]
        if trouble:  # refused in use, in words; an undamaged file never is
            assert touched, f"{name} is refused: {trouble}"
            continue
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            if i in own:
                continue
            # A column of numbers that holds a text is one of texts, and refused in use.
            assert a == b or (own and str(a) == str(b)), f"{name}, row {i}: {a!r} for {b!r}"


def check_blocks(path):
    """Read in blocks, a file says the same, or is refused where it is refused in memory."""
    try:
        whole = open_table(path)
    except (InvalidDataError, ShapeError):
        whole = None
    if whole is None:
        with pytest.raises((InvalidDataError, ShapeError)):
            open_source(path).table(NAMES)
        return
    table = open_source(path).table(whole.names)
    assert (table.rows, table.names, table.doubled) == (whole.rows, whole.names, whole.doubled)
    for name in whole.names:
        assert column_of(table, name) == column_of(whole, name), name


@pytest.mark.parametrize("files", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_files(tmp_path, files):
    rng = np.random.default_rng(20)
    accepted = refused = 0
    slowest = 0.0
    for number in range(files):
        sheet = Sheet(rng)
        text, touched, shorter = damaged(sheet, rng)
        content = encoded(sheet, text, rng)
        path = tmp_path / "t.csv"
        if rng.random() < 0.15:
            suffix = str(rng.choice(list(PACKERS)))
            content = PACKERS[suffix](content)
            path = tmp_path / f"t.csv{suffix}"
            if rng.random() < 0.5:  # every packer keeps a checksum: nothing goes unseen
                at = int(rng.integers(0, len(content)))
                content = (
                    content[:at]
                    if rng.random() < 0.5
                    else (content[:at] + bytes([content[at] ^ 0x41]) + content[at + 1 :])
                )
        path.write_bytes(content)
        start = time.perf_counter()
        try:
            table = open_table(path)
            check(sheet, table, touched, shorter)
        except (InvalidDataError, ShapeError) as error:
            named = re.search(
                r"line \d+|column|header|archive|quote|text|encoding|zero", str(error)
            )
            assert named, f"file {number}: {error}"
            refused += 1
        except AssertionError as error:
            raise AssertionError(f"file {number}: {error}\n{content!r}\n{touched}") from error
        else:
            accepted += 1
        if number % 4 == 0:
            check_blocks(path)
        slowest = max(slowest, time.perf_counter() - start)
    assert accepted + refused == files
    # Undamaged files, and those damaged within a cell, are read; those that lost a mark are not.
    assert accepted > files / 4 and refused > files / 4
    assert slowest < 10
    print(f"{accepted} accepted, {refused} refused, slowest {slowest:.2f} s")
