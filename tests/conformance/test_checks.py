"""The published list of checks, over every estimator of the library."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_estimator import BY_POSITION, DIFFERENTIABLE, METHODS

from jaxmed import status as st
from jaxmed.estimators.estimate import Effects, Estimate, MediatorEffects
from jaxmed.linalg.safe import divide
from jaxmed.testing import CHECKS, QUICK, check_estimator, example_data
from jaxmed.typing import Interval

# Traced, not compiled.
TRACED = ("structure", "strict_promotion", "rank_promotion")
# One of each kernel in the quick run.
FIRST = {
    "ols", "double_selection", "hima", "guo", "hdma", "hilma", "meddic", "maxie", "lasso_outcome",
}  # fmt: skip
NAMES = [name if name in FIRST else pytest.param(name, marks=pytest.mark.slow) for name in METHODS]


def check(name, only, data=None):
    return check_estimator(
        METHODS[name],
        data,
        key=jax.random.key(3),
        differentiable=name in DIFFERENTIABLE,
        exchangeable=name not in BY_POSITION,
        only=only,
    )


@pytest.mark.parametrize("name", NAMES)
def test_traced_checks(name):
    assert check(name, TRACED) == TRACED


def test_quick_checks():
    check("ols", [name for name in QUICK if name not in TRACED])


@pytest.mark.slow
@pytest.mark.parametrize("only", [name for name in CHECKS if name not in TRACED])
@pytest.mark.parametrize("name", METHODS)
def test_every_check(name, only):
    check(name, [only])


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_traced_checks_with_more_mediators_than_rows(name):
    check(name, TRACED, example_data(30, 45, 1))


def first_mediator(key, data):
    """A small method that keeps every promise: the product of two simple slopes."""
    del key
    a, m, y = (v - jnp.mean(v) for v in (data.exposure, data.mediators[:, 0], data.outcome))
    size = jnp.sum(a * a)
    constant = st.when(~(size > 0), st.DEGENERATE_EXPOSURE)
    status = st.combine(constant, st.when(~jnp.isfinite(jnp.sum(y * y)), st.NONFINITE))
    fatal = st.is_fatal(status)
    alpha, total = divide(jnp.sum(a * m), size), divide(jnp.sum(a * y), size)
    rest, left = m - alpha * a, y - total * a
    beta = divide(jnp.sum(rest * left), jnp.sum(rest * rest))
    parts = (total - alpha * beta, alpha * beta, total)
    nan = jnp.full_like(total, jnp.nan)
    none = jnp.full_like(data.mediators[0], jnp.nan)
    reason = jnp.full(none.shape, st.NOT_ESTIMATED, jnp.int32)
    return Estimate(
        Effects(*(jnp.where(fatal, nan, part) for part in parts)),
        Effects(nan, nan, nan),
        Effects(*[Interval(nan, nan)] * 3),
        MediatorEffects(*[none] * 12, reason),
        jnp.arange(none.size) == 0,
        status,
        None,
    )


def broken(**changes):
    """`first_mediator` with fields made anew from (key, data, estimate)."""

    def method(key, data):
        found = first_mediator(key, data)
        made = {name: make(key, data, found) for name, make in changes.items()}
        return dataclasses.replace(found, **made)

    return method


def times(factor):
    """`first_mediator` with all three effects times a function of the data."""
    return broken(
        effects=lambda key, data, found: jax.tree.map(lambda e: e * factor(data), found.effects)
    )


def detail(make):
    """`first_mediator` with a detail made of the data."""
    return broken(details=lambda key, data, found: make(data))


def through_host(data):
    """One, by way of the host, which knows neither vmap nor export."""
    one = jax.ShapeDtypeStruct((), data.exposure.dtype)
    return jax.pure_callback(np.ones_like, one, data.outcome[0])


def few(data):
    """NaN for fewer than ten rows, and one otherwise."""
    return jnp.nan if data.exposure.shape[0] < 10 else 1.0


RANDOM = np.random.default_rng(0)
BROKEN = {
    "structure": detail(lambda data: 1.0),
    "precision": detail(lambda data: jnp.zeros((), jnp.float16)),
    "strict_promotion": detail(lambda data: data.exposure * jnp.arange(data.exposure.size)),
    "rank_promotion": detail(lambda data: data.mediators - data.mediators[0]),
    "additivity": broken(
        effects=lambda key, data, found: dataclasses.replace(found.effects, total=data.exposure[0])
    ),
    "determinism": detail(lambda data: jnp.asarray(RANDOM.normal(size=3), data.exposure.dtype)),
    "units": times(lambda data: 1 + jnp.mean(data.exposure**2)),
    "row_order": times(lambda data: data.outcome[0] / data.outcome[1]),
    "bad_data": broken(status=lambda key, data, found: jnp.zeros((), jnp.int32)),
    "vmap": times(through_host),
    "gradient": times(lambda data: jax.lax.stop_gradient(1 / jnp.mean(data.outcome)) * 0),
    "shard_map": times(through_host),
    "export": times(through_host),
    "few_rows": times(few),
    "eager": times(lambda data: 2.0 if isinstance(data.exposure, jax.core.Tracer) else 1.0),
}
# A pure function of arrays cannot break these on one device.
UNBROKEN = {"placement", "donated", "debug_nans"}


def test_a_sound_method_passes_every_check():
    assert check_estimator(first_mediator, differentiable=True) == tuple(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_finds_what_it_looks_for(name):
    if name in UNBROKEN:
        assert name not in BROKEN
        return
    with pytest.raises(AssertionError, match=f"check '{name}' failed"):
        check_estimator(BROKEN[name], differentiable=True, only=[name])


def test_unknown_checks_are_refused():
    with pytest.raises(ValueError, match="no check"):
        check_estimator(first_mediator, only=["shape"])
