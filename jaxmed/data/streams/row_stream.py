"""A mediation problem whose mediators stay in the file and come in blocks."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmed.budget import check_count
from jaxmed.data.data_report import DataReport
from jaxmed.data.frame_columns import FrameColumns, columns_of
from jaxmed.data.frames import data_of
from jaxmed.data.mediation_data import MediationData, Names, NanPolicy, missing_rows
from jaxmed.data.readers import DEFAULTS, FileOptions
from jaxmed.data.roles import Roles
from jaxmed.data.selection import names_of
from jaxmed.data.streams.prefetch import prefetch
from jaxmed.data.streams.sources import Source, open_source
from jaxmed.data.validation import (
    InvalidDataError,
    ShapeError,
    all_finite,
    check_values,
    common_float,
    infinite_values,
)
from jaxmed.data.where import parse

__all__ = ["BLOCK_BYTES", "Block", "RowStream", "stream"]

# A block is read, checked and multiplied as a whole.
BLOCK_BYTES = 64 * 2**20
# Blocks read in advance: formats give them in bursts (a row group of parquet holds several).
AHEAD = 4
LEAST_ROWS = 256
LEAST_USED = 3


@dataclasses.dataclass(frozen=True)
class Block:
    """Consecutive rows of the file, or all rows of consecutive mediators."""

    index: int
    data: MediationData  # NumPy leaves; the mediators are the reader's own copy
    dropped: int = 0  # rows left out for a missing mediator


@dataclasses.dataclass(frozen=True)
class RowStream:
    """Exposure, outcome, covariates and weights of all rows used, and a file of mediators."""

    source: Source
    fields: MediationData  # of the rows used; its mediators are [n, 0]
    rows: np.ndarray  # [n] their positions in the file, increasing
    rows_read: int  # rows of the file
    block_rows: int  # rows of the file in a block
    dtype: np.dtype  # in which mediators are multiplied; sums are float64
    nan_policy: NanPolicy
    report: DataReport
    first_row: int = 0  # what the first row of data is called in messages

    @property
    def names(self) -> Names:
        """All of them: mediators as chosen."""
        return self.fields.names

    @property
    def num_rows(self) -> int:
        """Rows used, before any is dropped for a missing mediator."""
        return len(self.rows)

    @property
    def num_mediators(self) -> int:
        """P, as chosen."""
        return len(self.names.mediators)

    @property
    def num_covariates(self) -> int:
        """Q, with categorical ones as 0/1 columns."""
        return self.fields.covariates.shape[1]

    @property
    def num_blocks(self) -> int:
        """Blocks of rows in the file."""
        return -(-self.rows_read // self.block_rows)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Block]:
        """Blocks start..stop of rows, the next one being read meanwhile.

        A block holds the rows used of `block_rows` rows of the file, possibly none.

        Raises:
          InvalidDataError: a missing or infinite value of a mediator, with its row in the file;
            a file that is damaged or has changed.
        """
        last = self.num_blocks if stop is None else min(stop, self.num_blocks)
        first_row, last_row = start * self.block_rows, min(last * self.block_rows, self.rows_read)
        values = self.source.row_blocks(self.names.mediators, self.block_rows, first_row, last_row)
        # Reading and checking run in the thread, products here.
        return prefetch(self._blocks(values, start, first_row, last_row), AHEAD)

    def _blocks(
        self, values: Iterator[np.ndarray], index: int, row: int, last_row: int
    ) -> Iterator[Block]:
        for block in values:
            yield self._block(index, row, block)
            index, row = index + 1, row + len(block)
        if row != last_row:
            raise InvalidDataError(
                f"{self.source.path.name}: ends after {row} rows, {last_row} were expected"
            )

    def _block(self, index: int, row: int, values: np.ndarray) -> Block:
        bounds = np.searchsorted(self.rows, (row, row + len(values)))
        part = slice(*bounds.tolist())
        chosen = self.rows[part] - row
        if chosen.size < len(values):
            values = values[chosen]
        values = values.astype(self.dtype, copy=False)
        keep = self._complete(values, row + chosen)
        fields, dropped = self.fields, 0
        data = MediationData(
            fields.exposure[part],
            values,  # pyright: ignore[reportArgumentType]
            fields.outcome[part],
            fields.covariates[part],
            None if fields.weights is None else fields.weights[part],
            self.names,
        )
        if keep is not None:
            dropped = int((~keep).sum())
            data = jax.tree.map(lambda column: column[keep], data)
        return Block(index, data, dropped)

    def _complete(self, values: np.ndarray, positions: np.ndarray) -> np.ndarray | None:
        """Rows without a missing value, or None where that is all of them."""
        if all_finite(values):
            return None
        missing = missing_rows(values)
        if not missing.any() or self.nan_policy == "drop":
            if not missing.all():
                self._check(values[~missing], positions[~missing])
            return ~missing
        row = int(missing.argmax())
        name = self.names.mediators[int(np.isnan(values[row]).argmax())]
        raise InvalidDataError(
            f"mediator {name!r} has no value in row {positions[row] + self.first_row} of "
            f"{self.source.path.name}: "
            'leave such rows out with nan_policy="drop", or impute them'
        )

    def _check(self, values: np.ndarray, positions: np.ndarray) -> None:
        """Refuse infinite values by their row, and scales that the precision cannot hold."""
        infinite = np.isinf(values)
        if infinite.any():
            j = int(infinite.any(axis=0).argmax())
            count, row = int(infinite[:, j].sum()), int(positions[infinite[:, j]][0])
            place = f"row {row + self.first_row} of the file"
            raise infinite_values(self.names.mediators[j], count, place)
        check_values(values, self.names.mediators, self.dtype)

    def column_blocks(self, columns: int) -> Iterator[tuple[slice, np.ndarray]]:
        """All rows used of consecutive mediators [n, k], the next block being read meanwhile.

        Raises:
          InvalidDataError: a missing value (rows cannot be dropped half way), or a file that is
            read by rows only.
        """
        return prefetch(self._column_blocks(columns))

    def _column_blocks(self, columns: int) -> Iterator[tuple[slice, np.ndarray]]:
        names = self.names.mediators
        for first in range(0, len(names), columns):
            chosen = slice(first, min(first + columns, len(names)))
            values = self.source.columns(names[chosen])
            if len(self.rows) < len(values):
                values = values[self.rows]
            values = np.ascontiguousarray(values, self.dtype)
            if not all_finite(values):
                check_values(values, names[chosen], self.dtype)
            yield chosen, values

    def check_rows(self, dropped: int) -> None:
        """Refuse a file of which too little is left, once all blocks are read.

        Raises:
          ShapeError: fewer than 3 rows.
        """
        if self.num_rows - dropped < LEAST_USED:
            raise ShapeError(
                f"at least {LEAST_USED} rows are needed: {dropped} of {self.num_rows} rows were "
                "dropped for missing mediators"
            )

    def fingerprint(self) -> str:
        """A hash of the file's identity and of all that was chosen of it.

        Equal fingerprints mean equal blocks, as long as nobody rewrites a file without changing
        its size or time.
        """
        status = self.source.path.stat()
        chosen = {
            "file": [self.source.path.name, status.st_size, status.st_mtime_ns],
            "names": dataclasses.asdict(self.names),
            "block_rows": self.block_rows,
            "dtype": str(self.dtype),
            "nan_policy": self.nan_policy,
        }
        digest = hashlib.sha256(json.dumps(chosen).encode())
        fields = self.fields
        for column in (self.rows, fields.exposure, fields.outcome, fields.covariates):
            digest.update(np.ascontiguousarray(column).tobytes())
        if fields.weights is not None:
            digest.update(np.ascontiguousarray(fields.weights).tobytes())
        return digest.hexdigest()


def stream(
    path: str | Path,
    *,
    exposure: str,
    outcome: str,
    mediators: str | Sequence[str],
    covariates: str | Sequence[str] = (),
    weights: str | None = None,
    where: str | None = None,
    contrast: tuple[Any, Any] | None = None,
    nan_policy: NanPolicy = "error",
    merge_rare: int = 0,
    options: FileOptions = DEFAULTS,
    table: str | Path | None = None,
    products: Any = None,
    block_bytes: int = BLOCK_BYTES,
) -> RowStream:
    """A file of any length as a mediation problem, in the memory of a few blocks.

    The fields (exposure, outcome, covariates, weights, and what `where` names) are read for all
    rows and checked as `from_frame` does; mediators are read when `blocks` asks for them.

    Args:
      path: text (.csv, .tsv, .txt, also packed), .parquet, .h5ad, or .npy with the matrix [n, p] of
        mediators m1..mp.
      exposure: column; a category of more than two levels needs `contrast`.
      outcome: numeric column, or a category of two levels.
      mediators: name, glob, list as in a csv, "@file" with one per line, or a sequence of them.
      covariates: names; categorical ones become 0/1 columns "site[b]", first level left out.
      weights: column of case weights.
      where: rows to keep, e.g. "covid == 1 and age < 80"; mediators cannot be named in it.
      contrast: (reference, treated): keeps the rows of these two exposure levels, coded 0 and 1.
      nan_policy: "error", or "drop" to leave out rows with a missing value in a column used.
      merge_rare: levels of categorical covariates with fewer rows are merged.
      options: of the file: separator, encoding, layer, ... (FileOptions).
      table: of .npy only: the file with the fields.
      products: dtype of the products within a block, "float32" or "float64"; by default that of
        the mediators in the file. Sums over blocks are float64 in either case: with float32 the
        relative error of a co-moment is about 1e-7, whatever the number of rows.
      block_bytes: of a block of mediators.

    Raises:
      UnknownColumnError, InvalidDataError, ShapeError, TypeError: as `from_frame`.
    """
    roles = Roles(
        exposure, outcome, mediators, covariates, weights, where, contrast, nan_policy, merge_rare
    )
    return row_stream(
        path, roles, options=options, table=table, products=products, block_bytes=block_bytes
    )


def row_stream(
    path: str | Path,
    roles: Roles,
    *,
    options: FileOptions,
    table: str | Path | None,
    products: Any,
    block_bytes: int,
) -> RowStream:
    """As `stream`, of roles at hand."""
    check_count("block_bytes", block_bytes, 1, 1)
    source = open_source(path, table, options)
    wanted = [roles.exposure, roles.outcome, *names_of(roles.covariates, source.features)]
    wanted += [] if roles.weights is None else [roles.weights]
    wanted += [] if roles.where is None else [condition.column for condition in parse(roles.where)]
    whole = source.table(wanted)
    for name in options.factors:
        whole.find(name, "factor")
    found = columns_of(whole, roles, read_mediators=False)
    dtype = np.dtype(products) if products is not None else source.dtype(found.names.mediators)
    dtype = common_float(dtype)
    rows = max(LEAST_ROWS, block_bytes // (dtype.itemsize * max(len(found.names.mediators), 1)))
    return RowStream(
        source,
        _checked_fields(found),
        found.rows,
        found.report.rows_read,
        rows,
        dtype,
        roles.nan_policy,
        found.report,
        whole.cells.first_row,
    )


def _checked_fields(found: FrameColumns) -> MediationData:
    """The fields as one data set; a column of zeros stands where mediators are expected."""
    names = dataclasses.replace(found.names, mediators=("mediators",))
    zeros = np.zeros((len(found.rows), 1))
    data = data_of(dataclasses.replace(found, mediators=zeros, names=names))
    return dataclasses.replace(data, mediators=data.mediators[:, :0], names=found.names)
