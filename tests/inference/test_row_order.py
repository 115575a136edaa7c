"""The order of the rows by their values: lexicographic, whatever order they come in."""

import jax
import numpy as np
import pytest

from jaxmed.data.mediation_data import MediationData
from jaxmed.inference.row_order import canonical_order

order_of = jax.jit(canonical_order)


def table(rng, n=60):
    """Few values and many ties; the second mediator is constant, rows 3 and 5 are the same."""
    exposure, outcome = rng.integers(0, 2, n), rng.integers(0, 3, n)
    mediators = rng.integers(0, 2, (n, 4))
    mediators[:, 1] = 1
    columns = np.column_stack([exposure, outcome, mediators, rng.normal(size=n)]).astype(float)
    columns[5] = columns[3]
    return columns


def as_data(columns, weights=None):
    return MediationData(columns[:, 0], columns[:, 2:-1], columns[:, 1], columns[:, -1:], weights)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_sorted_by_all_columns_from_any_order(dtype):
    rng = np.random.default_rng(0)
    columns = table(rng).astype(dtype)
    expected = columns[np.lexsort(columns.T[::-1])]
    for _ in range(3):
        rng.shuffle(columns)
        np.testing.assert_array_equal(columns[np.asarray(order_of(as_data(columns)))], expected)
    np.testing.assert_array_equal(order_of(as_data(columns)), canonical_order(as_data(columns)))


def test_positive_factors_and_shifts_leave_the_order():
    columns = table(np.random.default_rng(1))
    first = order_of(as_data(columns))
    factor = np.asarray([3.0, 0.1, 1e9, 7.0, 1e-9, 2.0, 5.0])
    np.testing.assert_array_equal(order_of(as_data(columns * factor)), first)
    np.testing.assert_array_equal(order_of(as_data(columns + 4)), first)


def test_rows_without_weight_come_last():
    rng = np.random.default_rng(2)
    columns, weights = table(rng), np.repeat([1.0, 0.0, 2.0], 20)
    order = np.asarray(order_of(as_data(columns, weights)))
    assert np.all(weights[order[:40]] > 0) and np.all(weights[order[40:]] == 0)
    kept = np.flatnonzero(weights)
    alone = kept[np.asarray(order_of(as_data(columns[kept], weights[kept])))]
    np.testing.assert_array_equal(order[:40], alone)


def test_missing_values_and_equal_rows_end():
    columns = table(np.random.default_rng(3))
    columns[::2, 3] = np.nan
    columns[7, 0] = np.nan
    order = np.asarray(order_of(as_data(columns)))
    assert sorted(order) == list(range(60)) and order[-1] == 7
    same = np.ones((5, 4))
    assert sorted(np.asarray(order_of(as_data(same)))) == list(range(5))


def test_the_sign_of_zero_is_no_difference():
    columns = table(np.random.default_rng(4))
    other = np.where((columns == 0) & (np.arange(60) % 2 == 0)[:, None], -0.0, columns)
    assert np.signbit(other[other == 0]).any()
    np.testing.assert_array_equal(order_of(as_data(other)), order_of(as_data(columns)))


def test_batches_are_sorted_one_by_one():
    rng = np.random.default_rng(5)
    first, second = table(rng), rng.normal(size=(60, 7))  # one with ties, one without
    both = jax.tree.map(lambda a, b: np.stack([a, b]), as_data(first), as_data(second))
    together = np.asarray(jax.jit(jax.vmap(canonical_order))(both))
    np.testing.assert_array_equal(together[0], order_of(as_data(first)))
    np.testing.assert_array_equal(together[1], order_of(as_data(second)))
