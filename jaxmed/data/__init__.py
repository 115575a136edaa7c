"""Data in: checked arrays, tables with named columns, files, bundled data sets."""

from jaxmed.data import datasets
from jaxmed.data.columns import Factor
from jaxmed.data.covariate_basis import CovariateBasis, covariate_basis
from jaxmed.data.data_report import DataReport
from jaxmed.data.frames import FrameResult, from_frame, from_frame_with_report
from jaxmed.data.levels import LevelsData, levels_from_frame
from jaxmed.data.mediation_data import (
    MediationData,
    Names,
    NanPolicy,
    mediation_data,
    missing_rows,
)
from jaxmed.data.readers import FileOptions, open_table, read_table
from jaxmed.data.tables import UnknownColumnError
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
    "FileOptions",
    "FrameResult",
    "InvalidDataError",
    "Kept",
    "LevelsData",
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
    "levels_from_frame",
    "mediation_data",
    "missing_rows",
    "open_table",
    "read_table",
    "standardise",
]
