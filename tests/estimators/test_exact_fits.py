"""An outcome that exposure and mediators fit exactly: right numbers, no interval of width 0."""

import copy
import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.composites import maxie, paths_and_mediators
from jaxmed.estimators.estimate import MediatorEffects
from jaxmed.estimators.ols import ols
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.refit import refit
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.estimators.regression import total_and_direct

N, P = 60, 4


@jax.jit
def everything(data):
    """One program for each dtype: least squares, each mediator alone, and a refit on two."""
    found, table = paths_and_mediators(data, "auto", 0.95)
    again = refit(legs_of(rows_of(data, None, None)), jnp.arange(P), jnp.arange(P) < 2)
    return {
        "least_squares": ols()(None, data),
        "single": table,
        "first_two": (again, total_and_direct(found)),
    }


def numbers(data, name):
    return jax.tree.map(np.asarray, everything(data)[name])


def least_squares(data):
    return numbers(data, "least_squares")


def single(data):
    return numbers(data, "single")


def first_two(data):
    """Refit on two mediators, and the effects that the paths know."""
    return numbers(data, "first_two")


def data_of(outcome, dtype=np.float64, seed=3):
    """outcome(exposure, mediators, covariates) -> [n]."""
    rng = np.random.default_rng(seed)
    a, x = rng.normal(size=N), rng.normal(size=(N, 1))
    m = rng.normal(size=(N, P)) + 0.2 * x
    m[:, 0] += 0.7 * a
    made = MediationData(a, m, outcome(a, m, x), x)
    return jax.tree.map(lambda v: np.asarray(v, dtype), made)


def alpha_by_ols(data):
    """Estimate, error, p-value of exposure -> first mediator by textbook least squares."""
    design = np.column_stack([np.ones(N), data.exposure, data.covariates])
    m = np.asarray(data.mediators[:, 0])
    b, ss = np.linalg.lstsq(design, m, rcond=None)[:2]
    error = float(np.sqrt(ss[0] / (N - 3) * np.linalg.inv(design.T @ design)[1, 1]))
    return b[1], error, 2 * stats.t.sf(abs(b[1]) / error, N - 3)


@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
@pytest.mark.parametrize("slope", [1.0, -250.0])
def test_single_mediators(dtype, slope):
    data = data_of(lambda a, m, x: slope * (m[:, 0] - 0.4 * a + 2 * x[:, 0]), dtype)
    table = jax.tree.map(np.asarray, single(data))
    alpha, error, p = alpha_by_ols(jax.tree.map(np.float64, data))
    close = {"rtol": 1e-6 if dtype == np.float64 else 1e-3}
    assert table.beta_se[0] == 0 and table.beta_p[0] == 0
    np.testing.assert_allclose(table.beta[0], slope, **close)
    np.testing.assert_allclose(table.p_value[0], p, **close)
    limits = sorted(slope * (alpha + np.array([-1, 1]) * stats.norm.ppf(0.975) * error))
    np.testing.assert_allclose([table.lower[0], table.upper[0]], limits, **close)
    assert int(table.reason[0]) == st.ZERO_RESIDUAL
    # The others leave a residual and are what they always are.
    assert (table.reason[1:] == st.OK).all() and (table.beta_se[1:] > 0).all()


@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
def test_single_mediators_of_an_outcome_that_exposure_fits(dtype):
    data = data_of(lambda a, m, x: 2 * a - x[:, 0], dtype)
    for table in (single(data), least_squares(data).mediators):
        assert (np.asarray(table.reason) == st.ZERO_RESIDUAL).all()
        assert (np.asarray(table.beta) == 0).all() and np.isnan(table.p_value).all()
        assert np.isnan(table.lower).all() and np.isnan(table.upper).all()


@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
def test_effects_of_ols(dtype):
    data = data_of(lambda a, m, x: m[:, 0] + 0.5 * a + x[:, 0], dtype)
    found = least_squares(data)
    assert int(found.status) == st.ZERO_RESIDUAL
    assert found.effects.direct == pytest.approx(0.5, rel=1e-4)
    assert found.standard_errors.direct == 0 and found.p_values.direct == 0
    assert np.isnan(found.intervals.direct.lower) and np.isnan(found.intervals.direct.upper)
    # The indirect effect still has the noise of alpha, and the total effect has nothing else.
    assert found.standard_errors.indirect > 0.05
    assert found.standard_errors.total == pytest.approx(
        float(found.standard_errors.indirect), rel=1e-5
    )
    assert found.intervals.indirect.lower < found.effects.indirect < found.intervals.indirect.upper
    # Coefficients that are 0 but for rounding are no discoveries.
    assert (np.asarray(found.mediators.beta[1:]) == 0).all()
    assert np.isnan(found.mediators.p_value[1:]).all() and found.mediators.p_value[0] < 1e-3


@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
def test_no_direct_effect_without_error_is_no_discovery(dtype):
    data = data_of(lambda a, m, x: m[:, 0] + 3 * x[:, 0], dtype)
    found = least_squares(data)
    assert found.effects.direct == 0 and np.isnan(found.p_values.direct)
    again, (total, direct) = first_two(data)
    assert again.direct == 0 and again.beta[1] == 0 and again.beta_p[0] == 0
    assert np.isnan(again.beta_p[1]) and again.variances.direct == 0
    assert direct.estimate == 0 and direct.standard_error == 0
    assert np.isnan(direct.interval.lower) and np.isfinite(total.interval.lower)


def test_nothing_but_the_exposure():
    data = data_of(lambda a, m, x: 2 * a - x[:, 0])
    for found in (least_squares(data), jax.jit(lambda d: maxie()(None, d))(data)):
        assert int(found.status) >= st.ZERO_RESIDUAL
        assert found.effects.total == pytest.approx(2)
        assert np.isnan(found.intervals.total.lower) and found.p_values.total == 0
        assert np.isnan(found.intervals.indirect.lower) and np.isnan(found.p_values.indirect)


@pytest.mark.slow
def test_batched_neighbours_do_not_notice():
    both = [data_of(lambda a, m, x: m[:, 0] + a), data_of(lambda a, m, x: m[:, 0] + x[:, 0] ** 2)]
    stacked = jax.tree.map(lambda *v: np.stack(v), *both)

    @jax.jit
    @jax.vmap
    def of_direct(data):
        found = ols()(None, data)
        return found.status, found.intervals.direct.lower

    status, lower = of_direct(stacked)
    assert status.tolist() == [st.ZERO_RESIDUAL, st.OK]
    alone = least_squares(both[1])
    np.testing.assert_allclose(lower[1], alone.intervals.direct.lower)


def test_pickles_whose_limits_have_no_level_are_refused():
    table = MediatorEffects(*(np.full(2, float(k)) for k in range(11)), level=0.9)
    assert pickle.loads(pickle.dumps(table)).level == copy.copy(table).level == 0.9
    state = vars(table)
    without = {name: value for name, value in state.items() if name != "level"}
    for old in (without, {**without, "lower": 0, "upper": 1}, {**state, "lower": 0}):
        with pytest.raises(ValueError, match="earlier jaxmed"):
            table.__class__.__new__(MediatorEffects).__setstate__(old)
    assert dataclasses.replace(table, level=0.8).level == 0.8
