"""The analyst's one call: estimates, tests, intervals and a report from one data set."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import jax

from jaxmed.analysis.assemble import build_record
from jaxmed.analysis.basis_effects import design_block, matters_sentences
from jaxmed.analysis.data_facts import dependent_columns, dropped_warning, facts_of_rows
from jaxmed.analysis.data_units import Analysis, in_units
from jaxmed.analysis.design import Basis, designed
from jaxmed.analysis.effects import EffectsResult, effects
from jaxmed.analysis.fit import LARGE_FROM, Fit, closed_composites, fit
from jaxmed.analysis.inputs import parse_key
from jaxmed.analysis.law_inference import law_inference
from jaxmed.analysis.levels import LevelsResult, over_levels
from jaxmed.analysis.result import MediationResult
from jaxmed.analysis.rows_inference import rows_program
from jaxmed.analysis.settings import Progress, Settings
from jaxmed.analysis.single import is_single
from jaxmed.compile import quick_jit
from jaxmed.data.covariate_basis import basis_name
from jaxmed.data.data_report import DataReport
from jaxmed.data.levels import LevelsData
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.data.row_order import in_canonical_order
from jaxmed.data.transforms import Kept, Standardisation, drop_degenerate, standardise
from jaxmed.estimators.parts.kept import kept
from jaxmed.estimators.parts.units import rescaled, units_of
from jaxmed.estimators.penalised import family_of
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.geometry.paths import regime_of
from jaxmed.inference.cross_fit import MIN_FOLD_ROWS
from jaxmed.inference.dual_total import dual_total_test
from jaxmed.registry import CLOSED, METHODS, check_composites
from jaxmed.typing import Estimator, Key
from jaxmed.vocabulary import Assume

if TYPE_CHECKING:
    from jaxmed.analysis.generative_result import GenerativeResult


@overload
def mediate(
    data: LevelsData,
    method: str | Sequence[str] = ("maxie", "maxcor"),
    *,
    key: Key | int,
    level: float = 0.95,
    basis: Basis = "auto",
    standardise_mediators: bool = True,
    permutations: int = 999,
    folds: int = 5,
    splits: int = 10,
    replicates: int = 2000,
    assume: Assume | None = None,
    progress: Progress | None = None,
) -> LevelsResult: ...


@overload
def mediate(
    data: MediationData,
    method: Literal["effects"],
    *,
    key: Key | int,
    level: float = 0.95,
    basis: Basis = "auto",
    assume: Assume = "unknown",
    source: DataReport | None = None,
    progress: Progress | None = None,
) -> EffectsResult: ...


@overload
def mediate(
    data: MediationData,
    method: Literal["gahmn"],
    *,
    key: Key | int,
    level: float = 0.95,
    basis: Basis = "auto",
    source: DataReport | None = None,
    progress: Progress | None = None,
) -> "GenerativeResult": ...


@overload
def mediate(
    data: MediationData,
    method: str | Sequence[str] = ("maxie", "maxcor"),
    *,
    key: Key | int,
    level: float = 0.95,
    basis: Basis = "auto",
    standardise_mediators: bool = True,
    permutations: int = 999,
    folds: int = 5,
    splits: int = 10,
    replicates: int = 2000,
    source: DataReport | None = None,
    progress: Progress | None = None,
) -> MediationResult: ...


def mediate(
    data: MediationData | LevelsData,
    method: str | Sequence[str] = ("maxie", "maxcor"),
    *,
    key: Key | int,
    level: float = 0.95,
    basis: Basis = "auto",
    standardise_mediators: bool = True,
    permutations: int = 999,
    folds: int = 5,
    splits: int = 10,
    replicates: int = 2000,
    assume: Assume | None = None,
    source: DataReport | None = None,
    progress: Progress | None = None,
) -> "MediationResult | EffectsResult | GenerativeResult | LevelsResult":
    """Mediation analysis of one data set.

    With method="effects", direct and indirect effect by the method that fits the sizes of the
    data (`analysis.effects.effects`); it stands alone and returns an EffectsResult. So does
    "gahmn", which trains generators (`analysis.generative.generative`, which has more settings)
    and returns a GenerativeResult.

    Args:
      data: from `jaxmed.mediation_data` or `jaxmed.from_frame`; concrete. From
        `jaxmed.levels_from_frame`: every level of the exposure against the reference.
      method: composites to compute: maxie, maxcor, reg_outcome, reg_exposure, directions,
        numerical, lasso_exposure, lasso_outcome; or "effects"; or "gahmn".
      key: seed (0 to 2^32 - 1, recorded in the result) or JAX key.
      level: of all intervals, in (0, 1).
      basis: what the covariates stand for in every model, see `jaxmed.covariate_basis`: "auto" by
        the sizes of the data, "linear", another name, or a function. All commands on the same data
        have the same total effect. The record's `design` says which it is, and what linear
        covariates give.
      standardise_mediators: divide mediators by their standard deviation first. Changes nothing
        in the primal but rounding; with p >= n-1-q the weights and the cosine depend on it.
      permutations: of the exposure; 0 for none, and in the dual for no test of the total.
      folds: of the cross-fitted effect; 0 for none. Fewer are taken when folds would hold less
        than q + 5 rows, with a warning.
      splits: of the rows into these folds; the cross-fitted effect is the median over them.
      replicates: draws of the exact law, at least 100 and 2 / (1 - level); the p-value of the total
        is at least 1 / (replicates + 1).
      assume: of "effects" alone: "unknown" (the default), "sparse" or "dense".
      source: what happened between the file and the data, for the report.
      progress: called with a sentence before each long step.
    Returns:
      MediationResult; EffectsResult for "effects", which takes of the settings level, basis and
      `assume` only; GenerativeResult for "gahmn", which takes level and basis only.
    Raises:
      ValueError: settings out of range, unknown method, one of these two beside another (its
        subclasses ShapeError and InvalidDataError for the data; a basis that leaves too few rows
        is a ShapeError).
    """
    if isinstance(data, LevelsData):
        again: Any = mediate  # the overloads tell results apart by a literal method
        return over_levels(
            data,
            lambda part, report: again(
                part,
                method,
                key=key,
                level=level,
                basis=basis,
                standardise_mediators=standardise_mediators,
                permutations=permutations,
                folds=folds,
                splits=splits,
                replicates=replicates,
                assume=assume,
                source=report,
                progress=progress,
            ),
            basis=basis,
        )
    methods = (method,) if isinstance(method, str) else tuple(method)
    if methods == ("effects",):
        return effects(
            data,
            key=key,
            assume=assume or "unknown",
            basis=basis,
            level=level,
            source=source,
            progress=progress,
        )
    if methods == ("gahmn",) and assume is None:
        # Brings flax and optax: only where it is asked for.
        from jaxmed.analysis.generative import generative

        return generative(data, key=key, level=level, basis=basis, source=source, progress=progress)
    alone = {"effects", "gahmn"} & set(methods)
    if alone and len(methods) > 1:
        raise ValueError(f'"{min(alone)}" stands alone: call mediate once more for the others')
    if assume is not None:
        raise ValueError('assume goes with method="effects" only')
    check_composites(methods)
    seed, key = parse_key(key)
    settings = Settings(
        methods,
        basis_name(basis),
        level,
        standardise_mediators,
        seed,
        permutations,
        folds,
        replicates,
        splits,
    )
    say = progress or (lambda sentence: None)
    say("checking and standardising mediators")
    design = designed(data, basis)
    kept, scales = _prepare(design.data, standardise_mediators)
    facts = facts_of_rows(design.given, kept)
    block = design_block(design, kept.data, level, equal_variances=True)
    dropped = [*dropped_warning(facts.names, kept.reasons), *matters_sentences(block)]
    for sentence in dropped:
        warnings.warn(sentence, stacklevel=2)
    dropped = [*design.chosen.warnings, *dropped]
    law_key, rows_key, method_key = _three_keys(key)
    say(f"fitting {kept.data.mediators.shape[1]} mediators on {kept.data.exposure.shape[0]} rows")
    units = units_of(kept.data)
    safe = in_canonical_order(rescaled(kept.data, units))
    result = fit(safe, methods=tuple(m for m in methods if m in CLOSED), level=level)
    # Nothing is learned of a single mediator: its effect on other rows is the same effect.
    folds, notes = (0, []) if is_single(result) else _possible_folds(kept.data, folds)
    dependent = dependent_columns(kept.data.names, result.paths)
    for sentence in dependent:
        warnings.warn(sentence, stacklevel=2)
    notes = [*dropped, *notes, *dependent]
    say("debiased effects and intervals")
    law = law_inference(law_key, result.paths, level=level, replicates=replicates)
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
    composites = composites_of(result, unnamed, methods, method_key, say)
    found = Analysis(facts, block, kept.data, scales, result, law, rows, composites, notes)
    found = in_units(found, units)
    return MediationResult(build_record(found, settings, source), found.fit)


def _split_in_three(key: Key) -> tuple[Key, Key, Key]:
    law, rows, method = jax.random.split(key, 3)
    return law, rows, method


_three_keys = quick_jit(_split_in_three)  # eagerly it would be three programs


def _prepare(data: MediationData, standardised: bool) -> tuple[Kept, Standardisation | None]:
    n, p = data.mediators.shape
    dual = regime_of(n, p, data.covariates.shape[1]) == "dual"
    kept = drop_degenerate(data, keep_duplicates=dual)
    if not standardised:
        return kept, None
    scaled, scales = standardise(kept.data)
    return kept._replace(data=scaled), scales


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


def composites_of(
    result: Fit,
    data: MediationData,
    methods: tuple[str, ...],
    key: Key,
    say: Progress,
) -> dict[tuple[str, str], CompositeMediator]:
    """All composites in the order asked for, keyed by (method, direction)."""
    composites: dict[tuple[str, str], CompositeMediator] = {}
    for position, method in enumerate(methods):
        if method not in CLOSED:
            say(f"method {method}")
            estimator = _open_estimator(method, data, result.paths.route)
            program = _composite_program(estimator, data.mediators.shape[1] >= LARGE_FROM)
            composites[(method, "")] = program(jax.random.fold_in(key, position), data)
            continue
        composites |= closed_composites(result, method)
    return composites


def _open_estimator(name: str, data: MediationData, route: str) -> Estimator:
    """An estimator of a composite that draws random numbers or iterates, by the paths' route."""
    method = METHODS[name]
    given = {} if method.family is None else {"family": family_of(getattr(data, method.family))}
    return method.factory()(route=route, **given)


@kept
def _composite_program(estimator: Estimator, large: bool) -> Callable[..., CompositeMediator]:
    """The composite alone: what else the estimate holds is known, and is not compiled."""
    return quick_jit(lambda key, data: estimator(key, data).details.composite, optimised=large)
