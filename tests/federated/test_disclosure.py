"""Nobody's row comes out of a released file: reconstructions, all refused, and random tables."""

from collections import Counter

import numpy as np
import pytest
from disclosing_tables import LONG_TAILS, PLANTED, harmless, normal, table

from jaxmed.federated.merged import merged_of
from jaxmed.federated.rules import ReleaseRefused
from jaxmed.federated.second_round import round_sums
from jaxmed.federated.summary import summarise
from jaxmed.statistics.cross_moments import cross_moments

# Ten tables for each way to plant a person are quick.
many = pytest.mark.parametrize("tables", [170, pytest.param(500, marks=pytest.mark.slow)])


def refusal(data, persons=None):
    """The reason, or None where the summary is released."""
    try:
        summarise(data, site="a", persons=persons)
    except ReleaseRefused as error:
        return str(error)
    return None


def moments_of(data):
    """(n, mean [d], co-moments [d, d]) as a file would hold them."""
    m = cross_moments(data)
    return float(m.weight), np.asarray(m.mean, float), np.asarray(m.comoment, float)


def rng():
    return np.random.default_rng(0)


def with_weight(columns):
    weights = np.full(len(columns), 1e-6)
    weights[7] = 1
    return table(columns, weights=weights * len(columns) / weights.sum())


def mean_row(data):
    return moments_of(data)[1]


def ratio_to_column(place):
    def row(data):
        n, mean, comoment = moments_of(data)
        raw = comoment + n * np.outer(mean, mean)
        return raw[place] / (n * mean[place])

    return row


def by_combination(direction):
    """C(v'x, z) is (v'x of the person) (z of the person - mean), and C(v'x, v'x) its square."""

    def row(data):
        n, mean, comoment = moments_of(data)
        v = np.zeros(len(mean))
        v[list(direction)] = list(direction.values())
        size = np.sqrt((v @ comoment @ v) / (1 - 1 / n))
        sign = np.sign(v @ mean)
        return mean + comoment @ v / (sign * size)

    return row


def giant():
    columns = normal(rng(), 100)
    columns[:, 0] = 0
    columns[[3, 4, 5, 7], 0] = 1, 2, 3, 2000
    return table(columns), columns[7]


def copy_but_for_one(size):
    columns = normal(rng(), 100)
    columns[:, 5] = columns[:, 4]
    columns[7, 5] += size
    return table(columns), columns[7]


def sum_but_for_one(size):
    columns = normal(rng(), 100)
    columns[:, 6] = columns[:, 4] + columns[:, 5]
    columns[7, 6] += size
    return table(columns), columns[7]


def panel():
    """Six assays that one group has, and one person of the other: a row of values, to 6 digits."""
    columns = normal(rng(), 200, 10)
    columns[:, 0] = np.arange(200) < 100
    columns[:, 4:] = rng().gamma(2, 1, (200, 6)) * (np.arange(200) >= 100)[:, None]
    columns[7, 4:] = rng().gamma(2, 1, 6)
    return table(columns), columns[7, 4:]


def product_with(place):
    def row(data):
        n, mean, comoment = moments_of(data)
        return (comoment + n * np.outer(mean, mean))[place, 4:]

    return row


def three_persons():
    """Who takes any drug, less who takes one of two: three who take a third."""
    columns, i = normal(rng(), 200, 10), np.arange(200)
    one, two = (i >= 10) & (i < 70), (i >= 70) & (i < 130)
    columns[:, 0], columns[:, 4], columns[:, 5] = one | two | (i < 3), one, two
    return table(columns), columns[:3].mean(axis=0)


def mean_of_class(direction):
    def row(data):
        n, mean, comoment = moments_of(data)
        v = np.zeros(len(mean))
        v[list(direction)] = list(direction.values())
        return mean + comoment @ v / (n * (v @ mean))

    return row


def heavy():
    columns = normal(rng(), 100)
    return with_weight(columns), columns[7]


