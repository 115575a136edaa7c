"""Tables 1 and S2: indirect effect and mediation index of every composite, by scenario and size."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxmed import status
from jaxmed.estimators.directions import conditional_moments
from jaxmed.estimators.directions_kernel import (
    Direction,
    MediationMoments,
    direction_chen2018,
    direction_hdmed,
)
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.composite import CompositeMediator, evaluate_weights
from jaxmed.geometry.index import maxcor
from jaxmed.geometry.paths import Paths, paths, primal_paths
from jaxmed.geometry.single_path import regress_exposure, regress_outcome
from jaxmed.reports.sections import Section
from jaxmed.simulate.covariance import ar1_factor
from jaxmed.simulate.linear_sem import sample, sample_moments
from jaxmed.statistics.joint_factor import JointFactor, factor_moments
from jaxmed.studies.optimal_composite.columns import composite_scores, scaled
from jaxmed.studies.optimal_composite.designs import (
    CORRELATION,
    DUAL_SIZE,
    PRIMAL_SIZES,
    SCENARIOS,
    overlap,
    scenario_model,
)
from jaxmed.studies.optimal_composite.table_1_report import effect_section, index_section
from jaxmed.studies.study import Study
from jaxmed.sweeps.task import Cell, StudyTask, study_task
from jaxmed.typing import Key, pytree

__all__ = ["PLANE", "STUDY", "TABLE_S2", "Sampled", "sample_scenario"]

COUNT = 200
LARGE_COUNT = 100  # at p = 500, where the directions of mediation take most of the time

# Composites in the plane of the two paths.
PLANE: Mapping[str, Callable[[Paths], CompositeMediator]] = {
    "MaxIE": maxie,
    "MaxCor": maxcor,
    "Reg Y~X": regress_outcome,
    "Reg A~X": regress_exposure,
}
_DIRECTIONS: Mapping[str, Callable[[MediationMoments], Direction]] = {
    "DM (likelihood)": direction_chen2018,
    "DM (software)": direction_hdmed,
}


@pytree
class Sampled:
    """One data set of the primal: its joint factor, and the paths from it."""

    factor: JointFactor
    paths: Paths


def cells(scale: float) -> list[Cell]:
    """One cell per scenario and size; sizes share a program over scenarios."""
    return list(_cells(scale))


def sample_scenario(key: Key, parameters: Any, num_rows: int) -> Sampled:
    """A data set of a scenario, path vectors drawn anew, as the moments that the primal needs.

    Args:
      key: PRNG key; consumed.
      parameters: {"shared": entries the path vectors share, "lower": [p, p]}.
      num_rows: n, static.
    """
    path_key, data_key = jax.random.split(key)
    model = scenario_model(path_key, parameters["shared"], parameters["lower"])
    factor = factor_moments(sample_moments(data_key, model, num_rows))
    return Sampled(factor, primal_paths(factor))


def _cells(scale: float) -> Iterable[Cell]:
    for n, p in (*PRIMAL_SIZES, DUAL_SIZE):
        lower = ar1_factor(p, CORRELATION)  # one array for all scenarios of a size
        task = _dual_task(n) if (n, p) == DUAL_SIZE else _primal_task(n)
        count = scaled(LARGE_COUNT if (n, p) == (1000, 500) else COUNT, scale)
        for scenario in SCENARIOS:
            parameters = {"shared": jnp.int32(overlap(scenario, p)), "lower": lower}
            yield Cell(f"{scenario}/n={n}/p={p}", task, parameters, count, chunk=20)


@functools.cache
def _primal_task(num_rows: int) -> StudyTask:
    def generator(key: Key, parameters: Any) -> Sampled:
        return sample_scenario(key, parameters, num_rows)

    composites = {name: _in_plane(rule) for name, rule in PLANE.items()}
    directions = {name: _direction(rule) for name, rule in _DIRECTIONS.items()}
    return study_task(generator, {**composites, **directions}, composite_scores)


@functools.cache
def _dual_task(num_rows: int) -> StudyTask:
    def generator(key: Key, parameters: Any) -> Paths:
        path_key, data_key = jax.random.split(key)
        model = scenario_model(path_key, parameters["shared"], parameters["lower"])
        return paths(sample(data_key, model, num_rows))

    estimators = {name: _of_paths(rule) for name, rule in PLANE.items()}
    return study_task(generator, estimators, composite_scores)


def _in_plane(rule: Callable[[Paths], CompositeMediator]) -> Any:
    return lambda key, sampled: rule(sampled.paths)


def _of_paths(rule: Callable[[Paths], CompositeMediator]) -> Any:
    return lambda key, found: rule(found)


def _direction(rule: Callable[[MediationMoments], Direction]) -> Any:
    def estimate(key: Key, sampled: Sampled) -> CompositeMediator:
        del key
        direction = rule(conditional_moments(sampled.factor))
        composite = evaluate_weights(sampled.paths, direction.weights)
        code = status.combine(composite.status, direction.status)
        return dataclasses.replace(composite, status=code)

    return estimate


def report(results: Mapping[str, Any], once: Mapping[str, Any]) -> Sequence[Section]:
    """Table 1, and Table S2 of the same data sets."""
    del once
    return [effect_section(results), index_section(results)]


def report_index(results: Mapping[str, Any], once: Mapping[str, Any]) -> Sequence[Section]:
    """Table S2 alone."""
    del once
    return [index_section(results)]


STUDY = Study(
    name="optimal-composite/table-1",
    title="Table 1: indirect effect of composite mediators",
    cells=cells,
    report=report,
)

# The same cells and the same seed: its numbers are those of the second table of table-1.
TABLE_S2 = Study(
    name="optimal-composite/table-s2",
    title="Table S2: mediation index of composite mediators",
    cells=cells,
    report=report_index,
)
