"""From a table with named columns to MediationData, with a report of what was done on the way."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxmed.data import selection
from jaxmed.data.annotated import annotated_table
from jaxmed.data.data_report import DataReport
from jaxmed.data.frame_columns import FrameColumns, columns_of
from jaxmed.data.mediation_data import MediationData, NanPolicy, mediation_data
from jaxmed.data.readers import DEFAULTS, FileOptions, open_table
from jaxmed.data.roles import Roles
from jaxmed.data.tables import Table, as_table
from jaxmed.data.validation import InvalidDataError

__all__ = [
    "FrameResult",
    "data_of",
    "from_frame",
    "from_frame_with_report",
    "table_of",
]


class FrameResult(NamedTuple):
    """Data and the report of how they came out of the table."""

    data: MediationData
    report: DataReport


def from_frame(
    frame: Any,
    *,
    exposure: str,
    outcome: str,
    mediators: str | Sequence[str],
    covariates: str | Sequence[str] = (),
    weights: str | None = None,
    where: str | None = None,
    contrast: tuple[Any, Any] | None = None,
    nan_policy: NanPolicy = "error",
    factor: str | Sequence[str] = (),
    merge_rare: int = 0,
    na: str | Sequence[str] = (),
    decimal: str | None = None,
    options: FileOptions = DEFAULTS,
) -> MediationData:
    """MediationData from a data frame, AnnData, a dict of arrays, or a file.

    Values decide what a column is: a column of text that holds numbers is a column of numbers,
    TRUE/FALSE is 1/0, an outcome or exposure of two texts is coded 0/1. Text that is nearly
    numbers is refused, with the values that are none.

    Args:
      frame: pandas or polars DataFrame, pyarrow Table, AnnData, MuData (features "rna:GENE"),
        dict of arrays (a matrix M [n, k] is M_1 to M_k), or the path of a file. Of AnnData,
        mediators come from X, other columns from obs or, not found there, from X.
      exposure: column; a category of more than two levels needs `contrast` (or
        `levels_from_frame`).
      outcome: numeric column, or a category of two levels.
      mediators: name, glob, list as in a csv, "@file" with one per line, or a sequence of them. A
        glob never picks exposure, outcome, covariates or weights, nor columns without a heading.
      covariates: names; categorical ones become 0/1 columns "site[b]", first level left out.
      weights: column of case weights.
      where: rows to keep, e.g. "covid == 1 and age < 80" (see data.where).
      contrast: (reference, treated): keeps the rows of these two exposure levels, coded 0 and 1;
        compared in the column's own type, so that "1" is 1.0.
      nan_policy: "error", or "drop" to leave out rows with a missing value in a column used.
      factor: columns of numbers that are categories.
      merge_rare: levels of categorical covariates with fewer rows are merged.
      na: texts that mean missing, beside empty cells, NA, NaN, NULL and their like.
      decimal: "," where text has decimal commas.
      options: of a file: separator, encoding, layer, ... (data.readers.FileOptions).

    Raises:
      UnknownColumnError: with the nearest names.
      InvalidDataError, ShapeError, TypeError: as `mediation_data`, with the column named.
      WhereError: with the position in the expression.
    """
    return from_frame_with_report(
        frame,
        exposure=exposure,
        outcome=outcome,
        mediators=mediators,
        covariates=covariates,
        weights=weights,
        where=where,
        contrast=contrast,
        nan_policy=nan_policy,
        factor=factor,
        merge_rare=merge_rare,
        na=na,
        decimal=decimal,
        options=options,
    ).data


def from_frame_with_report(
    frame: Any,
    *,
    exposure: str,
    outcome: str,
    mediators: str | Sequence[str],
    covariates: str | Sequence[str] = (),
    weights: str | None = None,
    where: str | None = None,
    contrast: tuple[Any, Any] | None = None,
    nan_policy: NanPolicy = "error",
    factor: str | Sequence[str] = (),
    merge_rare: int = 0,
    na: str | Sequence[str] = (),
    decimal: str | None = None,
    options: FileOptions = DEFAULTS,
) -> FrameResult:
    """As `from_frame`, with a DataReport of rows, missing values, conversions and codings.

    Returns:
      FrameResult(data, report).
    """
    table = table_of(frame, factor=factor, na=na, decimal=decimal, options=options)
    roles = Roles(
        exposure, outcome, mediators, covariates, weights, where, contrast, nan_policy, merge_rare
    )
    found = columns_of(table, roles)
    return FrameResult(data_of(found), found.report)


def table_of(
    frame: Any,
    *,
    factor: str | Sequence[str] = (),
    na: str | Sequence[str] = (),
    decimal: str | None = None,
    options: FileOptions = DEFAULTS,
) -> Table:
    """The table behind a frame or a file; arguments as `from_frame`."""
    factors = selection.names_of(factor, ()) if isinstance(factor, str) else tuple(factor)
    texts = (na,) if isinstance(na, str | int | float) else tuple(na)
    full = dataclasses.replace(
        options,
        factors=(*options.factors, *map(str, factors)),
        na=(*options.na, *map(str, texts)),
        decimal=decimal or options.decimal,
    )
    if isinstance(frame, str | Path):
        table = open_table(frame, full)
    else:
        table = _in_memory(frame, full)
    for name in full.factors:
        table.find(name, "factor")
    return table


def _in_memory(frame: Any, options: FileOptions) -> Table:
    """The table behind an object, read as the options say.

    Raises:
      InvalidDataError: an option that only files have, or only AnnData.
    """
    of_files = ("sep", "encoding", "sheet", "memory")
    annotated = type(frame).__module__.split(".")[0] in ("anndata", "mudata")
    of_annotated = () if annotated else ("layer", "obsm", "var_names")
    for name in (*of_files, *of_annotated):
        if getattr(options, name) is not None:
            kind = "a file" if name in of_files else "AnnData"
            raise InvalidDataError(f"{name}=NAME says how {kind} is read: this is none")
    cells = options.cells(0)
    if not annotated:
        return as_table(frame, cells)
    return annotated_table(
        frame, cells, layer=options.layer, obsm=options.obsm, var_names=options.var_names
    )


def data_of(found: FrameColumns) -> MediationData:
    """The checked data set of columns read with their mediators."""
    assert found.mediators is not None
    return mediation_data(
        found.exposure, found.mediators, found.outcome, found.covariates, found.weights, found.names
    )
