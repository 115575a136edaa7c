"""Edges of the shared parts: exact fits, folds that do not exist, kept columns without variance."""

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest
from problems import problem
from reference_data import data

from jaxmed import status as st
from jaxmed.estimators.guo import guo
from jaxmed.estimators.parts.assemble import assemble, mediator_effects
from jaxmed.estimators.parts.legs import Leg, legs_of
from jaxmed.estimators.parts.refit import EffectVariances
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.sparse.bic_path import penalty_path
from jaxmed.sparse.folds import given_folds


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


def test_an_error_that_is_not_known_has_a_note():
    given = problem(np.random.default_rng(0), n=40, p=3)

    @jax.jit
    def noted(rows, status):
        """For each of several triples of variances: whether the note is there, and the status."""
        legs = legs_of(rows_of(given))
        table = mediator_effects(legs.alpha, legs.beta, legs.reason)

        def estimate(variances):
            found = assemble(
                direct=legs.total,
                indirect=legs.total,
                variances=variances,
                mediators=table,
                selected=~legs.constant,
                status=status,
                details=None,
                level=0.95,
                method="normal",
            )
            return found.notes & st.Note.NO_STANDARD_ERRORS.value > 0, found.status

        one_by_one = jax.vmap(lambda row: estimate(EffectVariances(*row)))(rows)
        return one_by_one, estimate(None)

    nan = np.nan
    rows = np.array([[1, 1, 0], [1, nan, nan], [1, 1, nan], [nan, 1, nan]])
    (notes, codes), (none, _) = noted(rows, st.OK)
    assert notes.tolist() == [False, True, True, True] and none and (codes == st.OK).all()
    (notes, _), _ = noted(rows, st.TOO_FEW_ROWS)
    assert not notes.any()  # there is no number either
