"""One step against NumPy, windows against the whole, supports, averages."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.gahmn.config import BlockConfig
from jaxmed.gahmn.scaling import Scaled
from jaxmed.gahmn.training import begin, one_step, thresholded, train


@dataclasses.dataclass(frozen=True)
class Toy:
    """Generator a (under the penalty) and w; critic v: losses whose gradients are known."""

    config: BlockConfig
    linear: str = "exposure"

    def init(self, key):
        return {"exposure": jnp.asarray([0.5, -0.2]), "w": jnp.asarray(1.0)}, {"v": jnp.zeros(2)}

    def draw(self, params, key, batch):
        return params["exposure"] + 0 * batch.outcome[:1]

    def critic_loss(self, critic, params, batch, fake):
        return jnp.sum((critic["v"] - fake) ** 2)

    def generator_loss(self, params, critic, key, batch):
        return jnp.sum(params["exposure"] * jnp.asarray([1.0, -0.01])) + 3 * params["w"]


ROWS = Scaled(*(jnp.zeros(s) for s in ((9,), (9, 2), (9,), (9, 1))), jnp.ones(9), jnp.ones(2, bool))


def adam(slope, t, first=0.0, second=0.0):
    first, second = 0.5 * first + 0.5 * slope, 0.999 * second + 0.001 * slope**2
    seen = second / (1 - 0.999**t)
    return first / (1 - 0.5**t) / (np.sqrt(seen) + 1e-8), first, second, seen


@pytest.mark.parametrize("metric", ["adam", "plain"])
def test_two_steps_against_numpy(metric):
    config = BlockConfig(
        steps=100,
        generator_rate=0.01,
        critic_rate=0.1,
        linear_rate=3.0,
        metric=metric,
        cosine=True,
        lam=0.0,
        freeze=None,
        average_from=0.0,
        decay=0.9,
    )
    block, penalty = Toy(config), 0.4
    state = begin(block, jax.random.key(0))
    step = jax.jit(lambda s: one_step(block, ROWS, jnp.asarray(penalty), s))
    a, w, v, average = np.array([0.5, -0.2]), 1.0, np.zeros(2), np.array([0.5, -0.2])
    slope = np.array([1.0, -0.01])
    ma = na = mw = nw = 0.0
    mv = nv = np.zeros(2)
    for t in (1, 2):
        state, losses = step(state)
        gradient = 2 * (v - a)
        assert float(losses[0]) == pytest.approx(np.sum((v - a) ** 2))
        move, mv, nv, _ = adam(gradient, t, mv, nv)
        v = v - 0.1 * move
        rate = 0.01 * (0.01 + 0.99 * (1 + np.cos(np.pi * (t - 1) / 100)) / 2)
        move, ma, na, seen = adam(slope, t, ma, na)
        a = a - 3 * rate * move
        cut = 3 * rate * penalty / ((np.sqrt(seen) + 1e-8) if metric == "adam" else 1)
        a = np.sign(a) * np.maximum(np.abs(a) - cut, 0)
        move, mw, nw, _ = adam(np.float64(3.0), t, mw, nw)
        w = w - rate * move  # not part of the linear part, and under no penalty
        average = 0.9 * average + 0.1 * a
        np.testing.assert_allclose(state.generator["exposure"], a, rtol=1e-12)
        np.testing.assert_allclose(state.generator["w"], w, rtol=1e-12)
        np.testing.assert_allclose(state.critic["v"], v, rtol=1e-12)
        np.testing.assert_allclose(state.average["exposure"], average, rtol=1e-12)


def test_support_is_frozen_and_the_penalty_ends():
    config = BlockConfig(steps=50, freeze=0.4, average_from=1.0, lam=0.0, metric="plain")
    block = Toy(config)
    state = begin(block, jax.random.key(0))
    state = dataclasses.replace(
        state, generator={**state.generator, "exposure": jnp.asarray([0.5, 0.001])}
    )
    step = jax.jit(lambda penalty, s: one_step(block, ROWS, penalty, s))
    supports = []
    for _ in range(30):
        state, _ = step(jnp.asarray(3.0), state)
        supports.append(np.asarray(state.generator["exposure"] != 0))
    assert not supports[19][1] and supports[19][0]
    assert all((s == supports[19]).all() for s in supports[19:])
    before = float(state.generator["exposure"][0])
    state, _ = step(jnp.asarray(1e6), state)  # no threshold any more
    assert abs(float(state.generator["exposure"][0]) - before) < 0.01
    np.testing.assert_array_equal(state.average["exposure"], state.generator["exposure"])


def test_a_support_given_at_the_start_holds_from_step_zero():
    block = Toy(BlockConfig(steps=50, freeze=0.0))
    given = {"exposure": jnp.asarray([0.0, 0.3])}
    state = begin(block, jax.random.key(0), given, jnp.asarray([False, True]))
    state, _ = jax.jit(lambda s: train(block, ROWS, jnp.asarray(0.0), s, 1))(state)
    assert state.generator["exposure"][0] == 0 and state.generator["exposure"][1] != 0


def test_thresholds():
    value, second = jnp.asarray([0.5, -0.5, 0.01]), jnp.asarray([4.0, 0.25, 1.0])
    plain = thresholded(value, jnp.asarray(0.1), jnp.asarray(2.0), second, "plain")
    np.testing.assert_allclose(plain, [0.3, -0.3, 0.0])
    metric = thresholded(value, jnp.asarray(0.1), jnp.asarray(2.0), second, "adam")
    np.testing.assert_allclose(metric, [0.4, -0.1, 0.0], atol=1e-7)
