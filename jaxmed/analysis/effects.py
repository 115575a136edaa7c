"""Direct and indirect effect by the method that the data allow, chosen by a stated rule."""

from collections.abc import Callable
from typing import Any

from jaxmed.analysis.chosen_effects import choose_effects, difference, fitted
from jaxmed.analysis.chosen_methods import MethodOptions, choose
from jaxmed.analysis.comparison import MethodTable, stacked
from jaxmed.analysis.design import Basis
from jaxmed.analysis.inputs import check_level, parse_key
from jaxmed.analysis.method_table import (
    STOPPED,
    covariate_names,
    data_block,
    prepared,
    with_design,
)
from jaxmed.analysis.record_values import software
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.parts.rows import Columns
from jaxmed.reports.result_form import VERSIONS
from jaxmed.reports.table import data_frame
from jaxmed.typing import Key
from jaxmed.vocabulary import Assume

__all__ = ["EffectsResult", "effects"]

SCHEMA = "jaxmed.effects"
SCHEMA_VERSION = VERSIONS[SCHEMA]


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

        found = effects(data, key=1)
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
        row, columns = fitted(method, rows, options, key)
        if row["status"] == STOPPED:
            raise ValueError(f"{method.label}: {row['reason']}")
        table.append(row)
        mediators.append(columns)
    said = difference([(row["label"], row["indirect"]) for row in table])
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
            "sentences": [f"Method chosen for {reason}.", *said],
        },
        "table": table,
        "warnings": rows.warnings,
    }
    return EffectsResult(document, stacked(mediators))
