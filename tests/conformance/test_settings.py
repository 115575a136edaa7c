"""Every public pure function under JAX's stricter settings, and where its results lie."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from public_functions import NOT_PURE, PUBLIC

import jaxmed
from jaxmed.testing import example_data

# Numbers in, numbers out: the precision is JAX's default, not that of data.
WITHOUT_DATA = {name for name in PUBLIC if "power" in name} | {
    "detection_threshold",
    "size",
    "sample_size",
}


def test_the_list_holds_every_public_function():
    functions = {name for name in jaxmed.__all__ if inspect.isroutine(getattr(jaxmed, name))}
    # "paths by qr" and "joint_test, leave one out" are further calls of paths and joint_test.
    listed = {name.replace(",", "").split()[0] for name in PUBLIC}
    inside = {"zero_moments"}  # which `merge` starts from
    assert functions == (listed & functions) | inside | set(NOT_PURE)
    assert not set(NOT_PURE) & (listed | inside)


@pytest.mark.parametrize("name", PUBLIC)
def test_nothing_is_promoted_unsaid(name):
    """float32 data under x64, where a default dtype is another one than theirs."""
    data = example_data(dtype=jnp.float32)
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        found = jax.eval_shape(lambda key, d: PUBLIC[name](key, d), jax.random.key(0), data)
    if name not in WITHOUT_DATA:
        for leaf in jax.tree.leaves(found):
            assert leaf.dtype != jnp.float64


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLIC)
def test_no_nan_is_made_on_the_way(name):
    with jax.debug_nans(True):
        jax.block_until_ready(jax.jit(PUBLIC[name])(jax.random.key(0), example_data()))


RESAMPLED = {"permutations": 99, "folds": 2, "splits": 1}


@pytest.mark.parametrize(
    "resampled",
    [{"permutations": 0, "folds": 0}, pytest.param(RESAMPLED, marks=pytest.mark.slow)],
    ids=["once", "resampled"],
)
def test_mediate_under_strict_promotion(resampled):
    """The analysis as a whole, whose programs are compiled inside it."""
    data = example_data()
    columns = map(np.asarray, (data.exposure, data.mediators, data.outcome, data.covariates))
    data = jaxmed.mediation_data(*columns)
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        found = jaxmed.mediate(data, key=1, basis="linear", replicates=200, **resampled)
    total = np.linalg.lstsq(
        np.column_stack([np.ones(48), data.exposure, data.covariates]), data.outcome, rcond=None
    )[0][1]
    assert found.record.effect("total_effect")["estimate"] == pytest.approx(total, rel=1e-9)


PLACEMENT = """
import sys
import jax, numpy as np
import jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P
import jaxmed
from jaxmed.testing import check_estimator, example_data
from light_estimators import light_maxie
from public_functions import PUBLIC

data, last = example_data(), jax.devices()[-1]
columns = (data.exposure, data.mediators, data.outcome, data.covariates, data.weights)
host = [np.asarray(column) for column in columns]

def devices(tree):
    return set().union(*(leaf.devices() for leaf in jax.tree.leaves(tree)))

there = jaxmed.mediation_data(*jax.device_put(host, last))
assert devices(there) == {last}, devices(there)
mixed = jaxmed.mediation_data(*host[:1], jax.device_put(host[1], last), *host[2:])
assert devices(mixed) == {last}, devices(mixed)
alone = jaxmed.mediation_data(host[0], jax.device_put(host[1], last), host[2])
assert devices(alone) == {last}, devices(alone)
key = jax.device_put(jax.random.key(0), last)
each = jax.jit(lambda key, data: {name: PUBLIC[name](key, data) for name in NAMES})
for name, found in each(key, there).items():
    assert devices(found) == {last}, (name, devices(found))

mesh = jax.make_mesh((4,), ("rows",), axis_types=(AxisType.Auto,))
rows = [jax.device_put(c, NamedSharding(mesh, P("rows"))) for c in host]
sharded = jaxmed.mediation_data(*rows)
for leaf in jax.tree.leaves(sharded):
    assert leaf.sharding.spec[0] == "rows" and len(leaf.devices()) == 4, leaf.sharding
weights = jax.device_put(3 + host[0] ** 2, rows[4].sharding)
scaled = jaxmed.mediation_data(*rows[:4], weights)
assert len(scaled.weights.devices()) == 4
one, many = jaxmed.cross_moments(data), jax.jit(jaxmed.cross_moments)(sharded)
np.testing.assert_allclose(many.comoment, one.comoment, rtol=1e-9, atol=1e-9)

def joined(exposure, mediators, outcome=None):
    # Data of columns from several places, with which a program runs.
    made = jaxmed.mediation_data(exposure, mediators, host[2] if outcome is None else outcome)
    jaxmed.cross_moments(made)
    return made

first, second, third, _ = jax.devices()
on = jax.device_put
assert devices(joined(on(host[0], second), on(host[1], first))) == {first}
assert devices(joined(on(host[0], second), jnp.asarray(host[1]), on(host[2], third)).outcome) == {
    second
}
split = joined(on(host[0], second), rows[1], on(host[2], NamedSharding(mesh, P())))
assert split.exposure.sharding.spec == split.mediators.sharding.spec == P("rows")
backwards = NamedSharding(Mesh(mesh.devices[::-1], ("rows",)), P("rows"))
assert joined(on(host[0], backwards), rows[1]).exposure.sharding.mesh == mesh
assert devices(joined(rows[0], on(host[1], first))) == {first}
missing = host[0].copy()
missing[3] = np.nan
try:
    jaxmed.mediation_data(on(missing, rows[0].sharding), *rows[1:3], nan_policy="drop")
except ValueError as error:
    assert str(error).startswith("exposure of shape (47,)"), error
    assert "leave out rows" in str(error), error
else:
    raise AssertionError("47 rows on four devices were taken")

explicit = jax.make_mesh((4,), ("rows",), axis_types=(AxisType.Explicit,))
try:
    jaxmed.mediation_data(*[jax.device_put(c, NamedSharding(explicit, P("rows"))) for c in host])
except ValueError as error:
    assert "axis_types" in str(error), error
else:
    raise AssertionError("arrays with explicit axes were taken")
several = ("placement", "shard_map")
assert check_estimator(light_maxie, only=several) == several
assert not {"flax", "optax"} & set(sys.modules)  # for closed forms nobody needs them
print("placed")
"""


def test_arrays_stay_where_they_are():
    """On the last of four devices, and in pieces on all of them."""
    names = ["standardise", "cross_moments", "paths", "maxie", "cosine_test", "joint_test"]
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", f"NAMES = {names!r}\n{PLACEMENT}"],
        env={**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": path},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["placed"]
