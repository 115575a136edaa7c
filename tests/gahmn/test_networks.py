"""Shapes, initial values, growth with p; the critics judge one mediator at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from untrained_generators import drawn

from jaxmed.gahmn.config import BlockConfig, GahmnConfig, faithful, improved
from jaxmed.gahmn.critics import mediator_critic, outcome_critic
from jaxmed.gahmn.networks import OutcomeGenerator, mediator_generator

KEY = jax.random.key(0)
T = np.asarray([0.0, 1.0, 1.0, 0.0])
ONES = np.ones(4)
X = np.random.default_rng(1).normal(size=(4, 2))
CONFIGS = {
    "improved": improved(),
    "faithful": faithful(),
    "location_scale": improved(noise="location_scale"),
}


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_grow_linearly_with_the_mediators(name):
    config = CONFIGS[name]

    def count(p):
        parts = (
            mediator_generator(config, p, 2, jnp.float32),
            mediator_critic(config, p, 2, jnp.float32),
            OutcomeGenerator(config, p, 2, jnp.float32),
            outcome_critic(config, p, 2, jnp.float32),
        )
        return sum(size(jax.eval_shape(part.init, KEY)) for part in parts)

    assert count(30) - count(20) == count(20) - count(10)


@pytest.mark.parametrize("name", CONFIGS)
def test_effects_start_at_zero_and_enter_linearly(name):
    block = mediator_generator(CONFIGS[name], 5, 2, jnp.float64)
    outcome = OutcomeGenerator(CONFIGS[name], 5, 2, jnp.float64)

    @jax.jit
    def effects(key):
        own, direct = block.init(key), outcome.init(key)
        return own["exposure"], direct["mediators"], direct["exposure"]

    assert not any(np.any(part) for part in effects(KEY))
    params = drawn(block.init) | {"exposure": np.arange(5.0)}
    mean = jax.jit(lambda p, k, t: block.mean(p, block.mean_noise(k), t, X))
    treated, control = (np.asarray(mean(params, KEY, t)) for t in (ONES, 0 * ONES))
    np.testing.assert_allclose(treated - control, np.tile(np.arange(5.0), (4, 1)), atol=1e-12)
    noise = jax.eval_shape(lambda k: block.noise(k, 4), KEY)
    assert jax.eval_shape(block.apply, params, noise, T, X).shape == (4, 5)


def test_printed_noise_does_not_know_the_exposure_and_location_scale_does():
    for name, moves in (("improved", False), ("location_scale", True)):
        block = mediator_generator(CONFIGS[name], 3, 2, jnp.float64)
        params = drawn(block.init)
        if moves:
            params["spread_map"] = np.ones_like(params["spread_map"])
        noise = drawn(lambda k, block=block: block.noise(k, 4))
        run = jax.jit(lambda p, z, t, block=block: block.apply(p, z, t, X))
        spread = [
            np.asarray(run(params, noise, t)) - np.asarray(run(params, -noise, t))
            for t in (0 * ONES, ONES)
        ]
        assert (np.abs(spread[1] - spread[0]).max() > 1e-3) == moves


def test_a_mediator_moves_only_its_own_logit():
    m = np.random.default_rng(3).normal(size=(4, 5))
    moved = m + (np.arange(5) == 2)
    for name, alone in (("improved", True), ("faithful", False)):
        critic = mediator_critic(CONFIGS[name], 5, 2, jnp.float64)
        params = drawn(critic.init)
        judged = jax.jit(lambda p, *both, c=critic: c.logits(p, both, T, X))
        first, second = map(np.asarray, judged(params, m, moved))
        changed = np.abs(second - first).max(axis=0) > 1e-9
        assert changed[2] and (changed.sum() == 1) == alone


def test_outcome_critics_see_what_they_should():
    m = np.random.default_rng(3).normal(size=(4, 5))
    y = np.arange(4.0)
    residual = outcome_critic(CONFIGS["improved"], 5, 2, jnp.float64)
    params = drawn(residual.init)
    logits = jax.jit(lambda y, s: residual.logits(params, (y,), s, T, m, X)[0])
    here, shifted = (logits(y + s, np.full(4, s)) for s in (0.0, 7.0))
    np.testing.assert_allclose(here, shifted, atol=1e-12)  # outcome minus linear part
    dense = outcome_critic(CONFIGS["faithful"], 5, 2, jnp.float64)
    seen = jax.eval_shape(lambda: dense.logits(dense.init(KEY), (y, y), 0 * y, T, m, X))
    assert seen[1].shape == (4,)


def test_initial_weights_have_their_variance():
    critic = mediator_critic(improved(critic_widths=(400, 400)), 3, 2, jnp.float64)
    params = jax.jit(critic.init)(KEY)
    first, last = (params["trunk"]["params"][f"Dense_{i}"]["kernel"] for i in (0, 1))
    assert np.std(first) == pytest.approx((2 / 3) ** 0.5, rel=0.08)
    assert np.std(last) == pytest.approx((0.98 / 400) ** 0.5, rel=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlockConfig(steps=70), "multiple of 50"),
        (lambda: BlockConfig(loss="hinge"), "loss must be one of"),
        (lambda: BlockConfig(metric="l2"), "metric must be one of"),
        (lambda: BlockConfig(freeze=1.5), "share of the steps"),
        (lambda: BlockConfig(lam=-1), "lam must be 0 or more"),
        (lambda: GahmnConfig(noise="other"), "noise must be one of"),
        (lambda: GahmnConfig(latent=0), "at least 1"),
        (lambda: improved(mean_loss=-1.0), "mean_loss"),
    ],
)
def test_configurations_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
