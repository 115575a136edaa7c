"""Tables from which moments would give a person's row away, and tables from which they do not."""

import numpy as np

from jaxmed.data.mediation_data import MediationData, Names

CELL = 5  # the default of min_cell


def table(columns, *, q=2, weights=None):
    """Columns [n, d] as covariates c1.., exposure, outcome, mediators m1.. of one site."""
    d = columns.shape[1]
    mediators = tuple(f"m{j + 1}" for j in range(d - q - 2))
    names = Names("dose", "score", mediators, tuple(f"c{j + 1}" for j in range(q)))
    return MediationData(
        columns[:, q], columns[:, q + 2 :], columns[:, q + 1], columns[:, :q], weights, names
    )


def normal(rng, n=200, d=9):
    return rng.normal(size=(n, d))


def harmless(rng, *, cells):
    """Normal, 0/1 and t8 columns of any scale, n at least 10 d and 200.

    Every class of a 0/1 column has 2 CELL rows; with `cells` classes have shares from .3 to .7, so
    that cells of two columns hold as many.
    """
    d = int(rng.integers(4, 31))
    n = int(max(10 * d, 200) * rng.uniform(1, 3))
    kinds = rng.choice(3, size=d, p=[0.4, 0.2, 0.4])
    columns = []
    for kind in kinds:
        if kind == 0:
            columns.append(rng.normal(rng.normal(0, 3), 1, n))
        elif kind == 1:
            columns.append(_flag(rng, n, 0.3 if cells else 0.02))
        else:
            columns.append(rng.standard_t(8, n))
    scale = np.where(kinds == 1, 1, rng.lognormal(0, 2, d))
    return table(np.stack(columns, axis=1) * scale), None


def _flag(rng, n, least):
    """A 0/1 column with 2 CELL rows in each class; least: of the share of a class."""
    while True:
        flag = rng.random(n) < rng.uniform(least, 1 - least)
        if min(flag.sum(), (~flag).sum()) >= 2 * CELL:
            return flag * 1.0


def heavy_weight(rng, columns):
    weights = rng.uniform(0.5, 2, len(columns))
    share = rng.uniform(0.25, 0.999)
    weights[3] = share / (1 - share) * (weights.sum() - weights[3])
    return table(columns, weights=weights * len(weights) / weights.sum()), None


def far_value(rng, columns):
    place = rng.integers(columns.shape[1])
    columns[rng.integers(len(columns)), place] = np.sqrt(len(columns)) * rng.uniform(1.2, 100)
    return table(columns), None


def sparse_with_a_giant(rng, columns):
    n = len(columns)
    column = np.zeros(n)
    some = rng.permutation(n)[: rng.integers(6, 12)]
    column[some] = rng.integers(1, 5, len(some))
    column[some[0]] = 10.0 ** rng.uniform(2, 6)
    columns[:, rng.integers(columns.shape[1])] = column + rng.choice([0, 1e3])
    return table(columns), None


def rare_class(rng, columns):
    few = rng.permutation(len(columns))[: rng.integers(1, CELL)]
    column = np.zeros(len(columns))
    column[few] = (
        rng.choice([1.0, 2.0], len(few)) if rng.random() < 0.5 else rng.normal(size=len(few))
    )
    columns[:, rng.integers(columns.shape[1])] = column * rng.choice([-1, 3]) + rng.choice([0, 7])
    return table(columns), None


