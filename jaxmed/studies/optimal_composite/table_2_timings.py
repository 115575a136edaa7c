"""Times of the closed forms, their numerical peers and the baselines, from rows to weights."""

import importlib.util
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.directions import directions
from jaxmed.estimators.numerical import numerical
from jaxmed.geometry.paths import paths
from jaxmed.simulate.covariance import ar1_factor
from jaxmed.simulate.linear_sem import sample
from jaxmed.statistics.cross_moments import cross_moments
from jaxmed.studies.optimal_composite.designs import (
    CORRELATION,
    DUAL_SIZE,
    PRIMAL_SIZES,
    overlap,
    scenario_model,
)
from jaxmed.studies.optimal_composite.numerical_peers import (
    RESTARTS,
    Objective,
    raw_moments,
    search_by_differences,
    search_by_scipy,
)
from jaxmed.studies.optimal_composite.table_1 import PLANE
from jaxmed.studies.workers import pool_size
from jaxmed.typing import Key

__all__ = ["timings"]

_OBJECTIVES: Mapping[str, Objective] = {"MaxIE": "indirect", "MaxCor": "index"}
_LARGEST_SEARCH = 100  # mediators; beyond, differences take minutes
_SECONDS = 0.5  # of repeats for one number


def timings(key: Key, scenario: str, *, everything: bool) -> dict[str, Any]:
    """JSON values: device, threads, and [n, p, method, mean ms, its standard error] per row."""
    sizes = (*PRIMAL_SIZES, DUAL_SIZE) if everything else PRIMAL_SIZES[:1]
    rows = []
    for n, p in sizes:
        data_key, method_key = jax.random.split(jax.random.fold_in(key, p))
        data = _data(data_key, scenario, n, p)
        for method, call in _calls(method_key, data):
            rows.append([n, p, method, *_time(call)])
    device = jax.devices()[0]
    return {
        "device": f"{device.platform} ({device.device_kind})",
        "threads": pool_size(),
        "rows": rows,
    }


def _data(key: Key, scenario: str, n: int, p: int) -> MediationData:
    path_key, rows_key = jax.random.split(key)
    shared = jnp.int32(overlap(scenario, p))
    return sample(rows_key, scenario_model(path_key, shared, ar1_factor(p, CORRELATION)), n)


def _calls(key: Key, data: MediationData) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Methods that apply to a size; each call waits for its weights."""
    n, p = data.mediators.shape
    if p > n:
        yield _compiled("MaxIE", lambda k, d: PLANE["MaxIE"](paths(d)).weights, key, data)
        return
    for name, rule in PLANE.items():
        yield _compiled(name, lambda k, d, f=rule: f(paths(d)).weights, key, data)
    variants = {
        "DM (likelihood)": directions(variant="chen2018"),
        "DM (software)": directions(variant="hdmed"),
    }
    for name, estimator in variants.items():
        yield _compiled(
            name, lambda k, d, f=estimator: f(None, d).details.composite.weights, key, data
        )
    for name, objective in _OBJECTIVES.items():
        search = numerical(objective=objective, restarts=RESTARTS)
        yield _compiled(
            f"{name} by L-BFGS, exact gradient",
            lambda k, d, f=search: f(k, d).details.composite.weights,
            key,
            data,
        )
        if p <= _LARGEST_SEARCH:
            yield from _differences(name, objective, key, data)


def _differences(
    name: str, objective: Objective, key: Key, data: MediationData
) -> Iterator[tuple[str, Callable[[], Any]]]:
    yield _compiled(
        f"{name} by L-BFGS, differences",
        lambda k, d: search_by_differences(k, raw_moments(cross_moments(d)), objective).point,
        key,
        data,
    )
    if importlib.util.find_spec("scipy") is not None:
        rows = (data.exposure, data.mediators, data.outcome)
        yield f"{name} by SciPy, differences", lambda: search_by_scipy(rows, objective, seed=1)


def _compiled(
    name: str, function: Callable[[Key, MediationData], Any], key: Key, data: MediationData
) -> tuple[str, Callable[[], Any]]:
    program = jax.jit(function)
    jax.block_until_ready(program(key, data))  # compilation is not part of the time
    return name, lambda: jax.block_until_ready(program(key, data))


def _time(call: Callable[[], Any]) -> tuple[float, float]:
    """Mean time in ms over repeats, and its standard error."""
    times = []
    while len(times) < 3 or (sum(times) < _SECONDS and len(times) < 100):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.mean(times), 1e3 * statistics.stdev(times) / math.sqrt(len(times))
