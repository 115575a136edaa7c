"""From several splits to one estimate, by hand."""

import jax
import numpy as np
import pytest
import scipy.stats

from jaxmed import status as st
from jaxmed.inference.split_median import SplitEstimate, mean_of_products, median_of_splits

summary = jax.jit(median_of_splits, static_argnums=1)


def splits(effect, error=0.1, status=st.OK):
    effect = np.asarray(effect, float)
    codes = np.broadcast_to(np.asarray(status, np.int32), effect.shape)
    return SplitEstimate(effect, error * np.ones_like(effect), codes)


def test_a_mean_of_products_by_hand():
    alpha, beta = np.asarray([1.0, -2.0]), np.asarray([3.0, 0.5])
    effect, error = mean_of_products(alpha, np.asarray([0.1, 0.2]), beta, np.asarray([0.3, 0.4]))
    np.testing.assert_allclose(effect, (3.0 - 1.0) / 2)
    first = (1.0 * 0.3) ** 2 + (3.0 * 0.1) ** 2 + (0.1 * 0.3) ** 2
    second = (2.0 * 0.4) ** 2 + (0.5 * 0.2) ** 2 + (0.2 * 0.4) ** 2
    np.testing.assert_allclose(error, np.sqrt(first + second) / 2)


def test_splits_that_agree_are_one_split():
    found = summary(splits([0.5] * 4), 0.95)
    half = 0.1 * scipy.stats.norm.ppf(0.975)
    values = (found.effect, found.standard_error, found.interval.lower, found.interval.upper)
    np.testing.assert_allclose(values, (0.5, 0.1, 0.5 - half, 0.5 + half), rtol=1e-12)
    assert found.spread == 0 and found.lowest == found.highest == 0.5


def test_what_the_split_moves_is_in_the_error():
    effect = np.asarray([0.1, 0.4, 0.9, 0.6])
    found = summary(splits(effect, np.asarray([0.1, 0.2, 0.1, 0.3])), 0.9)
    error = np.sqrt(np.median(np.asarray([0.1, 0.2, 0.1, 0.3]) ** 2 + (effect - 0.5) ** 2))
    np.testing.assert_allclose((found.effect, found.standard_error), (0.5, error), rtol=1e-12)
    half = scipy.stats.norm.ppf(0.95) * error
    np.testing.assert_allclose(found.interval.upper, 0.5 + half, rtol=1e-12)
    np.testing.assert_allclose(found.interval.lower, 0.5 - half, rtol=1e-12)
    np.testing.assert_allclose(found.spread, np.std(effect, ddof=1), rtol=1e-12)
    assert (found.lowest, found.highest) == (0.1, 0.9)


def test_one_split_has_no_spread():
    found = summary(splits([0.5]), 0.95)
    assert np.isnan(found.spread) and found.effect == 0.5
    np.testing.assert_allclose(found.standard_error, 0.1)


@pytest.mark.parametrize(("lost", "left"), [(1, True), (2, False)])
def test_more_than_half_must_be_left(lost, left):
    effect = np.asarray([0.2, 0.4, 0.6, 0.8])
    status = np.full(4, st.RESTRICTED)
    status[:lost], effect[:lost] = st.TOO_FEW_ROWS, np.nan
    found = summary(splits(effect, status=status), 0.95)
    assert int(found.used) == 4 - lost
    assert int(found.status) == (st.RESTRICTED if left else st.TOO_FEW_ROWS)
    if left:
        np.testing.assert_allclose((found.effect, found.lowest, found.highest), (0.6, 0.4, 0.8))
    else:
        values = (found.effect, found.standard_error, found.interval.lower, found.spread)
        assert np.all(np.isnan(values))
