"""Rows in the order of their values, whatever the table's order and units."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxmed.data.mediation_data import MediationData
from jaxmed.data.row_order import in_canonical_order
from jaxmed.inference.row_order import canonical_order


def tied(seed=0, n=60, weighted=False):
    """Two levels of exposure and outcome, few of the mediators, some rows equal in everything."""
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, 2, (n, 2)).astype(float)
    mediators = np.c_[np.full(n, 3.0), rng.integers(0, 3, (n, 4)).astype(float)]
    covariates = rng.integers(0, 2, (n, 1)).astype(float)
    weights = rng.integers(0, 3, n).astype(float) if weighted else None
    return MediationData(columns[:, 0], mediators, columns[:, 1], covariates, weights)


@pytest.mark.parametrize("weighted", [False, True])
def test_order_of_the_table_does_not_count(weighted):
    data = tied(weighted=weighted)
    first = in_canonical_order(data)
    shuffled = np.random.default_rng(1).permutation(60)
    second = in_canonical_order(jax.tree.map(lambda v: v[shuffled], data))
    jax.tree.map(np.testing.assert_array_equal, first, second)
    order = np.asarray(canonical_order(data))
    jax.tree.map(lambda v, w: np.testing.assert_array_equal(v[order], w), data, first)
    assert sorted(map(tuple, first.mediators)) == sorted(map(tuple, data.mediators))


def test_positive_factors_and_shifts_do_not_count():
    data = tied(3)
    other = dataclasses.replace(
        data, exposure=4 * data.exposure - 1, mediators=data.mediators * 2.0 + 8
    )
    first, second = in_canonical_order(data), in_canonical_order(other)
    np.testing.assert_array_equal(second.mediators, first.mediators * 2.0 + 8)
    np.testing.assert_array_equal(first.outcome, second.outcome)
