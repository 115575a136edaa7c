"""Moments: merging, weights, host against device, blocks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem

from jaxmed.geometry.paths import paths
from jaxmed.statistics import cross_moments as module
from jaxmed.statistics.cross_moments import CrossMoments, cross_moments, merge, zero_moments

paths_of = jax.jit(paths)


@pytest.fixture
def data():
    return problem(np.random.default_rng(1), 47, 9, 2)


def rows(data, which):
    return jax.tree.map(lambda v: v[which], data)


def equal(first, second, rtol=1e-12):
    for name in ("count", "weight", "weight_square", "mean", "comoment"):
        one, other = np.asarray(getattr(first, name)), np.asarray(getattr(second, name))
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * np.abs(other).max())


@pytest.mark.parametrize("cuts", [(1,), (20,), (5, 6, 30), tuple(range(1, 47))])
def test_merge_of_any_split_is_the_whole(data, cuts):
    parts = [cross_moments(rows(data, s)) for s in np.split(np.arange(47), cuts)]
    total = zero_moments(9, 2, names=data.names)
    for part in parts:
        total = merge(total, part)
    equal(total, cross_moments(data))
    np.testing.assert_allclose(paths_of(total).cosine, paths_of(data).cosine, rtol=1e-11)


def test_merge_is_associative_and_has_an_identity(data):
    a, b, c = (cross_moments(rows(data, slice(i, i + 15))) for i in (0, 15, 30))
    equal(merge(merge(a, b), c), merge(a, merge(b, c)))
    equal(merge(zero_moments(9, 2, names=data.names), a), a)
    equal(merge(a, zero_moments(9, 2, names=data.names)), a)


def test_merge_refuses_other_columns(data):
    with pytest.raises(ValueError, match="9 mediators and 2 covariates against 8 mediators"):
        merge(cross_moments(data), zero_moments(8, 2))


def test_adding_moments_is_an_error(data):
    with pytest.raises(TypeError):
        cross_moments(data) + cross_moments(data)


@pytest.mark.parametrize("weighted", [False, True])
def test_host_and_device_agree_also_in_blocks(data, weighted, monkeypatch):
    if weighted:
        w = np.random.default_rng(2).uniform(0, 2, 47)
        w[:5] = 0
        data = dataclasses.replace(data, weights=w * np.count_nonzero(w) / w.sum())
    device = cross_moments(jax.tree.map(jnp.asarray, data))
    equal(cross_moments(data), device)
    monkeypatch.setattr(module, "HOST_BLOCK_BYTES", 1)
    monkeypatch.setattr(module, "HOST_BLOCK_ROWS", 8)
    equal(cross_moments(data), device)


def test_float32_host_blocks_are_summed_in_float64(monkeypatch):
    monkeypatch.setattr(module, "HOST_BLOCK_BYTES", 1)
    monkeypatch.setattr(module, "HOST_BLOCK_ROWS", 64)
    data = problem(np.random.default_rng(1), 4000, 6, 1, scale=0.0, offset=100.0)
    exact = cross_moments(data)
    single = cross_moments(jax.tree.map(lambda v: v.astype(np.float32), data))
    assert single.comoment.dtype == np.float32
    scale = np.sqrt(np.diag(exact.comoment))
    error = np.abs(single.comoment - exact.comoment) / scale / scale[:, None]
    # Rounding of the inputs, 6e-8 of a mean 100 times the spread, is what is left.
    assert error.max() < 2e-5


def test_moments_are_a_pytree_that_jits(data):
    moments = jax.jit(cross_moments)(data)
    assert isinstance(moments, CrossMoments)
    assert moments.num_mediators == 9


def test_moments_of_the_host_are_merged_there(data):
    data = jax.tree.map(np.asarray, data)
    halves = [cross_moments(rows(data, part)) for part in (slice(20), slice(20, None))]
    with jax.enable_x64(False):
        merged = merge(*halves)
    for leaf in jax.tree.leaves(merged):
        assert isinstance(leaf, np.ndarray | np.generic) and leaf.dtype == np.float64
    equal(merged, merge(*jax.tree.map(jnp.asarray, halves)))
    nothing = jax.tree.map(np.asarray, zero_moments(9, 2))
    equal(merge(nothing, halves[0]), halves[0])
    equal(merge(nothing, nothing), nothing)
