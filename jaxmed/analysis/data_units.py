"""All results of one analysis, and the same in the units of the data.

They are computed in units that are safe to square.
"""

import dataclasses
from typing import Any

from jaxmed.analysis.chosen_effects import EffectsFound
from jaxmed.analysis.data_facts import DataFacts
from jaxmed.analysis.fit import Fit
from jaxmed.analysis.law_inference import LawInference
from jaxmed.analysis.rows_inference import RowsInference
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.transforms import Standardisation
from jaxmed.estimators.parts.units import (
    Units,
    composite_in_units,
    interval_in_units,
    mediators_in_units,
)
from jaxmed.estimators.regression import LinearEffect
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.inference.cross_fit import CrossFit
from jaxmed.inference.total_indirect import TotalIndirectTest

__all__ = ["Analysis", "in_units"]

CROSS_FITTED = ("indirect", "split_estimates", "split_errors", "spread", "lowest", "highest")


@dataclasses.dataclass(frozen=True)
class Analysis:
    """All results of one run, still as arrays."""

    facts: DataFacts  # of the data as given, every mediator
    design: dict[str, Any]  # what the covariates stand for, see `basis_effects.design_block`
    data: MediationData | None  # rows analysed, covariates on the basis; None for moments alone
    scales: Standardisation | None
    fit: Fit
    law: LawInference
    rows: RowsInference
    composites: dict[tuple[str, str], CompositeMediator]
    warnings: list[str]
    effects: EffectsFound  # by estimators that were run; in the data's units already
    labels: tuple[str, ...] = ()  # display names of all mediators; their names if empty
    given: MediationData | None = None  # rows as given, every mediator and covariate
    outcome: tuple[Any, Any] | None = None  # values and weights of a stream, which holds them
    outcome_unit: float = 1.0  # of the paths behind the fit, see `estimators.parts.units`


def in_units(analysis: Analysis, units: Units) -> Analysis:
    """All results of an analysis in the data's units."""
    analysis = dataclasses.replace(analysis, outcome_unit=float(units.outcome))
    if units.exposure == 1 and units.outcome == 1:  # without a program for every product by one
        return analysis
    return dataclasses.replace(
        analysis,
        fit=_fit_in_units(analysis.fit, units),
        law=_law_in_units(analysis.law, units),
        rows=_rows_in_units(analysis.rows, units),
        composites={
            name: composite_in_units(found, units) for name, found in analysis.composites.items()
        },
    )


def _fit_in_units(found: Fit, units: Units) -> Fit:
    """A fit's effects in the data's units.

    Its paths stay as they were computed: squares of theirs need not exist in the data's units.
    """
    return dataclasses.replace(
        found,
        composites={
            name: composite_in_units(composite, units)
            for name, composite in found.composites.items()
        },
        mediators=mediators_in_units(found.mediators, units),
        total=_linear(found.total, units),
        direct=_linear(found.direct, units),
    )


def _law_in_units(law: LawInference, units: Units) -> LawInference:
    """Debiased effects with their intervals, and what the test says of the effect's size."""
    intervals = {
        part: _scaled(found, units, ("estimate", "naive")) for part, found in law.intervals.items()
    }
    return LawInference(intervals, _test(law.test, units))


def _test(test: TotalIndirectTest | None, units: Units) -> TotalIndirectTest | None:
    if test is None:
        return None
    size = {name: getattr(test, name) * units.effect for name in ("estimate", "standard_error")}
    return dataclasses.replace(test, **size)


def _rows_in_units(rows: RowsInference, units: Units) -> RowsInference:
    """What the rows say of an effect's size in the data's units; other tests have none."""
    crossed = {
        name: None if (found := getattr(rows, name)) is None else _cross_fit(found, units)
        for name in ("cross_fit", "cross_fit_suppression")
    }
    return dataclasses.replace(rows, robust=_test(rows.robust, units), **crossed)


def _scaled(found: Any, units: Units, names: tuple[str, ...]) -> Any:
    """Numbers, standard error and interval times the unit of an effect."""
    changed = {name: getattr(found, name) * units.effect for name in (*names, "standard_error")}
    interval = interval_in_units(found.interval, units.effect)
    return dataclasses.replace(found, **changed, interval=interval)


def _linear(effect: LinearEffect, units: Units) -> LinearEffect:
    return _scaled(effect, units, ("estimate",))


def _cross_fit(found: CrossFit, units: Units) -> CrossFit:
    return dataclasses.replace(
        _scaled(found, units, CROSS_FITTED),
        fold_exposure_effect=found.fold_exposure_effect / units.exposure,
        fold_outcome_effect=found.fold_outcome_effect * units.outcome,
    )
