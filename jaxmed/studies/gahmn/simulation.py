"""The simulated tables of the paper: many data sets, every fit beside an oracle on its rows."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.post_selection import post_selection
from jaxmed.gahmn import (
    GahmnDetails,
    counterfactuals,
    faithful,
    gahmn,
    improved,
    one_seed,
    simulation_interval,
)
from jaxmed.simulate.partially_linear import PartiallyLinear, partially_linear, sample
from jaxmed.studies.gahmn.simulation_report import table_1, table_2
from jaxmed.studies.generative_mediation.methods import METHODS, ORACLE, Problem, method
from jaxmed.studies.study import Study
from jaxmed.sweeps.reducers import stack
from jaxmed.sweeps.states import STATUS
from jaxmed.sweeps.task import Cell, Scores, StudyTask, study_task
from jaxmed.typing import Array, Estimator, Key

__all__ = ["TABLE_1", "TABLE_2", "cell_of", "with_simulation"]

NUM_MEDIATORS = 500
NUM_ROWS = 800  # for training, of the paper's 1000
HELD_OUT = 200  # individuals of the counterfactuals
DRAWS = 100  # of the generator's noise; the paper's 1000 change the last digit
SHOWN = 7  # mediators of Table 2
# (mode, correlation) -> data sets of either setting at scale 1.
COUNTS = {
    ("improved", 0.5): 50,
    ("improved", 0.3): 15,
    ("improved", 0.7): 15,
    ("faithful", 0.5): 10,
    ("faithful", 0.3): 5,
    ("faithful", 0.7): 5,
}
LEAST = 2
SMALL = 0.2  # scales below keep the correlation of .5 only


def with_simulation(estimator: Estimator) -> Estimator:
    """GAHMN with the paper's interval, which needs individuals that nothing was fitted to."""

    def estimate(key: Key | None, data: Problem) -> tuple[Estimate, Any]:
        assert key is not None
        fit_key, own = jax.random.split(key)
        found = estimator(fit_key, data.data)
        x = jax.random.normal(jax.random.fold_in(own, 1), (HELD_OUT, 2))
        drawn = counterfactuals(
            own,
            one_seed(found.details.fitted, 0),
            x,
            draws=DRAWS,
            shared_noise=False,
            mediators=False,
        )
        return found, simulation_interval(drawn)

    return estimate


def _methods(mode: str) -> Mapping[str, Estimator]:
    config = improved() if mode == "improved" else faithful()
    # Per-mediator intervals of the faithful mode would be those of the improved one once more.
    interval = "auto" if mode == "improved" else "refit"
    return {
        ORACLE: METHODS[ORACLE],
        "refit": method(post_selection(basis="splines_all_products")),
        "GAHMN": with_simulation(gahmn(config, interval=interval)),
    }


@functools.cache
def _task(mode: str, num_rows: int, methods: tuple[tuple[str, Estimator], ...] | None) -> StudyTask:
    def generator(key: Key, model: PartiallyLinear) -> Problem:
        return Problem(sample(key, model, num_rows), model)

    return study_task(generator, dict(methods) if methods else _methods(mode), scores)


def scores(found: Any, problem: Problem) -> Scores:
    """Estimates and interval limits of DE, TIE and IE_1..IE_7; of GAHMN both kinds."""
    if isinstance(found, Estimate):
        return _of_estimate(found)
    estimate, simulated = found
    details: GahmnDetails = estimate.details
    adversarial, model = details.adversarial, problem.model
    supports = details.fitted.generators
    a, b = supports.exposure_support[0], supports.mediator_support[0]
    null_a, null_b = model.alpha == 0, model.beta == 0
    null, true = null_a | null_b, (model.alpha != 0) & (model.beta != 0)
    result = _of_estimate(estimate)
    result |= {
        "adversarial direct": adversarial.effects.direct,
        "adversarial indirect": adversarial.effects.indirect,
        "training status": adversarial.status,
        "null IE kept": jnp.sum(a & b & null) / jnp.sum(null),
        "null a kept": jnp.sum(a & null_a) / jnp.sum(null_a),
        "null b kept": jnp.sum(b & null_b) / jnp.sum(null_b),
        "IE missed": jnp.sum(~(a & b) & true) / jnp.sum(true),
        "kept": jnp.sum(a & b).astype(float),
    }
    for k in range(SHOWN):
        result[f"adversarial IE_{k + 1}"] = adversarial.indirect[k]
    for part in ("direct", "indirect"):
        interval = getattr(simulated, part)
        result |= {
            f"simulation {part} lower": interval.lower,
            f"simulation {part} upper": interval.upper,
        }
    return result


def _of_estimate(estimate: Estimate) -> dict[str, Array]:
    result: dict[str, Array] = {STATUS: estimate.status}
    for part in ("direct", "indirect"):
        interval = getattr(estimate.intervals, part)
        result[part] = getattr(estimate.effects, part)
        result |= {f"{part} lower": interval.lower, f"{part} upper": interval.upper}
    table = estimate.mediators
    limits = table.interval
    for k in range(SHOWN):
        name = f"IE_{k + 1}"
        result[name] = table.indirect[k]
        result |= {f"{name} lower": limits.lower[k], f"{name} upper": limits.upper[k]}
    return result


def cell_of(
    setting: str,
    mode: str,
    correlation: float,
    count: int,
    *,
    num_rows: int = NUM_ROWS,
    num_mediators: int = NUM_MEDIATORS,
    methods: Mapping[str, Estimator] | None = None,
) -> Cell:
    """One setting in one mode; settings and correlations share a program."""
    model = partially_linear(setting, num_mediators, correlation=correlation)  # pyright: ignore[reportArgumentType]
    task = _task(mode, num_rows, None if methods is None else tuple(methods.items()))
    name = f"{mode}/{setting}/rho={correlation}"
    return Cell(name, task, model, count, chunk=1, reducer=stack())


def cells(scale: float) -> list[Cell]:
    """Both settings; small scales leave out the correlations of .3 and .7."""
    return [
        cell_of(setting, mode, correlation, max(LEAST, round(count * scale)))
        for (mode, correlation), count in COUNTS.items()
        for setting in ("A", "B")
        if scale >= SMALL or correlation == 0.5
    ]


TABLE_1 = Study(
    name="gahmn/table-1",
    title="GAHMN, Table 1: direct and total indirect effect, improved and faithful",
    cells=cells,
    report=table_1,
)
TABLE_2 = Study(
    name="gahmn/table-2",
    title="GAHMN, Table 2: indirect effects of the first seven mediators",
    cells=cells,
    report=table_2,
)
