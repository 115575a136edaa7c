"""All results of one analysis before they become a record."""

import dataclasses
from typing import Any

from jaxmed.analysis.data_facts import DataFacts
from jaxmed.analysis.fit import Fit
from jaxmed.analysis.rows_inference import RowsInference
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.transforms import Standardisation
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.inference.intervals import IndirectInterval


@dataclasses.dataclass(frozen=True)
class Analysis:
    """All results of one run, still as arrays."""

    facts: DataFacts  # of the data as given, every mediator
    design: dict[str, Any]  # what the covariates stand for, see `basis_effects.design_block`
    data: MediationData | None  # rows analysed, covariates on the basis; None for moments alone
    scales: Standardisation | None
    fit: Fit
    law: dict[str, IndirectInterval]
    rows: RowsInference
    composites: dict[tuple[str, str], CompositeMediator]
    warnings: list[str]
    outcome_unit: float = 1.0  # of the paths behind the fit, see `estimators.parts.units`
