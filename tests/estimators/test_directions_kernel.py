import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import status
from jaxmed.estimators.directions_kernel import (
    MediationMoments,
    direction_chen2018,
    direction_hdmed,
)

BUNDLED = Path(__file__).parents[1] / "reference"
SHARED = Path(__file__).parents[2].parent / "shared" / "reference"
FOLDERS = {
    "lin": BUNDLED / "lin",
    "mx20": BUNDLED / "mx20",
    "gA100": SHARED / "gahmn_A_n1000_p100",
    "gB100": SHARED / "gahmn_B_n1000_p100",
    "med": SHARED / "hdmed_med_dat",
    "hco": SHARED / "hima_ContinuousOutcome",
}
CHEN = jax.jit(direction_chen2018)
HDMED = jax.jit(direction_hdmed)


def load(name, call):
    folder = FOLDERS[name]
    if not folder.exists():
        pytest.skip(f"{name}: reference data outside the repository (GPL example data or size)")
    data = np.load(folder / "data.npz")
    record = json.loads((folder / f"own_dm_secular_{call}.json").read_text())
    return (data["A"], data["M"], data["Y"]), record


def moments(exposure, mediators, outcome, covariates=None, dtype=np.float64):
    n = len(exposure)
    base = np.ones((n, 1)) if covariates is None else np.c_[np.ones(n), covariates]
    a, m, y = (
        v - base @ np.linalg.lstsq(base, v, rcond=None)[0] for v in (exposure, mediators, outcome)
    )
    values = (m.T @ m, m.T @ a, m.T @ y, a @ a, a @ y, y @ y, float(n), base.shape[1] - 1.0)
    return MediationMoments(*(np.asarray(v, dtype) for v in values))


def misalignment(u, v):
    """1 - |cos|: the stored directions keep whatever sign their iteration ended with."""
    u, v = np.asarray(u), np.asarray(v)
    return 1 - abs(u @ v) / np.linalg.norm(u) / np.linalg.norm(v)


def published_iteration(exposure, mediators, outcome, w, theta, tolerance, most=5000):
    """The iteration with explicit intercepts on uncentred data, in numpy: the slow oracle."""
    n = len(exposure)
    ones = np.ones(n)
    d, q = np.linalg.eigh(mediators.T @ mediators)
    for _ in range(most):
        m = mediators @ w
        mediator_fit, outcome_fit = np.c_[ones, exposure], np.c_[ones, m, exposure]
        rss = [
            np.sum((v - x @ np.linalg.lstsq(x, v, rcond=None)[0]) ** 2)
            for x, v in ((mediator_fit, m), (outcome_fit, outcome))
        ]
        s2, s1 = rss[0] / (n - 2), rss[1] / (n - 3)
        t1, t2, t3, t4, t5 = theta
        target = t4 / s1 * (outcome - t3 - t5 * exposure) + (t1 + t2 * exposure) / s2
        curvature, phi = (t4**2 / s1 + 1 / s2) * d, q.T @ (mediators.T @ target)
        multiplier = np.max(np.abs(phi) - curvature)
        for _ in range(60):
            v = phi / (curvature + multiplier)
            size = np.linalg.norm(v)
            multiplier += (size - 1) * size**2 / np.sum(v * v / (curvature + multiplier))
        new_w = q @ v
        m = mediators @ new_w
        new = np.r_[
            np.linalg.lstsq(mediator_fit, m, rcond=None)[0],
            np.linalg.lstsq(np.c_[ones, m, exposure], outcome, rcond=None)[0],
        ]
        moved = max(np.sum((new - theta) ** 2), np.sum((new_w - w) ** 2))
        w, theta = new_w, new
        if moved < tolerance:
            break
    return w, theta


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("mx20", "gB100", "med", "hco")]


@pytest.mark.parametrize("name", ["lin", *SLOW])
def test_chen2018_is_the_secular_oracle(name):
    data, record = load(name, "bothterms")
    result = CHEN(moments(*data))
    assert int(result.status) == status.OK
    assert misalignment(result.weights, record["result"]["pdm"]) <= 1e-9
    np.testing.assert_allclose(result.indirect, record["result"]["ab"], rtol=5e-5)
    np.testing.assert_allclose(result.direct, record["result"]["direct"], rtol=5e-5)
    expected = record["intermediate"]["profile_loglik"]
    np.testing.assert_allclose(result.profile_loglik, expected, rtol=1e-6)
    # An exact property of fixed points, which the stored oracle reaches to 1e-3 at worst.
    np.testing.assert_allclose(result.multiplier, -(len(data[0]) - 2), rtol=1e-7)


def test_chen2018_is_where_the_published_iteration_ends():
    """From a start of its own, on data that need no file beside the repository."""
    a, m, y, _ = synthetic(5)
    result = CHEN(moments(a, m, y))
    start = np.full(m.shape[1], m.shape[1] ** -0.5)
    w, theta = published_iteration(a, m, y, start, np.full(5, 0.1), tolerance=1e-24)
    assert misalignment(w, result.weights) < 1e-13
    np.testing.assert_allclose(result.indirect, theta[1] * theta[3], rtol=1e-9)


