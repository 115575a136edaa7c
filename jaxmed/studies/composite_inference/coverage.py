"""Coverage of the intervals of the total indirect effect and of its parts, from the exact law.

Most of it by acceptance: an interval by inversion holds the candidates that a test does not reject,
so that it covers where the test at the true value does not, and no limit has to be searched.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxmed.distributions.exact_law import Law, quadratics_at
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.inference.bootstrap_intervals import law_intervals
from jaxmed.inference.debiased import fitted_law, indirect_estimates
from jaxmed.inference.part_interval import single_interval
from jaxmed.inference.part_statistic import part_tails
from jaxmed.inference.total_indirect import exceedance, total_draws
from jaxmed.inference.unit_free import mirrored, unit_free
from jaxmed.studies.composite_inference.coverage_report import (
    ACCEPTED,
    BOOTSTRAPS,
    MIRRORED,
    report,
)
from jaxmed.studies.composite_inference.designs import (
    COVERAGE_SHAPES,
    SETTINGS,
    SINGLE,
    SINGLE_SETTINGS,
    data_sets,
    label,
    laws_at,
    shape_name,
)
from jaxmed.studies.composite_inference.limits import limit_cells
from jaxmed.studies.optimal_composite.columns import scaled
from jaxmed.studies.study import Study
from jaxmed.sweeps.reducers import rejection_rate
from jaxmed.sweeps.task import Cell, Scores
from jaxmed.typing import Array, Interval, Key

__all__ = ["DRAWS", "STUDY", "accepted_task", "bootstrap_task", "cells", "single_task"]

COUNT, BOOTSTRAP_COUNT = 10_000, 1000
CHUNK = 500
DRAWS = 500
LEVEL = 0.95


def cells(scale: float) -> list[Cell]:
    """One cell a shape and kind of interval: a replicate is one data set of every setting."""
    count, fewer = scaled(COUNT, scale), scaled(BOOTSTRAP_COUNT, scale)
    misses = rejection_rate(1 - LEVEL)
    found = []
    for shape in COVERAGE_SHAPES:
        laws, name = laws_at(SETTINGS, shape), shape_name(shape)
        for kind, task, number in (
            (ACCEPTED, accepted_task, count),
            (MIRRORED, bootstrap_task, fewer),
        ):
            chunk = min(CHUNK, number)
            found.append(Cell(f"{kind}/{name}", task, laws, number, chunk, 1, misses))
    for shape in SINGLE:
        laws, name = laws_at(SINGLE_SETTINGS, shape), shape_name(shape)
        chunk = min(CHUNK, count)
        found.append(Cell(f"{ACCEPTED}/{name}", single_task, laws, count, chunk, 1, misses))
    return found + limit_cells(scale)


def accepted_task(key: Key, laws: Law) -> Scores:
    """P-values of the truth: the intervals by inversion hold it where they exceed 1 - level.

    The data sets of the settings are independent, their tests share the draws of the law.
    """
    data_key, law_key = jax.random.split(key)
    q = data_sets(data_key, laws)
    draws = total_draws(law_key, jax.tree.map(lambda leaf: leaf[0], q), DRAWS)

    def p_values(case: tuple[PathQuadratics, Array, Array, Array]) -> tuple[Array, ...]:
        one, total, concordant, suppression = case
        plain, unit = unit_free(one)
        above, below = part_tails(plain, draws, concordant / unit)
        above_minus, below_minus = part_tails(mirrored(plain), draws, -suppression / unit)
        return (
            exceedance(plain, draws, total / unit),
            2 * jnp.minimum(above, below),
            2 * jnp.minimum(above_minus, below_minus),
        )

    # A loop: one setting's draws stay in the cache.
    found = lax.map(p_values, (q, laws.total_indirect, *laws.maximal_indirect))
    parts = ("total", "concordant", "suppression")
    return {
        f"{label(setting)}/{part}": values[i]
        for i, setting in enumerate(SETTINGS)
        for part, values in zip(parts, found, strict=True)
    }


def bootstrap_task(key: Key, laws: Law) -> Scores:
    """0 where a bootstrap interval misses the truth, 1 where it covers."""
    data_key, law_key = jax.random.split(key)
    q = data_sets(data_key, laws)
    draws = total_draws(law_key, jax.tree.map(lambda leaf: leaf[0], q), DRAWS)

    def covered(case: tuple[PathQuadratics, Array, Array, Array]) -> dict[str, Array]:
        one, total, concordant, suppression = case
        truths = {"total": total, "concordant": concordant, "suppression": suppression}
        drawn = indirect_estimates(quadratics_at(draws, fitted_law(one)))
        return {
            f"{part}, {method}": _covers(found.interval, truths[part])
            for method in BOOTSTRAPS
            for part, found in law_intervals(one, drawn, level=LEVEL, method=method).items()
        }

    found = lax.map(covered, (q, laws.total_indirect, *laws.maximal_indirect))
    return {
        f"{label(setting)}/{name}": values[i]
        for i, setting in enumerate(SETTINGS)
        for name, values in found.items()
    }


def single_task(key: Key, laws: Law) -> Scores:
    """0 where the product interval of the only mediator misses its effect, 1 where it covers."""
    found = single_interval(data_sets(key, laws), level=LEVEL).interval
    covered = _covers(found, laws.total_indirect)
    return {f"{label(setting)}/total": covered[i] for i, setting in enumerate(SINGLE_SETTINGS)}


def _covers(interval: Interval, truth: Array) -> Array:
    inside = (interval.lower <= truth) & (truth <= interval.upper)
    return jnp.where(jnp.isnan(interval.lower), jnp.nan, inside.astype(truth.dtype))


STUDY = Study(
    name="composite-inference/coverage",
    title="Coverage of the intervals of the total indirect effect and of its parts",
    cells=cells,
    report=report,
)
