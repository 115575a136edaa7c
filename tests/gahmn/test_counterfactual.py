"""Generated effects equal the linear part; storage gives the same generators back."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from untrained_generators import drawn

from jaxmed.data.documents import sealed
from jaxmed.gahmn import (
    Fitted,
    counterfactuals,
    improved,
    linear_part,
    one_seed,
    simulation_interval,
)
from jaxmed.gahmn.fitting import Generators
from jaxmed.gahmn.networks import OutcomeGenerator, mediator_generator
from jaxmed.gahmn.scaling import scale_of
from jaxmed.gahmn.storage import StoredStateError, load_fitted, read_tree, save_fitted, write_tree

P = 12
SCALE = jax.jit(scale_of)


def generators(data, **changes):
    """Untrained generators with linear parts that are not zero; one seed."""
    config = improved(**changes)
    return Fitted(SCALE(data), untrained(config), config)


@functools.cache
def untrained(config):
    dtype = np.dtype("float64")
    mediators = mediator_generator(config, P, 2, dtype)
    outcome = OutcomeGenerator(config, P, 2, dtype)
    first, second, noise = map(drawn, (mediators.init, outcome.init, mediators.mean_noise))
    first["exposure"] = np.arange(P) / 5.0
    if "spread_map" in first:  # starts at zero: the spread does not know the exposure
        first["spread_map"] = np.zeros_like(first["spread_map"])
    second["mediators"] = np.where(np.arange(P) % 3 == 0, 0.5, 0.0)
    second["exposure"] = np.asarray(0.7)
    rows = np.random.default_rng(3).normal(size=(40, P))
    rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) * 40**0.5)
    empirical = config.noise == "location_scale" and config.correlation == "empirical"
    near = np.where(np.arange(P) == 0, 0.0, 0.6) if config.correlation == "neighbour" else None
    made = Generators(
        first,
        second,
        noise,
        np.linspace(0.5, 1.5, P),
        rows if empirical else None,
        near,
        first["exposure"] != 0,
        second["mediators"] != 0,
    )
    return jax.tree.map(jnp.asarray, made)


@pytest.mark.parametrize(
    "noise", ["printed", pytest.param("location_scale", marks=pytest.mark.slow)]
)
def test_partially_linear_generators_have_constant_effects(data, noise):
    fitted = generators(data, noise=noise)

    @jax.jit
    def run(k, x):
        found = counterfactuals(k, fitted, x, control=0.0, treated=2.0, draws=5)
        return found, linear_part(fitted), simulation_interval(found).direct

    found, linear, width = run(jax.random.key(0), np.asarray(data.covariates)[:7])
    found, linear = jax.tree.map(np.asarray, (found, linear))
    np.testing.assert_allclose(found.direct, 2 * linear.direct, rtol=1e-6)
    np.testing.assert_allclose(found.indirect, 2 * linear.indirect.sum(), rtol=1e-6)
    np.testing.assert_allclose(found.mediator_effects, 2 * linear.indirect, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.effects.total, found.effects.direct + found.effects.indirect)
    assert width.upper - width.lower < 1e-9  # as the printed equations have it


def test_noise_of_its_own_in_either_arm_is_all_that_the_simulation_interval_shows(data):
    fitted = generators(data)

    @jax.jit
    def run(k, again, x):
        found = counterfactuals(k, fitted, x, draws=200, shared_noise=False, mediators=False)
        noise = fitted.outcomes(
            fitted.outcome_noise(again, 4000),
            jnp.zeros(4000),
            jnp.zeros((4000, P)),
            jnp.tile(x[:1], (4000, 1)),
        )
        return found.mediators, simulation_interval(found).direct, noise

    n = data.covariates.shape[0]
    left, interval, noise = run(jax.random.key(0), jax.random.key(1), data.covariates)
    expected = 2 * 1.96 * (2 * np.var(noise) / n) ** 0.5
    assert 0.3 * expected < float(interval.upper) - float(interval.lower) < 3 * expected
    assert left.shape == (n, 0)


def test_outcomes_see_residualised_mediators(data):
    fitted = generators(data)
    x, t = np.asarray(data.covariates)[:6], np.asarray([0.0, 1, 0, 1, 0, 1])

    @jax.jit
    def run(fitted):
        mean = fitted.mediator_mean(jnp.zeros(6), x)
        noise = fitted.outcome_noise(jax.random.key(0), 6)
        y = fitted.outcomes(noise, t, mean, x)
        step = fitted.outcomes(noise, t, mean.at[:, 3].add(1.0), x) - y
        return fitted.seen_mediators(mean, x), step, linear_part(fitted).beta[3]

    seen, step, beta = run(fitted)
    np.testing.assert_allclose(seen, 0, atol=1e-9)
    np.testing.assert_allclose(step, np.full(6, beta), rtol=1e-6)


@pytest.mark.parametrize("correlation", ["empirical", "neighbour", "none"])
def test_correlated_noise(data, correlation):
    fitted = generators(data, noise="location_scale", correlation=correlation)
    noise = np.asarray(jax.jit(lambda k: fitted.mediator_noise(k, 40_000))(jax.random.key(0)))
    error = 5 / 40_000**0.5
    found = np.corrcoef(noise.T)
    rows = fitted.generators.noise_rows
    if correlation == "empirical":
        expected = np.asarray(rows).T @ np.asarray(rows)
    else:
        distance = np.abs(np.subtract.outer(np.arange(P), np.arange(P)))
        expected = (0.6 if correlation == "neighbour" else 0.0) ** distance
    assert np.abs(found - expected).max() < 2 * error
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=2 * error)


def test_storage_gives_the_same_generators_back(data, tmp_path):
    fitted = generators(data, noise="location_scale")
    stacked = Fitted(
        fitted.scale, jax.tree.map(lambda v: np.asarray(v)[None], fitted.generators), fitted.config
    )
    save_fitted(tmp_path, stacked, {"mediators": ["a"]})
    again = load_fitted(tmp_path)
    assert again.config == stacked.config
    for a, b in zip(jax.tree.leaves(stacked), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    x, key = np.asarray(data.covariates)[:3], jax.random.key(0)
    run = jax.jit(lambda f: f.mediators(f.mediator_noise(key, 3), jnp.ones(3), x))
    first, second = (run(one_seed(f, 0)) for f in (stacked, again))
    np.testing.assert_array_equal(first, second)
    with np.load(tmp_path / "generators.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


def test_damaged_and_foreign_files_are_refused(data, tmp_path):
    with pytest.raises(StoredStateError, match="no readable generators"):
        load_fitted(tmp_path)
    save_fitted(tmp_path, generators(data))
    whole = (tmp_path / "generators.npz").read_bytes()
    (tmp_path / "generators.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoredStateError, match="no readable generators"):
        load_fitted(tmp_path)
    (tmp_path / "generators.npz").write_bytes(whole)
    facts = json.loads((tmp_path / "generators.json").read_text())
    (tmp_path / "generators.json").write_text(json.dumps(facts | {"schema_version": 99}))
    with pytest.raises(StoredStateError, match="99"):
        load_fitted(tmp_path)
    for change in ({"latent": 33}, {"latent": -1}, {"hidden": [10**400]}, {"mode": None}):
        other = facts | {"config": facts["config"] | change}
        (tmp_path / "generators.json").write_text(json.dumps(other))
        with pytest.raises(StoredStateError, match="sha256: does not fit"):
            load_fitted(tmp_path)
    for wrong in ({"latent": -1}, {"hidden": ["x"]}, {"mode": None}, {"critic_widths": []}):
        other = sealed(facts | {"config": facts["config"] | wrong})
        (tmp_path / "generators.json").write_text(json.dumps(other))
        with pytest.raises(StoredStateError, match=next(iter(wrong)).replace("critic_", "")):
            load_fitted(tmp_path)
    first = {name: value for name, value in facts.items() if name != "sha256"}
    (tmp_path / "generators.json").write_text(json.dumps(first | {"schema_version": 1}))
    assert load_fitted(tmp_path).config.latent == facts["config"]["latent"]  # of an older version

    # A lambda was called a penalty.
    block = facts["config"]["mediator"]
    old = {"penalty" if k == "lam" else k: v for k, v in block.items()}
    for mediator, good in ((old, True), (block | {"penalty": 0.2}, False)):
        other = facts | {"config": facts["config"] | {"mediator": mediator}}
        (tmp_path / "generators.json").write_text(json.dumps(sealed(other)))
        if good:
            assert load_fitted(tmp_path).config == generators(data).config
        else:
            with pytest.raises(StoredStateError, match="lam is missing, or there under two names"):
                load_fitted(tmp_path)

    tree = {"a": jnp.arange(3.0), "key": jax.random.key(1)}
    write_tree(tmp_path / "state.npz", tree)
    back = read_tree(tmp_path / "state.npz", tree)
    np.testing.assert_array_equal(
        jax.random.key_data(back["key"]), jax.random.key_data(tree["key"])
    )
    with pytest.raises(StoredStateError, match="other arrays"):
        read_tree(tmp_path / "state.npz", {"b": jnp.arange(3.0)})
    with pytest.raises(StoredStateError, match="not float64"):
        read_tree(tmp_path / "state.npz", {**tree, "a": jnp.arange(4.0)})
    (tmp_path / "state.npz").write_bytes(b"PK no zip")
    with pytest.raises(StoredStateError, match="damaged"):
        read_tree(tmp_path / "state.npz", tree)