COPY, SUM = by_combination({5: 1, 4: -1}), by_combination({6: 1, 4: -1, 5: -1})
RECONSTRUCTIONS = {
    "a weight of a million": (heavy, mean_row, 1e-3, "max_share|effective persons"),
    "a giant among zeros": (giant, ratio_to_column(0), 5e-3, "'c1'"),
    "a copy, one sd": (lambda: copy_but_for_one(1.0), COPY, 1e-6, "'m1', 'm2'"),
    "a copy, 1e-6 sd": (lambda: copy_but_for_one(1e-6), COPY, 0.02, "'m1', 'm2'"),
    "a group's assays": (panel, product_with(0), 1e-6, "'c1' with 'm1': 1 person in one of"),
    "a class of three": (three_persons, mean_of_class({0: 1, 4: -1, 5: -1}), 1e-6, "4 persons"),
    "a sum, two sd": (lambda: sum_but_for_one(2.0), SUM, 1e-6, "'m1', 'm2', 'm3'"),
    "a sum, 1e-5 sd": (lambda: sum_but_for_one(1e-5), SUM, 0.02, "'m1', 'm2', 'm3'"),
}


@pytest.mark.parametrize("attack", RECONSTRUCTIONS.values(), ids=RECONSTRUCTIONS)
def test_a_row_that_moments_would_give_is_not_released(attack):
    make, reconstruct, error, named = attack
    data, row = make()
    np.testing.assert_allclose(reconstruct(data), row, atol=error * np.abs(row).max())
    with pytest.raises(ReleaseRefused, match=named) as refused:
        summarise(data, site="a")
    remedy = str(refused.value).rpartition(": ")[2]
    assert remedy.startswith(("trim", "take", "leave", "sums would give their rows; leave"))


def test_weights_that_leave_few_effective_persons():
    weights = np.exp(3 * rng().normal(size=100))
    data = table(normal(rng(), 100), weights=weights * 100 / weights.sum())
    with pytest.raises(ReleaseRefused, match=r"leave \d+\.\d effective persons of 100.*min_rows"):
        summarise(data, site="a")


def test_three_persons_among_four_values():
    columns = normal(rng(), 100)
    columns[:, 0] = 0
    columns[:3, 0] = 1, 2, 3
    with pytest.raises(ReleaseRefused, match="'c1': 3 persons with other than one of its frequent"):
        summarise(table(columns), site="a")


@pytest.mark.parametrize("number", [1, 5, 19])
def test_many_rows_of_few_persons(number):
    persons = [f"P{i % number}" for i in range(100)]
    with pytest.raises(ReleaseRefused, match=f"100 rows of {number} persons.*min_rows"):
        summarise(table(normal(rng(), 100)), site="a", persons=persons)
    assert refusal(table(normal(rng(), 100)), [f"P{i % 50}" for i in range(100)]) is None


def test_a_class_of_many_rows_and_few_persons():
    columns, persons = normal(rng(), 100), np.arange(100)
    columns[:, 0] = np.arange(100) < 20
    assert refusal(table(columns), persons) is None
    persons[:20] %= 4
    with pytest.raises(ReleaseRefused, match="'c1': 4 persons with one of its values"):
        summarise(table(columns), site="a", persons=persons)


def test_four_far_persons_are_found_about_the_median():
    columns = normal(rng(), 100)
    columns[:4, 4] = 1000 + columns[:4, 4]
    for shift in (0, 1e6):
        data = table(columns + shift)
        with pytest.raises(ReleaseRefused, match=r"'m1': one person makes up 0\.2\d of the sum"):
            summarise(data, site="a")


def test_persons_need_an_identifier_a_row():
    with pytest.raises(ValueError, match="3 identifiers for 200 rows"):
        summarise(table(normal(rng())), site="a", persons=["a", "b", "c"])


def test_exact_copies_and_sums_tell_of_nobody():
    columns = normal(rng())
    columns[:, 5], columns[:, 6] = columns[:, 4], columns[:, 4] + columns[:, 7]
    assert refusal(table(columns)) is None


def test_the_second_round_is_not_about_one_person():
    columns = normal(rng())
    columns[:, 2] += columns[:, 4]
    columns[7, [2, 3, 4]] = 4.5, 6, 5
    data = table(columns)
    merged = merged_of([summarise(data, site="a")])
    with pytest.raises(ReleaseRefused, match="of the sum of the second round"):
        round_sums(data, merged, site="a")


@many
def test_no_planted_person_is_released(tables):
    random, released = np.random.default_rng(1), Counter()
    for number in range(tables):
        plant = PLANTED[number % len(PLANTED)]
        columns = normal(random, int(random.integers(200, 1000)), int(random.integers(6, 20)))
        reason = refusal(*plant(random, columns))
        released[plant.__name__] += reason is None
    assert not +released


