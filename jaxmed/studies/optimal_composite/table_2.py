"""Table 2: closed forms against numerical optimisers, by value reached and by time taken."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.numerical import numerical
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.index import maxcor
from jaxmed.geometry.paths import Paths, paths
from jaxmed.linalg.safe import divide
from jaxmed.reports.sections import Section
from jaxmed.simulate.covariance import ar1_factor
from jaxmed.simulate.linear_sem import sample
from jaxmed.statistics.cross_moments import cross_moments
from jaxmed.studies.optimal_composite.columns import scaled
from jaxmed.studies.optimal_composite.designs import (
    CORRELATION,
    PRIMAL_SIZES,
    overlap,
    scenario_model,
)
from jaxmed.studies.optimal_composite.numerical_peers import (
    RESTARTS,
    Objective,
    raw_moments,
    search_by_differences,
)
from jaxmed.studies.optimal_composite.table_2_report import objective_section, timing_section
from jaxmed.studies.optimal_composite.table_2_timings import timings
from jaxmed.studies.study import Study
from jaxmed.sweeps.task import Cell, Scores, StudyTask, study_task
from jaxmed.typing import Array, Key, pytree

__all__ = ["STUDY"]

COUNT = 100
SCENARIO = "S3"
SIZES = PRIMAL_SIZES[:2]  # the paper runs no optimiser at p = 500 either

_CLOSED: Mapping[Objective, tuple[str, Any]] = {
    "indirect": ("MaxIE", maxie),
    "index": ("MaxCor", maxcor),
}


@pytree
class Problem:
    """One data set and its paths."""

    data: MediationData
    paths: Paths


@pytree
class Found:
    """What one way to an objective reached, beside the closed form on the same data set."""

    value: Array
    closed: Array
    status: Array


def cells(scale: float) -> list[Cell]:
    """One cell per size; every way to both objectives on the same data sets."""
    return list(_cells(scaled(COUNT, scale)))


def _cells(count: int) -> Iterable[Cell]:
    for n, p in SIZES:
        parameters = {
            "shared": jnp.int32(overlap(SCENARIO, p)),
            "lower": ar1_factor(p, CORRELATION),
        }
        yield Cell(f"{SCENARIO}/n={n}/p={p}", _task(n), parameters, count, chunk=10)


@functools.cache
def _task(num_rows: int) -> StudyTask:
    def generator(key: Key, parameters: Any) -> Problem:
        path_key, data_key = jax.random.split(key)
        model = scenario_model(path_key, parameters["shared"], parameters["lower"])
        data = sample(data_key, model, num_rows)
        return Problem(data, paths(data))

    ways: dict[str, Any] = {}
    for objective, (name, _) in _CLOSED.items():
        ways |= {
            name: functools.partial(_closed, objective),
            f"{name} by L-BFGS, exact gradient": functools.partial(_searched, objective),
            f"{name} by L-BFGS, differences": functools.partial(_differenced, objective),
        }
    return study_task(generator, ways, _score)


def _closed(objective: Objective, key: Key | None, problem: Problem) -> Found:
    del key
    composite = _CLOSED[objective][1](problem.paths)
    value = getattr(composite, objective)
    return Found(value, value, composite.status)


def _searched(objective: Objective, key: Key, problem: Problem) -> Found:
    estimate = numerical(objective=objective, restarts=RESTARTS)(key, problem.data)
    value = getattr(estimate.details.composite, objective)
    return Found(value, _closed(objective, None, problem).value, estimate.status)


def _differenced(objective: Objective, key: Key, problem: Problem) -> Found:
    found = search_by_differences(key, raw_moments(cross_moments(problem.data)), objective)
    return Found(-found.value, _closed(objective, None, problem).value, found.status)


def _score(found: Found, problem: Problem) -> Scores:
    del problem
    return {
        "value": found.value,
        "excess": divide(found.value - found.closed, found.closed),
        "status": found.status,
    }


def once(key: Key, scale: float) -> Mapping[str, Any]:
    """Times on this machine: of the smallest size below scale .5, of all from there on."""
    return timings(key, SCENARIO, everything=scale >= 0.5)


def report(results: Mapping[str, Any], once: Mapping[str, Any]) -> Sequence[Section]:
    """Objectives, then times."""
    return [objective_section(results), timing_section(once)]


STUDY = Study(
    name="optimal-composite/table-2",
    title="Table 2: closed forms against numerical optimisation",
    cells=cells,
    report=report,
    once=once,
)
