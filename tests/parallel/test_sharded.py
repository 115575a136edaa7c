"""One, two, four and eight devices give the same statistics and the same sweeps."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json
import jax
import numpy as np
jax.config.update("jax_enable_x64", True)
from jaxmed import cross_moments, mediation_data, paths, sweep
from jaxmed.geometry.paths import dual_paths
from jaxmed.parallel.sharded import sharded_dual, sharded_moments, sharded_weights
from jaxmed.sweeps.reducers import stack

of_dual = jax.jit(dual_paths)
rng = np.random.default_rng(0)

def data(n, p, weighted):
    x, a, c = rng.normal(size=(n, p)) + 5, rng.normal(size=n), rng.normal(size=(n, 2))
    y = x[:, 0] + a + rng.normal(size=n)
    return mediation_data(a, x, y, c, rng.uniform(0.5, 2, n) if weighted else None)

def task(key, parameters):
    x = jax.random.normal(key, (20,))
    return {"mean": x.mean(), "square": (x * x).sum() * parameters}

found = []
for weighted, counts in COUNTS.items():
    tall, wide = data(203, 9, weighted), data(41, 133, weighted)
    exact, primal = cross_moments(tall), paths(wide)
    scale = np.sqrt(np.diagonal(exact.comoment))
    first = None
    for count in counts:
        devices = jax.devices()[:count]
        moments = sharded_moments(tall, devices)
        stats = sharded_dual(wide, devices)
        dual = of_dual(stats)
        weights = sharded_weights(wide, devices, dual.exposure_weights[:, None])[:, 0]
        draws = sweep(jax.random.key(1), task, 100, parameters=2.0, reducer=stack(), chunk=16,
                      mesh=devices)
        first = first or draws
        difference = (np.asarray(moments.comoment) - exact.comoment) / scale / scale[:, None]
        found.append({
            "devices": count,
            "moments": float(np.abs(difference).max()),
            "mean": float(np.abs(np.asarray(moments.mean) - exact.mean).max()),
            "count": [float(moments.count), float(exact.count)],
            "cosine": abs(float(dual.cosine) - float(primal.cosine)),
            "weights": float(np.abs(weights - primal.exposure_weights).max()),
            "sweep": all(np.array_equal(first[k], draws[k]) for k in first),
            "spread": len({d for d in moments.comoment.devices()}),
        })
print(json.dumps(found))
"""


EVERY = (1, 2, 4, 8)


@pytest.mark.parametrize(
    "counts",
    [
        {False: (1, 8), True: (2, 4)},
        pytest.param({False: EVERY, True: EVERY}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_statistics_and_sweeps_on_several_devices(counts):
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", f"COUNTS = {counts!r}\n{PROGRAM}"],
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert [entry["devices"] for entry in found] == [*counts[False], *counts[True]]
    for entry in found:
        assert entry["moments"] < 1e-12 and entry["mean"] < 1e-12
        assert entry["count"][0] == entry["count"][1]
        assert entry["cosine"] < 1e-12 and entry["weights"] < 1e-12
        assert entry["sweep"], "replicates must be the same bits on any number of devices"
        assert entry["spread"] == entry["devices"]