@many
def test_harmless_tables_are_released(tables):
    random = np.random.default_rng(2)
    reasons = [refusal(*harmless(random, cells=True)) for _ in range(tables)]
    refused = [reason for reason in reasons if reason is not None]
    print(f"harmless: {len(refused)} of {tables} refused", *refused, sep="\n")
    assert len(refused) <= 0.02 * tables


def test_cells_are_the_only_other_reason():
    """Of 0/1 columns with rare classes pairs have small cells, which are counts of few persons."""
    random = np.random.default_rng(3)
    reasons = [refusal(*harmless(random, cells=False)) for _ in range(200)]
    refused = [reason for reason in reasons if reason is not None]
    cells = sum("min_cell" in reason for reason in refused)
    print(f"rare classes: {len(refused)} of 200 refused, {cells} of them for a cell of a pair")
    assert len(refused) - cells <= 0.02 * 200


QUICK_TAILS = ("lognormal, sd 1", "Cauchy", "t3")


@pytest.mark.parametrize(
    "tail",
    [
        tail if tail in QUICK_TAILS else pytest.param(tail, marks=pytest.mark.slow)
        for tail in LONG_TAILS
    ],
)
def test_long_tails_are_refused_with_what_to_do(tail):
    random, refused, number = np.random.default_rng(4), [], 100
    for _ in range(number):
        columns = normal(random, int(random.integers(200, 2000)))
        columns[:, 5] = LONG_TAILS[tail](random, len(columns))
        reason = refusal(table(columns))
        if reason is not None:
            refused.append(reason)
            ranks = np.argsort(np.argsort(columns[:, 5])) / len(columns)
            columns[:, 5] = ranks
            assert refusal(table(columns)) is None
    print(f"{tail}: {len(refused)} of {number} refused")
    assert all("'m2'" in reason and "ranks" in reason for reason in refused)
    assert len(refused) >= (90 if tail in ("lognormal, sd 3", "Cauchy", "Pareto, index 1") else 5)


@pytest.mark.parametrize(("n", "most"), [(40, 20), (60, 4), (100, 4)])
def test_small_sites_of_normal_columns(n, most):
    assert small_sites(n) <= most


def test_of_twenty_rows_one_is_often_much_of_something():
    assert 80 <= small_sites(20) <= 180


def small_sites(n):
    """Of 200 tables of normal columns, those refused."""
    random, d = np.random.default_rng(5), max(4, n // 8)
    refused = sum(refusal(table(normal(random, n, d))) is not None for _ in range(200))
    print(f"{n} rows, {d} columns: {refused} of 200 refused")
    return refused


@pytest.mark.parametrize("min_cell", [1, 2, 3, 10, 50])
def test_other_sizes_of_a_class(min_cell):
    columns = np.random.default_rng(6).uniform(-1, 1, (60, 8))
    summarise(table(columns), site="a", min_cell=min_cell, max_share=0.2)
    columns[:, 4] = columns[:, 5]
    columns[:3, 4] += 1  # the same for three persons
    if min_cell > 3:
        with pytest.raises(ReleaseRefused, match="'m1', 'm2': 4 persons make up 1.00"):
            summarise(table(columns), site="a", min_cell=min_cell, max_share=0.2)


def in_groups(random):
    columns = normal(random, 100)
    columns[:, 8] = random.exponential(size=100) * (random.random(100) < 0.2)
    return table(columns)


def weighted(random):
    weights = np.exp(1.5 * random.normal(size=300))
    return table(normal(random, 300, 10), weights=weights * 300 / weights.sum())


OFTEN_REFUSED = {
    "exp(.7 N), 30 columns of 300 rows": (
        lambda random: table(np.exp(0.7 * random.normal(size=(300, 30)))),
        40,
        35,
    ),
    "t5, 100 columns of 400 rows": (
        lambda random: table(random.standard_t(5, size=(400, 100))),
        20,
        5,
    ),
    "exponential in a fifth of 100 rows": (in_groups, 40, 15),
    "weights of lognormal sd 1.5": (weighted, 40, 10),
}


@pytest.mark.parametrize("kind", OFTEN_REFUSED)
def test_tables_that_are_often_refused(kind):
    """The figures of docs/federated.md, so that nobody takes them for rare."""
    make, number, least = OFTEN_REFUSED[kind]
    refused = sum(refusal(make(np.random.default_rng(seed))) is not None for seed in range(number))
    print(f"{kind}: {refused} of {number} refused")
    assert refused >= least
