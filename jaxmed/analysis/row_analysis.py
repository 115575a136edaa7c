"""The analysis of rows: all that one data set says, in one record."""

import dataclasses
import functools

import jax

from jaxmed.analysis.assemble import build_record
from jaxmed.analysis.basis_effects import design_block, matters_sentences
from jaxmed.analysis.call import Call
from jaxmed.analysis.chosen_effects import effects_by
from jaxmed.analysis.composites import composites_of_method
from jaxmed.analysis.data_facts import dependent_columns, dropped_warning, facts_of_rows
from jaxmed.analysis.data_units import Analysis, in_units
from jaxmed.analysis.design import Design, designed
from jaxmed.analysis.fit import fit
from jaxmed.analysis.law_inference import law_inference
from jaxmed.analysis.method_table import prepared_of
from jaxmed.analysis.result import MediationResult
from jaxmed.analysis.rows_inference import rows_program
from jaxmed.analysis.single import is_single
from jaxmed.analysis.user_warnings import warn_user
from jaxmed.compile import quick_jit
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.data.row_order import in_canonical_order
from jaxmed.data.transforms import Kept, Standardisation, drop_degenerate, standardise
from jaxmed.estimators.parts.units import rescaled, units_of
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.geometry.paths import regime_of
from jaxmed.inference.cross_fit import MIN_FOLD_ROWS
from jaxmed.inference.dual_total import dual_total_test
from jaxmed.registry import CLOSED, METHODS
from jaxmed.typing import Key

__all__ = ["analyse_rows"]


def analyse_rows(data: MediationData, call: Call) -> MediationResult:
    """The analysis that `mediate` promises.

    Args:
      data: concrete.
      call: what was asked for.
    Raises:
      InvalidDataError, ShapeError, ValueError: see `mediate`.
    """
    settings, say, source = call.settings, call.say, call.source
    level, folds = settings.level, settings.folds
    permutations, splits = settings.permutations, settings.splits
    say("checking and standardising mediators")
    design = designed(data, call.basis)
    usable, kept, scales = _prepare(design.data, settings.standardise)
    facts = facts_of_rows(design.given, kept)
    labels = call.labels_of(facts.names.mediators)
    asked, reason = call.estimators(_sizes(design, usable), usable.data.weights)
    block = design_block(design, kept.data, level, equal_variances=True)
    dropped = [*dropped_warning(facts.names, kept.reasons), *matters_sentences(block)]
    for sentence in dropped:
        warn_user(sentence)
    dropped = [*design.chosen.warnings, *dropped]
    law_key, rows_key, method_key = _three_keys(call.key)
    say(f"fitting {kept.data.mediators.shape[1]} mediators on {kept.data.exposure.shape[0]} rows")
    units = units_of(kept.data)
    safe = in_canonical_order(rescaled(kept.data, units))
    result = fit(safe, methods=tuple(m for m in settings.composites if m in CLOSED), level=level)
    # Nothing is learned of a single mediator: its effect on other rows is the same effect.
    folds, notes = (0, []) if is_single(result) else _possible_folds(kept.data, folds)
    dependent = dependent_columns(kept.data.names, result.paths)
    for sentence in dependent:
        warn_user(sentence)
    notes = [*dropped, *notes, *dependent]
    say("debiased effects and intervals")
    law = law_inference(law_key, result.paths, level=level, replicates=settings.replicates)
    crossed = f", {folds}-fold cross-fitting of {splits} splits" if folds else ""
    say(f"{permutations} permutations{crossed}")
    unnamed = dataclasses.replace(safe, names=Names())  # names are static: new ones recompile
    rows = rows_program(unnamed)(
        rows_key,
        unnamed,
        result.paths,
        permutations=permutations,
        folds=folds,
        splits=splits,
        level=level,
        single=is_single(result),
    )
    if permutations and result.paths.regime == "dual":
        tested = dual_total_test(law_key, unnamed, permutations=permutations)
        rows = dataclasses.replace(rows, dual_total=tested)
    composites: dict[tuple[str, str], CompositeMediator] = {}
    for position, name in enumerate(settings.composites):
        if name not in CLOSED:
            say(f"composite {METHODS[name].label}")
        composites |= composites_of_method(name, result, unnamed, method_key, position)
    estimated = effects_by(
        asked,
        reason,
        functools.cache(lambda: prepared_of(design, usable, standardised=settings.standardise)),
        level,
        call.key,
        say,
        dual=result.paths.regime == "dual",
        splits=splits,
    )
    found = Analysis(
        facts,
        block,
        kept.data,
        scales,
        result,
        law,
        rows,
        composites,
        notes,
        estimated,
        labels,
        design.given,
    )
    found = in_units(found, units)
    return MediationResult(build_record(found, settings, source), found.fit)


def _split_in_three(key: Key) -> tuple[Key, Key, Key]:
    law, rows, method = jax.random.split(key, 3)
    return law, rows, method


_three_keys = quick_jit(_split_in_three)  # eagerly it would be three programs


def _prepare(data: MediationData, standardised: bool) -> tuple[Kept, Kept, Standardisation | None]:
    """What is left of the mediators, the same on the scale of the analysis, and that scale."""
    n, p = data.mediators.shape
    dual = regime_of(n, p, data.covariates.shape[1]) == "dual"
    kept = drop_degenerate(data, keep_duplicates=dual)
    if not standardised:
        return kept, kept, None
    scaled, scales = standardise(kept.data)
    return kept, kept._replace(data=scaled), scales


def _sizes(design: Design, usable: Kept) -> tuple[int, int, int]:
    """Rows, mediators, and the rank of the covariates' basis with the intercept."""
    n, p = usable.data.mediators.shape
    return n, p, design.chosen.rank


def _possible_folds(data: MediationData, folds: int) -> tuple[int, list[str]]:
    """Fewer folds where they would be too small, and the sentence that says so."""
    n, q = data.exposure.shape[0], data.covariates.shape[1]
    largest = n // (q + MIN_FOLD_ROWS)
    if folds <= largest:
        return folds, []
    if largest < 2:
        return 0, [f"{n} rows are too few for cross-fitting with {q} covariates"]
    return largest, [
        f"{n} rows allow {largest} folds of at least {q + MIN_FOLD_ROWS} rows, not {folds}"
    ]
