"""Fieller's interval of a ratio: coverage by simulation, and which of three kinds it is."""

import jax
import numpy as np
import pytest

from jaxmed.distributions.fieller import BOUNDED, EVERYTHING, OUTSIDE, fieller

DRAWS = 2000


def compatible(ratio, a, b, va, vb, cov, level):
    """Whether the ratio is in the set, from its definition."""
    from scipy import stats

    z = stats.norm.ppf((1 + level) / 2)
    return np.abs(a - ratio * b) <= z * np.sqrt(va - 2 * ratio * cov + ratio**2 * vb)


@pytest.mark.parametrize("total", [0.0, 0.5, 1.5, 8.0])
@pytest.mark.parametrize("correlation", [-0.4, 0.8])
def test_covers_at_weak_and_strong_totals(total, correlation):
    """Interval, outside of an interval or the whole line: the true ratio is in it as often as said.

    The limits alone cover in those draws that have some.
    """
    level, truth = 0.9, np.array([0.6 * total, total])
    sd = np.array([0.7, 1.0])
    covariance = np.outer(sd, sd) * np.array([[1, correlation], [correlation, 1]])
    draws = np.random.default_rng(1).multivariate_normal(truth, covariance, DRAWS)
    a, b = draws.T
    of_level = jax.jit(fieller, static_argnames="level")
    found = jax.tree.map(
        np.asarray,
        of_level(a, b, covariance[0, 0], covariance[1, 1], covariance[0, 1], level=level),
    )
    inside = compatible(0.6, *draws.T, covariance[0, 0], covariance[1, 1], covariance[0, 1], level)
    bounded = found.kind == BOUNDED
    # The kinds: bounded exactly where the total's own interval does not hold zero.
    assert (bounded == (np.abs(draws[:, 1]) > 1.6448536269514722)).all()
    assert (np.isfinite(found.lower) == bounded).all() and (
        np.isfinite(found.upper) == bounded
    ).all()
    between = (found.lower <= 0.6) & (found.upper >= 0.6)
    assert (between[bounded] == inside[bounded]).all()
    covered = np.where(bounded, between, inside)
    error = np.sqrt(level * (1 - level) / DRAWS)
    assert abs(covered.mean() - level) < 3 * error
    if total == 8.0:
        assert bounded.all()
    if total == 0.0:
        assert {BOUNDED, OUTSIDE, EVERYTHING} >= set(found.kind.tolist()) and not bounded.all()


def test_is_the_delta_method_where_the_total_is_sure():
    found = jax.jit(fieller)(2.0, 3.0, 1e-6, 2e-6, 5e-7)
    spread = np.sqrt(1e-6 - 2 * (2 / 3) * 5e-7 + (2 / 3) ** 2 * 2e-6) / 3
    np.testing.assert_allclose(
        [found.lower, found.upper], 2 / 3 + np.array([-1, 1]) * 1.959964 * spread, rtol=1e-6
    )
    assert found.kind == BOUNDED and found.level == 0.95


def test_kinds_and_missing_errors():
    nan = np.nan
    a = np.asarray([1.0, 3.0, 0.1, 1.0, 1.0])
    b = np.asarray([4.0, 1.0, 0.1, 4.0, 4.0])
    va, vb = np.asarray([1.0, 1.0, 1.0, nan, 0.0]), np.asarray([1.0, 1.0, 1.0, 1.0, 0.0])
    found = jax.jit(fieller)(a, b, va, vb, 0.0)
    assert found.kind.tolist() == [BOUNDED, OUTSIDE, EVERYTHING, BOUNDED, BOUNDED]
    assert np.isfinite(found.lower).tolist() == [True, False, False, False, False]
