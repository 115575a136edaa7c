"""Jackknife by zero weights: closed forms, a loop, groups, failures, and BCa with it."""

import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from light_estimators import light_maxie, product
from problems import problem, with_rows_without_weight

from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators import reg_exposure
from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.sweeps.bootstrap import bootstrap
from jaxmed.sweeps.bootstrap_intervals import bootstrap_interval
from jaxmed.sweeps.jackknife import jackknife


def mean_like(key, data):
    """Weighted mean of the outcome, and its variance with divisor n."""
    del key
    w = jnp.ones_like(data.outcome) if data.weights is None else data.weights
    mean = jnp.sum(w * data.outcome) / jnp.sum(w)
    variance = jnp.sum(w * (data.outcome - mean) ** 2) / jnp.sum(w)
    effects = Effects(variance, mean, mean)
    return Estimate(effects, None, None, None, None, jnp.int32(0), None)


def test_mean_and_variance_have_their_closed_forms():
    y = problem(np.random.default_rng(0), 25, 2)
    found = jackknife(y, mean_like, chunk=7)
    values, n = np.asarray(y.outcome), 25
    mean = found["indirect"]
    np.testing.assert_allclose(mean.standard_error, values.std(ddof=1) / n**0.5, rtol=1e-10)
    np.testing.assert_allclose(mean.bias, 0, atol=1e-10)
    centred = values - values.mean()
    skew = np.sum(centred**3) / (6 * np.sum(centred**2) ** 1.5)
    np.testing.assert_allclose(mean.acceleration, skew, rtol=1e-9)
    # The bias of the variance with divisor n is removed exactly.
    variance = found["direct"]
    np.testing.assert_allclose(variance.estimate - variance.bias, values.var(ddof=1), rtol=1e-9)
    assert found.groups == 25 and found.statuses == {"OK": 25}


# Outside of the sweep, one program each.
indirect_of = {
    estimator: jax.jit(lambda data, estimator=estimator: estimator(None, data).effects.indirect)
    for estimator in (light_maxie, product)
}


@pytest.mark.parametrize(
    ("estimator", "options"),
    [
        (light_maxie, dict(chunk=64)),
        (product, dict(chunk=8, batch=3)),
        (product, dict(chunk=5, batch=None)),
        pytest.param(light_maxie, dict(chunk=8, batch=3), marks=pytest.mark.slow),
        pytest.param(light_maxie, dict(chunk=5, batch=None), marks=pytest.mark.slow),
    ],
    ids=[
        f"{e}-{i}"
        for e, i in (("maxie", 0), ("product", 1), ("product", 2), ("maxie", 1), ("maxie", 2))
    ],
)
def test_leave_one_out_equals_a_loop(estimator, options):
    indirect = indirect_of[estimator]
    data = problem(np.random.default_rng(1), 24, 4, 1)
    seen = []
    found = jackknife(data, estimator, mesh=jax.devices()[:1], progress=seen.append, **options)
    left = np.array(
        [float(indirect(jax.tree.map(lambda x, i=i: np.delete(x, i, 0), data))) for i in range(24)]
    )
    np.testing.assert_allclose(found.draws["indirect"], left, rtol=1e-8)
    measure, estimate = found["indirect"], float(indirect(data))
    np.testing.assert_allclose(measure.estimate, estimate, rtol=1e-9)
    np.testing.assert_allclose(measure.bias, 23 * (left.mean() - estimate), rtol=1e-6)
    np.testing.assert_allclose(
        measure.standard_error, np.sqrt(23 / 24 * np.sum((left - left.mean()) ** 2)), rtol=1e-7
    )
    assert sum(seen) == 25  # with the fit of all rows


def test_groups_of_unequal_size():
    """For the mean, deleting groups gives the between-group variance of the group means."""
    rng = np.random.default_rng(2)
    data = problem(rng, 30, 2)
    labels = np.repeat(["a", "b", "c", "d"], [5, 5, 10, 10])
    found = jackknife(data, mean_like, groups=labels, chunk=4)["indirect"]
    y, h = np.asarray(data.outcome), 30 / np.array([5, 5, 10, 10])
    means = np.array([y[labels == g].mean() for g in "abcd"])
    # The pseudo-value of a group is its own mean.
    np.testing.assert_allclose(found.bias, 0, atol=1e-10)
    expected = np.mean((means - y.mean()) ** 2 / (h - 1))
    np.testing.assert_allclose(found.standard_error, expected**0.5, rtol=1e-9)


