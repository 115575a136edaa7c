"""Direct and indirect effect by the method that the data allow, chosen by a stated rule."""

import math
from collections.abc import Callable
from typing import Any, get_args

import numpy as np

from jaxmed.analysis.chosen_methods import Chosen, MethodOptions, choose
from jaxmed.analysis.comparison import MethodTable, stacked
from jaxmed.analysis.design import Basis
from jaxmed.analysis.inputs import check_level, parse_key
from jaxmed.analysis.method_table import (
    MethodFit,
    Prepared,
    covariate_names,
    data_block,
    effect_columns,
    fit_method,
    mediator_columns,
    prepared,
    with_design,
)
from jaxmed.analysis.record_values import software
from jaxmed.analysis.result import data_frame
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.parts.effects_of_record import FEW
from jaxmed.estimators.parts.rows import Columns
from jaxmed.reports.format import number
from jaxmed.reports.result_form import VERSIONS
from jaxmed.sweeps.task import named_key
from jaxmed.typing import ArrayLike, Key
from jaxmed.vocabulary import Assume

__all__ = ["EffectsResult", "choose_effects", "effects"]

SCHEMA = "jaxmed.effects"
SCHEMA_VERSION = VERSIONS[SCHEMA]
ROOM = 0.8  # columns per row up to which least squares leaves residuals to speak of


