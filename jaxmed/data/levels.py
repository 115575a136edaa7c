"""An exposure of several levels: each level against the reference, and all of them together."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from jaxmed.data.columns import Factor
from jaxmed.data.frame_columns import columns_of, rows_of
from jaxmed.data.frames import FrameResult, data_of, table_of
from jaxmed.data.mediation_data import MediationData, NanPolicy
from jaxmed.data.readers import DEFAULTS, FileOptions
from jaxmed.data.roles import MOST_LEVELS, Roles, usable
from jaxmed.data.selection import listed
from jaxmed.data.tables import Table
from jaxmed.data.validation import InvalidDataError, ShapeError

__all__ = ["LevelsData", "levels_from_frame", "levels_of", "levels_of_exposure"]


@dataclasses.dataclass(frozen=True)
class LevelsData:
    """One table as several mediation problems that share their reference."""

    exposure: str
    reference: str
    levels: dict[str, FrameResult]  # every other level -> its rows and the reference's, as 1 and 0
    # All rows. The exposure is the number of the level, the reference 0: a name, not a quantity.
    whole: MediationData


def levels_from_frame(
    frame: Any,
    *,
    exposure: str,
    outcome: str,
    mediators: str | Sequence[str],
    covariates: str | Sequence[str] = (),
    weights: str | None = None,
    where: str | None = None,
    levels: Sequence[Any] | None = None,
    nan_policy: NanPolicy = "error",
    factor: str | Sequence[str] = (),
    merge_rare: int = 0,
    na: str | Sequence[str] = (),
    decimal: str | None = None,
    options: FileOptions = DEFAULTS,
) -> LevelsData:
    """An exposure of k levels as k - 1 contrasts with a reference; `mediate` takes it whole.

        found = jaxmed.mediate(jaxmed.levels_from_frame(frame, exposure="arm", ...), key=0)
        found.levels["high"].summary(), found.joint.p_value

    Args:
      frame: pandas or polars DataFrame, pyarrow Table, AnnData, MuData, dict of arrays, or the path
        of a file.
      exposure: column whose values are the levels.
      outcome: numeric column, or a category of two levels.
      mediators: name, glob, list as in a csv, "@file" with one per line, or a sequence of them.
      covariates: names; categorical ones become 0/1 columns "site[b]", first level left out.
      weights: column of case weights.
      where: rows to keep, e.g. "covid == 1 and age < 80".
      levels: those to compare, the reference first; by default all, the first in order being the
        reference. Needed where the exposure holds numbers.
      nan_policy: "error", or "drop" to leave out rows with a missing value in a column used.
      factor: columns of numbers that are categories.
      merge_rare: levels of categorical covariates with fewer rows are merged.
      na: texts that mean missing, beside empty cells, NA, NaN, NULL and their like.
      decimal: "," where text has decimal commas.
      options: of a file: separator, encoding, layer, ... (FileOptions).

    Raises:
      InvalidDataError: fewer than two levels, one without rows, or so many that they name rows.
      UnknownColumnError, ShapeError, TypeError, WhereError: as `from_frame`.
    """
    table = table_of(frame, factor=factor, na=na, decimal=decimal, options=options)
    roles = Roles(
        exposure, outcome, mediators, covariates, weights, where, None, nan_policy, merge_rare
    )
    return levels_of(table, levels, roles)


def levels_of(table: Table, levels: Sequence[Any] | None, roles: Roles) -> LevelsData:
    """As `levels_from_frame`, of a table at hand."""
    if isinstance(levels, str):
        levels = listed(levels)
    names = (
        levels_of_exposure(table, roles.exposure, roles.where) if levels is None else tuple(levels)
    )
    if len(names) < 2 or len(set(map(str, names))) < len(names):
        raise ValueError(f"levels are two or more different ones, the reference first, not {names}")
    found = {}
    for level in names[1:]:
        try:
            part = columns_of(table, dataclasses.replace(roles, contrast=(names[0], level)))
            found[str(level)] = FrameResult(data_of(part), part.report)
        except (InvalidDataError, ShapeError) as error:
            raise type(error)(f"level {level!r} against {names[0]!r}: {error}") from error
    whole = columns_of(table, dataclasses.replace(roles, levels=names))
    return LevelsData(roles.exposure, str(names[0]), found, data_of(whole))


def levels_of_exposure(table: Table, exposure: str, where: str | None = None) -> tuple[str, ...]:
    """The levels of a categorical exposure on the rows chosen, in their order.

    Raises:
      InvalidDataError: a column of numbers, or so many levels that they name rows.
    """
    column = usable(table.read(table.find(exposure, "exposure")))
    if not isinstance(column, Factor):
        raise InvalidDataError(
            f"the exposure {exposure!r} holds numbers: name the levels to compare, the reference "
            f'first, or say that it is a category with factor="{exposure}"'
        )
    levels = column.take(rows_of(table, where)).levels
    if len(levels) > MOST_LEVELS:
        raise InvalidDataError(
            f"the exposure {exposure!r} has {len(levels)} levels: an identifier? Name those to "
            "compare, the reference first"
        )
    return levels