def test_case_weights_stay_and_rows_without_weight_are_no_units():
    rng = np.random.default_rng(3)
    data = problem(rng, 20, 3)
    a = jackknife(data, product, chunk=32)
    b = jackknife(with_rows_without_weight(rng, data, 9), product, chunk=32)
    assert b.groups == 20
    np.testing.assert_allclose(b.draws["indirect"], a.draws["indirect"], rtol=1e-8)
    w = rng.uniform(0.5, 2, 20)
    weighted = MediationData(
        data.exposure, data.mediators, data.outcome, data.covariates, w / w.mean()
    )
    found = jackknife(weighted, mean_like, chunk=32)["indirect"]
    y = np.asarray(data.outcome)
    left = np.array([np.average(np.delete(y, i), weights=np.delete(w, i)) for i in range(20)])
    expected = np.sqrt(19 / 20 * np.sum((left - left.mean()) ** 2))
    np.testing.assert_allclose(found.standard_error, expected, rtol=1e-9)


def test_a_failed_fit_is_counted_and_leaves_no_number():
    data = problem(np.random.default_rng(4), 12, 10, scale=0)  # p = n - 2: no row to spare
    found = jackknife(data, reg_exposure(), chunk=16)
    assert found.statuses == {"TOO_FEW_ROWS": 12}
    measure = found["indirect"]
    assert measure.missing == 12 and math.isnan(measure.standard_error)
    assert not math.isnan(measure.estimate)
    dual = problem(np.random.default_rng(4), 12, 20)
    assert jackknife(dual, light_maxie, chunk=16).statuses == {"RESTRICTED": 12}


def test_one_program_for_all_blocks():
    traced = []

    def estimator(key, data):
        traced.append(1)
        return mean_like(key, data)

    for seed in (5, 6):
        jackknife(problem(np.random.default_rng(seed), 30, 2), estimator, chunk=8)
    assert len(traced) == 1


def test_bca_takes_the_acceleration_of_the_jackknife():
    data = problem(np.random.default_rng(7), 30, 3)
    key = jax.random.key(1)
    found = bootstrap(key, data, product, 200, intervals=("bc", "bca"), chunk=50)
    left = jackknife(data, product, chunk=50)
    for name, measure in found.measures.items():
        expected = bootstrap_interval(
            found.draws[name],
            measure.estimate,
            kind="bca",
            level=0.95,
            method="bca bootstrap, exponential weights",
            acceleration=left[name].acceleration,
        )
        np.testing.assert_allclose(measure.intervals["bca"].lower, expected.lower, rtol=1e-9)
        assert measure.intervals["bca"].method == expected.method
    given = {name: 0.0 for name in found.measures}
    plain = bootstrap(
        key, data, product, 200, intervals=("bc", "bca"), acceleration=given, chunk=50
    )["total"].intervals
    assert plain["bca"].lower == plain["bc"].lower


def test_misuse():
    data = problem(np.random.default_rng(8), 20, 2)
    with pytest.raises(ValueError, match="at least 2 groups"):
        jackknife(data, mean_like, groups=np.zeros(20))
    with pytest.raises(ValueError, match="one label per row"):
        jackknife(data, mean_like, groups=np.arange(19))
    with pytest.raises(ValueError, match="chunk"):
        jackknife(data, mean_like, chunk=0)


DEVICES = """
import sys
sys.path.insert(0, "tests")
import jax, numpy as np
from light_estimators import product
from problems import problem
from jaxmed.sweeps.bootstrap import bootstrap
from jaxmed.sweeps.jackknife import jackknife
assert len(jax.devices()) == 4
data = problem(np.random.default_rng(0), 30, 4, 1)
for devices in (jax.devices()[:1], jax.devices(), jax.make_mesh((4,), ("devices",))):
    left = jackknife(data, product, chunk=6, mesh=devices).draws
    drawn = bootstrap(jax.random.key(0), data, product, 30, chunk=6, mesh=devices).draws
    print(*(values.tobytes().hex() for values in (*left.values(), *drawn.values())))
"""


@pytest.mark.slow  # in every run test_sweep.py has two devices
def test_four_devices_give_the_bytes_of_one():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-c", DEVICES],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    assert len(set(done.stdout.splitlines())) == 1 and len(done.stdout) > 1000
