"""The threats to one analysis, from its own numbers and, where they are at hand, its rows."""

from typing import Any

import numpy as np

from jaxmed.analysis.data_units import Analysis
from jaxmed.analysis.settings import Settings
from jaxmed.analysis.threats import (
    Crossed,
    Estimates,
    outcome_of_moments,
    outcome_of_values,
    threats_of_moments,
    threats_of_rows,
)
from jaxmed.data.data_report import DataReport, Source

__all__ = ["found_threats"]

Entry = dict[str, Any]


def found_threats(
    analysis: Analysis, effects: list[Entry], settings: Settings, source: Source | None
) -> list[dict[str, Any]]:
    """Rows of the `threats` of a record.

    Args:
      analysis: with its rows, or of moments.
      effects: entries of the record.
      settings: of the call.
      source: what the reader noticed.
    """
    found = _estimates(analysis, effects)
    if analysis.given is None or analysis.data is None:
        facts = analysis.facts
        name = facts.names.outcome
        if analysis.outcome is not None:
            values, weights = (np.asarray(v, np.float64) for v in analysis.outcome)
            used = weights > 0
            outcome = outcome_of_values(name, values[used], weights[used])
            return threats_of_moments(found, outcome, screened=settings.screened)
        column = facts.columns[name]
        outcome = outcome_of_moments(name, column["mean"], column["sd"], facts.rows_used)
        return threats_of_moments(found, outcome, screened=settings.screened)
    report = source if isinstance(source, DataReport) else None
    return threats_of_rows(
        analysis.given, analysis.data, found, source=report, screened=settings.screened
    )


def _estimates(analysis: Analysis, effects: list[Entry]) -> Estimates:
    def entry(quantity: str) -> Entry:
        return next((e for e in effects if e["quantity"] == quantity), {})

    def number(found: Entry, field: str) -> float:
        return float(np.asarray(found.get(field, np.nan)))

    def crossed(quantity: str) -> Crossed:
        found = entry(quantity)
        return Crossed(*(number(found, field) for field in ("estimate", "lower", "upper")))

    total, primal = entry("total_effect"), analysis.fit.paths.regime == "primal"
    quadratics = analysis.fit.paths.quadratics
    return Estimates(
        rows=analysis.facts.rows_used,
        covariates=analysis.design["rank"] - 1,
        mediators=analysis.facts.kept.size,
        total=number(total, "estimate"),
        total_se=number(total, "standard_error"),
        direct=number(entry("direct_effect"), "estimate"),
        upward=crossed("cross_fitted"),
        downward=crossed("cross_fitted_suppression"),
        # In the dual the mediators determine any exposure.
        exposure_q=float(np.asarray(quadratics.exposure_exposure)) if primal else float("nan"),
    )
