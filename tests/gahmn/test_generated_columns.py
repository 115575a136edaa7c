"""Trained generators beside the estimands: columns, trainings with a status, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from beyond_mediation import NAMES, data, paths_of
from untrained_generators import generators

from jaxmed import estimands, gahmn
from jaxmed.gahmn import seeds as module

KEY = jax.random.key(1)
SETS = {"lipids": ["ldl"], "inflammation": ["crp", "il6"], "others": ["bmi", "hba1c", "egfr"]}
KEEP = {"basis": "linear", "draws": 3}


@pytest.fixture(scope="module")
def linear():
    first = jax.jit(lambda fit: gahmn.linear_part(gahmn.one_seed(fit, 0)))(generators())
    return jax.tree.map(np.asarray, first)


@pytest.fixture(scope="module")
def found():
    """The estimands of every run with one fit, in one program."""
    keep = {"generator": generators(), **KEEP}
    every = np.full(240, 1.0)

    def call(d, share, size):
        return {
            "chain": estimands.chain(KEY, d, [0, 1, 2], adjust="all", **keep),
            "policy": estimands.policy_value(KEY, d, share, probability=0.4, **keep),
            "shift": estimands.shift_value(KEY, d, {"ldl": size}, adjust="all", **keep),
        }

    program = jax.jit(call)
    return program(data(), every, 1.0), program(data(), 0 * every, 0.0)


@pytest.mark.slow
def test_parts_have_no_gap_and_are_the_products_of_the_generators(linear):
    keep = {"generator": generators(), **KEEP}
    parted = jax.jit(lambda d: estimands.disparity(KEY, d, SETS, adjust="all", **keep))(data())
    made = parted.generated
    assert int(parted.generator_status) == 0
    parts = [linear.indirect[where].sum() for where in ([0], [1, 2], [3, 4, 5])]
    np.testing.assert_allclose(made.parts, parts, atol=1e-4)
    assert abs(float(made.gap)) < 1e-4
    np.testing.assert_allclose(made.union, linear.indirect.sum(), atol=1e-4)


def test_paths_are_made_of_the_generators_coefficients(found, linear):
    made = found[0]["chain"]
    expected = paths_of(linear.alpha, linear.beta, linear.direct, made.link)
    # No draw is made: the coefficients are float32 in themselves, their products are not.
    np.testing.assert_allclose(made.generated, expected, rtol=1e-12)


def test_values_come_from_the_generators(found, linear):
    high, low = found
    total = float(linear.direct + linear.indirect.sum())
    change = float(high["policy"].generated - low["policy"].generated)
    assert change == pytest.approx(total, abs=1e-3)
    change = float(high["shift"].generated - low["shift"].generated)
    assert change == pytest.approx(float(linear.beta[0]), abs=1e-3)
    assert all(int(each.generator_status) == 0 for each in high.values())


def test_a_fit_is_asked_for_its_seeds():
    fit = jax.tree.map(np.asarray, generators())
    two = dataclasses.replace(
        fit, generators=jax.tree.map(lambda leaf: np.concatenate([leaf, 2 * leaf]), fit.generators)
    )
    one = gahmn.one_seed(fit, 0)
    alone = one.trained(KEY, data())
    np.testing.assert_array_equal(
        alone.one(0).generators.residual_scale, one.generators.residual_scale
    )
    assert alone.count == 1
    for given, count in ((fit, 1), (two, 2)):
        made = given.trained(KEY, data(), 5)
        assert made.count == count and int(made.status) == 0
        assert isinstance(made.one(0), estimands.Generator)
        assert isinstance(made.one(0), estimands.PartiallyLinear)
    twice = two.trained(KEY, data()).one(1)
    np.testing.assert_array_equal(
        twice.generators.residual_scale, 2 * fit.generators.residual_scale[0]
    )


def test_a_configuration_is_trained_once_for_each_seed(monkeypatch):
    """The training itself has its own tests."""
    calls = []

    def fit_seeds(key, ready, config, penalty, seeds):
        calls.append((config, seeds, ready))
        several = jax.tree.map(lambda leaf: np.repeat(leaf, seeds, axis=0), generators().generators)
        return type("Fits", (), {"generators": several}), jnp.arange(seeds) * 2

    monkeypatch.setattr(module, "fit_seeds", fit_seeds)
    monkeypatch.setattr(module, "training_rows", lambda d, kind: (generators().scale, (d, kind)))
    config = gahmn.improved()
    assert isinstance(config, estimands.Trainable)
    given = data()
    made = config.trained(KEY, given, 3)
    assert calls == [(config, 3, (given, "float32"))]
    assert made.count == 3 and int(made.status) == 4


def test_misuse_is_refused():
    given = data()
    fewer = dataclasses.replace(
        given,
        mediators=given.mediators[:, :4],
        names=dataclasses.replace(given.names, mediators=NAMES[:4]),
    )
    with pytest.raises(ValueError, match="trained with 6 mediators, the data have 4"):
        estimands.chain(KEY, fewer, ["ldl"], generator=generators(), basis="linear")
    with pytest.raises(ValueError, match="seeds must be at least 1, not 0"):
        estimands.chain(KEY, given, ["ldl"], generator=gahmn.improved(), seeds=0)
    few = jax.tree.map(lambda leaf: leaf[:30], given)
    with pytest.raises(ValueError, match="adversarial training on 30 rows"):
        estimands.shift_value(KEY, few, {"ldl": 1.0}, generator=gahmn.improved())
