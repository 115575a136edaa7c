"""Columns of a table in their roles: read, coded, and rows with missing values left out."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmed.data import columns, selection, where
from jaxmed.data.columns import Column, Factor
from jaxmed.data.data_report import DataReport, listed
from jaxmed.data.group_columns import group_codes
from jaxmed.data.mediation_data import Names, missing_rows
from jaxmed.data.roles import (
    MOST_LEVELS,
    Roles,
    check_covariate,
    code_two_levels,
    is_numeric,
    merge_rare,
    numbers_of,
    usable,
)
from jaxmed.data.tables import Block, Table
from jaxmed.data.validation import InvalidDataError, ShapeError, all_finite, infinite_values

__all__ = ["FrameColumns", "columns_of", "rows_of"]


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


def columns_of(table: Table, roles: Roles, *, read_mediators: bool = True) -> FrameColumns:
    """Columns and rows that the roles name; errors as `from_frame`.

    Args:
      table: see `as_table`.
      roles: names of columns, and which rows.
      read_mediators: False chooses the mediators by name and does not look at their values: they
        are streamed later.
    """
    if roles.nan_policy not in ("error", "drop"):
        raise ValueError(f'nan_policy is "error" or "drop", not {roles.nan_policy!r}')
    exposure, outcome, weights = str(roles.exposure), str(roles.outcome), roles.weights
    adjust = selection.names_of(roles.covariates, table.names)
    own = _found(table, exposure, outcome, adjust, weights)
    by_name = table.hidden if table.features == table.fields else ()
    chosen = selection.select(
        roles.mediators, table.features, own, others=by_name, doubled=table.doubled
    )
    notes = _Notes({}, {}, {}, [])
    rows, asked = _where_rows(table, roles.where, notes)
    rows_where = int(rows.sum())
    column, found, pair, rows = _exposure(table, roles, rows, notes)
    rows_contrast = int(rows.sum())

    fields: dict[str, Column] = {exposure: columns.take(column, rows)}
    fields[outcome] = _outcome(table, outcome, rows, notes)
    for name in adjust:
        fields[name] = _covariate(table, name, rows, roles.merge_rare, notes)
    if weights is not None:
        raw = table.read(weights)
        notes.add(weights, raw.note)
        fields[weights] = numbers_of(weights, raw, "weights")[rows]
        _check_weights(table, weights, fields[weights], rows)
    block = Block(np.zeros((rows_contrast, 0)))
    if read_mediators:
        block = table.read_features(chosen, rows)
        notes.converted.update(block.notes)

    counts, keep = _missing(fields, block.values, chosen)
    positions = np.flatnonzero(rows)[keep]
    if counts and roles.nan_policy == "error":
        raise InvalidDataError(_missing_message(table, counts, rows, keep))
    fields = {name: columns.take(values, keep) for name, values in fields.items()}
    _check_finite(table, fields, positions)
    coded = columns.design_matrix(fields, adjust)
    used = {*own, *chosen, *asked}
    # Features of AnnData that nobody chose are measurements: only fields are looked at.
    idle = [name for name in table.fields if name not in {*own, *chosen}]
    report = DataReport(
        rows_read=table.rows,
        rows_where=rows_where,
        rows_contrast=rows_contrast,
        rows_used=int(keep.sum()),
        where=roles.where,
        contrast=pair,
        nan_policy=roles.nan_policy,
        missing=counts,
        dummies=coded.dummies,
        reference_levels=coded.references,
        exposure_levels=found,
        level_counts=coded.counts,
        coded=notes.coded,
        converted=notes.converted,
        merged=notes.merged,
        without_role=tuple(
            name for name in dict.fromkeys((*table.fields, *table.features)) if name not in used
        ),
        aside=table.aside,
        questions=tuple(notes.questions),
        origin=table.origin,
        # Of a stream, whose rows are too many to be named one by one, neither.
        row_numbers=positions + table.cells.first_row if read_mediators else None,
        group_codes=group_codes(table, idle, positions),
    )
    if report.rows_used < 3:
        raise ShapeError(f"at least 3 rows are needed: {'; '.join(report.lines())}")
    values = block.values[keep] if not keep.all() else block.values
    _check_finite_block(table, values, chosen, positions)
    return FrameColumns(
        fields[exposure],
        fields[outcome],
        coded.columns,
        None if weights is None else fields[weights],
        Names(
            exposure,
            outcome,
            chosen,
            coded.names,
            tuple(group for group in coded.dummies.values() if group),
        ),
        positions,
        report,
        values if read_mediators else None,
    )


@dataclasses.dataclass(frozen=True)
class _Notes:
    """What is told of the columns; filled while they are read."""

    converted: dict[str, str]
    coded: dict[str, tuple[str, str]]
    merged: dict[str, str]
    questions: list[str]

    def add(self, name: str, note: str) -> None:
        if note and note != "dates":
            self.converted[name] = note


def _found(
    table: Table, exposure: str, outcome: str, covariates: Sequence[str], weights: str | None
) -> list[str]:
    """Exposure, outcome, covariates and weights, found and different."""
    found = [
        table.find(exposure, "exposure"),
        table.find(outcome, "outcome"),
        *(table.find(name, "covariates") for name in covariates),
    ]
    if weights is not None:
        found.append(table.find(weights, "weights"))
    for name in found:
        if found.count(name) > 1:
            raise InvalidDataError(f"column {name!r} has two roles")
    return found


def _where_rows(table: Table, text: str | None, notes: _Notes) -> tuple[np.ndarray, set[str]]:
    """The rows of a where expression, and the columns it names."""
    if text is None:
        return np.ones(table.rows, bool), set()
    conditions = where.parse(text)
    read = {c.column: usable(table.read(table.find(c.column, "where"))) for c in conditions}
    notes.questions.extend(where.unknown_levels(conditions, read.__getitem__))
    return where.mask(conditions, read.__getitem__), set(read)


def rows_of(table: Table, text: str | None) -> np.ndarray:
    """True for the rows [n] that a where expression keeps."""
    return _where_rows(table, text, _Notes({}, {}, {}, []))[0]


def _exposure(
    table: Table, roles: Roles, rows: np.ndarray, notes: _Notes
) -> tuple[Column, tuple[str, ...], tuple[str, str] | None, np.ndarray]:
    """The exposure column, its levels if categorical, the contrast, and the rows it leaves."""
    name, chosen = str(roles.exposure), roles.levels
    raw = table.read(name)
    column = usable(raw)
    notes.add(name, raw.note)
    if roles.contrast is not None:
        return _contrasted(name, column, roles.contrast, rows)
    if chosen:
        held = np.array([where.is_level(column, level) & rows for level in chosen])
        if (held.sum(axis=0) > 1).any():
            raise ValueError(f"two of the levels {list(chosen)} are the same one")
        return (
            held.argmax(axis=0).astype(float),
            tuple(map(str, chosen)),
            None,
            np.logical_or.reduce(held),
        )
    if not isinstance(column, Factor):
        return numbers_of(name, raw, "exposure"), (), None, rows
    levels = column.take(rows).levels
    coding = code_two_levels(name, column, rows)
    if coding is not None:
        notes.coded[name] = (coding.reference, coding.other)
        return coding.values, levels, None, rows
    if len(levels) < 2:
        only = f"{levels[0]!r}" if levels else "missing"
        raise InvalidDataError(f"the exposure {name!r} is constant ({only}) on the rows chosen")
    if len(levels) > MOST_LEVELS:
        raise InvalidDataError(
            f"the exposure {name!r} has {len(levels)} levels ({listed(levels)}): an identifier? "
            "Two of them are compared with contrast=(reference, treated)"
        )
    if not column.declared or name in table.cells.factors or not is_numeric(column):
        raise InvalidDataError(
            f"the exposure {name!r} is categorical with levels {list(levels)}: choose two with "
            "contrast=(reference, treated), or compare each with the first by levels_from_frame"
        )
    return numbers_of(name, raw, "exposure"), (), None, rows


def _contrasted(
    name: str, column: Column, contrast: tuple[Any, Any], rows: np.ndarray
) -> tuple[Column, tuple[str, ...], tuple[str, str], np.ndarray]:
    levels = column.take(rows).levels if isinstance(column, Factor) else ()
    if len(contrast) != 2 or contrast[0] == contrast[1]:
        raise ValueError(f"contrast is two different levels (reference, treated), not {contrast!r}")
    is_level = [where.is_level(column, level) & rows for level in contrast]
    for level, found in zip(contrast, is_level, strict=True):
        if not found.any():
            present = list(levels) or _present(column, rows)
            raise InvalidDataError(
                f"the exposure {name!r} has no rows with level {level!r}: levels are {present}"
            )
    if (is_level[0] & is_level[1]).any():
        raise ValueError(f"contrast is two different levels (reference, treated), not {contrast!r}")
    return is_level[1], levels, (str(contrast[0]), str(contrast[1])), is_level[0] | is_level[1]


def _present(column: Column, rows: np.ndarray) -> list[str]:
    """The first few different values, as a command line would name them."""
    assert isinstance(column, np.ndarray)
    return list(columns.factor_of(column[rows]).levels[:10])


def _outcome(table: Table, name: str, rows: np.ndarray, notes: _Notes) -> np.ndarray:
    raw = table.read(name)
    notes.add(name, raw.note)
    coding = code_two_levels(name, usable(raw), rows)
    if coding is None:
        return numbers_of(name, raw, "outcome")[rows]
    notes.coded[name] = (coding.reference, coding.other)
    return coding.values[rows]


def _covariate(table: Table, name: str, rows: np.ndarray, least: int, notes: _Notes) -> Column:
    raw = table.read(name)
    notes.add(name, raw.note)
    column = columns.take(usable(raw), rows)
    column, merged = merge_rare(column, least)
    if merged:
        notes.merged[name] = merged
    notes.questions.extend(check_covariate(name, column))
    return column


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


def _place(table: Table, row: int) -> str:
    """A row as the reader of a message finds it."""
    where = "file" if "file" in table.origin else "table"
    return f"row {row + table.cells.first_row} of the {where}"


def _check_weights(table: Table, name: str, values: Any, rows: np.ndarray) -> None:
    negative = values < 0
    if negative.any():
        place = _place(table, int(np.flatnonzero(rows)[negative][0]))
        raise InvalidDataError(
            f"the weights {name!r} hold a negative one in {place}: case weights are zero or "
            "positive"
        )


def _check_finite(table: Table, fields: dict[str, Column], positions: np.ndarray) -> None:
    """Refuse infinite values, with the row where the first of them stands."""
    for name, column in fields.items():
        if isinstance(column, Factor) or column.dtype.kind != "f":
            continue
        infinite = np.isinf(column)
        if infinite.any():
            count, place = int(infinite.sum()), _place(table, int(positions[infinite][0]))
            raise infinite_values(name, count, place)


def _check_finite_block(
    table: Table, values: np.ndarray, names: Sequence[str], positions: np.ndarray
) -> None:
    """The same of mediators [n, p]: one product clears nearly all tables."""
    if values.dtype.kind != "f" or all_finite(values):
        return
    for j in np.flatnonzero(np.isinf(values).any(axis=0)).tolist():
        _check_finite(table, {names[j]: values[:, j]}, positions)


def _missing_message(
    table: Table, counts: dict[str, int], rows: np.ndarray, keep: np.ndarray
) -> str:
    each = listed([f"{name!r} {count}" for name, count in counts.items()])
    gone = np.flatnonzero(rows)[~keep]
    return (
        f"missing values in {each}; first in {_place(table, int(gone.min()))}, in {gone.size} "
        f"rows; {int(keep.sum())} of {int(rows.sum())} rows are complete: "
        'leave the others out with nan_policy="drop", or impute them'
    )
