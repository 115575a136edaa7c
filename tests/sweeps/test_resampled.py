"""What a bootstrap repeats: a method's name, an estimator, a function of the data."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from light_estimators import light_reg, product
from problems import problem

import jaxmed
from jaxmed.registry import METHODS, Method
from jaxmed.sweeps import bootstrap, jackknife
from jaxmed.sweeps.resampled import repeated

KEY = jax.random.key(5)
DATA = problem(np.random.default_rng(1), 30, 2, scale=0.0)


def small(*, level=0.95, family="gaussian", times=1):
    """A factory of an estimator of few operations, which doubles what it gives on request."""
    del level

    def estimate(key, data):
        found = product(key, data)
        return jax.tree.map(lambda x: times * x, found) if family == "binomial" else found

    return estimate


def mean_outcome(data):
    w = jnp.ones_like(data.outcome) if data.weights is None else data.weights
    return jnp.sum(w * data.outcome) / jnp.sum(w)


@pytest.fixture(autouse=True)
def stub(monkeypatch):
    method = Method(
        "small", "Small", f"{__name__}:small", family="outcome", settings=(("times", 2),)
    )
    monkeypatch.setitem(METHODS, "small", method)


def test_a_name_is_made_for_the_data():
    found = bootstrap(KEY, DATA, "small", 6, chunk=6)
    own = bootstrap(KEY, DATA, product, 6, chunk=6)
    np.testing.assert_array_equal(found.draws["indirect"], own.draws["indirect"])
    assert found.settings["repeats"] == {"kind": "method", "name": "small", "statistic": "effects"}
    assert own.settings["repeats"]["kind"] == "estimator"
    assert own.settings["repeats"]["name"] == "product"
    rare = dataclasses.replace(DATA, outcome=(DATA.outcome > 6).astype(float))
    doubled = repeated(rare, "small", None).estimator(None, rare)
    assert float(doubled.effects.total) == pytest.approx(
        2 * float(product(None, rare).effects.total)
    )


def test_a_function_of_the_data_is_a_number_or_several():
    found = bootstrap(KEY, DATA, mean_outcome, 40, weights="multinomial", chunk=20)
    assert list(found.measures) == ["value"]
    assert found["value"].estimate == pytest.approx(np.mean(DATA.outcome))
    assert found["value"].missing == 0
    spread = found["value"].standard_error / (np.std(DATA.outcome) / np.sqrt(30))
    assert abs(spread - 1) < 5 / np.sqrt(2 * 40)
    assert found.settings["repeats"] == {"kind": "function of the data", "name": "mean_outcome"}

    def two(data):
        return {"mean": mean_outcome(data), "twice": 2 * mean_outcome(data)}

    several = bootstrap(KEY, DATA, two, 4, chunk=4, intervals=("bca",))
    np.testing.assert_allclose(several.draws["twice"], 2 * several.draws["mean"])
    left = jackknife(DATA, repeated(DATA, two, None).estimator, statistic=lambda f: f.values)
    assert several["mean"].intervals["bca"].lower < several["mean"].estimate
    assert left["mean"].standard_error == pytest.approx(
        np.std(DATA.outcome, ddof=1) / np.sqrt(30), rel=1e-9
    )


def test_a_function_of_the_data_has_multinomial_weights_in_the_dual():
    wide = problem(np.random.default_rng(2), 10, 20)
    found = bootstrap(KEY, wide, mean_outcome, 4, weights="multinomial", chunk=4)
    assert np.isfinite(found.draws["value"]).all()
    with pytest.raises(ValueError, match="multinomial weights are refused"):
        bootstrap(KEY, wide, light_reg, 4, weights="multinomial")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (3, r"a bootstrap repeats an estimator .* a method by its name, or a function of the data"),
        ("smal", "there is no method 'smal'.*did you mean small"),
        (jaxmed.estimators.ols, "is it a factory to call"),
        (lambda data: "text", "returns numbers; <lambda>"),
        (lambda data: {"status": 1}, "cannot name a number 'status'"),
        (lambda data: data.outcome, "scalars"),
        (lambda key, data: data.outcome, "returns an Estimate, not .*statistic="),
    ],
)
def test_what_is_neither_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        bootstrap(KEY, DATA, asked, 4, chunk=4)


def test_a_statistic_is_of_an_estimate():
    with pytest.raises(ValueError, match="mean_outcome is a function of the data"):
        bootstrap(KEY, DATA, mean_outcome, 4, statistic=lambda e: {})


def test_a_callable_whose_arguments_are_unknown_is_an_estimator():
    assert repeated(DATA, lambda *both: product(*both), None).needs_rank
    assert not repeated(DATA, lambda data, scale=1.0: scale * data.outcome[0], None).needs_rank
