"""All results of one analysis before they become a record."""

import dataclasses

from jaxmed.analysis.fit import Fit
from jaxmed.analysis.rows_inference import RowsInference
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.transforms import Kept, Standardisation
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.inference.intervals import IndirectInterval


@dataclasses.dataclass(frozen=True)
class Analysis:
    """All results of one run, still as arrays."""

    data: MediationData  # as given, every mediator
    kept: Kept  # what was analysed
    scales: Standardisation | None
    fit: Fit
    law: dict[str, IndirectInterval]
    rows: RowsInference
    composites: dict[tuple[str, str], CompositeMediator]
    warnings: list[str]
