"""From several splits to one estimate, by hand."""

import jax
import numpy as np
import pytest
import scipy.stats

from jaxmed import status as st
from jaxmed.inference.split_intervals import SplitEstimate, median_of_splits

summary = jax.jit(median_of_splits, static_argnums=1)


def splits(effect, error=0.1, below=0.2, above=0.3, status=st.OK):
    effect = np.asarray(effect, float)
    full = np.ones_like(effect)
    return SplitEstimate(
        effect, error * full, effect - below, effect + above,
        np.broadcast_to(np.asarray(status, np.int32), effect.shape),
    )  # fmt: skip


def test_splits_that_agree_are_one_split():
    found = summary(splits([0.5] * 4), 0.95)
    values = (found.effect, found.standard_error, found.interval.lower, found.interval.upper)
    np.testing.assert_allclose(values, (0.5, 0.1, 0.3, 0.8), rtol=1e-12)
    assert found.spread == 0 and found.lowest == found.highest == 0.5


def test_what_the_split_moves_is_in_the_error_and_on_both_sides():
    effect = np.asarray([0.1, 0.4, 0.9, 0.6])
    found = summary(splits(effect), 0.9)
    apart = (effect - 0.5) ** 2
    z = scipy.stats.norm.ppf(0.95)
    np.testing.assert_allclose(found.effect, 0.5)
    np.testing.assert_allclose(found.standard_error, np.sqrt(np.median(0.01 + apart)), rtol=1e-12)
    for limit, length in ((found.interval.lower, -0.2), (found.interval.upper, 0.3)):
        side = np.sqrt(np.median(length**2 + z**2 * apart))
        np.testing.assert_allclose(limit, 0.5 + np.sign(length) * side, rtol=1e-12)
    np.testing.assert_allclose(found.spread, np.std(effect, ddof=1), rtol=1e-12)
    assert (found.lowest, found.highest) == (0.1, 0.9)


def test_it_is_the_normal_interval_where_the_splits_have_normal_ones():
    effect, z = np.asarray([0.1, 0.4, 0.9]), scipy.stats.norm.ppf(0.975)
    found = summary(splits(effect, 0.1, 0.1 * z, 0.1 * z), 0.95)
    np.testing.assert_allclose(
        found.interval.upper - found.effect, z * found.standard_error, rtol=1e-12
    )


def test_one_split_has_no_spread():
    found = summary(splits([0.5]), 0.95)
    assert np.isnan(found.spread) and found.effect == 0.5
    np.testing.assert_allclose(found.interval.lower, 0.3)


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
