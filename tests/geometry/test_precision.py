"""Relative error of T by condition number, dtype and route, against the measured table."""

import jax
import numpy as np
import pytest

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.geometry.paths import paths
from jaxmed.inference.cosine_test import cosine_test

N, P = 400, 40
# cond(S): float64 Gram, float64 QR, float32 Gram, float32 QR, as measured for the specification.
TABLE = {
    1e1: (1e-15, 1e-16, 2e-7, 4e-9),
    1e3: (1e-14, 9e-16, 3e-6, 3e-7),
    1e5: (2e-13, 3e-16, 2e-4, 5e-7),
    1e6: (3e-13, 3e-14, 1e-3, 9e-6),
    1e7: (2e-11, 1e-14, 2e-2, 4e-5),
    1e8: (1e-10, 4e-13, 2e-1, 4e-5),
    1e10: (2e-8, 4e-13, np.nan, 6e-4),
    1e12: (3e-7, 8e-12, np.nan, 7e-3),
}
# XLA adds up in another order with JAX 0.12: 4.9e-6 in float32, some 40 roundings.
FLOOR = {"float64": 2e-14, "float32": 4e-6 if jax.__version_info__ < (0, 10) else 6e-6}


def conditioned(condition, seed=0):
    """Mediators whose residual Gram has the given condition number, columns of equal length."""
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.normal(size=(N, P)))[0]
    v = np.linalg.qr(rng.normal(size=(P, P)))[0]
    x = (u * np.geomspace(1, condition**-0.5, P)) @ v.T * np.sqrt(N)
    a = rng.normal(size=N)
    x = x + 0.02 * a[:, None] * np.linalg.norm(x, axis=0) / np.sqrt(N)
    y = x @ rng.normal(size=P) * 0.2 + 0.5 * a + rng.normal(size=N)
    return MediationData(a, x, y, np.zeros((N, 0)))


statistic_of = jax.jit(lambda result: cosine_test(result).statistic)
reference_of = jax.jit(lambda data: statistic_of(paths(data, route="qr")))


def statistic(data, dtype):
    """By the route that is chosen outside jit, where the condition is known."""
    result = paths(jax.tree.map(lambda v: v.astype(dtype), data))
    return result, float(statistic_of(result))


@pytest.mark.parametrize(
    ("condition", "dtype"),
    [
        *(pytest.param(c, "float64", marks=pytest.mark.slow if c > 1e8 else ()) for c in TABLE),
        *((c, "float32") for c in TABLE),
    ],
)
def test_error_of_the_route_chosen(condition, dtype):
    data = conditioned(condition)
    # The float32 columns are what both precisions see: rounding of the inputs is not the method's
    # error.
    if dtype == "float32":
        data = jax.tree.map(lambda v: v.astype(np.float32).astype(np.float64), data)
    reference = float(reference_of(data))
    result, value = statistic(data, dtype)
    gram64, qr64, gram32, qr32 = TABLE[condition]
    bound = {
        ("float64", "gram"): max(gram64, 1e-16 * condition),
        ("float64", "qr"): max(qr64, 1e-14),
        ("float32", "gram"): gram32,
        ("float32", "qr"): qr32,
    }[(dtype, result.route)]
    error = abs(value / reference - 1)
    assert error <= max(10 * bound, FLOOR[dtype]), (error, bound, result.route)


def test_the_route_is_visible_and_right():
    routes = {
        (dtype, c): statistic(conditioned(c), dtype)[0].route
        for dtype in ("float32", "float64")
        for c in (1e1, 1e8)
    }
    assert routes[("float32", 1e1)] == "gram"
    assert routes[("float32", 1e8)] == "qr"
    assert routes[("float64", 1e1)] == "gram"
    assert routes[("float64", 1e8)] == "gram"


def test_under_jit_the_loss_is_a_status():
    data = jax.tree.map(lambda v: v.astype(np.float32), conditioned(1e6))
    result = jax.jit(paths)(data)
    assert int(result.status) == st.ILL_CONDITIONED
    assert np.isfinite(float(result.cosine))


condition_of = jax.jit(lambda data: paths(data, route="qr").condition)


@pytest.mark.parametrize("condition", [1e1, 1e4, 1e8])
def test_condition_estimate_is_close_from_below(condition):
    data = conditioned(condition)
    a = data.exposure - data.exposure.mean()
    x = data.mediators - data.mediators.mean(axis=0)
    z = x - np.outer(a, a @ x) / (a @ a)
    # The estimate is for the mediators' block of a factor whose columns had unit length before
    # the exposure was projected out.
    true = np.linalg.cond(z / np.linalg.norm(x, axis=0)) ** 2
    estimate = float(condition_of(data))
    assert true / 10 <= estimate <= 1.01 * true
