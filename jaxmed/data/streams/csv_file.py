"""Text tables in blocks of rows (pyarrow): once for the fields, once for the mediators."""

import codecs
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data import delimited
from jaxmed.data.columns import Raw
from jaxmed.data.dialect import LARGEST_SAMPLE, SAMPLED_LINES, SNIFFED, Dialect, dialect_of
from jaxmed.data.library import library
from jaxmed.data.naming import Naming, name_columns
from jaxmed.data.readers import DEFAULTS, FileOptions, text_cells
from jaxmed.data.roles import numbers_of
from jaxmed.data.tables import Table, of_columns
from jaxmed.data.unpack import compression_of, digest_of, opened
from jaxmed.data.validation import InvalidDataError

__all__ = ["CsvSource"]

# Text packs to about a quarter.
PACKED = 4
LONGEST_ROW = 64 << 20
HELD_BACK = 4096  # bytes at the end of what is read: they may be blank last lines
LINE_FEED, RETURN, QUOTE = b'\n\r"'
FIRST_ROWS = 1000  # looked at to tell an index from a column without a heading


class CsvSource:
    """No column can be read without its row."""

    def __init__(self, path: Path, options: FileOptions = DEFAULTS) -> None:
        """Reads the dialect and the header."""
        self.path = path
        self._options = options
        self._arrow = library("pyarrow", "io", ".csv")
        self._csv = library("pyarrow.csv", "io", ".csv")
        start, whole = _head(path)
        skipped, named = delimited.named_separator(start)
        self._dialect: Dialect = dialect_of(
            start[skipped:],
            path.name,
            whole=whole,
            separator=options.sep or named,
            decimal=options.decimal,
            encoding=options.encoding,
        )
        plain = codecs.getincrementaldecoder(self._dialect.encoding)("replace").decode(start)
        text = plain.lstrip("\ufeff").encode()
        skipped = delimited.named_separator(text)[0]
        self._names, header = delimited.header_of(
            text[skipped:], self._dialect.separator, path.name
        )
        self._start = skipped + header  # of the text in UTF-8
        delimited.check_quotes(
            text[skipped : self._start],
            self._dialect.separator,
            path.name,
            width=len(self._names),
        )
        self._cells = text_cells(options, self._dialect.decimal)
        self._naming: Naming = name_columns(self._names, self._first_rows)
        self.features: tuple[str, ...] = self._naming.fields

    def _first_rows(self, position: int) -> Any:
        """A column of the first rows, to tell what it is without a heading."""
        batch = next(self._batches([position], FIRST_ROWS, 0), None)
        if batch is None:
            return np.zeros(0)
        return delimited.read_column("", batch.column(0).slice(0, FIRST_ROWS), self._cells).values

    @property
    def nbytes(self) -> int:
        """A number and its separator are about as long as a float64."""
        packed = compression_of(self.path) is not None
        return self.path.stat().st_size * (PACKED if packed else 1)

    def dtype(self, names: Sequence[str]) -> np.dtype:
        """Text has no precision of its own."""
        del names
        return np.dtype("f8")

    def table(self, fields: Sequence[str]) -> Table:
        """See `Source`."""
        wanted = [name for name in self._naming.position if name in fields] or [self._names[0]]
        positions = [self._naming.position.get(name, 0) for name in wanted]
        batches = list(self._batches(positions, delimited.LEAST_BLOCK, 0))
        columns = {
            position: self._arrow.chunked_array(
                [batch.column(k) for batch in batches], self._arrow.string()
            )
            for k, position in enumerate(positions)
        }
        rows = sum(batch.num_rows for batch in batches)

        def read_at(name: str, position: int, cells: Any) -> Raw:
            return delimited.read_column(name, columns[position], cells)

        origin = {
            "file": self.path.name,
            "sha256": digest_of(self.path),
            "dialect": self._dialect.to_dict(),
            "lines": [self._dialect.sentence()],
        }
        return of_columns(self._naming, rows, read_at, self._cells, origin=origin)

    def row_blocks(
        self, names: Sequence[str], size: int, start: int, stop: int
    ) -> Iterator[np.ndarray]:
        """See `Source`."""
        positions = [self._naming.position[name] for name in names]
        block, filled, row = np.empty((size, len(names)), order="F"), 0, start
        for batch in self._batches(positions, size, start):
            first, last = 0, min(batch.num_rows, stop - row)
            values = self._numbers(batch, names, row)[: max(last, 0)]
            row += batch.num_rows
            while first < len(values):
                count = min(len(values) - first, size - filled)
                block[filled : filled + count] = values[first : first + count]
                first, filled = first + count, filled + count
                if filled == size:
                    yield block
                    block, filled = np.empty_like(block), 0
            if row >= stop:
                break
        if filled:
            yield block[:filled]

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """Refused: every column would mean reading the whole text."""
        raise InvalidDataError(
            f"{self.path.name}: more mediators than rows are read by columns, which a csv has not: "
            "store it as .parquet, .h5ad or .npy, or allow more with memory=BYTES"
        )

    def _numbers(self, batch: Any, names: Sequence[str], row: int) -> np.ndarray:
        cells = dataclasses.replace(self._cells, first_row=self._cells.first_row + row)
        result = np.empty((batch.num_rows, len(names)), order="F")
        for k, name in enumerate(names):
            raw = delimited.read_column(name, batch.column(k), cells)
            result[:, k] = numbers_of(name, raw, "mediator")
        return result

    def _batches(self, positions: Sequence[int], rows: int, start: int) -> Iterator[Any]:
        """Record batches of some columns as texts, from a row on, about `rows` rows at once.

        Raises:
          InvalidDataError: a row that does not fit the header, a quote that is never closed, text
            in another encoding.
        """
        parse, convert = delimited.parse_options(
            self._csv, self._dialect.separator, self._names, self._options.na
        )
        convert.include_columns = [f"f{j}" for j in positions]
        width = max(self._start, 16 * len(self._names))
        size = max(delimited.LEAST_BLOCK // 4, delimited.HEADERS_IN_BLOCK * self._start)
        read = self._csv.ReadOptions(
            column_names=[f"f{j}" for j in range(len(self._names))],
            block_size=int(min(max(size, min(rows, 1 << 16) * width), 2**30)),
        )
        with opened(self.path) as file:
            body = _Utf8(file, self._dialect, self.path.name, self._start, len(self._names))
            try:
                reader = self._csv.open_csv(
                    self._arrow.PythonFile(body, mode="r"),
                    read_options=read,
                    parse_options=parse,
                    convert_options=convert,
                )
            except self._arrow.ArrowInvalid as error:
                if "Empty CSV" in str(error):
                    return
                raise self._refusal(error) from error
            # Rows before the start are parsed and let go: pyarrow counts empty lines when it skips.
            left = start
            with reader:
                while True:
                    try:
                        batch = reader.read_next_batch()
                        skipped = min(left, batch.num_rows)
                        left -= skipped
                        if skipped < batch.num_rows:
                            yield batch.slice(skipped)
                    except StopIteration:
                        return
                    except self._arrow.ArrowInvalid as error:
                        raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> InvalidDataError:
        """The line of a row that does not fit, found by reading the text once more."""
        with opened(self.path) as file:
            lines = codecs.getreader(self._dialect.encoding)(file, "replace")
            return delimited.ragged(
                lines, self._names, self._dialect.separator, self.path.name, error
            )


def _head(path: Path) -> tuple[bytes, bool]:
    """The first 64 KiB, or more where the first rows are longer; True where that is all."""
    with opened(path) as file:
        start = _read(file, SNIFFED)
        whole = len(start) < SNIFFED
        while not whole and start.count(b"\n") < SAMPLED_LINES and len(start) < LARGEST_SAMPLE:
            more = _read(file, SNIFFED)
            start, whole = start + more, len(more) < SNIFFED
    return start, whole


def _whole_rows(text: bytes) -> int:
    """Where the last row ends that is whole: at a line end outside of quotes."""
    plain = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(plain == LINE_FEED)
    if not ends.size:  # line ends of old Macs
        ends = np.flatnonzero(plain == RETURN)[:-1]
    quotes = np.flatnonzero(plain == QUOTE)
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(outside[-1]) + 1 if outside.size else 0


def _read(file: Any, count: int) -> bytes:
    """So many bytes, or all there are: streams that unpack may give less at once."""
    parts, left = [], count
    while left and (piece := file.read(left)):
        parts.append(piece)
        left -= len(piece)
    return b"".join(parts)


class _Utf8:
    """The rows of a text file in UTF-8, behind its header; quotes are checked on the way."""

    def __init__(self, file: Any, dialect: Dialect, name: str, skipped: int, width: int) -> None:
        self._file, self._dialect, self._name = file, dialect, name
        self._decoder = codecs.getincrementaldecoder(dialect.encoding)()
        self._left, self._fresh = b"", True
        self._skip, self._width = skipped, width
        self._line = 1
        self.closed = False
        self._pending = b""  # rows whose quotes are not yet checked

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True

    def read(self, count: int = -1) -> bytes:
        """At most so many bytes; pyarrow asks for blocks."""
        while count < 0 or len(self._left) < count:
            piece = self._file.read(delimited.LEAST_BLOCK // 4)
            text = self._decoded(piece, final=not piece)
            self._left += self._checked(text, final=not piece)
            if not piece:
                break
        cut = len(self._left) if count < 0 else count
        found, self._left = self._left[:cut], self._left[cut:]
        return found

    def _decoded(self, piece: bytes, *, final: bool) -> bytes:
        try:
            text = self._decoder.decode(piece, final)
        except UnicodeError as error:
            raise InvalidDataError(
                f"{self._name}: holds text that is not {self._dialect.encoding}, beyond its first "
                '64 KiB: name the encoding, as encoding="cp1252", or save the file as UTF-8'
            ) from error
        if self._fresh and text:
            text, self._fresh = text.lstrip("\ufeff"), False
        found = text.encode()
        dropped = min(self._skip, len(found))
        self._skip -= dropped
        self._line += found.count(b"\n", 0, dropped) or found.count(b"\r", 0, dropped)
        return found[dropped:]

    def _checked(self, text: bytes, *, final: bool) -> bytes:
        """Whole rows whose quotes are in order; the rest waits for its end."""
        self._pending += text
        cut = len(self._pending) if final else _whole_rows(self._pending[:-HELD_BACK])
        if not cut and len(self._pending) > LONGEST_ROW:
            raise InvalidDataError(
                f"{self._name}: a quote opened near line {self._line} is not closed within "
                f"{LONGEST_ROW >> 20} MiB: is a quote missing?"
            )
        rows, self._pending = self._pending[:cut], self._pending[cut:]
        rows = delimited.without_blank_end(rows) if final else rows
        delimited.check_quotes(
            rows, self._dialect.separator, self._name, width=self._width, line=self._line
        )
        self._line += rows.count(b"\n") or rows.count(b"\r")
        return rows
