"""Chunks equal the whole, vmap equals single runs, weights of the parts, collapse codes."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import status as st
from jaxmed.gahmn import collapse
from jaxmed.gahmn.collapse import Facts, facts_of
from jaxmed.gahmn.config import WINDOW, improved
from jaxmed.gahmn.fitting import (
    blocks_of,
    fit_seed,
    penalties,
    start_mediators,
    start_outcome,
)
from jaxmed.gahmn.scaling import scale_of, scaled
from jaxmed.gahmn.training import Curve, train
from jaxmed.simulate.partially_linear import partially_linear, sample


@pytest.fixture(scope="module")
def program(ready, config):
    block = blocks_of(config, ready)[0]
    weight = penalties(config, ready.mediators.shape[1]).mediator
    run = jax.jit(lambda s: train(block, ready, weight, s, 1))
    start = jax.jit(functools.partial(start_mediators, data=ready, config=config))
    return start, run, block, weight


@pytest.fixture(scope="module")
def together(program, ready):
    """Three starts, and their trainings of three windows at once."""
    start, _, block, weight = program
    starts = [start(jax.random.key(i)) for i in (1, 5, 6)]
    keys = jnp.stack([state.key for state in starts])
    stacked = jax.tree.map(
        lambda *leaves: np.stack(leaves), *(dataclasses.replace(s, key=None) for s in starts)
    )
    whole = jax.jit(jax.vmap(lambda s: train(block, ready, weight, s, 3)))
    return starts, whole(dataclasses.replace(stacked, key=keys))


@pytest.mark.parametrize("which", range(3))
def test_chunked_runs_are_those_of_longer_and_vectorised_ones(program, together, which):
    starts, (whole, curve) = together
    state = starts[which]
    for _ in range(3):
        state, _ = program[1](state)
    assert int(state.step) == 3 * WINDOW
    for part in ("average", "generator"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b[which], rtol=1e-9, atol=1e-12),
            getattr(state, part),
            getattr(whole, part),
        )
    assert curve.critic.shape == (3, 3) and np.isfinite(curve.critic).all()


@pytest.mark.slow
def test_vectorised_trainings_in_single_precision(data, config):
    """100 steps: later steps of adversarial training magnify rounding."""
    ready = scaled(data, scale_of(data), jnp.dtype("float32"))
    block = blocks_of(config, ready)[0]
    weight = penalties(config, ready.mediators.shape[1]).mediator

    def run(key):
        return train(block, ready, weight, start_mediators(key, ready, config), 2)[0].generator

    keys = jax.random.split(jax.random.key(5), 8)
    together, alone = jax.jit(jax.vmap(run))(keys), jax.jit(run)
    for i in (0, 7):
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone(keys[i])), strict=True):
            np.testing.assert_allclose(a[i], b, atol=1e-5)


@pytest.mark.slow
def test_eight_whole_trainings_equal_single_ones():
    """p = 50, both blocks, 3000 steps, float64."""
    data = sample(jax.random.key(0), partially_linear("A", 50), 400)
    ready = scaled(data, scale_of(data), jnp.dtype("float64"))
    config = improved(precision="data")
    weights = penalties(config, 50)
    run = jax.jit(lambda k: fit_seed(k, ready, config, weights).generators)
    keys = jax.random.split(jax.random.key(2), 8)
    together = jax.jit(jax.vmap(lambda k: fit_seed(k, ready, config, weights).generators))(keys)
    for i in range(8):
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(run(keys[i])), strict=True):
            np.testing.assert_allclose(a[i], b, atol=1e-8)


def test_outcome_block_starts_from_a_refit_on_residualised_mediators(program, ready, config):
    # An untrained generator's mean is a function of the covariates like any other.
    key = jax.random.key(1)
    stage = jax.jit(lambda k, s: start_outcome(k, ready, config, s))(key, program[0](key))
    seen = np.asarray(stage.data.mediators)
    np.testing.assert_allclose(seen.std(axis=0), 1, rtol=1e-6)
    beta, direct = (stage.state.generator[name] for name in ("mediators", "exposure"))
    kept = np.flatnonzero(stage.state.support)
    assert set(kept) >= {2, 3, 4} and int(stage.status) == st.OK
    assert not np.delete(np.asarray(beta), kept).any()
    # Least squares on the selected mediators and the same spline basis.
    from jaxmed.estimators.parts.basis import default_splines

    splines = jax.jit(default_splines)(ready.covariates, ready.weights)
    base = np.column_stack([np.ones(len(seen)), splines, ready.exposure, seen[:, kept]])
    expected = np.linalg.lstsq(base, np.asarray(ready.outcome), rcond=None)[0]
    np.testing.assert_allclose(beta[kept], expected[-len(kept) :], rtol=1e-6)
    np.testing.assert_allclose(direct, expected[-len(kept) - 1], rtol=1e-6)


def curve(level, largest, windows=20):
    rows = np.full(windows, level)
    return Curve(rows, rows, rows, np.full(windows, largest))


def test_codes_of_a_collapsed_critic():
    curve_status = jax.jit(collapse.curve_status)
    matters, null = (Facts(np.asarray(x), np.ones(3)) for x in (True, False))
    assert curve_status(curve(0.01, 0.0), matters) == st.CRITIC_WON
    assert curve_status(curve(1.385, 0.0), matters) == st.CRITIC_FLAT
    assert curve_status(curve(1.3, 0.0), matters) == st.OK
    for level in (0.01, 1.385):
        assert curve_status(curve(level, 0.0), null) == st.OK  # a = 0 is right there
        assert curve_status(curve(level, 0.1), matters) == st.OK
    # One loud step inside the last chunk of ten windows: the critic has not won.
    loud = curve(0.01, 0.0)._replace(critic_highest=np.where(np.arange(20) == 15, 0.2, 0.01))
    assert curve_status(loud, matters) == st.OK


def test_a_null_exposure_matters_for_no_mediator():
    model = partially_linear("N0", 12)

    def matters(key, model):
        data = sample(key, model, 200)
        return facts_of(scaled(data, scale_of(data), jnp.dtype("float64"))).exposure_matters

    found = jax.jit(matters)
    rejected = sum(bool(found(jax.random.key(i), model)) for i in range(60))
    assert rejected <= 60 * 0.05 + 5 * (60 * 0.05 * 0.95) ** 0.5
    assert bool(found(jax.random.key(0), partially_linear("A", 12)))


def test_scales_come_back(data, ready):
    scale = jax.jit(scale_of)(data)
    back = scale.mediators_back(np.asarray(ready.mediators))
    np.testing.assert_allclose(back, data.mediators, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(scale.outcome_back(ready.outcome), data.outcome, rtol=1e-9)
