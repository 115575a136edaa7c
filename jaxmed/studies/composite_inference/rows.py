"""Tests of the total indirect effect from rows whose law is not, or not quite, the exact one."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import ndtri

from jaxmed.data.mediation_data import MediationData, mediation_data
from jaxmed.geometry.paths import paths
from jaxmed.inference.cosine_test import cosine_test
from jaxmed.inference.intersection_union import intersection_union_test
from jaxmed.inference.joint_test import joint_test
from jaxmed.inference.robust_total import robust_total_test
from jaxmed.inference.total_indirect import (
    total_draws,
    total_test_by_law,
    total_test_of,
    total_variance,
)
from jaxmed.keys import as_key
from jaxmed.reports.sections import Section, TidyTable
from jaxmed.studies.composite_inference import printed
from jaxmed.studies.composite_inference.designs import Setting, label
from jaxmed.studies.optimal_composite.columns import p_value_scores, rate_pair, scaled
from jaxmed.studies.study import Study
from jaxmed.sweeps.reducers import rejection_rate
from jaxmed.sweeps.task import Cell, StudyTask, study_task
from jaxmed.typing import Array, Estimator, Key, pytree

__all__ = [
    "DESIGNS",
    "MEDIATORS",
    "ROWS",
    "ROW_NULLS",
    "STUDY",
    "RowDesign",
    "cell_name",
    "cells",
    "draw",
    "row_design",
]

ROWS, MEDIATORS = 200, 20
COUNT, CHUNK = 2500, 250
DRAWS = 500
T_DF = 5.0
EXPOSED = 0.3
ROW_NULLS: Sequence[Setting] = (
    (0.0, 0.0, 0.0),
    (1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    (0.3, 0.3, 0.0),
    (1.0, 1.0, 0.0),
)
# A Bernoulli outcome's probability moves by this much a standard deviation of b'M where kY = 1.
PROBABILITY_STEP = 0.15


@pytree
class RowDesign:
    """How rows depart from the Gaussian linear model; scalar leaves but the paths'."""

    alpha: Array  # [p] effects of the exposure on the mediators
    beta: Array  # [p] effects of the mediators on the outcome
    noise: Array  # int32: 0 normal, 1 t with 5 degrees of freedom, 2 lognormal, of sd 1
    spread_by_mediator: Array  # 1: the error's sd is |M_1|
    spread_by_exposure: Array  # the error's sd is exp(this * A)
    mediators_by_exposure: Array  # the mediators' sd given A is exp(this * A)
    binary_exposure: Array  # 1: A is 1 in 30 % of the rows, else 0
    binary_outcome: Array  # 1: Bernoulli, of a linear probability


# What departs, by the name of the design.
DESIGNS: Mapping[str, Mapping[str, float]] = {
    "Gauss": {},
    "t5": {"noise": 1},
    "lognormal": {"noise": 2},
    "sd(e) = abs(M1)": {"spread_by_mediator": 1},
    "sd(e) = exp(A/2)": {"spread_by_exposure": 0.5},
    "sd(M given A) = exp(A/2)": {"mediators_by_exposure": 0.5},
    "binary exposure": {"binary_exposure": 1},
    "Bernoulli outcome": {"binary_outcome": 1},
}


def row_design(name: str, null: Setting, num_mediators: int = MEDIATORS) -> RowDesign:
    """A design at strengths of a null, along two dense directions at 90 degrees."""
    k_a, k_y, _ = null
    even = jnp.arange(num_mediators) % 2 == 0
    length = num_mediators**-0.5
    numbers = {field: 0.0 for field in list(RowDesign.__dataclass_fields__)[3:]}
    numbers |= {"noise": 0, **DESIGNS[name]}
    noise = jnp.asarray(numbers.pop("noise"), jnp.int32)
    if numbers["binary_exposure"]:
        k_a /= (EXPOSED * (1 - EXPOSED)) ** 0.5  # the strength is per sd of the exposure
    return RowDesign(
        jnp.full(num_mediators, k_a * length),
        jnp.where(even, k_y * length, -k_y * length),
        noise,
        **{field: jnp.asarray(value, float) for field, value in numbers.items()},
    )


def draw(key: Key, design: RowDesign) -> MediationData:
    """One data set of a design."""
    key_exposure, key_mediators, key_error, key_outcome = jax.random.split(key, 4)
    p = design.alpha.size
    normal = jax.random.normal(key_exposure, (ROWS,))
    exposed = (normal > ndtri(1 - EXPOSED)).astype(normal.dtype)
    exposure = jnp.where(design.binary_exposure == 1, exposed, normal)
    own = _noise(key_mediators, design.noise, (ROWS, p))
    own = own * jnp.exp(design.mediators_by_exposure * exposure)[:, None]
    mediators = exposure[:, None] * design.alpha + own
    spread = jnp.where(design.spread_by_mediator == 1, jnp.abs(mediators[:, 0]), 1.0)
    spread = spread * jnp.exp(design.spread_by_exposure * exposure)
    through = mediators @ design.beta
    error = _noise(key_error, design.noise, (ROWS,))
    chance = jnp.clip(0.5 + PROBABILITY_STEP * through, 0, 1)
    event = (jax.random.uniform(key_outcome, (ROWS,)) < chance).astype(normal.dtype)
    outcome = jnp.where(design.binary_outcome == 1, event, through + spread * error)
    return mediation_data(exposure, mediators, outcome)


