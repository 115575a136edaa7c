"""Threats to the validity of an analysis that its data show, as rows of a table.

Each is measured on the host, in a few passes over the data, and never raises: an analysis that can
be made can be judged. docs/threats.md has the table of figures and thresholds.
"""

from typing import Any

import numpy as np

from jaxmed.analysis.threats.columns import outliers, zero_inflated
from jaxmed.analysis.threats.estimates import (
    Crossed,
    Estimates,
    Outcome,
    outcome_of_moments,
    outcome_of_values,
)
from jaxmed.analysis.threats.exposure import collinear_exposure, overlap, site_exposure
from jaxmed.analysis.threats.groups import batch, clusters
from jaxmed.analysis.threats.influence import leverage
from jaxmed.analysis.threats.outcome import counted, rare, total_near_zero, two_valued
from jaxmed.analysis.threats.rows import rows_of
from jaxmed.analysis.threats.screening import crossfit_above_total, screened_by
from jaxmed.analysis.threats.threat import CODES, Severity, Threat, ordered
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import MediationData
from jaxmed.vocabulary import Screened

__all__ = [
    "CODES",
    "Crossed",
    "Estimates",
    "Outcome",
    "Severity",
    "Threat",
    "outcome_of_moments",
    "outcome_of_values",
    "threats_of_moments",
    "threats_of_rows",
]


def threats_of_rows(
    given: MediationData,
    analysed: MediationData,
    found: Estimates,
    *,
    source: DataReport | None = None,
    screened: Screened = "unknown",
) -> list[dict[str, Any]]:
    """The threats to an analysis of rows.

    Args:
      given: data as given, with every covariate and `names.groups`.
      analysed: the same rows as every model has them: covariates on their basis, mediators kept.
      found: what the analysis found.
      source: report of the reader; without it, columns without a role are not known.
      screened: by what the mediators were chosen in these rows.
    Returns:
      code, severity, measured, threshold, sentence, remedy of each; plain values. A code may come
      twice, for two measures of one threat.
    """
    # Squares of odd data may leave the range; what comes of them is compared and not believed.
    with np.errstate(all="ignore"):
        rows = rows_of(given, analysed, source)
        values = np.asarray(given.outcome, np.float64)
        used = (
            np.ones(len(values), bool) if given.weights is None else np.asarray(given.weights) > 0
        )
        outcome = outcome_of_values(given.names.outcome, values[used], rows.weights)
        return ordered(
            [
                *_of_numbers(found, outcome, screened),
                *overlap(rows),
                *site_exposure(rows),
                *clusters(rows),
                *leverage(rows),
                *outliers(rows),
                *zero_inflated(rows),
                *batch(rows),
            ]
        )


def threats_of_moments(
    found: Estimates, outcome: Outcome | None, *, screened: Screened = "unknown"
) -> list[dict[str, Any]]:
    """The threats to an analysis of moments or streams: those that need no rows together.

    Args:
      found: what the analysis found.
      outcome: of `outcome_of_moments`, or of `outcome_of_values` where the column is at hand.
      screened: by what the mediators were chosen in these rows.
    Returns:
      As `threats_of_rows`.
    """
    return ordered(_of_numbers(found, outcome, screened))


def _of_numbers(found: Estimates, outcome: Outcome | None, screened: Screened) -> list[Threat]:
    of_outcome = (
        [] if outcome is None else [*two_valued(outcome), *counted(outcome), *rare(outcome, found)]
    )
    return [
        *screened_by(screened),
        *crossfit_above_total(found),
        *of_outcome,
        *total_near_zero(found),
        *collinear_exposure(found),
    ]
