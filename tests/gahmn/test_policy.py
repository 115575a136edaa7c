"""Policy: oracle of values and their covariance, double robustness, shifts, names, errors."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from beyond_mediation import (
    NAMES,
    centred_mean,
    data,
    generators,
    oracle,
    regression,
    repeated,
    single,
)

from jaxmed import gahmn
from jaxmed.sparse.folds import assign_folds

KEY = jax.random.key(1)
SHIFT = {"ldl": -0.5, "bmi": 0.25}


def rule(covariates):
    return covariates[:, 1] > 0.2


@functools.cache
def valued(folds=1, known=True, dtype="float64"):
    given = data(weighted=folds == 1)
    return value_of(folds, known)(given if dtype == "float64" else single(given))


@functools.cache
def value_of(folds, known):
    call = functools.partial(
        gahmn.policy_value,
        probability=0.4 if known else None,
        folds=folds,
        generator=None,
        basis="linear",
    )
    return jax.jit(lambda d: call(KEY, d, rule))


@functools.cache
def shifted(dtype="float64"):
    given = data(weighted=True)
    given = given if dtype == "float64" else single(given)
    call = functools.partial(gahmn.shift_value, generator=None, basis="linear", adjust="all")
    return jax.jit(lambda d: call(KEY, d, SHIFT))(given)


@pytest.mark.parametrize("folds", [1, 3])
def test_values_and_their_covariance_are_those_of_plain_regressions(folds):
    given, found = (data() if folds > 1 else repeated(data(weighted=True))), valued(folds)
    t, y, x = given.exposure, given.outcome, given.covariates
    n = len(y)
    fold = np.asarray(assign_folds(jax.random.split(KEY, 3)[0], n, folds))
    base = np.column_stack([np.ones(n), x])
    design = np.column_stack([base, t[:, None] * base])
    mu = np.empty((2, n))
    for k in range(folds):
        seen = fold != k if folds > 1 else fold == k
        b = regression(design[seen], y[seen])[0]
        mu[:, fold == k] = np.stack([base @ b[:3], base @ (b[:3] + b[3:])])[:, fold == k]

    def value(treat):
        ratio = treat * t / 0.4 + (1 - treat) * (1 - t) / 0.6
        return centred_mean(
            treat * mu[1] + (1 - treat) * mu[0] + ratio * (y - mu[t.astype(int), range(n)])
        )

    treat = np.asarray(rule(x), float)
    values = {"rule": value(treat), "observed": centred_mean(y)}
    values["gain"] = tuple(values["rule"][i] - values["observed"][i] for i in (0, 1))
    values |= {"all": value(np.ones(n)), "none": value(np.zeros(n))}
    assert found.values.names == tuple(values)
    np.testing.assert_allclose(found.values.estimate, [v for v, _ in values.values()], atol=1e-9)
    stacked = np.stack([v for _, v in values.values()])
    np.testing.assert_allclose(found.values.covariance, stacked @ stacked.T, rtol=1e-7, atol=1e-12)
    ratio = np.where(treat == t, np.where(t == 1, 1 / 0.4, 1 / 0.6), 0)
    assert float(found.effective_rows) == pytest.approx(ratio.sum() ** 2 / (ratio**2).sum())


def test_shift_is_that_of_plain_least_squares():
    given, found = repeated(data(weighted=True)), shifted()
    plain, delta = oracle(given), np.asarray([-0.5, 0, 0, 0.25, 0, 0])
    mean, influence = centred_mean(given.outcome)
    change, own = delta @ plain["beta"], plain["beta_influence"] @ delta
    assert found.values.names == ("shifted", "observed", "change")
    np.testing.assert_allclose(found.values.estimate, [mean + change, mean, change], atol=1e-9)
    stacked = np.stack([influence + own, influence, own])
    np.testing.assert_allclose(found.values.covariance, stacked @ stacked.T, rtol=1e-7, atol=1e-12)


def test_value_is_right_if_either_nuisance_is():
    """A curved outcome behind a line, or a wrong probability of treatment behind a right line."""
    rng = np.random.default_rng(5)
    n = 20000
    x = rng.normal(size=(n, 2))
    e = 1 / (1 + np.exp(-x[:, 1]))
    t = (rng.random(n) < e).astype(float)
    noise = rng.normal(size=n)
    curved = dataclasses.replace(
        data(),
        exposure=t,
        covariates=x,
        mediators=rng.normal(size=(n, 6)),
        outcome=t + 2 * t * x[:, 1] ** 2 + noise,
    )
    straight = dataclasses.replace(curved, outcome=t + x[:, 1] + noise)
    call = jax.jit(
        lambda d, e: gahmn.policy_value(
            KEY, d, rule, probability=e, folds=2, generator=None, basis="linear"
        )
    )
    share, height = 0.42074, 0.39104  # P(X > 0.2), density at 0.2; E[X^2; X > 0.2] from both
    curve = 2 * (share + 0.2 * height)
    for given, chance, more in ((curved, e, curve), (straight, np.full(n, 0.5), 0)):
        one = call(given, chance).values["rule"]
        error = abs(float(one.estimate) - share - more) / float(one.standard_error)
        assert error < 4


def test_modelled_probability_is_near_the_true_one_and_off_the_ends():
    found = valued(folds=3, known=False)
    chance = np.asarray(found.probability)
    truth = 1 / (1 + np.exp(-data().covariates[:, 0] / 2))
    assert np.corrcoef(chance, truth)[0, 1] > 0.7 and 0.01 <= chance.min() < chance.max() <= 0.99
    # Separated arms have a finite fit as well.
    given = data()
    apart = dataclasses.replace(given, exposure=(given.covariates[:, 0] > 0).astype(float))
    found = value_of(3, False)(apart)
    assert np.all(np.isfinite(found.values.estimate)) and int(found.status) == 0


@pytest.mark.parametrize("find", [pytest.param(valued, marks=pytest.mark.slow), shifted])
def test_float32_stays_float32_and_agrees(find):
    found, fine = find(dtype="float32").values, find().values
    assert found.estimate.dtype == found.covariance.dtype == np.float32
    np.testing.assert_allclose(found.estimate, fine.estimate, atol=2e-4)
    errors = (np.sqrt(np.diagonal(f.covariance)) for f in (found, fine))
    np.testing.assert_allclose(*errors, rtol=2e-3)


def test_generated_values_come_from_the_generators():
    given, fitted = data(), generators()
    keep = {"generator": fitted, "draws": 3, "basis": "linear"}
    call = jax.jit(lambda d, v: gahmn.policy_value(KEY, d, v, probability=0.4, **keep).generated)
    n = len(given.outcome)
    values = [float(call(given, np.full(n, v))) for v in (0.0, 1.0)]
    linear = gahmn.linear_part(gahmn.one_seed(fitted, 0))
    total = float(linear.direct + linear.indirect.sum())
    assert values[1] - values[0] == pytest.approx(total, abs=1e-3)
    # The outcome does not depend on the second mediator that is shifted, in data and generators.
    move = functools.partial(gahmn.shift_value, KEY, adjust="sparse", **keep)
    run = jax.jit(lambda d, size: move(d, {"ldl": size, "hba1c": 1.0}))
    high, low = (run(given, size) for size in (1.0, 0.0))
    change = float(high.generated) - float(low.generated)
    assert change == pytest.approx(float(linear.beta[0]), abs=1e-3)
    for found in (high, low):  # selection keeps the shifted mediators
        assert np.asarray(found.selected)[[0, 4]].all() and int(found.status) == 0


def test_misuse_is_refused():
    given = data()
    call = functools.partial(gahmn.policy_value, KEY, given, generator=None)
    with pytest.raises(ValueError, match="rule must lie in"):
        call(np.full(240, 2.0))
    with pytest.raises(ValueError, match="one value for each of 240 rows"):
        call(np.ones(3))
    with pytest.raises(ValueError, match="probability must lie in"):
        call(rule, probability=1.0)
    with pytest.raises(ValueError, match="folds must be"):
        call(rule, folds=0)
    with pytest.raises(ValueError, match="two values"):
        many = dataclasses.replace(given, exposure=np.arange(240.0))
        gahmn.policy_value(KEY, many, rule, generator=None)
    move = functools.partial(gahmn.shift_value, KEY, given, generator=None)
    with pytest.raises(ValueError, match="no mediator 'hdl'; mediators are: " + ", ".join(NAMES)):
        move({"hdl": 1.0})
    with pytest.raises(ValueError, match="finite"):
        move({"ldl": np.nan})
    with pytest.raises(ValueError, match="at least one"):
        move({})
