"""Leave-one-out variance: its definition by refitting without each row, and its size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optimised import jit_for_many
from problems import problem

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.geometry.paths import paths
from jaxmed.inference.joint_test import joint_test
from jaxmed.inference.leave_one_out import leave_one_out_variance


@jax.jit
def both(data):
    """Of one shape: the variance, the test that lacks its rows, and the status by rotations."""
    result = paths(data)
    rotated = leave_one_out_variance(paths(data, route="qr"), data)[1]
    without = joint_test(result, variance="leave_one_out")
    return result, leave_one_out_variance(result, data), without, rotated


def test_equals_refitting_without_each_row():
    """e_i/(1-h_i) is the prediction error of row i by the regression on the other rows."""
    data = problem(np.random.default_rng(0), 40, 6, 2)
    n = 40
    design = np.column_stack([np.ones(n), data.covariates, data.exposure, data.mediators])
    left = np.empty(n)
    for i in range(n):
        others = np.arange(n) != i
        beta = np.linalg.lstsq(design[others], data.outcome[others], rcond=None)[0]
        left[i] = data.outcome[i] - design[i] @ beta
    base = design[:, :4]
    z = data.mediators - base @ np.linalg.lstsq(base, data.mediators, rcond=None)[0]
    y = data.outcome - base @ np.linalg.lstsq(base, data.outcome, rcond=None)[0]
    c = np.column_stack([np.ones(n), data.covariates])
    x = data.mediators - c @ np.linalg.lstsq(c, data.mediators, rcond=None)[0]
    a = data.exposure - c @ np.linalg.lstsq(c, data.exposure, rcond=None)[0]
    g = z @ np.linalg.solve(z.T @ z, x.T @ a)
    result, (variance, status), *_ = both(data)
    np.testing.assert_allclose(variance, np.sum(g**2 * y * left), rtol=1e-9)
    assert int(status) == st.OK
    numerator = result.quadratics.exposure_outcome * np.sqrt(result.exposure_ss)
    np.testing.assert_allclose(numerator, g @ y, rtol=1e-9)


def test_needs_rows_and_falls_back():
    data = problem(np.random.default_rng(1), 40, 6, 2)
    missing = both(data)[2]
    assert int(missing.status) == st.NEEDS_ROWS
    assert np.isnan(float(missing.p_value))
    spiked = MediationData(data.exposure, data.mediators.copy(), data.outcome, data.covariates)
    spiked.mediators[0, 0] += 1e9  # a row of leverage one
    assert int(both(spiked)[3]) == st.VARIANCE_FALLBACK


def test_in_the_dual_there_is_none():
    data = problem(np.random.default_rng(1), 30, 50, 1)
    test = jax.jit(lambda data: joint_test(paths(data), data=data, variance="leave_one_out"))
    assert int(test(data).status) == st.NOT_IN_DUAL


SETS = 800


@jit_for_many
def p_values(keys, heteroscedastic):
    """Classical and leave-one-out, of data sets whose outcome path is null."""
    n, p = 200, 20

    def one(key):
        keys = jax.random.split(key, 3)
        a = jax.random.normal(keys[0], (n,))
        x = jax.random.normal(keys[1], (n, p)).at[:, 0].add(a)
        e = jax.random.normal(keys[2], (n,))
        y = 0.3 * a + e * jnp.where(heteroscedastic, jnp.abs(x[:, 0]), 1.0)
        data = MediationData(a, x, y, jnp.zeros((n, 0)))
        result = paths(data, route="gram")
        return (
            joint_test(result).p_value,
            joint_test(result, data=data, variance="leave_one_out").p_value,
        )

    return jax.lax.map(one, keys, batch_size=16)


@pytest.mark.slow
@pytest.mark.parametrize("errors", ["gauss", "heteroscedastic"])
def test_size_with_a_null_outcome_path(errors):
    """Errors with sd |X1| break the classical variance and not this one."""
    keys = jax.random.split(jax.random.key(3), SETS)
    classical, protected = map(np.asarray, p_values(keys, errors == "heteroscedastic"))
    error = np.sqrt(0.05 * 0.95 / SETS)
    assert abs(np.mean(protected <= 0.05) - 0.05) < 5 * error
    if errors == "heteroscedastic":
        assert np.mean(classical <= 0.05) > 0.05 + 5 * error
