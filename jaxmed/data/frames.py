"""From a table with named columns to MediationData, with a report of what was done on the way."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxmed.data import columns, selection, where
from jaxmed.data.columns import Column, Factor
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import MediationData, Names, NanPolicy, mediation_data, missing_rows
from jaxmed.data.tables import Block, Table, as_table
from jaxmed.data.validation import InvalidDataError, ShapeError


@dataclasses.dataclass(frozen=True)
class FrameColumns:
    """Columns of a table in their roles, before they are checked as one data set."""

    exposure: Any  # [n]
    outcome: Any  # [n]
    covariates: np.ndarray | None  # [n, q], categorical ones as 0/1 columns
    weights: Any  # [n] or None
    names: Names
    rows: np.ndarray  # [n] positions in the table
    report: DataReport
    mediators: np.ndarray | None  # [n, p]; None where they were not to be read


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
) -> MediationData:
    """MediationData from a pandas or polars DataFrame, AnnData, or a dict of arrays.

    Args:
      frame: the table; of AnnData, mediators come from X (var_names), other columns from obs.
      exposure: column; a categorical one needs `contrast`.
      outcome: numeric column.
      mediators: name, glob, comma list, "@file" with one per line, or a sequence of them. A glob
        never picks exposure, outcome, covariates or weights.
      covariates: names; categorical ones become 0/1 columns "site[b]", first level left out.
      weights: column of case weights.
      where: rows to keep, e.g. "covid == 1 and age < 80" (see data.where).
      contrast: (reference, treated): keeps the rows of these two exposure levels, coded 0 and 1.
      nan_policy: "error", or "drop" to leave out rows with a missing value in a column used.

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
) -> FrameResult:
    """As `from_frame`, with a DataReport of rows, missing values and codings.

    Returns:
      FrameResult(data, report).
    """
    found = columns_of(
        as_table(frame), exposure=exposure, outcome=outcome, mediators=mediators,
        covariates=covariates, weights=weights, where=where, contrast=contrast,
        nan_policy=nan_policy,
    )  # fmt: skip
    return FrameResult(data_of(found), found.report)


def data_of(found: FrameColumns) -> MediationData:
    """The checked data set of columns read with their mediators."""
    assert found.mediators is not None
    return mediation_data(
        found.exposure, found.mediators, found.outcome, found.covariates, found.weights, found.names
    )


def columns_of(
    table: Table,
    *,
    exposure: str,
    outcome: str,
    mediators: str | Sequence[str],
    covariates: str | Sequence[str] = (),
    weights: str | None = None,
    where: str | None = None,
    contrast: tuple[Any, Any] | None = None,
    nan_policy: NanPolicy = "error",
    read_mediators: bool = True,
) -> FrameColumns:
    """Columns and rows that the roles name; arguments and errors as `from_frame`.

    Args:
      table: see `as_table`.
      exposure: and the others, see `from_frame`.
      outcome: see there.
      mediators: see there.
      covariates: see there.
      weights: see there.
      where: see there.
      contrast: see there.
      nan_policy: see there.
      read_mediators: False chooses the mediators by name and does not look at their values: they
        are streamed later.
    """
    if nan_policy not in ("error", "drop"):
        raise ValueError(f'nan_policy is "error" or "drop", not {nan_policy!r}')
    roles = _roles(table, exposure, outcome, covariates, weights)
    taken = [name for name in (*roles, exposure, outcome) if name is not None]
    chosen = selection.select(mediators, table.features, taken)

    rows = _where_rows(table, where)
    rows_where = int(rows.sum())
    column, levels, pair, rows = _exposure(table, exposure, contrast, rows)
    rows_contrast = int(rows.sum())

    fields = {exposure: columns.take(column, rows)}
    fields |= {name: columns.take(table.read(name).values, rows) for name in roles[1:]}
    block = Block(np.zeros((rows_contrast, 0)))
    if read_mediators:
        block = table.read_features(chosen, rows)
    _refuse_na(table, roles, block.with_na, rows, nan_policy)
    for name in (exposure, outcome, *((weights,) if weights else ())):
        _refuse_text(name, fields[name])

    counts, keep = _missing(fields, block.values, chosen)
    positions = np.flatnonzero(rows)[keep]
    if counts and nan_policy == "error":
        raise InvalidDataError(_missing_message(counts, np.flatnonzero(rows)[~keep]))
    fields = {name: columns.take(values, keep) for name, values in fields.items()}
    design, names, dummies, references = columns.design_matrix(
        fields, [n for n in roles[2:] if n != weights]
    )
    report = DataReport(
        rows_read=table.rows,
        rows_where=rows_where,
        rows_contrast=rows_contrast,
        rows_used=int(keep.sum()),
        where=where,
        contrast=pair,
        nan_policy=nan_policy,
        missing=counts,
        dummies=dummies,
        reference_levels=references,
        exposure_levels=levels,
    )
    if report.rows_used < 3:
        raise ShapeError(f"at least 3 rows are needed: {'; '.join(report.lines())}")
    values = block.values[keep] if not keep.all() else block.values
    return FrameColumns(
        fields[exposure], fields[outcome], design, None if weights is None else fields[weights],
        Names(exposure, outcome, chosen, names), positions, report,
        values if read_mediators else None,
    )  # fmt: skip


