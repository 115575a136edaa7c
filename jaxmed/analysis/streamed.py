"""The analyst's call on a file larger than memory: primal by moments, dual by the kernel."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmed.analysis.assemble import build_record
from jaxmed.analysis.call import Call
from jaxmed.analysis.chosen_effects import without_rows_of
from jaxmed.analysis.data_facts import DataFacts, described, dropped_warning
from jaxmed.analysis.data_units import Analysis
from jaxmed.analysis.design import Basis, check_linear, linear_only
from jaxmed.analysis.fit import Fit, closed_composites, fit_kernel
from jaxmed.analysis.law_inference import law_inference
from jaxmed.analysis.moments import analyse_moments
from jaxmed.analysis.pace import now_and_then
from jaxmed.analysis.result import MediationResult
from jaxmed.analysis.rows_inference import without_rows
from jaxmed.analysis.settings import Progress
from jaxmed.analysis.user_warnings import warn_user
from jaxmed.data.independent_columns import KEPT, IndependentColumns
from jaxmed.data.no_variation import check_covariates_leave
from jaxmed.data.streams import RowStream
from jaxmed.data.transforms import Standardisation
from jaxmed.data.validation import ShapeError
from jaxmed.estimators.marginal import MarginalSums, sums_from_columns
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.geometry.paths import regime_of
from jaxmed.inference.dual_total import dual_total_test_from
from jaxmed.parallel.processes import this_process
from jaxmed.parallel.shared_stream import SharedMoments, shared_moments
from jaxmed.registry import CLOSED, check_moment_methods
from jaxmed.statistics.kernel_sums import KernelSums, column_weights, kernel_sums
from jaxmed.typing import Counted

__all__ = ["analyse_read", "analyse_stream", "check_call", "is_dual", "read_moments"]


def analyse_stream(
    stream: RowStream, call: Call, *, checkpoint: str | Path | None = None
) -> MediationResult:
    """Mediation analysis of a file in the memory of a few blocks of it.

    With p <= n - 2 - q the mediators are read once and `analyse_moments` does the rest; where this
    process is one of several (`parallel.processes`), each reads its share and all get the same
    result. With more mediators they are read by columns, twice.

    Args:
      stream: rows of a file, from `jaxmed.stream`.
      call: what was asked for; covariates are linear, all that a stream has: `mediate` with
        basis="linear" on the rows gives the same numbers. Composites are closed forms, and
        directions in the primal.
      checkpoint: primal only: file from which an interrupted reading goes on.
    Returns:
      MediationResult; what needs rows together is missing with its reason (permutation of
      the cosine, the variance from the rows, cross-fitting, scores).
    Raises:
      InvalidDataError, ShapeError, ValueError: as `mediate` and `analyse_moments`.
    """
    check_call(stream, call)
    if is_dual(stream):
        return _dual(stream, call)
    found = read_moments(stream, checkpoint=checkpoint, progress=call.say)
    return analyse_read(stream, found, call)


def check_call(stream: RowStream, call: Call) -> None:
    """Refuses before the reading what would be refused after it.

    Raises:
      ValueError: a basis, a composite or a setting that needs rows; estimators or labels that no
        analysis takes.
    """
    check_linear(call.basis, "streams")
    composites, dual = call.settings.composites, is_dual(stream)
    if not dual:
        check_moment_methods(composites)
    elif unknown := [name for name in composites if name not in CLOSED]:
        raise ValueError(
            f"composites {unknown} are not computed from a stream of more mediators than rows: "
            f"{', '.join(CLOSED)} are"
        )
    call.check_without_rows("streams", *(("permutations",) if dual else ()))
    call.labels_of(stream.names.mediators)
    sizes = (stream.num_rows, stream.num_mediators, stream.num_covariates + 1)
    call.estimators(sizes, stream.fields.weights)


def is_dual(stream: RowStream) -> bool:
    """True with p > n - 2 - q: the mediators are read by columns."""
    n, p, q = stream.num_rows, stream.num_mediators, stream.num_covariates
    return regime_of(n, p, q) == "dual"


def read_moments(
    stream: RowStream,
    *,
    checkpoint: str | Path | None = None,
    every: float = 30.0,
    progress: Progress | None = None,
) -> SharedMoments:
    """`parallel.shared_stream.shared_moments` with sentences for progress."""
    check_covariates_leave(stream.fields, _codes(stream))  # before the reading
    say = progress or (lambda sentence: None)
    start, stop = this_process().share(stream.num_blocks)
    say(
        f"reading {stream.num_mediators} mediators of {stream.num_rows} rows, "
        f"blocks {start} to {stop} of {stream.num_blocks}"
    )
    return shared_moments(
        stream, checkpoint=checkpoint, every=every, progress=now_and_then(say, "blocks")
    )


def analyse_read(stream: RowStream, found: SharedMoments, call: Call) -> MediationResult:
    """`analyse_moments` of a stream that has been read (`read_moments`)."""
    source = stream.report
    if found.dropped:
        source = dataclasses.replace(
            source,
            rows_used=source.rows_used - found.dropped,
            missing=source.missing | {"mediators": found.dropped},
        )
    return analyse_moments(
        found.moments,
        dataclasses.replace(call, source=source),
        columns=described(stream.fields),
        rows_dtype=stream.dtype,
        outcome=None if found.dropped else outcome_of(stream),
    )


def outcome_of(stream: RowStream) -> tuple[np.ndarray, np.ndarray]:
    """Outcome and weights, which a stream holds."""
    outcome = np.asarray(stream.fields.outcome)
    weights = stream.fields.weights
    return outcome, np.ones(len(outcome)) if weights is None else np.asarray(weights)


def _dual(stream: RowStream, call: Call) -> MediationResult:
    settings, say = call.settings, call.say
    methods, level = settings.composites, settings.level
    settings = dataclasses.replace(settings, folds=0, splits=0)
    stream, design = _independent(stream, call.basis)
    labels = call.labels_of(stream.names.mediators)
    say(f"reading {stream.num_mediators} mediators of {stream.num_rows} rows by columns")
    found = kernel_sums(
        stream, standardised=settings.standardise, progress=now_and_then(say, "mediators")
    )
    facts = _facts(stream, found)
    dropped = dropped_warning(facts.names, facts.reasons)
    for sentence in dropped:
        warn_user(sentence)
    dropped = [*design["dropped"].values(), *dropped]
    sums = _kept(sums_from_columns(found.columns, found.stats), facts.kept)
    result = fit_kernel(found.stats, sums, methods=methods, level=level)
    say("reading once more, for the weights")
    result = _weighted(stream, found, result, facts.kept, now_and_then(say, "mediators"))
    law_key, _, _ = jax.random.split(call.key, 3)
    law = law_inference(law_key, result.paths, level=level, replicates=settings.replicates)
    sd = found.columns.divisor[facts.kept]
    scales = Standardisation(found.columns.mean[facts.kept], sd) if settings.standardise else None  # pyright: ignore[reportArgumentType]
    composites: dict[tuple[str, str], CompositeMediator] = {}
    for name in methods:
        composites |= closed_composites(result, name)
    tested = None
    if settings.permutations:
        say(f"{settings.permutations} permutations")
        tested = dual_total_test_from(law_key, found.stats, permutations=settings.permutations)
    rows = without_rows(result.paths, dual_total=tested)
    sizes = (stream.num_rows, facts.kept.size, stream.num_covariates + 1)
    asked, reason = call.estimators(sizes, stream.fields.weights)
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
        without_rows_of(asked, reason, dual=True),
        labels,
        outcome=outcome_of(stream),
    )
    return MediationResult(build_record(analysis, settings, stream.report), result)


def _independent(stream: RowStream, basis: Basis) -> tuple[RowStream, dict[str, Any]]:
    """The stream without covariates that are constant or dependent, and the `design` block."""
    fields, names, codes = stream.fields, stream.names, _codes(stream)
    covariates = np.asarray(fields.covariates)
    design = linear_only(names, stream.num_rows, basis, "streams", codes)
    check_covariates_leave(fields, codes)
    if not design["dropped"]:
        return stream, design
    left = tuple(design["columns"])
    groups = tuple(tuple(c for c in group if c in left) for group in names.groups)
    names = dataclasses.replace(names, covariates=left, groups=tuple(filter(None, groups)))
    kept: Any = np.ascontiguousarray(covariates[:, codes == KEPT])
    fields = dataclasses.replace(fields, covariates=kept, names=names)
    return dataclasses.replace(stream, fields=fields), design


def _codes(stream: RowStream) -> np.ndarray:
    """Which covariates [q] are kept, see `data.independent_columns`."""
    fields = stream.fields
    used = None if fields.weights is None else np.asarray(fields.weights) > 0
    covariates = np.asarray(fields.covariates)
    return IndependentColumns(used, covariates.dtype).add(covariates)


def _facts(stream: RowStream, found: KernelSums) -> DataFacts:
    columns, reasons = found.columns, found.columns.reasons
    kept = np.flatnonzero(reasons == 0)
    n, q = stream.num_rows, stream.num_covariates
    if regime_of(n, kept.size, q) == "primal":
        raise ShapeError(
            f"{len(reasons) - kept.size} of {len(reasons)} mediators are constant, and the others "
            f"are fewer than the {n} rows: leave the constant ones out by name"
        )
    return DataFacts(
        stream.names,
        n,
        stream.fields.weights is not None,
        described(stream.fields),
        columns.mean,
        columns.sd,
        reasons,
        kept,
    )


def _kept(sums: MarginalSums, kept: np.ndarray) -> MarginalSums:
    chosen = {
        name: getattr(sums, name)[kept]
        for name in ("exposure_cross", "given_exposure", "outcome_cross")
    }
    return dataclasses.replace(sums, **chosen)


def _weighted(
    stream: RowStream,
    found: KernelSums,
    result: Fit,
    kept: np.ndarray,
    progress: Counted,
) -> Fit:
    """Row coefficients of the composites turned into weights of the mediators."""
    if not result.composites:
        return result
    rows = np.stack([np.asarray(c.weights) for c in result.composites.values()], axis=1)
    weights: Any = column_weights(stream, found, rows, progress=progress)[kept]
    composites = {
        name: dataclasses.replace(c, weights=weights[:, i])
        for i, (name, c) in enumerate(result.composites.items())
    }
    return dataclasses.replace(result, composites=composites)
