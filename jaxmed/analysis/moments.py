"""The analyst's call where only moments are at hand: streamed files, sites that keep their rows."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxmed.analysis.assemble import build_record
from jaxmed.analysis.call import Call
from jaxmed.analysis.chosen_effects import without_rows_of
from jaxmed.analysis.data_facts import DataFacts, dependent_columns, dropped_warning
from jaxmed.analysis.data_units import Analysis
from jaxmed.analysis.design import linear_only
from jaxmed.analysis.fit import Fit, closed_composites, fit_moments
from jaxmed.analysis.law_inference import law_inference
from jaxmed.analysis.result import MediationResult
from jaxmed.analysis.rows_inference import without_rows
from jaxmed.analysis.user_warnings import warn_user
from jaxmed.compile import quick_jit
from jaxmed.data.independent_columns import KEPT
from jaxmed.data.mediation_data import Names, complete_names
from jaxmed.data.validation import ShapeError
from jaxmed.estimators.directions import conditional_moments
from jaxmed.estimators.directions_kernel import direction_chen2018
from jaxmed.estimators.from_weights import with_status
from jaxmed.geometry.composite import CompositeMediator, evaluate_weights
from jaxmed.geometry.paths import Paths
from jaxmed.inference.total_indirect import TotalIndirectTest
from jaxmed.registry import CLOSED, check_moment_methods
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.joint_factor import factor_moments
from jaxmed.statistics.moment_columns import (
    column_statistics,
    covariate_codes,
    degenerate_mediators,
    keep_covariates,
    keep_mediators,
    standardise_moments,
)
from jaxmed.statistics.moment_variation import check_moments_leave

__all__ = ["analyse_moments"]


def analyse_moments(
    moments: CrossMoments,
    call: Call,
    *,
    robust: TotalIndirectTest | None = None,
    columns: Mapping[str, dict[str, Any]] | None = None,
    rows_dtype: Any = None,
    outcome: tuple[np.ndarray, np.ndarray] | None = None,
) -> MediationResult:
    """Mediation analysis of moments: that of rows without what needs them together.

    Permutation and the variance from the rows say NEEDS_ROWS, cross-fitting and scores are left
    out, and an ill-conditioned Gram matrix cannot be replaced by a QR decomposition of the rows.

    Args:
      moments: of all rows, concrete, p <= n - 2 - q.
      call: what was asked for; covariates are linear, which is all that moments have: `mediate`
        with basis="linear" on the rows gives the same numbers.
      robust: the test of the total with the variance from a second round over the rows.
      columns: name -> description of exposure, outcome and covariates, where more is known than
        the moments tell (minimum, maximum).
      rows_dtype: of the rows behind the moments, by which constant columns are told; the moments'
        own if None.
      outcome: values and weights of the outcome where they are at hand.
    Returns:
      MediationResult.
    Raises:
      ShapeError: p > n - 2 - q.
      InvalidDataError: exposure or outcome is constant, or an exact linear function of covariates;
        no mediator left.
      ValueError: settings out of range, a method or a basis that needs rows.
    """
    call.check_without_rows("moments")
    settings = dataclasses.replace(call.settings, permutations=0, folds=0, splits=0)
    check_moment_methods(settings.composites)
    level, say = settings.level, call.say
    moments = _named(moments)
    facts = _facts(moments, columns, rows_dtype)
    labels = call.labels_of(facts.names.mediators)
    codes = covariate_codes(moments, rows_dtype)
    design = linear_only(facts.names, facts.rows_used, call.basis, "moments", codes)
    kept = keep_covariates(keep_mediators(moments, facts.kept), np.flatnonzero(codes == KEPT))
    scales = None
    _check_primal(kept)
    check_moments_leave(moments, codes, rows_dtype)
    sizes = (round(float(kept.weight)), kept.num_mediators, kept.num_covariates + 1)
    asked, reason = call.estimators(sizes, None)
    dropped = dropped_warning(facts.names, facts.reasons)
    for sentence in dropped:
        warn_user(sentence)
    dropped = [*design["dropped"].values(), *dropped]
    if settings.standardise:
        kept, scales = standardise_moments(kept)
    say(f"fitting {kept.num_mediators} mediators on the moments of {facts.rows_used} rows")
    closed = tuple(m for m in settings.composites if m in CLOSED)
    result = fit_moments(kept, methods=closed, level=level)
    dependent = dependent_columns(kept.names, result.paths)
    for sentence in dependent:
        warn_user(sentence)
    dropped += dependent
    say("debiased effects and intervals")
    law_key, _, _ = jax.random.split(call.key, 3)  # the draws of `mediate` on the rows
    law = law_inference(law_key, result.paths, level=level, replicates=settings.replicates)
    rows = without_rows(result.paths, robust)
    composites = _composites(result, kept, settings.composites)
    analysis = Analysis(
        facts,
        design,
        None,
        scales,
        result,
        law,
        rows,
        composites,
        dropped,
        without_rows_of(asked, reason, dual=False),
        labels,
        outcome=outcome,
    )
    return MediationResult(build_record(analysis, settings, call.source), result)


def _named(moments: CrossMoments) -> CrossMoments:
    names = complete_names(moments.names, moments.num_mediators, moments.num_covariates)
    return dataclasses.replace(moments, names=names)


def _check_primal(moments: CrossMoments) -> None:
    n, p, q = int(moments.count), moments.num_mediators, moments.num_covariates
    if p > n - 2 - q:
        raise ShapeError(
            f"{p} mediators and {q} covariates on {n} rows: moments determine the effects only "
            "while p <= n - 2 - q; with more mediators the rows are needed (`mediate`)"
        )


def _facts(
    moments: CrossMoments, columns: Mapping[str, dict[str, Any]] | None, rows_dtype: Any
) -> DataFacts:
    names, first = moments.names, moments.num_covariates + 2
    mean, sd = column_statistics(moments)
    labels = (*names.covariates, names.exposure, names.outcome)
    described = {
        name: _describe(moments, j, name, float(mean[j]), float(sd[j]))
        for j, name in enumerate(labels)
    }
    reasons = degenerate_mediators(moments, rows_dtype)
    weighted = float(moments.weight_square) > float(moments.weight) * (1 + 1e-5)
    return DataFacts(
        names,
        int(moments.count),
        weighted,
        described | dict(columns or {}),
        mean[first:],
        sd[first:],
        reasons,
        np.flatnonzero(reasons == 0),
    )


def _describe(
    moments: CrossMoments, position: int, name: str, mean: float, sd: float
) -> dict[str, Any]:
    """A column; extremes are no moments. Zeros and ones alone have E x^2 = E x."""
    square = float(moments.comoment[position, position]) / float(moments.weight)
    binary = 0 < mean < 1 and abs(square - mean * (1 - mean)) < 1e-9
    limits = (0.0, 1.0) if binary else (float("nan"), float("nan"))
    return {
        "name": name,
        "mean": mean,
        "sd": sd,
        "minimum": limits[0],
        "maximum": limits[1],
        "binary": binary,
    }


def _direction(moments: CrossMoments, paths: Paths) -> CompositeMediator:
    found = direction_chen2018(conditional_moments(factor_moments(moments)))
    return with_status(evaluate_weights(paths, found.weights), found.status)


_direction_program = quick_jit(_direction)


def _composites(
    result: Fit, moments: CrossMoments, methods: tuple[str, ...]
) -> dict[tuple[str, str], CompositeMediator]:
    composites: dict[tuple[str, str], CompositeMediator] = {}
    unnamed = dataclasses.replace(moments, names=Names())
    for method in methods:
        if method == "directions":
            composites[(method, "")] = _direction_program(unnamed, result.paths)
        else:
            composites |= closed_composites(result, method)
    return composites
