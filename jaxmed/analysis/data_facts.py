"""What every record says of the data: source, size, mediators left out."""

from typing import Any

import numpy as np

from jaxmed.analysis.wording import status_fields
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.transforms import Kept

__all__ = ["dropped_mediators", "row_facts"]


def row_facts(data: MediationData, kept: Kept, source: DataReport | None) -> dict[str, Any]:
    """Where the data come from and how large they are."""
    rows_used = len(data.exposure)
    return {
        "source": None if source is None else source.to_dict(),
        "lines": [f"{rows_used} rows used"] if source is None else source.lines(),
        "rows_used": rows_used,
        "num_mediators": data.mediators.shape[1],
        "num_mediators_analysed": int(kept.kept.size),
        "num_covariates": data.covariates.shape[1],
        "weighted": data.weights is not None,
    }


def dropped_mediators(data: MediationData, kept: Kept) -> list[dict[str, Any]]:
    """Names of mediators left out of the analysis, with the reason."""
    return [
        {"name": data.names.mediators[j]} | status_fields(int(kept.reasons[j]))
        for j in np.flatnonzero(kept.reasons)
    ]
