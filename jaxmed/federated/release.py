"""What a site refuses to release, and why."""

from collections.abc import Iterator, Sequence

import numpy as np

from jaxmed.data.mediation_data import MediationData
from jaxmed.federated.influence import (
    Basis,
    Share,
    basis_of,
    close_pairs,
    group_share,
    product_share,
    sum_share,
)
from jaxmed.federated.persons import Persons, densest, effective_number, weighted_median
from jaxmed.federated.rules import LARGEST_GROUP, LARGEST_SHARE, LARGEST_SIZE, ReleaseRefused, Rules
from jaxmed.federated.small_classes import small_class

__all__ = ["binary_columns", "check_release", "column_names"]

ROUNDING = 1 + 1e-9  # five of equal size have a share of exactly 1 / 5 each


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
        raise ReleaseRefused(
            f"{len(columns)} rows, fewer than min_rows={rules.min_rows}: merge them with those of "
            "another site first"
        )
    who, order = Persons.of(weights, persons[kept])
    columns = columns[order]
    names = column_names(data)
    _check_sizes(who, len(names), rules)
    _check_constant(data, columns)
    few = small_class(names, columns, who, rules.min_cell)
    if few is not None:
        raise ReleaseRefused(
            f"{few[0]}: {few[1]:.3g} {'person' if few[1] == 1 else 'persons'} {few[2]}, fewer than "
            f"min_cell={rules.min_cell}: leave a column out or join classes"
        )
    if noise:
        if not who.single:
            raise ReleaseRefused(
                f"{len(columns)} rows of {who.number} persons: epsilon is that of one row, and a "
                "person with several would lose more: give one row a person, for instance means"
            )
        return
    _check_sums(names, columns, who, rules)
    _check_combinations(names, columns, who, data.covariates.shape[1] + 2, rules.min_cell)


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
    remedy = "merge the rows with those of another site first"
    if n < rules.min_rows:
        raise ReleaseRefused(
            f"{len(persons.codes)} rows of {n} persons, fewer than min_rows={rules.min_rows}: "
            f"{remedy}"
        )
    if d > rules.max_ratio * n:
        raise ReleaseRefused(
            f"{d} columns (mediators, covariates, exposure and outcome) on {n} persons are "
            f"{d / n:.2f} columns a person, above max_ratio={rules.max_ratio}: with few persons "
            "their moments determine the rows; release fewer columns"
        )
    effective = _effective(persons)
    if effective < rules.min_rows * (1 - 1e-9):
        raise ReleaseRefused(
            f"case weights and rows a person leave {effective:.1f} effective persons of {n}, fewer "
            f"than min_rows={rules.min_rows}: trim the weights, or do without them"
        )


def _effective(persons: Persons) -> float:
    return float(effective_number(persons.add_up(persons.weights)))


def _check_constant(data: MediationData, columns: np.ndarray) -> None:
    q = data.covariates.shape[1]
    for role, name, column in (
        ("exposure", data.names.exposure, columns[:, q]),
        ("outcome", data.names.outcome, columns[:, q + 1]),
    ):
        if np.ptp(column) == 0:
            raise ReleaseRefused(
                f"the {role} {name!r} is constant: its value would be known of every person, and "
                "this site alone says nothing about effects; merge the rows with those of another "
                "site first"
            )


def _check_sums(names: Sequence[str], columns: np.ndarray, persons: Persons, rules: Rules) -> None:
    """No person is much of the sum of weights, of a column, of its squares, of a cross-product."""
    weight = sum_share(np.ones((len(columns), 1)), persons).share
    if weight > rules.max_share * ROUNDING:
        raise ReleaseRefused(
            f"one person has {weight:.2f} of the sum of the case weights, above "
            f"max_share={rules.max_share:g}: trim the weights, or do without them"
        )
    for what, found, most in _shares(columns, persons, rules):
        if found.share > most * ROUNDING:
            raise ReleaseRefused(_dominated(found, what, names, columns, most, rules))