class EffectsResult(MethodTable):
    """Effects by one method, or by two side by side; see `MethodTable` for what it holds."""

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods chosen, the one to report first."""
        return tuple(self.document["choice"]["methods"])

    @property
    def reason(self) -> str:
        """Why these methods."""
        return self.document["choice"]["reason"]

    def to_pandas(self) -> Any:
        """One row per method and mediator as a pandas DataFrame, indexed by both.

        Raises:
          ImportError: pandas is not installed (extra `io`).
        """
        return data_frame(self.mediators).set_index(["method", "mediator"])


def choose_effects(
    n: int, p: int, q: int, weights: ArrayLike | None = None, *, assume: Assume = "unknown"
) -> tuple[tuple[str, ...], str]:
    """The methods for direct and indirect effect, and the reason in words.

    Least squares on all mediators needs no sparsity but p + q < n; double selection needs signals
    that are few, and its `zz` variant fewer assumptions at more width. Data cannot tell few strong
    signals from many weak ones, so that the choice rests on sizes and on what the user assumes.

    Args:
      n: rows.
      p: mediators.
      q: rank of the covariates' basis, the intercept included.
      weights: case weights [n], which count rows: n is then their sum.
      assume: "sparse" (few mediators matter), "dense" (many may), or "unknown".

    Returns:
      (names, the one to report first; reason).

    Raises:
      ValueError: an unknown assumption.

    Source: coverage of intervals over some 600 data sets each of the partially linear design;
      columns p + q up to n / 4, up to .8 n, and beyond.
    """
    if assume not in get_args(Assume):
        raise ValueError(f"assume must be one of {get_args(Assume)}, not {assume!r}")
    if weights is not None:
        n = round(float(np.sum(np.asarray(weights))))
    sizes = f"{n} rows, {p} mediators and {q} columns for intercept and covariates"
    if n >= FEW * (p + q):
        return ("ols",), (
            f"{sizes}: rows are at least {FEW} times the columns, so that least squares on all "
            "mediators, which assumes no sparsity, is hardly wider than methods that do"
        )
    if assume == "sparse":
        return ("double_selection",), (
            f"{sizes}, and few mediators are assumed to matter: double selection keeps those that "
            "predict the outcome or the exposure; its intervals fail where many weak mediators "
            "matter"
        )
    believed = "many mediators may matter" if assume == "dense" else "how many matter is unknown"
    if p + q < ROOM * n:
        return ("ols", "double_selection_zz"), (
            f"{sizes}, and {believed}: least squares on all mediators is valid for any number of "
            "signals, and wide; the robust double selection beside it is narrower and needs some "
            "sparsity. The data cannot say which holds: their difference is shown and decides "
            "nothing"
        )
    return ("double_selection_zz",), (
        f"{sizes}, and {believed}: least squares leaves too few residuals, and the robust double "
        "selection needs sparsity of the exposure given the mediators or of the outcome given the "
        "exposure. No method is valid for every truth here"
    )


def effects(
    data: MediationData,
    *,
    key: Key | int,
    assume: Assume = "unknown",
    basis: Basis = "auto",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    level: float = 0.95,
    source: DataReport | None = None,
    progress: Callable[[str], None] | None = None,
) -> EffectsResult:
    """Direct, indirect and total effect, and every mediator's, by the rule of `choose_effects`.

        found = jaxmed.mediate(data, "effects", key=1)
        print(found.reason)

    Args:
      data: from `jaxmed.mediation_data` or `jaxmed.from_frame`; concrete.
      key: seed (0 to 2^32 - 1, recorded in the result) or JAX key, for cross-validation folds.
      assume: "sparse", "dense" or "unknown", see `choose_effects`.
      basis: what the covariates stand for in every model, see `jaxmed.covariate_basis`.
      covariates_mediator: names or positions of the covariates of the mediator models, which get
        the columns of the basis that are made of these alone; all if None.
      covariates_outcome: of the outcome model; all if None.
      level: of all intervals.
      source: what happened between the file and the data, for the report.
      progress: called with a sentence before each long step.

    Returns:
      EffectsResult; direct + indirect = total for each method.

    Raises:
      ValueError: settings out of range or unknown covariates (its subclasses ShapeError and
        InvalidDataError for the data); the method chosen refuses the data.
    """
    seed, key = parse_key(key)
    check_level(level)
    say = progress or (lambda sentence: None)
    rows = prepared(data, basis, standardised=False)
    sets = {"covariates_mediator": covariates_mediator, "covariates_outcome": covariates_outcome}
    positions = {name: rows.positions(wanted) for name, wanted in sets.items()}
    n, p = rows.data.mediators.shape
    every = tuple(range(rows.design.chosen.rank - 1))
    bases = [every if where is None else where for where in positions.values()]
    q = 1 + max(len(base) for base in bases)
    names, reason = choose_effects(n, p, q, rows.data.weights, assume=assume)
    options = MethodOptions(
        level,
        covariates_mediator=positions["covariates_mediator"],
        covariates_outcome=positions["covariates_outcome"],
    )
    table, mediators = [], []
    for method in choose(names):
        say(f"{method.label} on {p} mediators and {n} rows")
        row, columns = _one(method, rows, options, named_key(named_key(key, "method"), method.name))
        table.append(row)
        mediators.append(columns)
    design = with_design(rows, level, same=bases[0] == bases[1])
    given = rows.given.names
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": software(str(rows.data.exposure.dtype)),
        "settings": {
            "methods": list(names),
            "seed": seed,
            "level": level,
            "assume": assume,
            "basis": rows.design.asked,
            "exposure": given.exposure,
            "outcome": given.outcome,
            "covariates": list(given.covariates),
        }
        | {part: covariate_names(rows.given, wanted) for part, wanted in sets.items()},
        "data": data_block(rows, source) | {"basis_columns": q},
        "design": design,
        "choice": {
            "methods": list(names),
            "reason": reason,
            "sentences": [f"Method chosen for {reason}.", *_difference(table)],
        },
        "table": table,
        "warnings": rows.warnings,
    }
    return EffectsResult(document, stacked(mediators))


def _one(
    method: Chosen, rows: Prepared, options: MethodOptions, key: Key
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Row of the table and rows of the mediators; a refusal is the caller's error here."""
    fit: MethodFit = fit_method(method.make(rows.data, options), key, rows.data, timed=False)
    if fit.estimate is None:
        raise ValueError(f"{method.label}: {fit.reason}")
    row = {"method": method.name, "label": method.label} | effect_columns(fit)
    row |= {
        "scale": "outcome",
        "status": fit.status,
        "notes": fit.notes,
        "reason": fit.reason,
    }
    return row, mediator_columns(method.name, fit, rows)


def _difference(table: list[dict[str, Any]]) -> list[str]:
    """A sentence on the difference of two methods; none for one."""
    if len(table) < 2 or not all(math.isfinite(row["indirect"]) for row in table):
        return []
    first, second = table
    gap = number(first["indirect"] - second["indirect"])
    return [
        f"Indirect effect: {number(first['indirect'])} by {first['label']}, "
        f"{number(second['indirect'])} by {second['label']}, a difference of {gap}."
    ]