def rare_cell(rng, columns):
    n, few = len(columns), int(rng.integers(1, CELL))
    i, j = rng.permutation(columns.shape[1])[:2]
    one = np.arange(n) < n // 2
    two = rng.random(n) < 0.5
    two[: n // 2] = np.arange(n // 2) < few
    columns[:, i], columns[:, j] = one, two
    return table(columns), None


def few_persons(rng, columns):
    return table(columns), rng.integers(0, rng.integers(1, 20), len(columns))


def one_person_in_many_rows(rng, columns):
    persons = np.arange(len(columns))
    persons[rng.permutation(len(columns))[: int(len(columns) * rng.uniform(0.3, 0.9))]] = 0
    return table(columns), persons


def class_of_many_rows_and_few_persons(rng, columns):
    persons, rows = np.arange(len(columns)), 4 * CELL
    persons[:rows] = persons[:rows] % rng.integers(2, CELL)
    columns[:, rng.integers(columns.shape[1])] = np.arange(len(columns)) < rows
    return table(columns), persons


def nearly_a_copy(rng, columns):
    i, j = rng.permutation(columns.shape[1])[:2]
    columns[:, j] = columns[:, i]
    columns[5, j] += 10.0 ** rng.uniform(-9, 1)
    columns[:, j] = rng.uniform(0.1, 10) * columns[:, j] + rng.normal()
    return table(columns), None


def nearly_a_sum(rng, columns):
    i, j, k = rng.permutation(columns.shape[1])[:3]
    columns[:, k] = columns[:, i] + rng.choice([-1, 1, 2.54]) * columns[:, j]
    columns[5, k] += 10.0 ** rng.uniform(-9, 1)
    return table(columns), None


def nearly_two_sums(rng, columns):
    """The same person breaks both: each sum can be told from the other, so neither stands out."""
    i, j, k, m = rng.permutation(columns.shape[1])[:4]
    columns[:, k] = columns[:, i] + columns[:, j]
    columns[:, m] = columns[:, i] - columns[:, j]
    columns[5, [k, m]] += 10.0 ** rng.uniform(-6, 0, 2)
    return table(columns), None


def alone_in_both(rng, columns):
    """Two columns about values that most have are 0 together in all rows but one."""
    n = len(columns)
    i, j = rng.permutation(columns.shape[1])[:2]
    half = np.arange(n) < n // 2
    shift = rng.choice([0, 5])
    columns[:, i] = half if rng.random() < 0.5 else shift + rng.gamma(2, 1, n) * half
    column = rng.gamma(2, 1, n) * ~half
    column[3] = rng.gamma(2, 1)
    columns[:, j] = column + rng.choice([0, 1e-7]) * rng.normal(size=n) + shift
    return table(columns), None


def few_by_three_columns(rng, columns):
    """Any of three, less two of them: no two of the columns have a small cell."""
    n, few = len(columns), int(rng.integers(2, CELL))
    one, two = np.arange(n) % 3 == 0, np.arange(n) % 3 == 1
    third = np.zeros(n, bool)
    third[rng.choice(np.flatnonzero(~(one | two)), few, replace=False)] = True
    i, j, k = rng.permutation(columns.shape[1])[:3]
    columns[:, i], columns[:, j], columns[:, k] = one, two, one | two | third
    return table(columns), None


def reference_level_of_few(rng, columns):
    """Columns of a factor, by whatever names, whose level left out few persons have."""
    n, few = len(columns), int(rng.integers(1, CELL))
    places = rng.permutation(columns.shape[1])[:3]
    level = np.arange(n) % 3
    level[:few] = 3
    columns[:, places] = level[:, None] == np.arange(3)
    return table(columns), None


def copy_but_for_few(rng, columns):
    i, j = rng.permutation(columns.shape[1])[:2]
    columns[:, j] = columns[:, i]
    columns[: rng.integers(2, CELL), j] += 10.0 ** rng.uniform(-6, 0)
    return table(columns), None


def few_with_all_the_weight(rng, columns):
    """Most rows weigh nothing; of the others few differ in one column, all by the same."""
    n, few = len(columns), int(rng.integers(1, CELL))
    weights = np.where(np.arange(n) < 60, 1, 1e-5)
    place = rng.integers(columns.shape[1])
    columns[:60, place] = rng.choice([0, 5]) + 1e-9 * rng.normal(size=60)
    columns[:few, place] += 1
    return table(columns, weights=weights * n / weights.sum()), None


def rare_among_three(rng, columns):
    """A 0/1 column and one of three values, which few have away from their frequent values."""
    n, few = len(columns), int(rng.integers(1, CELL))
    i, j = rng.permutation(columns.shape[1])[:2]
    columns[:, i] = np.arange(n) < n // 2
    columns[:, j] = np.where(np.arange(n) >= n // 2, np.arange(n) % 3, 0)
    columns[:few, j] = 1
    return table(columns), None


PLANTED = (
    heavy_weight,
    far_value,
    sparse_with_a_giant,
    rare_class,
    rare_cell,
    few_persons,
    one_person_in_many_rows,
    class_of_many_rows_and_few_persons,
    nearly_a_copy,
    nearly_a_sum,
    nearly_two_sums,
    alone_in_both,
    few_by_three_columns,
    reference_level_of_few,
    copy_but_for_few,
    few_with_all_the_weight,
    rare_among_three,
)

LONG_TAILS = {
    "lognormal, sd 1": lambda rng, n: rng.lognormal(0, 1, n),
    "lognormal, sd 2": lambda rng, n: rng.lognormal(0, 2, n),
    "lognormal, sd 3": lambda rng, n: rng.lognormal(0, 3, n),
    "Pareto, index 1": lambda rng, n: 1 + rng.pareto(1, n),
    "Cauchy": lambda rng, n: rng.standard_cauchy(n),
    "t3": lambda rng, n: rng.standard_t(3, n),
}
