"""Edges of the shared parts: exact fits, folds that do not exist, kept columns without variance."""

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest
from reference_data import data

from jaxmed import status as st
from jaxmed.estimators.guo import guo
from jaxmed.estimators.lasso_kernel import given_folds
from jaxmed.estimators.parts.legs import Leg
from jaxmed.linalg.concave_path import penalty_path


def test_an_exact_fit_is_significant():
    leg = Leg(np.asarray([2.0, -1.0, 0.0]), np.zeros(3), np.asarray(9.0))
    statistic, p_value, normal = jax.jit(
        lambda leg: (leg.statistic, leg.p_value, leg.normal_p_value)
    )(leg)
    np.testing.assert_array_equal(statistic, [np.inf, -np.inf, 0])
    # A coefficient of 0 without error is no test at all.
    np.testing.assert_array_equal(p_value, [0, 0, np.nan])
    np.testing.assert_array_equal(normal, [0, 0, np.nan])


def test_folds_must_exist():
    assert given_folds(np.array([0, 1, 2]), 3).shape == (3,)
    for wrong in ([1, 2, 3], [-1, 0, 1]):
        with pytest.raises(ValueError, match="fold_ids must be in"):
            given_folds(np.array(wrong), 3)


def test_free_columns_without_variance_leave_a_grid():
    grid = jax.jit(partial(penalty_path, count=3, ratio=0.1))(
        np.diag([1.0, 1.0, 0.0]), np.asarray([0.5, 0.2, 0.0]), np.asarray([1.0, 0.0, 0.0])
    )
    np.testing.assert_allclose(grid, [0.5, 0.5 * 0.1**0.5, 0.05], rtol=1e-5)


def test_a_kept_constant_mediator_does_not_end_the_search():
    whole = data("lin")
    constant = whole.mediators.copy()
    constant[:, 1] = 3.0
    changed = dataclasses.replace(whole, mediators=constant)

    def numbers(d):
        found = guo(keep=(1, 2), num_penalties=20)(None, d)
        return found.selected, found.status, found.effects.indirect

    selected, status, indirect = jax.jit(numbers)(changed)
    assert int(status) == st.OK and np.isfinite(indirect)
    assert not selected[1] and selected[2] and selected[0]
