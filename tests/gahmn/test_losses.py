"""Losses at known values, and the penalties by automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from untrained_generators import drawn

from jaxmed.gahmn import faithful, losses
from jaxmed.gahmn.networks import OutcomeGenerator, mediator_generator

ONES = np.ones(4)
critic_loss = jax.jit(losses.critic_loss)
generator_loss = jax.jit(losses.generator_loss, static_argnums=2)
conditional_mean_loss = jax.jit(losses.conditional_mean_loss)


def test_losses_at_balance_and_their_weights():
    zero = np.zeros((4, 3))
    assert critic_loss(zero, zero, ONES) == pytest.approx(2 * np.log(2))
    assert generator_loss(zero, ONES, "ns") == pytest.approx(np.log(2))
    assert generator_loss(zero, ONES, "sat") == pytest.approx(-np.log(2))
    real = np.arange(12.0).reshape(4, 3)
    valid = np.asarray([True, False, True])
    kept = critic_loss(real[:, [0, 2]], -real[:, [0, 2]], ONES)
    assert critic_loss(real, -real, ONES, valid) == pytest.approx(float(kept))
    twice = np.asarray([2.0, 0.0, 1.0, 1.0])
    rows = np.asarray([0, 0, 2, 3])
    assert critic_loss(real, -real, twice) == pytest.approx(
        float(critic_loss(real[rows], -real[rows], ONES))
    )


def test_saturating_gradient_vanishes_where_the_critic_is_sure():
    slope = jax.jit(jax.grad(losses.generator_loss), static_argnums=2)
    sat, ns = (np.asarray(slope(np.full((4, 1), -20.0), ONES, k)) for k in ("sat", "ns"))
    assert np.abs(sat).max() < 1e-8 and np.abs(ns).max() > 0.1


def test_conditional_mean_loss_is_unbiased():
    draws = np.random.default_rng(0).normal(size=(2, 400_000)) * 2 + 1
    y = np.full(400_000, 3.0)
    loss = float(conditional_mean_loss(y, draws[0], draws[1], np.ones_like(y)))
    assert loss == pytest.approx(4.0, abs=0.05)  # (3 - 1)^2; a squared mean of draws has 2 more


def treatment_contrast_penalty(generate, control, treated):
    """E |G(t1) - G(t0)|_1 with shared noise, as the paper states it for any generator."""
    return jnp.mean(jnp.sum(jnp.abs(generate(treated) - generate(control)), axis=1))


def mediator_gradient_penalty(generate, mediators):
    """E |dG/dM|_1, as the paper states it for any generator."""
    gradient = jax.grad(lambda m: jnp.sum(generate(m)))(mediators)
    return jnp.mean(jnp.sum(jnp.abs(gradient), axis=1))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_penalties_equal_their_closed_forms(dtype):
    mediators = mediator_generator(faithful(), 6, 2, dtype)
    params = drawn(mediators.init)
    params["exposure"] = np.asarray([0.0, 1.5, -2.0, 0.0, 0.25, -0.5], dtype)
    x, noise = np.ones((5, 2), dtype), drawn(lambda k: mediators.noise(k, 5))
    low, high = np.full(5, -1.0, dtype), np.full(5, 2.0, dtype)
    found = jax.jit(
        lambda p: treatment_contrast_penalty(lambda t: mediators.apply(p, noise, t, x), low, high)
    )(params)
    tolerance = 1e-5 if dtype == jnp.float32 else 1e-12
    assert float(found) == pytest.approx(3.0 * 4.25, rel=tolerance)

    outcome = OutcomeGenerator(faithful(), 6, 2, dtype)
    weights = drawn(outcome.init)
    weights["mediators"] = params["exposure"]
    gradient = jax.jit(
        lambda w, z: mediator_gradient_penalty(
            lambda m: outcome.apply(w, z, low, m, x), jnp.ones((5, 6), dtype)
        )
    )(weights, drawn(lambda k: outcome.noise(k, 5)))
    assert float(gradient) == pytest.approx(4.25, rel=tolerance)
