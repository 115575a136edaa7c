"""Shift: oracle of values and their covariance, generated values, constant mediators, errors."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from beyond_mediation import NAMES, centred_mean, data, oracle, repeated, simulator, single

from jaxmed import estimands
from jaxmed import status as st

KEY = jax.random.key(1)
SHIFT = {"ldl": -0.5, "bmi": 0.25}


@functools.cache
def shifted(dtype="float64"):
    given = data(weighted=True)
    given = given if dtype == "float64" else single(given)
    return estimands.shift_value(KEY, given, SHIFT, basis="linear", adjust="all")


def test_shift_is_that_of_plain_least_squares():
    given, found = repeated(data(weighted=True)), shifted()
    plain, delta = oracle(given), np.asarray([-0.5, 0, 0, 0.25, 0, 0])
    mean, influence = centred_mean(given.outcome)
    change, own = delta @ plain["beta"], plain["beta_influence"] @ delta
    assert found.values.names == ("shifted", "observed", "change")
    np.testing.assert_allclose(found.values.estimate, [mean + change, mean, change], atol=1e-9)
    stacked = np.stack([influence + own, influence, own])
    np.testing.assert_allclose(found.values.covariance, stacked @ stacked.T, rtol=1e-7, atol=1e-12)
    assert found.generated is None and found.generator_status is None


def test_float32_stays_float32_and_agrees():
    found, fine = shifted(dtype="float32").values, shifted().values
    assert found.estimate.dtype == found.covariance.dtype == np.float32
    np.testing.assert_allclose(found.estimate, fine.estimate, atol=2e-4)
    errors = (np.sqrt(np.diagonal(f.covariance)) for f in (found, fine))
    np.testing.assert_allclose(*errors, rtol=2e-3)


def test_generated_change_is_that_of_the_generator():
    given, own = data(), simulator()
    keep = {"generator": own, "draws": 3, "basis": "linear", "adjust": "sparse"}
    # The outcome does not depend on the second mediator that is shifted, in data and generator.
    run = jax.jit(
        lambda d, size: estimands.shift_value(KEY, d, {"ldl": size, "hba1c": 1.0}, **keep)
    )
    high, low = (run(given, size) for size in (1.0, 0.0))
    change = float(high.generated) - float(low.generated)
    assert change == pytest.approx(float(own.b[0]), abs=1e-10)
    for found in (high, low):  # selection keeps the shifted mediators
        assert np.asarray(found.selected)[[0, 4]].all()
        assert int(found.status) == int(found.generator_status) == 0


def test_a_constant_mediator_cannot_be_moved():
    given = data(weighted=True)
    flat = dataclasses.replace(given, mediators=np.where(np.arange(6) == 3, 1.0, given.mediators))
    found = estimands.shift_value(KEY, flat, SHIFT, basis="linear", adjust="all")
    assert int(found.status) == st.CONSTANT_MEDIATOR and np.isnan(found.values.estimate).all()


def test_misuse_is_refused():
    move = functools.partial(estimands.shift_value, KEY, data())
    with pytest.raises(ValueError, match="no mediator 'hdl'; mediators are: " + ", ".join(NAMES)):
        move({"hdl": 1.0})
    with pytest.raises(ValueError, match="finite"):
        move({"ldl": np.nan})
    with pytest.raises(ValueError, match="at least one"):
        move({})
