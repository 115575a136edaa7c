"""What a site refuses to release, and why. Thresholds, not differential privacy."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxmed.data.mediation_data import MediationData
from jaxmed.federated.influence import (
    Leverage,
    Persons,
    Share,
    close_pairs,
    effective_number,
    leverage,
    product_share,
    sum_share,
)
from jaxmed.federated.small_classes import small_class

__all__ = [
    "FLOOR",
    "LARGEST_SHARE",
    "ReleaseRefused",
    "Rules",
    "binary_columns",
    "check_release",
    "column_names",
    "rules_of",
]

# No setting goes below this number of rows, nor lets a person be more of a sum than this share.
FLOOR = 10
LARGEST_SHARE = 0.5


class ReleaseRefused(ValueError):
    """The summary would say too much about single persons; the reason names column and number."""


@dataclasses.dataclass(frozen=True)
class Rules:
    """Thresholds of a release.

    Raises:
      ValueError: fewer rows than the floor of 10, a ratio outside (0, 1), a negative cell, a share
        of one person above one half.
    """

    min_rows: int = 20
    max_ratio: float = 0.33  # of columns to persons
    min_cell: int = 5  # smallest number of persons, other than 0, that a class may have
    max_share: float = 0.2  # of one person in a released sum; 1 / min_cell by default

    def __post_init__(self) -> None:
        """Refuses thresholds that protect nobody."""
        if self.min_rows < FLOOR:
            raise ValueError(f"min_rows is at least {FLOOR}, not {self.min_rows}")
        if not 0 < self.max_ratio < 1:
            raise ValueError(f"max_ratio lies between 0 and 1, not {self.max_ratio}")
        if self.min_cell < 1:
            raise ValueError(f"min_cell is at least 1, not {self.min_cell}")
        if not 0 < self.max_share <= LARGEST_SHARE:
            raise ValueError(f"max_share lies between 0 and {LARGEST_SHARE}, not {self.max_share}")


def rules_of(min_rows: int, max_ratio: float, min_cell: int, max_share: float | None) -> Rules:
    """Rules with a share of 1 / min_cell where none is given."""
    share = min(LARGEST_SHARE, 1 / max(min_cell, 1)) if max_share is None else max_share
    return Rules(min_rows, max_ratio, min_cell, share)


def column_names(data: MediationData) -> tuple[str, ...]:
    """All columns in the order of the moments: covariates, exposure, outcome, mediators."""
    names = data.names
    return (*names.covariates, names.exposure, names.outcome, *names.mediators)


def check_release(
    data: MediationData, rules: Rules, persons: np.ndarray, *, noise: bool = False
) -> None:
    """Refuses what a summary of these rows would reveal of few persons.

    Args:
      data: complete names; rows of weight zero do not count.
      rules: thresholds.
      persons: a number of the person of every row [n].
      noise: the moments will hold noise, scaled to what one row may change: then counts alone are
        looked at, and a person may have one row only.
    Raises:
      ReleaseRefused: too few persons, or too few that the weights leave; too many columns for
        them; a constant exposure or outcome; a class of few persons; a person who makes up much
        of a sum, of a cross-product, or of a combination of columns.
    """
    columns = _columns(data)
    kept = _kept(data)
    weights = np.ones(len(columns)) if data.weights is None else np.asarray(data.weights)[kept]
    if len(columns) < rules.min_rows:
        raise ReleaseRefused(f"{len(columns)} rows, fewer than the {rules.min_rows} of min_rows")
    who, order = Persons.of(weights, persons[kept])
    columns = columns[order]
    names = column_names(data)
    _check_sizes(who, len(names), rules)
    _check_constant(data, columns)
    few = small_class(names, columns, who, rules.min_cell)
    if few is not None:
        raise ReleaseRefused(
            f"{few[0]}: {few[1]} persons {few[2]}, fewer than the {rules.min_cell} of min_cell: "
            "leave a column out or join classes"
        )
    if noise:
        if not who.single:
            raise ReleaseRefused(
                f"{len(columns)} rows of {who.number} persons: epsilon is that of one row, and a "
                "person with several would lose more: give one row a person, for instance means"
            )
        return
    _check_sums(names, columns, who, rules.max_share)
    _check_combinations(names, columns, who, data.covariates.shape[1] + 2)


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
    return rows[_kept(data)]


def _kept(data: MediationData) -> np.ndarray:
    """Rows that count, [n] bool."""
    if data.weights is None:
        return np.ones(len(data.exposure), bool)
    return np.asarray(data.weights) > 0


def _check_sizes(persons: Persons, d: int, rules: Rules) -> None:
    n = persons.number
    if n < rules.min_rows:
        raise ReleaseRefused(
            f"{len(persons.codes)} rows of {n} persons, fewer than the {rules.min_rows} of min_rows"
        )
    if d > rules.max_ratio * n:
        raise ReleaseRefused(
            f"{d} columns (mediators, covariates, exposure and outcome) on {n} persons are "
            f"{d / n:.2f} columns a person, above the {rules.max_ratio} of max_ratio: with few "
            "persons their moments determine the rows; release fewer columns"
        )
    effective = effective_number(persons)
    if effective < rules.min_rows * (1 - 1e-9):
        raise ReleaseRefused(
            f"the case weights and rows a person leave {effective:.1f} effective persons of {n}, "
            f"fewer than the {rules.min_rows} of min_rows: trim the weights, or leave them out"
        )


def _check_constant(data: MediationData, columns: np.ndarray) -> None:
    q = data.covariates.shape[1]
    if np.ptp(columns[:, q]) == 0:
        raise ReleaseRefused(
            f"the exposure {data.names.exposure!r} is constant: its value would be known of "
            "every person, and this site alone says nothing about its effect"
        )
    if np.ptp(columns[:, q + 1]) == 0:
        raise ReleaseRefused(
            f"the outcome {data.names.outcome!r} is constant: its value would be known of every "
            "person"
        )


def _check_sums(
    names: Sequence[str], columns: np.ndarray, persons: Persons, largest: float
) -> None:
    """No person is much of the sum of weights, of a column, of its squares, of a cross-product."""
    limit = largest * (1 + 1e-9)
    # The largest square of k normal values is about 2 log k: that much of a sum is nobody's doing.
    effective = effective_number(persons)
    allowance = 2 * np.log(effective * columns.shape[1]) / effective
    second = min(limit + allowance, LARGEST_SHARE)
    weight = sum_share(np.ones((len(columns), 1)), persons).share
    if weight > limit:
        raise ReleaseRefused(
            f"one person has {weight:.2f} of the sum of the case weights, above the {largest:g} of "
            "max_share: trim the weights, or leave them out"
        )
    mean = persons.weights @ columns / persons.weights.sum()
    # A constant may be taken from a column by whoever has its mean: the middle of most values is
    # the one that leaves a few far ones over.
    centres = {"": np.zeros_like(mean), " about its median": np.median(columns, axis=0)}
    for about, centre in centres.items():
        for what, power, most in (("sum", 1, limit), ("sum of squares", 2, second)):
            found = sum_share((columns - centre) ** power, persons)
            if found.share > most:
                raise ReleaseRefused(_dominated(found, f"{what}{about}", names, columns, most))
    found = product_share(columns - mean, persons, second)
    if found.share > second:
        what = "sum of squares" if found.first == found.second else "sum of cross-products"
        raise ReleaseRefused(_dominated(found, f"{what} about the mean", names, columns, second))


def _dominated(
    found: Share, what: str, names: Sequence[str], columns: np.ndarray, most: float
) -> str:
    pair = dict.fromkeys((found.first, found.second))
    positive = all((columns[:, place] > 0).all() for place in pair)
    remedy = "take logarithms or ranks" if positive else "take ranks"
    return (
        f"{' with '.join(repr(names[place]) for place in pair)}: one person makes up "
        f"{found.share:.2f} of the {what}, above {most:.2f} (max_share): {remedy} of a "
        "column with long tails before the release, or leave it out"
    )


def _check_combinations(
    names: Sequence[str], columns: np.ndarray, persons: Persons, adjusted: int
) -> None:
    """No combination of columns is about one person.

    The adjusted columns (covariates, exposure, outcome) are few, and regressions on them are what
    everybody computes; pairs that nearly agree are differences that everybody sees. Of all
    columns together a person's leverage is (1 + d) / persons on average, so that the limit lies
    half-way between that and 1.
    """
    whole = [*range(columns.shape[1])]
    if leverage(columns, persons).leverage <= LARGEST_SHARE:
        return  # nor is it larger in fewer columns
    share = (1 + len(whole)) / persons.number
    few = [[*range(adjusted)], *close_pairs(columns, persons)]
    sets = [(places, LARGEST_SHARE) for places in few]
    for places, limit in [*sets, (whole, LARGEST_SHARE + (1 - LARGEST_SHARE) * share)]:
        found = leverage(columns[:, places], persons)
        if found.leverage > limit:
            raise ReleaseRefused(_combined(found, [repr(names[k]) for k in places], limit))


def _combined(found: Leverage, names: Sequence[str], limit: float) -> str:
    named = ", ".join(names[k] for k in found.columns)
    return (
        f"{named}: one person makes up {found.leverage:.2f} of the sum of squares of a combination "
        f"of them, above {limit:.2f}: the sums would give that person's row; leave one of them "
        "out, or take logarithms or ranks of one with long tails"
    )
