"""Columns off a basis, by blocks, at once and from the host."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import MediationData, maxie, paths
from jaxmed.geometry.dual_paths import dual_paths
from jaxmed.statistics import residual_columns as module
from jaxmed.statistics.dual_stats import dual_statistics

N, P = 30, 45


def problem(weighted, offset=0.0, n=N):
    rng = np.random.default_rng(1)
    x, c = offset + rng.normal(size=(n, P)), rng.normal(size=(n, 2))
    w = rng.integers(1, 4, n).astype(float) if weighted else np.ones(n)
    basis = np.linalg.qr(np.sqrt(w)[:, None] * np.column_stack([np.ones(n), c]))[0]
    return x, w, basis, rng.normal(size=(n, 2))


def expected(x, w, basis):
    z = np.sqrt(w)[:, None] * (x - (w @ x) / w.sum())
    return z - basis @ (basis.T @ z)


@functools.partial(jax.jit, static_argnums=5)
def found(x, w, basis, rows, weights, block):
    """Whatever is asked of columns; `block` is what the module had while it was traced."""
    assert block == module.BLOCK_COLUMNS
    columns = module.residual_columns(x, w, basis)
    return columns.kernel(), columns.cross(rows), columns.times(weights), columns.array()


@pytest.mark.parametrize("block", [16, 15, 64], ids=["rest", "whole", "one"])
@pytest.mark.parametrize("weighted", [False, True])
def test_by_blocks_as_written_out(monkeypatch, weighted, block):
    monkeypatch.setattr(module, "BLOCK_COLUMNS", block)
    x, w, basis, rows = problem(weighted)
    z = expected(x, w, basis)
    kernel, cross, score, array = found(x, w, basis, rows, np.arange(P) / P, block)
    assert np.array_equal(kernel, kernel.T)
    for ours, theirs in (
        (kernel, z @ z.T),
        (cross, z.T @ rows),
        (score, z @ np.arange(P) / P),
        (array, z),
    ):
        assert np.abs(ours - theirs).max() < 1e-13 * P


def test_large_means_cost_no_digits(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_COLUMNS", 16)
    x, w, basis, rows = problem(False, offset=1e6)
    kernel, cross, _, _ = found(x, w, basis, rows, np.arange(P) / P, 16)
    z = expected(x, w, basis)
    assert np.abs(cross - z.T @ rows).max() < 1e-8
    assert np.abs(kernel - z @ z.T).max() < 1e-8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exact_values_with_a_large_mean_have_the_weights_of_centred_ones(monkeypatch, dtype):
    """Counts: values that the dtype holds exactly, whatever their mean."""
    monkeypatch.setattr(module, "BLOCK_COLUMNS", 16)
    mean = {"float32": 1e4, "float64": 1e8}[dtype]
    x, _, _, rows = problem(False)
    x = np.round(64 * x) / 64

    @jax.jit
    def weights(x):
        data = MediationData(rows[:, 0].astype(dtype), x, rows[:, 1].astype(dtype), rows[:, :0])
        return maxie(paths(dataclasses.replace(data, covariates=x[:, :0]))).weights

    near, far = weights(x.astype(dtype)), weights((x + mean).astype(dtype))
    eps = np.finfo(dtype).eps
    assert np.abs(near - far).max() < 1e3 * eps * np.abs(near).max()


def test_derivatives_are_those_of_the_whole(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_COLUMNS", 16)
    x, w, basis, rows = problem(True)

    def value(x, whole):
        columns = module.residual_columns(x, w, basis)
        z = columns.array()
        kernel, cross = (z @ z.T, z.T @ rows) if whole else (columns.kernel(), columns.cross(rows))
        return jnp.sum(jnp.sin(kernel)) + jnp.sum(jnp.cos(cross))

    @jax.jit
    def derivatives(x, tangent):
        forward = jax.jvp(lambda x: value(x, False), (x,), (tangent,))[1]
        return jax.grad(value)(x, False), jax.grad(value)(x, True), forward

    own, whole, forward = map(np.asarray, derivatives(x, x + 1))
    assert np.abs(own - whole).max() < 1e-10
    assert forward == pytest.approx(float(np.sum(whole * (x + 1))), rel=1e-10)


@pytest.mark.parametrize("weighted", [pytest.param(False, marks=pytest.mark.slow), True])
def test_host_and_device_have_the_same_paths(monkeypatch, weighted):
    monkeypatch.setattr(module, "BLOCK_COLUMNS", 16)
    x, w, _, rows = problem(weighted)
    data = MediationData(rows[:, 0], x, rows[:, 1], rows[:, :0], w if weighted else None)
    on_device = jax.tree.map(jnp.asarray, data)
    host = dual_statistics(data)
    assert isinstance(host.mediators, module.WrittenColumns)
    here = jax.jit(lambda stats: maxie(dual_paths(stats)))(host)
    there = jax.jit(lambda d: maxie(paths(d)))(on_device)
    weights = np.asarray(there.weights)
    assert np.abs(here.weights - weights).max() < 1e-11 * np.abs(weights).max()
    assert int(here.status) == int(there.status)
    batch = jax.tree.map(lambda v: np.stack([v, v]), data)
    many = jax.jit(jax.vmap(lambda d: maxie(paths(d)).weights))(batch)
    assert np.abs(np.asarray(many)[1] - weights).max() < 1e-11 * np.abs(weights).max()
