"""What every record says of the data, which came as rows or as moments."""

import dataclasses
from typing import Any

import numpy as np

from jaxmed import status as st
from jaxmed.analysis.wording import status_fields
from jaxmed.data.data_report import Source
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.data.transforms import Kept, column_scales
from jaxmed.geometry.paths import Paths

__all__ = [
    "DataFacts",
    "dependent_columns",
    "described",
    "dropped_mediators",
    "dropped_warning",
    "facts_of_rows",
    "row_facts",
]

SHOWN = 5
DEPENDENT = 8  # columns named in a sentence


@dataclasses.dataclass(frozen=True)
class DataFacts:
    """Names, sizes and scales of the data as given, and what became of every mediator."""

    names: Names
    rows_used: int
    weighted: bool
    columns: dict[str, dict[str, Any]]  # exposure, outcome, covariates: name -> description
    mean: np.ndarray  # [p] of the mediators
    sd: np.ndarray  # [p], divisor n - 1
    reasons: np.ndarray  # [p] int32 status, OK for those analysed
    kept: np.ndarray  # [k] int indices of these


def facts_of_rows(data: MediationData, kept: Kept) -> DataFacts:
    """Of data as given and what `drop_degenerate` left of them."""
    names = data.names
    weights = None if data.weights is None else np.asarray(data.weights)
    mean, sd = column_scales(np.asarray(data.mediators), weights)
    return DataFacts(
        names,
        len(data.exposure),
        weights is not None,
        described(data),
        mean,
        sd,
        kept.reasons,
        kept.kept,
    )


def described(data: MediationData) -> dict[str, dict[str, Any]]:
    """Exposure, outcome and covariates: name -> mean, sd (unweighted), extremes."""
    names = data.names
    columns = {names.exposure: np.asarray(data.exposure), names.outcome: np.asarray(data.outcome)}
    columns |= {name: np.asarray(data.covariates)[:, j] for j, name in enumerate(names.covariates)}
    return {name: _describe(name, values) for name, values in columns.items()}


def _describe(name: str, values: np.ndarray) -> dict[str, Any]:
    unit = float(np.abs(values).max()) or 1.0  # squares of 1e155 are no numbers
    return {
        "name": name,
        "mean": float(values.mean()),
        "sd": unit * float((values / unit).std(ddof=1)),
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "binary": bool(np.isin(values, (0, 1)).all()),
    }


def row_facts(
    names: Names, rows_used: int, weighted: bool, reasons: np.ndarray, source: Source | None
) -> dict[str, Any]:
    """Where the data come from and how large they are."""
    return {
        "source": None if source is None else source.to_dict(),
        "files": None if source is None else source.files(),
        "lines": [f"{rows_used} rows used"] if source is None else source.lines(),
        "rows_used": rows_used,
        "num_mediators": len(reasons),
        "num_mediators_analysed": int(np.sum(reasons == 0)),
        "num_covariates": len(names.covariates),
        "weighted": weighted,
    }


def dropped_mediators(names: Names, reasons: np.ndarray) -> list[dict[str, Any]]:
    """Names of mediators left out of the analysis, with the reason."""
    return [
        {"name": names.mediators[j]} | status_fields(int(reasons[j]))
        for j in np.flatnonzero(reasons)
    ]


def dropped_warning(names: Names, reasons: np.ndarray) -> list[str]:
    """One sentence on the mediators left out before the fit, or none."""
    dropped = np.flatnonzero(reasons)
    if not dropped.size:
        return []
    shown = [names.mediators[j] for j in dropped[:SHOWN]]
    more = f" and {dropped.size - SHOWN} more" if dropped.size > SHOWN else ""
    return [
        f"{dropped.size} mediators were left out as constant or duplicated: {', '.join(shown)}"
        f"{more}; mediators.csv gives the reason of each"
    ]


def dependent_columns(names: Names, paths: Paths) -> list[str]:
    """One sentence naming the mediators that are linear combinations of earlier columns, or none.

    Args:
      names: of the mediators analysed.
      paths: concrete, of the same mediators.
    """
    if paths.regime == "dual":
        if int(paths.status) != st.RANK_DEFICIENT:
            return []
        return ["rows or covariates are linearly dependent: look for repeated rows or covariates"]
    dependent = np.flatnonzero(~np.asarray(paths.frame.kept))  # type: ignore[union-attr]
    if not dependent.size:
        return []
    if int(paths.status) >= st.FIRST_FATAL:
        meaning = "What is joint is not determined by the others; drop them and run again"
    else:
        meaning = (
            "Joint effects and tests are those of the span, which does not depend on the columns "
            "chosen; weights are not unique (those of smallest norm are shown)"
        )
    shown = [names.mediators[j] for j in dependent[:DEPENDENT]]
    more = f" and {dependent.size - DEPENDENT} more" if dependent.size > DEPENDENT else ""
    return [
        "mediators that are linear combinations of earlier columns (covariates, exposure, "
        f"mediators): {', '.join(shown)}{more}. {meaning}"
    ]
