"""jaxmed: high-dimensional mediation analysis as pure, batched JAX programs.

JAX and the modules of this package are imported when one of the names below is first used.
"""

from typing import TYPE_CHECKING

from jaxmed.deprecations import moved
from jaxmed.lazy import lazily
from jaxmed.version import __version__

# By module, what of it is public; modules of the package itself need no entry.
_PLACES = {
    "jaxmed.analysis.compare": ("compare",),
    "jaxmed.analysis.comparison": ("Comparison",),
    "jaxmed.analysis.chosen_effects": ("choose_effects",),
    "jaxmed.analysis.evaluate": ("EvaluationResult", "evaluate"),
    "jaxmed.analysis.effects": ("EffectsResult",),
    "jaxmed.analysis.generative": ("generative",),
    "jaxmed.analysis.generative_result": ("GenerativeResult",),
    "jaxmed.analysis.levels": ("LevelsResult", "over_levels"),
    "jaxmed.analysis.mediate": ("mediate",),
    "jaxmed.analysis.methods": ("methods",),
    "jaxmed.analysis.result": ("MediationResult",),
    "jaxmed.calibration.dact": ("DactResult", "dact"),
    "jaxmed.calibration.diagnostics": ("CalibrationDiagnostics", "calibration_diagnostics"),
    "jaxmed.calibration.hdmt": ("HdmtResult", "hdmt"),
    "jaxmed.data": (
        "CovariateBasis",
        "FileOptions",
        "InvalidDataError",
        "LevelsData",
        "MediationData",
        "Names",
        "ShapeError",
        "Standardisation",
        "covariate_basis",
        "datasets",
        "drop_degenerate",
        "from_frame",
        "from_frame_with_report",
        "levels_from_frame",
        "mediation_data",
        "read_table",
        "standardise",
    ),
    "jaxmed.data.streams": ("RowStream", "stream"),
    "jaxmed.distributions.exact_law": ("Law", "sample_quadratics"),
    "jaxmed.distributions.quadratics": ("PathQuadratics",),
    "jaxmed.estimators": ("Effects", "Estimate", "MediatorEffects", "ReferenceWouldStop"),
    "jaxmed.geometry.bisector": ("maxie",),
    "jaxmed.geometry.composite": ("CompositeMediator", "evaluate_weights"),
    "jaxmed.geometry.index": ("maxcor",),
    "jaxmed.geometry.paths": ("Paths", "paths"),
    "jaxmed.geometry.single_path": ("regress_exposure", "regress_outcome"),
    "jaxmed.inference.cosine_test": ("corrected_cosine_test", "cosine_test"),
    "jaxmed.inference.cross_fit": ("cross_fitted_effect",),
    "jaxmed.inference.dual_total": ("dual_total_test",),
    "jaxmed.inference.intersection_union": ("intersection_union_test",),
    "jaxmed.inference.intervals": ("indirect_estimates", "indirect_interval"),
    "jaxmed.inference.joint_test": ("joint_test",),
    "jaxmed.inference.permutation": ("exposure_permutation_test",),
    "jaxmed.inference.power": (
        "detection_threshold",
        "power",
        "printed_cosine_power",
        "sample_size",
        "size",
    ),
    "jaxmed.inference.total_indirect": ("total_indirect_test",),
    "jaxmed.parallel.streamed": ("streamed_moments",),
    "jaxmed.reports.calibration_figures": ("calibration_qq",),
    "jaxmed.reports.record": ("read_result",),
    "jaxmed.reports.table": ("Table",),
    "jaxmed.statistics.cross_moments": ("CrossMoments", "cross_moments", "merge", "zero_moments"),
    "jaxmed.studies": ("Study", "run_study"),
    "jaxmed.sweeps": (
        "Cell",
        "bootstrap",
        "jackknife",
        "permutation_test",
        "split_sample",
        "study_task",
        "sweep",
    ),
    "jaxmed.typing": ("Interval",),
}

if TYPE_CHECKING:  # the same for type checkers, editors and the documentation
    from jaxmed import (
        estimands,
        estimators,
        federated,
        gahmn,
        parallel,
        simulate,
        studies,
        sweeps,
    )
    from jaxmed.analysis.chosen_effects import choose_effects
    from jaxmed.analysis.compare import compare
    from jaxmed.analysis.comparison import Comparison
    from jaxmed.analysis.effects import EffectsResult
    from jaxmed.analysis.evaluate import EvaluationResult, evaluate
    from jaxmed.analysis.generative import generative
    from jaxmed.analysis.generative_result import GenerativeResult
    from jaxmed.analysis.levels import LevelsResult, over_levels
    from jaxmed.analysis.mediate import mediate
    from jaxmed.analysis.methods import methods
    from jaxmed.analysis.result import MediationResult
    from jaxmed.calibration.dact import DactResult, dact
    from jaxmed.calibration.diagnostics import CalibrationDiagnostics, calibration_diagnostics
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
    from jaxmed.inference.dual_total import dual_total_test
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
    from jaxmed.inference.total_indirect import total_indirect_test
    from jaxmed.parallel.streamed import streamed_moments
    from jaxmed.reports.calibration_figures import calibration_qq
    from jaxmed.reports.record import read_result
    from jaxmed.reports.table import Table
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
else:
    __getattr__, __dir__ = lazily(__name__, _PLACES, moved(__name__, stacklevel=3))

__all__ = [
    "hdmt",
    "dact",
    "CalibrationDiagnostics",
    "calibration_diagnostics",
    "calibration_qq",
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
    "dual_total_test",
    "estimands",
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
    "generative",
    "GenerativeResult",
    "methods",
    "Table",
    "federated",
    "gahmn",
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
    "total_indirect_test",
    "zero_moments",
]