def _shares(
    columns: np.ndarray, persons: Persons, rules: Rules
) -> Iterator[tuple[str, Share, float]]:
    """Sums, the largest share of a person in each kind of them, and what it may be."""
    # A constant may be taken from a column by whoever has its mean: the middle of most values is
    # the one that leaves a few far ones over.
    median = weighted_median(columns, persons.weights)
    centres = {"": np.zeros_like(median), " about its median": median}
    for about, centre in centres.items():
        yield f"sum{about}", sum_share(columns - centre, persons), rules.max_share
    # The largest square of k normal values is about 2 log k: that much of a sum is nobody's doing.
    effective = _effective(persons)
    chance = 2 * np.log(effective * columns.shape[1]) / effective
    most = min(rules.max_share + chance, LARGEST_SHARE)
    for about, centre in centres.items():
        yield f"sum of squares{about}", sum_share((columns - centre) ** 2, persons), most
    centred = columns - persons.weights @ columns / persons.weights.sum()
    yield "sum of products about the means", product_share(centred, persons, most), most
    frequent = np.stack([median, densest(columns, rules.min_cell)])
    places, shifted = _shifted(columns, frequent)
    found = product_share(shifted, persons, LARGEST_SHARE)
    found = Share(found.share, places[found.first], places[found.second])
    yield "sum of products about some values", found, LARGEST_SHARE


def _shifted(columns: np.ndarray, frequent: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Columns about 0 and about frequent values, two-valued ones about each; and their places.

    A product is dominated by one person where the columns differ from such values, together, in
    that person alone, however many there are in either.
    """
    places, found = [], []
    for place, column in enumerate(columns.T):
        values = np.unique(column)
        for centre in values if len(values) == 2 else np.unique([0, *frequent[:, place]]):
            places.append(place)
            found.append(column - centre)
    return places, np.stack(found, axis=1)


def _dominated(
    found: Share,
    what: str,
    names: Sequence[str],
    columns: np.ndarray,
    most: float,
    rules: Rules,
) -> str:
    pair = dict.fromkeys((found.first, found.second))
    positive = all((columns[:, place] > 0).all() for place in pair)
    remedy = "take logarithms or ranks" if positive else "take ranks"
    rule = f"max_share={rules.max_share:g}"
    if most > rules.max_share:
        rule = f"{most:.2f}, which is {rule} and what chance allows"
    return (
        f"{' with '.join(repr(names[place]) for place in pair)}: one person makes up "
        f"{found.share:.2f} of the {what}, above {rule}: {remedy} of a column with long tails "
        "before the release, or leave it out"
    )


def _check_combinations(
    names: Sequence[str], columns: np.ndarray, persons: Persons, adjusted: int, least: int
) -> None:
    """No combination of columns is about one person, nor about fewer than make a class.

    The adjusted columns (covariates, exposure, outcome) are few, and regressions on them are what
    everybody computes; pairs that nearly agree are differences that everybody sees. Of all
    columns together a person's leverage is (1 + d) / persons on average, so that the limit lies
    half-way between that and 1. Of many persons the share is large in any table.
    """
    whole = basis_of(columns, persons)
    if whole.leverage.max() > LARGEST_SHARE:
        _check_one(names, columns, persons, adjusted, whole)
    size = min(least - 1, LARGEST_SIZE)
    if size > 1:
        limit = _beyond(LARGEST_GROUP, columns, persons)
        share, places = group_share(whole, size, limit)
        if share > limit:
            named = [names[k] for k in places]
            raise ReleaseRefused(_combined(f"{size} persons make", share, named, limit))


def _check_one(
    names: Sequence[str], columns: np.ndarray, persons: Persons, adjusted: int, whole: Basis
) -> None:
    """As `_check_combinations`, of one person; in fewer columns leverages are smaller."""
    for places in [[*range(adjusted)], *close_pairs(columns, persons)]:
        share, used = basis_of(columns[:, places], persons).most()
        if share > LARGEST_SHARE:
            named = [names[places[k]] for k in used]
            raise ReleaseRefused(_combined("one person makes", share, named, LARGEST_SHARE))
    share, used = whole.most()
    limit = _beyond(LARGEST_SHARE, columns, persons)
    if share > limit:
        named = [names[k] for k in used]
        raise ReleaseRefused(_combined("one person makes", share, named, limit))


def _beyond(limit: float, columns: np.ndarray, persons: Persons) -> float:
    """A limit in all columns, of which there may be many for the persons."""
    return limit + (1 - limit) * (1 + columns.shape[1]) / persons.number


def _combined(who: str, share: float, names: Sequence[str], limit: float) -> str:
    return (
        f"{', '.join(map(repr, names))}: {who} up {share:.2f} of the sum of squares of a "
        f"combination of them, above {limit:.2f}: sums would give their rows; leave one of these "
        "columns out, or take logarithms or ranks of one with long tails"
    )
