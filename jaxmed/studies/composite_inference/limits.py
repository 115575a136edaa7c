"""Limits of the intervals from end to end, in twelve cells: coverage and mean widths."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxmed.distributions.exact_law import Law, quadratics_at
from jaxmed.inference.bootstrap_intervals import law_intervals
from jaxmed.inference.debiased import fitted_law, indirect_estimates
from jaxmed.inference.intervals import inverted_intervals
from jaxmed.inference.total_indirect import total_draws
from jaxmed.studies.composite_inference.designs import (
    Setting,
    Shape,
    data_sets,
    label,
    laws_at,
    shape_name,
)
from jaxmed.studies.optimal_composite.columns import scaled
from jaxmed.sweeps.task import Cell, Scores
from jaxmed.typing import Key

__all__ = ["LIMITS", "limit_cell", "limit_cells", "limit_task"]

COUNT = 1000
CHUNK = 100
DRAWS = 800
LEVEL = 0.95

LIMITS: Sequence[tuple[Shape, Setting]] = (
    ((276, 2), (1.0, 1.0, 0.5)),
    ((60, 5), (0.5, 0.5, 1.0)),
    ((100, 10), (0.3, 1.0, 1.0)),
    ((100, 10), (1.0, 1.0, 0.5)),
    ((200, 20), (1.0, 1.0, 0.5)),
    ((200, 20), (0.3, 0.3, 0.5)),
    ((200, 20), (0.3, 1.0, 1.0)),
    ((200, 20), (1.0, 0.0, 0.0)),
    ((200, 80), (0.3, 1.0, 1.0)),
    ((200, 80), (1.0, 1.0, 1.0)),
    ((1000, 500), (0.3, 1.0, 1.0)),
    ((1000, 500), (1.0, 1.0, 0.5)),
)


def limit_cell(shape: Shape, setting: Setting) -> str:
    """Name of a cell."""
    return f"limits/{shape_name(shape)}/{label(setting)}"


def limit_cells(scale: float) -> list[Cell]:
    """One cell a shape and setting, all of one program."""
    count = scaled(COUNT, scale)
    return [
        Cell(
            limit_cell(shape, setting),
            limit_task,
            laws_at([setting], shape),
            count,
            min(CHUNK, count),
        )
        for shape, setting in LIMITS
    ]


def limit_task(key: Key, laws: Law) -> Scores:
    """Coverage and width of the intervals by inversion, and of percentile ones of the same draws.

    Also whether the limits of the total exclude 0, and whether the concordant part's lower one
    does: a test that the part exists.
    """
    data_key, law_key = jax.random.split(key)
    q = jax.tree.map(lambda leaf: leaf[0], data_sets(data_key, laws))
    draws = total_draws(law_key, q, DRAWS)
    drawn = indirect_estimates(quadratics_at(draws, fitted_law(q)))
    intervals = {
        "inversion": inverted_intervals(q, draws, level=LEVEL),
        "percentile": law_intervals(q, drawn, level=LEVEL),
    }
    concordant, suppression = laws.maximal_indirect
    truths = {
        "total": laws.total_indirect[0],
        "concordant": concordant[0],
        "suppression": suppression[0],
    }
    scores: Scores = {}
    for method, parts in intervals.items():
        for part, truth in truths.items():
            found = parts[part]
            low, high = found.interval.lower, found.interval.upper
            inside = ((low <= truth) & (truth <= high)).astype(low.dtype)
            scores |= {
                f"{method} {part}/covered": jnp.where(jnp.isnan(low), jnp.nan, inside),
                f"{method} {part}/width": high - low,
                f"{method} {part}/status": found.status,
            }
    return scores
