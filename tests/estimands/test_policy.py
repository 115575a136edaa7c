"""Policy: oracle of values and their covariance, double robustness, generated values, errors."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from beyond_mediation import centred_mean, data, regression, repeated, simulator, single

from jaxmed import estimands
from jaxmed.sparse.folds import assign_folds

KEY = jax.random.key(1)


def rule(covariates):
    return covariates[:, 1] > 0.2


@functools.cache
def valued(folds=1, known=True, dtype="float64"):
    given = data(weighted=folds == 1)
    return value_of(given if dtype == "float64" else single(given), folds, known)


def value_of(given, folds, known):
    chance = 0.4 if known else None
    return estimands.policy_value(KEY, given, rule, probability=chance, folds=folds, basis="linear")


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
    call = functools.partial(estimands.policy_value, KEY, folds=2, basis="linear")
    share, height = 0.42074, 0.39104  # P(X > 0.2), density at 0.2; E[X^2; X > 0.2] from both
    curve = 2 * (share + 0.2 * height)
    for given, chance, more in ((curved, e, curve), (straight, np.full(n, 0.5), 0)):
        one = call(given, rule, probability=chance).values["rule"]
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
    found = value_of(apart, 3, False)
    assert np.all(np.isfinite(found.values.estimate)) and int(found.status) == 0


@pytest.mark.slow
def test_float32_stays_float32_and_agrees():
    found, fine = valued(dtype="float32").values, valued().values
    assert found.estimate.dtype == found.covariance.dtype == np.float32
    np.testing.assert_allclose(found.estimate, fine.estimate, atol=2e-4)
    errors = (np.sqrt(np.diagonal(f.covariance)) for f in (found, fine))
    np.testing.assert_allclose(*errors, rtol=2e-3)


def test_generated_values_come_from_the_generator():
    given, own = data(), simulator()
    keep = {"generator": own, "draws": 3, "basis": "linear", "probability": 0.4}
    call = jax.jit(lambda d, v: estimands.policy_value(KEY, d, v, **keep))
    none, every = (call(given, np.full(240, v)) for v in (0.0, 1.0))
    total = float(own.c + (own.a * own.b).sum())
    assert float(every.generated - none.generated) == pytest.approx(total, abs=1e-10)
    assert int(every.generator_status) == 0


def test_without_a_generator_there_is_no_generated_value():
    assert valued().generated is None and valued().generator_status is None


def test_misuse_is_refused():
    given = data()
    call = functools.partial(estimands.policy_value, KEY, given)
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
        estimands.policy_value(KEY, many, rule)
