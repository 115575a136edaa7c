"""jaxmed: high-dimensional mediation analysis as pure, batched JAX programs."""

from jaxmed import estimators, parallel, simulate, studies, sweeps
from jaxmed.analysis.compare import compare
from jaxmed.analysis.comparison import Comparison
from jaxmed.analysis.effects import EffectsResult, choose_effects
from jaxmed.analysis.evaluate import EvaluationResult, evaluate
from jaxmed.analysis.levels import LevelsResult, over_levels
from jaxmed.analysis.mediate import mediate
from jaxmed.analysis.moments import mediate_moments
from jaxmed.analysis.result import MediationResult
from jaxmed.analysis.streamed import mediate_stream
from jaxmed.calibration.dact import DactResult, dact
from jaxmed.calibration.hdmt import HdmtResult, hdmt
from jaxmed.data import (
    CovariateBasis,
    FileOptions,
    InvalidDataError,
    LevelsData,
    MediationData,
    Names,
    ShapeError,
    Standardisation,
    covariate_basis,
    datasets,
    drop_degenerate,
    from_frame,
    from_frame_with_report,
    levels_from_frame,
    mediation_data,
    read_table,
    standardise,
)
from jaxmed.data.streams import RowStream, stream
from jaxmed.distributions.exact_law import Law, sample_quadratics
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.estimators import Effects, Estimate, MediatorEffects, ReferenceWouldStop
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.composite import CompositeMediator, evaluate_weights
from jaxmed.geometry.index import maxcor
from jaxmed.geometry.paths import Paths, paths
from jaxmed.geometry.single_path import regress_exposure, regress_outcome
from jaxmed.inference.cosine_test import corrected_cosine_test, cosine_test
from jaxmed.inference.cross_fit import cross_fitted_effect
from jaxmed.inference.intersection_union import intersection_union_test
from jaxmed.inference.intervals import indirect_estimates, indirect_interval
from jaxmed.inference.joint_test import joint_test
from jaxmed.inference.permutation import exposure_permutation_test
from jaxmed.inference.power import (
    detection_threshold,
    power,
    printed_cosine_power,
    sample_size,
    size,
)
from jaxmed.parallel.streamed import streamed_moments
from jaxmed.reports.record import read_result
from jaxmed.statistics.cross_moments import CrossMoments, cross_moments, merge, zero_moments
from jaxmed.studies import Study, run_study
from jaxmed.sweeps import (
    Cell,
    bootstrap,
    jackknife,
    permutation_test,
    split_sample,
    study_task,
    sweep,
)
from jaxmed.typing import Interval
from jaxmed.version import __version__

__all__ = [
    "hdmt",
    "dact",
    "compare",
    "choose_effects",
    "ReferenceWouldStop",
    "HdmtResult",
    "EffectsResult",
    "DactResult",
    "Comparison",
    "Cell",
    "CompositeMediator",
    "CovariateBasis",
    "CrossMoments",
    "Effects",
    "Estimate",
    "EvaluationResult",
    "FileOptions",
    "LevelsData",
    "LevelsResult",
    "levels_from_frame",
    "over_levels",
    "Interval",
    "InvalidDataError",
    "Law",
    "MediationData",
    "MediationResult",
    "MediatorEffects",
    "Names",
    "PathQuadratics",
    "Paths",
    "RowStream",
    "ShapeError",
    "Standardisation",
    "Study",
    "__version__",
    "bootstrap",
    "corrected_cosine_test",
    "cosine_test",
    "covariate_basis",
    "cross_fitted_effect",
    "cross_moments",
    "datasets",
    "detection_threshold",
    "drop_degenerate",
    "estimators",
    "evaluate",
    "evaluate_weights",
    "exposure_permutation_test",
    "from_frame",
    "from_frame_with_report",
    "indirect_estimates",
    "indirect_interval",
    "intersection_union_test",
    "jackknife",
    "joint_test",
    "maxcor",
    "maxie",
    "mediate",
    "mediate_moments",
    "mediate_stream",
    "mediation_data",
    "merge",
    "parallel",
    "paths",
    "permutation_test",
    "power",
    "printed_cosine_power",
    "read_result",
    "read_table",
    "regress_exposure",
    "regress_outcome",
    "run_study",
    "sample_quadratics",
    "sample_size",
    "simulate",
    "size",
    "split_sample",
    "standardise",
    "stream",
    "streamed_moments",
    "studies",
    "study_task",
    "sweep",
    "sweeps",
    "zero_moments",
]
