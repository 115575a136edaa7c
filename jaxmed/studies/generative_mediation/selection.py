"""Which mediators do the methods find: power and false discoveries, over many data sets."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from jaxmed import estimators
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Estimate
from jaxmed.reports.sections import Section, TidyTable
from jaxmed.simulate.covariance import ar1_factor
from jaxmed.simulate.linear_sem import LinearSem, linear_sem
from jaxmed.simulate.linear_sem import sample as sample_linear
from jaxmed.simulate.partially_linear import PartiallyLinear, partially_linear
from jaxmed.simulate.partially_linear import sample as sample_curved
from jaxmed.studies.study import Study
from jaxmed.sweeps.states import STATUS
from jaxmed.sweeps.task import Cell, Scores, StudyTask, study_task
from jaxmed.typing import Array, Estimator, Key, pytree

__all__ = ["STUDY", "detection_scores"]

LEVEL = 0.05
LEAST = 2  # replicates at small scales: one costs seconds


@pytree
class Truth:
    """One data set and which of its mediators lie on both paths."""

    data: MediationData
    active: Array  # [p] bool


def _screened() -> dict[str, Estimator]:
    return {
        "HIMA": estimators.hima(),
        "HIMA, as released": estimators.hima(compat="r"),
        "Guo": estimators.guo(),
        "PLSEM, tensor terms": estimators.plsem(tensor=True),
        "eHIMA": estimators.ehima(),
        "MedFix": estimators.medfix(nlambda2=0),
        "Pathway LASSO": estimators.pathway_lasso(),
    }


def _nodewise() -> dict[str, Estimator]:
    return {
        "HIMA2": estimators.hima2(),
        "HDMA": estimators.hdma(),
        "MedDiC": estimators.meddic(),
        "double selection": estimators.double_selection(basis="splines_all_products"),
    }


METHODS = (*_screened(), *_nodewise())


def correlated(num_mediators: int) -> LinearSem:
    """Linear, no covariates, AR(0.7) mediators; 5 active, 5 on either path alone, all of 0.4."""
    at = jnp.arange(num_mediators)
    both, first, second = (at % 20 == start for start in (0, 7, 13))
    alpha, beta = (jnp.where(both | other, 0.4, 0.0) for other in (first, second))
    return linear_sem(
        alpha, beta, direct=0.5, lower=ar1_factor(num_mediators, 0.7), order="exposure_first"
    )


def _draw(key: Key, model: Any, num_rows: int) -> Truth:
    linear = isinstance(model, LinearSem)
    data = sample_linear(key, model, num_rows) if linear else sample_curved(key, model, num_rows)
    return Truth(data, (model.alpha != 0) & (model.beta != 0))


@functools.cache
def _task(num_rows: int, group: str) -> StudyTask:
    methods = {"screened": _screened, "node-wise": _nodewise}[group]()

    def of_data(estimator: Estimator) -> Estimator:
        return lambda key, data: estimator(key, data.data)

    return study_task(
        lambda key, model: _draw(key, model, num_rows),
        {name: of_data(estimator) for name, estimator in methods.items()},
        detection_scores,
    )


def detection_scores(estimate: Estimate, problem: Truth) -> Scores:
    """Power and false discovery proportion of what is selected, and of what is significant.

    Significant: selected, with an adjusted p-value of at most .05 (each method's own adjustment).
    """
    # A NaN p-value (nothing estimated) is no discovery.
    significant = estimate.selected & (estimate.mediators.p_adjusted <= LEVEL)
    scores: Scores = {STATUS: estimate.status}
    for name, found in (("selected", estimate.selected), ("significant", significant)):
        count = jnp.sum(found).astype(float)
        true = jnp.sum(found & problem.active).astype(float)
        scores |= {
            f"{name} power": true / jnp.sum(problem.active),
            f"{name} false": (count - true) / jnp.maximum(count, 1),
            f"{name} count": count,
        }
    return scores


def cells(scale: float) -> list[Cell]:
    """Settings by groups of methods; the node-wise ones cost minutes a fit at p = 500."""

    def cell(name: str, model: LinearSem | PartiallyLinear, n: int, group: str, count: int) -> Cell:
        full = f"{name}/n={n}/p={model.num_mediators}/{group}"
        return Cell(full, _task(n, group), model, max(LEAST, round(count * scale)), chunk=2)

    found = []
    for setting in ("A", "B"):
        found.append(cell(setting, partially_linear(setting, 500), 1000, "screened", 100))
        found.append(cell(setting, partially_linear(setting, 100), 1000, "node-wise", 50))
    for group, count in (("screened", 100), ("node-wise", 50)):
        found.append(cell("correlated", correlated(100), 500, group, count))
    return found


def report(results: Mapping[str, Any], once: Mapping[str, Any]) -> Sequence[Section]:
    """One row per setting and method."""
    del once
    columns = {
        "setting": "setting",
        "method": "method",
        "power": "power, selected",
        "false": "FDR, selected",
        "number": "selected",
        "power_significant": "power, significant",
        "false_significant": "FDR, significant",
        "count": "replicates",
    }
    rows = []
    for cell, summary in results.items():
        for name in METHODS:
            if f"{name}/selected power" not in summary.values:
                continue
            pair = {
                key: (summary[f"{name}/{what}"].mean, summary[f"{name}/{what}"].standard_error)
                for key, what in (
                    ("power", "selected power"),
                    ("false", "selected false"),
                    ("number", "selected count"),
                    ("power_significant", "significant power"),
                    ("false_significant", "significant false"),
                )
            }
            count = summary[f"{name}/selected power"].count
            rows.append({"setting": cell, "method": name, "count": count} | pair)
    text = (
        "A, B: eq. (15) of Zhang et al. (2026), three mediators on both paths, curved confounding, "
        "which all methods but PLSEM and double selection take for linear. Correlated: linear, "
        "AR(0.7) noise, five mediators on both paths, five on either path alone, coefficients .4.",
        "Selected: what the method keeps, for the debiased methods what passes their own cut. "
        "Significant: of those, adjusted p-value at most .05. A mediator is active where both "
        "coefficients are not zero.",
    )
    table = TidyTable(
        columns,
        rows,
        "FDR: mean share of false ones, 0 where none is found. MedFix without its "
        "ridge grid (nlambda2=0).",
    )
    return [Section("selection", "Power and false discovery rate", text, table)]


STUDY = Study(
    name="generative-mediation/selection",
    title="Selection of mediators: power and false discovery rate",
    cells=cells,
    report=report,
)
