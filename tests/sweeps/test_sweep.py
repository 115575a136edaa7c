"""Sweeps: the same numbers whatever the chunks, devices and companions; one compilation."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from light_estimators import light_maxie

from jaxmed import estimators, status
from jaxmed.inference.cosine_test import cosine_test
from jaxmed.simulate import ar1_factor, law_of, linear_sem, sample
from jaxmed.sweeps import BlockTask, stack, study_task, sweep
from jaxmed.sweeps.levels import path_task

KEY = jax.random.key(7)


@functools.partial(jax.jit, static_argnums=0)
def model(p=4, alpha=0.2, beta=0.3, direct=0.1):
    """One program, where each operation would be one."""
    return linear_sem(
        jnp.full(p, alpha), jnp.full(p, beta), direct=direct, lower=ar1_factor(p, 0.5)
    )


law = jax.jit(law_of)


def small_study():
    return study_task(lambda key, sem: sample(key, sem, 30), {"maxie": light_maxie})


@pytest.fixture(scope="module")
def study():
    """A task, whose programs are compiled once for the module, and 20 replicates in one chunk."""
    task = small_study()
    return task, sweep(KEY, task, 20, parameters=model(), chunk=20, reducer=stack())


def test_replicates_are_those_of_a_loop(study):
    task, _ = study
    found = sweep(KEY, task, 10, parameters=model(), chunk=6, batch=None, reducer=stack())
    one = jax.jit(task)
    for i in range(10):
        alone = one(jax.random.fold_in(KEY, i), model())
        for name, value in alone.items():
            np.testing.assert_allclose(found[name][i], value, rtol=1e-12)


@pytest.mark.parametrize("batch", [1, 3, None])
def test_chunks_and_batches_do_not_matter(study, batch):
    task, whole = study
    parts = sweep(KEY, task, 20, parameters=model(), chunk=6, batch=batch, reducer=stack())
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-10, err_msg=name)


def test_another_method_leaves_the_others_alone():
    def drawn(*names):
        """A method here is nothing but a draw from the key it is given."""
        methods = {name: lambda key, data: jax.random.normal(key) for name in names}
        task = study_task(lambda key, _: None, methods, lambda draw, data: {"draw": draw})
        return sweep(KEY, task, 8, chunk=8, reducer=stack())

    one, two = drawn("b"), drawn("a", "b", "c")
    np.testing.assert_array_equal(one["b/draw"], two["b/draw"])
    assert len(np.unique([two[f"{name}/draw"] for name in "abc"])) == 3 * 8


def test_parameters_do_not_compile_again():
    traces = []

    def task(key, shift):
        traces.append(1)
        return {"x": jax.random.normal(key) + shift}

    for shift in (0.0, 1.0, 2.0):
        found = sweep(KEY, task, 3000, parameters=shift, chunk=1000, batch=None)
        assert found["x"].mean == pytest.approx(shift, abs=5 / np.sqrt(3000))
    assert len(traces) == 1


def test_failed_replicates_are_counted():
    def task(key, _):
        bad = jax.random.uniform(key) < 0.3
        return {
            "m/x": jnp.where(bad, jnp.nan, 1.0),
            "m/status": status.when(bad, status.RANK_DEFICIENT),
        }

    found = sweep(KEY, task, 500, chunk=100, batch=None)
    failed = found.statuses["m"]["RANK_DEFICIENT"]
    assert failed == found["m/x"].missing and 100 < failed < 200 and found["m/x"].mean == 1


def test_block_tasks_and_the_tail_of_the_last_chunk():
    task = BlockTask(lambda key, scale, size: {"x": scale * jax.random.normal(key, (size,))})
    found = sweep(KEY, task, 250, parameters=2.0, chunk=100, reducer=stack())
    assert found["x"].shape == (250,)
    longer = sweep(KEY, task, 300, parameters=2.0, chunk=100, reducer=stack())
    np.testing.assert_array_equal(found["x"], longer["x"][:250])


@pytest.mark.parametrize("level", ["data", "gram", "exact"])
def test_null_size_at_every_level(level):
    n, p, count = 60, 5, 4000
    sem = model(p, 0.3, 0.0, 0.0)
    parameters = sem if level == "data" else law(sem, n)
    critical = scipy.stats.t.isf(0.025, p - 1)
    task = path_task(
        level,
        lambda q: {"rejected": jnp.abs(cosine_test(q).statistic) > critical},
        num_rows=n,
        num_mediators=p,
    )
    found = sweep(KEY, task, count, parameters=parameters, chunk=2000)["rejected"]
    assert abs(found.mean - 0.05) < 5 * np.sqrt(0.05 * 0.95 / count)


def test_a_task_returns_scalars():
    with pytest.raises(ValueError, match="'x'.*named scalars"):
        sweep(KEY, lambda key, _: {"x": jax.random.normal(key, (2,))}, 5)
    for wrong in ({"count": 0}, {"count": 5, "chunk": 0}, {"count": 5, "batch": 0}):
        with pytest.raises(ValueError):
            sweep(KEY, lambda key, _: {"x": jax.random.normal(key)}, **wrong)
    with pytest.raises(ValueError, match="at least one named scalar"):
        sweep(KEY, lambda key, _: {}, 5)
    with pytest.raises(ValueError, match="slash"):
        study_task(lambda key, _: None, {"a/b": estimators.maxie()})
    with pytest.raises(ValueError, match="no device"):
        sweep(KEY, lambda key, _: {"x": jax.random.normal(key)}, 5, mesh=[])


PROGRAM = """
import sys, jax, numpy as np, jax.numpy as jnp
sys.path.insert(0, "tests")
from light_estimators import light_maxie
from jaxmed.simulate import ar1_factor, linear_sem, sample, law_of
from jaxmed.sweeps import stack, study_task, sweep
from jaxmed.sweeps.levels import path_task
from jaxmed.inference.cosine_test import cosine_test
assert len(jax.devices()) == COUNT
used, module = set(), sys.modules["jaxmed.sweeps.sweep"]
dispatch = module.dispatch
def watched(*arguments):
    scores = dispatch(*arguments)
    used.update(*(value.devices() for value in scores.values()))
    return scores
module.dispatch = watched
def swept(*arguments, mesh, **options):
    used.clear()
    found = sweep(key, *arguments, reducer=stack(), mesh=mesh, **options)
    assert used == set(mesh), used
    return found
key = jax.random.key(0)
sem = linear_sem(jnp.full(40, .1, jnp.float32), jnp.full(40, .2, jnp.float32), direct=.1)
task = study_task(lambda key, sem: sample(key, sem, 300), {"maxie": light_maxie})
exact = path_task("exact", lambda q: {"statistic": cosine_test(q).statistic})
law = law_of(sem, 300)
for devices in (1, COUNT):
    mesh = jax.devices()[:devices]
    found = swept(task, 40, parameters=sem, chunk=8, mesh=mesh)
    found |= swept(exact, 5000, parameters=law, chunk=1000, mesh=mesh)
    assert found["maxie/indirect"].dtype == np.float32
    sys.stdout.buffer.write(b"".join(found[k].tobytes() for k in sorted(found)))
"""


@pytest.mark.device
@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_devices_give_the_same_bytes(count):
    flags = os.environ.get("XLA_FLAGS", "") + f" --xla_force_host_platform_device_count={count}"
    environment = {**os.environ, "XLA_FLAGS": flags, "NPROC": "4", "JAX_ENABLE_X64": "0"}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", f"COUNT = {count}\n{PROGRAM}"]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, check=True)
    both = done.stdout
    half = len(both) // 2
    assert half > 20_000 and both[:half] == both[half:]
