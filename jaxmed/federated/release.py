"""What a site refuses to release, and why. Thresholds, not differential privacy."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from jaxmed.data.mediation_data import MediationData

__all__ = ["FLOOR", "ReleaseRefused", "Rules", "binary_columns", "check_release", "column_names"]

# No setting goes below this number of rows.
FLOOR = 10
# A column of at most so many values gives its counts away by sum and sum of squares.
FEW_VALUES = 3


class ReleaseRefused(ValueError):
    """The summary would say too much about single persons; the reason names column and number."""


@dataclasses.dataclass(frozen=True)
class Rules:
    """Thresholds of a release.

    Raises:
      ValueError: fewer rows than the floor of 10, a ratio outside (0, 1), a negative cell.
    """

    min_rows: int = 20
    max_ratio: float = 0.33  # of columns to rows
    min_cell: int = 5  # smallest number of rows, other than 0, that a class may have

    def __post_init__(self) -> None:
        """Refuses thresholds that protect nobody."""
        if self.min_rows < FLOOR:
            raise ValueError(f"min_rows is at least {FLOOR}, not {self.min_rows}")
        if not 0 < self.max_ratio < 1:
            raise ValueError(f"max_ratio lies between 0 and 1, not {self.max_ratio}")
        if self.min_cell < 1:
            raise ValueError(f"min_cell is at least 1, not {self.min_cell}")


def column_names(data: MediationData) -> tuple[str, ...]:
    """All columns in the order of the moments: covariates, exposure, outcome, mediators."""
    names = data.names
    return (*names.covariates, names.exposure, names.outcome, *names.mediators)


def check_release(data: MediationData, rules: Rules) -> None:
    """Refuses what a summary of these rows would reveal of few persons.

    Args:
      data: complete names; rows of weight zero do not count.
      rules: thresholds.
    Raises:
      ReleaseRefused: too few rows, too many columns for them, a constant exposure or outcome,
        or a small class: of a column of two or three values, of a pair of two-valued columns, or
        of the level left out of a categorical covariate, alone and with a two-valued column.
    """
    columns = _columns(data)
    n, d = columns.shape
    if n < rules.min_rows:
        raise ReleaseRefused(f"{n} rows, fewer than the {rules.min_rows} of min_rows")
    if d > rules.max_ratio * n:
        raise ReleaseRefused(
            f"{d} columns (mediators, covariates, exposure and outcome) on {n} rows are "
            f"{d / n:.2f} columns a row, above the {rules.max_ratio} of max_ratio: with few rows "
            "their moments determine the rows; release fewer columns"
        )
    if np.ptp(columns[:, data.covariates.shape[1]]) == 0:
        raise ReleaseRefused(
            f"the exposure {data.names.exposure!r} is constant: its value would be known of "
            "every person, and this site alone says nothing about its effect"
        )
    if np.ptp(columns[:, data.covariates.shape[1] + 1]) == 0:
        raise ReleaseRefused(
            f"the outcome {data.names.outcome!r} is constant: its value would be known of every "
            "person"
        )
    names = column_names(data)
    two = []
    for name, column in zip(names, columns.T, strict=True):
        _, counts = np.unique(column, return_counts=True)
        if len(counts) <= FEW_VALUES and counts.min() < rules.min_cell:
            raise ReleaseRefused(
                f"{name!r} has a value that {counts.min()} rows share, fewer than the "
                f"{rules.min_cell} of min_cell: leave the column out or join classes"
            )
        if len(counts) == 2:
            two.append((name, (column == column.max()).astype(float)))
    _check_pairs([*two, *_left_out(two)], rules)


def binary_columns(data: MediationData) -> tuple[bool, ...]:
    """Whether every value of a column is 0 or 1; [d]."""
    return tuple(bool(np.isin(column, (0, 1)).all()) for column in _columns(data).T)


def _columns(data: MediationData) -> np.ndarray:
    """[rows of positive weight, d]."""
    rows = np.concatenate(
        [
            np.asarray(data.covariates),
            np.asarray(data.exposure)[:, None],
            np.asarray(data.outcome)[:, None],
            np.asarray(data.mediators),
        ],
        axis=1,
    )
    return rows if data.weights is None else rows[np.asarray(data.weights) > 0]


def _left_out(two: Iterable[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
    """Reference levels of the 0/1 columns "x[b]", "x[c]" of one variable x."""
    groups: dict[str, np.ndarray] = {}
    for name, column in two:
        if name.endswith("]") and "[" in name:
            variable = name.split("[")[0]
            groups[variable] = groups.get(variable, 0) + column
    return [
        (f"{variable}, level left out", 1 - total)
        for variable, total in groups.items()
        if total.max() == 1
    ]


def _check_pairs(two: list[tuple[str, np.ndarray]], rules: Rules) -> None:
    """Cells of every pair of two-valued columns, all of which the co-moments give."""
    if not two:
        return
    ones = np.stack([column for _, column in two], axis=1)
    n = len(ones)
    both = ones.T @ ones
    first = np.diagonal(both)[:, None] - both
    cells = np.stack([both, first, first.T, n - both - first - first.T])
    # A column with itself has its own two cells and twice an empty one.
    small = (cells > 0.5) & (cells < rules.min_cell - 0.5)
    if small.any():
        which, i, j = (int(k) for k in np.argwhere(small)[0])
        pair = f"{two[i][0]!r}" if i == j else f"{two[i][0]!r} with {two[j][0]!r}"
        raise ReleaseRefused(
            f"{pair} has a cell of {cells[which, i, j]:.0f} rows, fewer than the {rules.min_cell} "
            "of min_cell: leave a column out or join classes"
        )