def _roles(
    table: Table,
    exposure: str,
    outcome: str,
    covariates: str | Sequence[str],
    weights: str | None,
) -> list[str]:
    """Exposure, outcome, covariates and weights, found and different."""
    adjust = [
        selection.find(name, table.fields, "covariates")
        for name in selection.names_of(covariates, table.fields)
    ]
    roles = [
        selection.find(exposure, table.fields, "exposure"),
        selection.find(outcome, table.fields, "outcome"),
        *adjust,
    ]
    if weights is not None:
        roles.append(selection.find(weights, table.fields, "weights"))
    for name in roles:
        if roles.count(name) > 1:
            raise InvalidDataError(f"column {name!r} has two roles")
    return roles


def _where_rows(table: Table, text: str | None) -> np.ndarray:
    if text is None:
        return np.ones(table.rows, bool)
    conditions = where.parse(text)
    for condition in conditions:
        selection.find(condition.column, _all_names(table), "where")
    return where.mask(conditions, lambda name: _read_any(table, name))


def _all_names(table: Table) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*table.fields, *table.features)))


def _read_any(table: Table, name: str) -> Column:
    if name in table.fields:
        return table.read(name).values
    return table.read_features((name,), np.ones(table.rows, bool)).values[:, 0]


def _exposure(
    table: Table, name: str, contrast: tuple[Any, Any] | None, rows: np.ndarray
) -> tuple[Column, tuple[str, ...], tuple[str, str] | None, np.ndarray]:
    """The exposure column, its levels if categorical, the contrast, and the rows it leaves."""
    column = table.read(name).values
    levels = column.take(rows).levels if isinstance(column, Factor) else ()
    if contrast is None:
        if isinstance(column, Factor):
            raise InvalidDataError(
                f"the exposure {name!r} is categorical with levels {list(levels)}: choose two with "
                "contrast=(reference, treated)"
            )
        return column, (), None, rows
    if len(contrast) != 2 or contrast[0] == contrast[1]:
        raise ValueError(f"contrast is two different levels (reference, treated), not {contrast!r}")
    is_level = [_equals(column, level) & rows for level in contrast]
    for level, found in zip(contrast, is_level, strict=True):
        if not found.any():
            present = list(levels) or np.unique(np.asarray(column)[rows])[:10].tolist()
            raise InvalidDataError(
                f"the exposure {name!r} has no rows with level {level!r}: levels are {present}"
            )
    return is_level[1], levels, (str(contrast[0]), str(contrast[1])), is_level[0] | is_level[1]


def _equals(column: Column, level: Any) -> np.ndarray:
    if isinstance(column, Factor):
        if str(level) not in column.levels:
            return np.zeros(column.codes.shape[0], bool)
        return column.codes == column.levels.index(str(level))
    return np.asarray(column == level) & np.ones(column.shape[0], bool)


def _refuse_na(
    table: Table,
    roles: Sequence[str],
    with_na: Sequence[str],
    rows: np.ndarray,
    nan_policy: NanPolicy,
) -> None:
    """pandas.NA is an error of type unless rows with it are dropped."""
    if nan_policy == "drop":
        return
    found = [
        n
        for n in roles
        if (raw := table.read(n)).has_na and columns.missing(raw.values)[rows].any()
    ]
    for name in (*found, *with_na):
        raise TypeError(
            f'{name!r} holds pandas.NA: leave these rows out with nan_policy="drop", or convert it '
            "with .astype(float)"
        )


def _refuse_text(name: str, column: Column) -> None:
    if isinstance(column, Factor):
        raise TypeError(
            f"{name!r} holds text or categories {list(column.levels[:5])}: numbers are needed"
        )


def _missing(
    fields: dict[str, Column], block: np.ndarray, mediators: Sequence[str]
) -> tuple[dict[str, int], np.ndarray]:
    """Missing values per column, and the rows without any."""
    flags = {name: columns.missing(column) for name, column in fields.items()}
    counts = {name: int(flag.sum()) for name, flag in flags.items() if flag.any()}
    incomplete = missing_rows(block)
    if incomplete.any():
        per_mediator = np.isnan(block).sum(axis=0)
        counts |= {
            mediators[j]: int(per_mediator[j]) for j in np.flatnonzero(per_mediator).tolist()
        }
    return counts, ~np.logical_or.reduce([incomplete, *flags.values()])


def _missing_message(counts: dict[str, int], rows: np.ndarray) -> str:
    each = ", ".join(f"{name!r} {count}" for name, count in list(counts.items())[:5])
    more = f" and {len(counts) - 5} columns more" if len(counts) > 5 else ""
    return (
        f"NaN or missing values in {each}{more}; first in row {int(rows.min())} of the table, in "
        f'{rows.size} rows: leave these out with nan_policy="drop", or impute them'
    )
