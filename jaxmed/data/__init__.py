"""Data in: checked arrays, tables with named columns, files, bundled data sets."""

from jaxmed.data import datasets
from jaxmed.data.columns import Factor
from jaxmed.data.covariate_basis import CovariateBasis, covariate_basis
from jaxmed.data.data_report import DataReport
from jaxmed.data.frames import FrameResult, from_frame, from_frame_with_report
from jaxmed.data.mediation_data import (
    MediationData,
    Names,
    NanPolicy,
    mediation_data,
    missing_rows,
)
from jaxmed.data.readers import read_npz, read_table
from jaxmed.data.selection import UnknownColumnError
from jaxmed.data.transforms import (
    Kept,
    Standardisation,
    column_scales,
    drop_degenerate,
    standardise,
)
from jaxmed.data.validation import InvalidDataError, ShapeError
from jaxmed.data.where import WhereError

__all__ = [
    "CovariateBasis",
    "DataReport",
    "Factor",
    "FrameResult",
    "InvalidDataError",
    "Kept",
    "MediationData",
    "Names",
    "NanPolicy",
    "ShapeError",
    "Standardisation",
    "UnknownColumnError",
    "WhereError",
    "column_scales",
    "covariate_basis",
    "datasets",
    "drop_degenerate",
    "from_frame",
    "from_frame_with_report",
    "mediation_data",
    "missing_rows",
    "read_npz",
    "read_table",
    "standardise",
]