@pytest.mark.slow
def test_chen2018_where_the_stored_oracle_stopped_early():
    """gA100: at its stop of 1e-13 the stored a*b is 7.6e-5 off the fixed point it approaches."""
    data, record = load("gA100", "bothterms")
    result = CHEN(moments(*data))
    assert int(result.status) == status.OK
    assert misalignment(result.weights, record["result"]["pdm"]) <= 1e-9
    stored = np.asarray(record["result"]["pdm"]), np.asarray(record["intermediate"]["theta"])
    w, theta = published_iteration(*data, *stored, tolerance=1e-22)
    assert misalignment(w, result.weights) < 1e-13
    np.testing.assert_allclose(result.indirect, theta[1] * theta[3], rtol=1e-6)
    assert float(result.profile_loglik) >= record["intermediate"]["profile_loglik"]
    np.testing.assert_allclose(result.indirect, record["result"]["ab"], rtol=1e-4)


@pytest.mark.parametrize("name", ["lin", pytest.param("gA100", marks=pytest.mark.slow), *SLOW])
def test_hdmed_is_the_outcome_regression(name):
    (a, m, y), record = load(name, "outcome_only")
    result = HDMED(moments(a, m, y))
    assert int(result.status) == status.OK
    n, p = m.shape
    b = np.linalg.lstsq(np.c_[np.ones(n), a, m], y, rcond=None)[0][2:]
    assert misalignment(result.weights, b) <= 4e-13
    assert misalignment(result.weights, record["result"]["pdm"]) <= 4e-13
    np.testing.assert_allclose(result.indirect, record["result"]["ab"], rtol=5e-5)
    np.testing.assert_allclose(result.outcome_effect, np.linalg.norm(b), rtol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(result.weights), 1, rtol=1e-12)


def synthetic(seed=0, n=200, p=8, q=2):
    rng = np.random.default_rng(seed)
    c = rng.normal(size=(n, q))
    a = rng.normal(size=n) + c[:, 0]
    m = np.outer(a, rng.normal(size=p)) + rng.normal(size=(n, p)) + c[:, 1:2]
    y = m @ rng.normal(size=p) + 0.5 * a + c[:, 0] + rng.normal(size=n)
    return a, m, y, c


def test_covariates_effects_and_orientation():
    a, m, y, c = synthetic()
    result = CHEN(moments(a, m, y, c))
    base = np.c_[np.ones(len(a)), c]
    score = m @ np.asarray(result.weights)
    t2 = np.linalg.lstsq(np.c_[base, a], score, rcond=None)[0][-1]
    t4, t5 = np.linalg.lstsq(np.c_[base, score, a], y, rcond=None)[0][-2:]
    assert t4 > 0
    values = [result.exposure_effect, result.outcome_effect, result.direct, result.indirect]
    np.testing.assert_allclose(values, [t2, t4, t5, t2 * t4], rtol=1e-8)
    np.testing.assert_allclose(result.multiplier, -(200 - 2 - 2), rtol=1e-8)


def test_more_starts_never_lower_the_likelihood():
    data = synthetic(1)
    starts = np.random.default_rng(2).normal(size=(6, 8))
    many = CHEN(moments(*data), np.r_[np.ones((1, 8)), starts])
    one = CHEN(moments(*data))
    assert float(many.profile_loglik) >= float(one.profile_loglik) - 1e-9


def test_degenerate_input_gives_nan_and_the_reason():
    a, m, y, c = synthetic()
    duplicate = np.c_[m[:, :7], m[:, 0]]
    for function in (CHEN, HDMED):
        result = function(moments(a, duplicate, y))
        assert int(result.status) == status.RANK_DEFICIENT
        assert np.isnan(np.asarray(result.weights)).all() and np.isnan(float(result.indirect))
        few = function(moments(a[:10], m[:10], y[:10]))
        assert int(few.status) >= status.TOO_FEW_ROWS
        assert np.isnan(float(few.indirect))
        nan = function(jax.tree.map(lambda x: x * np.nan, moments(a, m, y)))
        assert int(nan.status) == status.NONFINITE
    stopped = jax.jit(lambda x: direction_chen2018(x, max_iterations=2))(moments(a, m, y))
    assert int(stopped.status) == status.NOT_CONVERGED


def test_float32_and_vmap():
    both = [moments(*synthetic(s)) for s in (3, 4)]
    stacked = jax.tree.map(lambda *x: np.stack(x), *both)
    batch = jax.tree.map(np.asarray, jax.jit(jax.vmap(direction_chen2018))(stacked))
    for i in range(2):
        np.testing.assert_allclose(batch.weights[i], CHEN(both[i]).weights, atol=1e-9)
    single = CHEN(jax.tree.map(lambda x: np.asarray(x, np.float32), both[0]))
    assert single.weights.dtype == jnp.float32
    assert int(single.status) == status.OK
    assert misalignment(single.weights, batch.weights[0]) < 1e-6
