"""Sums by person, and where the values of a column lie by weight, against loops."""

import numpy as np
import pytest

from jaxmed.federated import persons as module
from jaxmed.federated.persons import Persons, densest, effective_number, weighted_median


@pytest.mark.parametrize("most", [1, 3, 1000])
@pytest.mark.parametrize("shape", [(60,), (60, 4)])
def test_rows_of_a_person_are_added_up(monkeypatch, most, shape):
    monkeypatch.setattr(module, "MANY_ROWS", most)  # both ways of adding
    rng = np.random.default_rng(0)
    codes, rows = rng.integers(10, 30, 60), rng.normal(size=shape)
    who, order = Persons.of(np.ones(60), codes)
    found = who.add_up(rows[order])
    expected = [rows[codes == code].sum(axis=0) for code in np.unique(codes)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert not who.single and who.number == len(expected)
    some, first = who.first(5)
    np.testing.assert_allclose(some.add_up(rows[order][first]), expected[:5], atol=1e-12)


def test_the_median_counts_weights_as_rows():
    rng = np.random.default_rng(1)
    columns, times = rng.normal(size=(41, 3)), rng.integers(1, 6, 41)
    times[0] += 1 - times.sum() % 2  # an odd number of rows has one in the middle
    expected = np.median(np.repeat(columns, times, axis=0), axis=0)
    np.testing.assert_array_equal(weighted_median(columns, times * 0.5), expected)


def test_the_densest_values_are_those_that_many_rows_share():
    rng = np.random.default_rng(2)
    columns = rng.normal(size=(400, 2))
    columns[:40, 0] = 3 + 1e-8 * rng.normal(size=40)
    columns[:40, 1] = -2
    np.testing.assert_allclose(densest(columns, 5), [3, -2], atol=1e-7)


def test_effective_numbers():
    np.testing.assert_allclose(effective_number(np.asarray([[1.0, 1, 0], [1, 0, 0]])), [2, 1, 0])
