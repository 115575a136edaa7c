"""What each ingredient adds: the improved mode with one of them taken away at a time."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxmed.estimators.post_selection import post_selection
from jaxmed.gahmn import gahmn, improved
from jaxmed.gahmn.config import BlockConfig, GahmnConfig
from jaxmed.reports.sections import Section, TidyTable
from jaxmed.studies.gahmn.printed import TRUTH
from jaxmed.studies.gahmn.simulation import NUM_MEDIATORS, cell_of, with_simulation
from jaxmed.studies.gahmn.simulation_report import SELECTION, mean_of, paired_ratio, selection_of
from jaxmed.studies.generative_mediation.methods import METHODS, ORACLE, method
from jaxmed.studies.study import Study
from jaxmed.sweeps.task import Cell
from jaxmed.typing import Estimator

__all__ = ["ABLATION", "VARIANTS"]

COUNT = 8  # data sets of a variant at scale 1
LEAST = 2
SMALL = 0.2  # smaller scales take 50 mediators, 300 steps and two variants: each is compiled
SETTING, CORRELATION = "A", 0.5
WHOLE, REFIT = "improved", "refit"


def _mediator(**changes: Any) -> GahmnConfig:
    config = improved()
    return dataclasses.replace(config, mediator=dataclasses.replace(config.mediator, **changes))


def _outcome(**changes: Any) -> GahmnConfig:
    config = improved()
    return dataclasses.replace(config, outcome=dataclasses.replace(config.outcome, **changes))


VARIANTS: Mapping[str, GahmnConfig] = {
    WHOLE: improved(),
    "mediators: dense critic": improved(mediator_critic="dense"),
    "mediators: plain threshold": _mediator(metric="plain"),
    "mediators: support never fixed": _mediator(freeze=None),
    "mediators: saturating loss": _mediator(loss="sat"),
    "outcome: saturating loss": _outcome(loss="sat"),
    "outcome: dense critic": improved(outcome_critic="dense"),
    "outcome: no mean loss": improved(mean_loss=0.0),
    "outcome: mean loss 1/2": improved(mean_loss=0.5),
    "outcome: mediators as they are": improved(residualise=False),
    # Without the lasso's support a penalty has to find one: it and the fixing of the support are
    # those of the mediator block.
    "outcome: no warm start": improved(
        warm_start=False, outcome=BlockConfig(critic_rate=1e-3, average_from=0.5)
    ),
}
FEW = (WHOLE, "outcome: no warm start")


def cells(scale: float) -> list[Cell]:
    """A cell for each variant, with the oracle and the refit on its rows."""
    small = scale < SMALL
    count = max(LEAST, round(COUNT * scale))
    found = []
    for label in FEW if small else VARIANTS:
        variant = VARIANTS[label]
        config = variant.with_steps(300) if small else variant
        methods: dict[str, Estimator] = {
            ORACLE: METHODS[ORACLE],
            REFIT: method(post_selection(basis="splines_all_products")),
            "GAHMN": with_simulation(gahmn(config, interval="refit")),
        }
        cell = cell_of(
            SETTING,
            WHOLE,
            CORRELATION,
            count,
            num_mediators=50 if small else NUM_MEDIATORS,
            methods=methods,
        )
        found.append(dataclasses.replace(cell, name=label))
    return found


def report(results: Mapping[str, Any], once: Mapping[str, Any]) -> Sequence[Section]:
    """One table: errors beside the oracle's and the refit's, and what is kept."""
    del once
    rows = [
        {"variant": label, **_errors(columns), **selection_of(columns)}
        for label, columns in results.items()
    ]
    headings = {
        "variant": "improved mode, but",
        "direct": "DE, bias",
        "direct ratio": "RMSE / oracle's",
        "direct moved": "off the refit",
        "indirect": "TIE, bias",
        "indirect ratio": "RMSE / oracle's",
        "indirect moved": "off the refit",
    } | SELECTION
    text = (
        f"Setting {SETTING}, correlation {CORRELATION}, 800 training rows, adversarial estimates. "
        "Every variant has data sets of its own, and stands beside the oracle and the plain refit "
        "(the warm start) on the same rows.",
    )
    note = (
        "In parentheses Monte Carlo standard errors. Off the refit: root mean square of the "
        "difference from it; so much the game moves an estimate away from where it started."
    )
    return [Section("ablation", "What each ingredient adds", text, TidyTable(headings, rows, note))]


def _errors(columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for part in ("direct", "indirect"):
        truth, own = TRUTH[SETTING][part], columns[f"GAHMN/adversarial {part}"]
        ratio, _, _ = paired_ratio(own - truth, columns[f"{ORACLE}/{part}"] - truth)
        moved = own - columns[f"{REFIT}/{part}"]
        row |= {
            part: mean_of(own - truth),
            f"{part} ratio": ratio,
            f"{part} moved": float(np.sqrt(np.mean(moved**2))),
        }
    return row


ABLATION = Study(
    name="gahmn/ablation",
    title="GAHMN, ablation: what each ingredient of the improved mode adds",
    cells=cells,
    report=report,
)