def _noise(key: Key, kind: Array, shape: tuple[int, ...]) -> Array:
    """Independent values of mean 0 and sd 1."""

    def normal(key: Key) -> Array:
        return jax.random.normal(key, shape)

    def heavy(key: Key) -> Array:
        return jax.random.t(key, T_DF, shape) * ((T_DF - 2) / T_DF) ** 0.5

    def skewed(key: Key) -> Array:
        values = jnp.exp(jax.random.normal(key, shape))
        return (values - jnp.exp(0.5)) / jnp.sqrt(jnp.exp(2.0) - jnp.exp(1.0))

    return lax.switch(kind, (normal, heavy, skewed), key)


def _of_data(test: Callable[[MediationData], Any]) -> Estimator:
    return lambda key, data: test(data)


def _by_law(key: Key | None, data: MediationData) -> Any:
    q = paths(data).quadratics
    return total_test_by_law(q, total_draws(as_key(key), q, DRAWS))


def _closed_form(data: MediationData) -> Any:
    q = paths(data).quadratics
    return total_test_of(q, total_variance(q))


def _estimators() -> dict[str, Estimator]:
    return {
        "cosine": _of_data(lambda data: cosine_test(paths(data))),
        "joint": _of_data(lambda data: joint_test(paths(data))),
        "IUT": _of_data(lambda data: intersection_union_test(paths(data))),
        "W": _of_data(_closed_form),
        "exact law": _by_law,
        "W_R": _of_data(lambda data: robust_total_test(paths(data), data, single=False)),
    }


TESTS = ("cosine", "joint", "IUT", "W", "exact law", "W_R")


@functools.cache
def _task() -> StudyTask:
    return study_task(draw, _estimators(), p_value_scores)


def cell_name(design: str, null: Setting) -> str:
    """Name of a cell."""
    return f"{design.replace('/', ' over ')}/{label(null)}"


def cells(scale: float) -> list[Cell]:
    """One cell a design and null, all of one program."""
    count = scaled(COUNT, scale)
    return [
        Cell(
            cell_name(design, null),
            _task(),
            row_design(design, null),
            count,
            min(CHUNK, count),
            1,
            rejection_rate(0.05),
        )
        for design in DESIGNS
        for null in ROW_NULLS
    ]


def report(results: Mapping[str, Any], once: Mapping[str, Any]) -> Sequence[Section]:
    """Ranges over the nulls, and every null."""
    del once
    return [_ranges(results), _every(results)]


def _ranges(results: Mapping[str, Any]) -> Section:
    rows = []
    for design in DESIGNS:
        row: dict[str, Any] = {"design": design}
        for test in TESTS:
            # Where both paths are active there are both paths: no null of this test.
            nulls = [null for null in ROW_NULLS if test != "IUT" or 0 in null[:2]]
            rates = [results[cell_name(design, null)][f"{test}/p_value"] for null in nulls]
            least, *_, most = sorted(rates, key=lambda rate: rate.rate)
            row |= {f"{test}_least": rate_pair(least), f"{test}_most": rate_pair(most)}
            row[f"{test}_printed"] = printed.ROWS[design][test]
        rows.append(row)
    columns = {"design": "rows"}
    for test in TESTS:
        columns |= {f"{test}_least": f"{test}: least", f"{test}_most": "most"}
        columns[f"{test}_printed"] = "specification"
    text = (
        f"Rejection rates at .05 of {ROWS} rows with {MEDIATORS} mediators, least and most over "
        "five nulls: both paths null, either one (strength 1), and two active paths at 90 degrees "
        "(strengths .3 and 1). W and its exact law assume Gaussian rows of equal variances, W_R "
        "takes the variances from the rows.",
        "IUT: the intersection-union test, of which two active paths are no null. Specification: "
        "from other generators of the same kinds, in part over fewer nulls.",
    )
    note = "A Bernoulli outcome has .3 of the outcome strength, in units of its noise."
    return Section("rows", "Range over the nulls", text, TidyTable(columns, rows, note))


def _every(results: Mapping[str, Any]) -> Section:
    rows = []
    for design in DESIGNS:
        for null in ROW_NULLS:
            found = results[cell_name(design, null)]
            rates = {test: rate_pair(found[f"{test}/p_value"]) for test in TESTS}
            rows.append({"design": design, "k_a": null[0], "k_y": null[1], **rates})
    columns = {"design": "rows", "k_a": "kA", "k_y": "kY", **{test: test for test in TESTS}}
    note = "IUT at two active paths is power. In parentheses: Monte Carlo standard errors."
    return Section("rows-by-null", "Every null", (), TidyTable(columns, rows, note))


STUDY = Study(
    name="composite-inference/rows",
    title="Tests of the total indirect effect where rows are not Gaussian or variances unequal",
    cells=cells,
    report=report,
)
