"""The analyst's one call: the whole analysis of rows, of a stream of them or of moments."""

from collections.abc import Mapping, Sequence
from typing import Any, overload

from jaxmed.analysis.call import call_of
from jaxmed.analysis.chosen_effects import AUTO
from jaxmed.analysis.chosen_methods import Methods
from jaxmed.analysis.design import Basis
from jaxmed.analysis.inputs import refuse_traced
from jaxmed.analysis.labels import Labels
from jaxmed.analysis.levels import LevelsResult, over_levels
from jaxmed.analysis.moments import analyse_moments
from jaxmed.analysis.old_calls import by_method, names_of
from jaxmed.analysis.result import MediationResult
from jaxmed.analysis.row_analysis import analyse_rows
from jaxmed.analysis.settings import Progress
from jaxmed.analysis.streamed import analyse_stream
from jaxmed.data.data_report import Source
from jaxmed.data.levels import LevelsData
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.streams import RowStream
from jaxmed.deprecations import renamed, warn
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.typing import Key
from jaxmed.vocabulary import Assume, Screened

__all__ = ["mediate"]

Data = MediationData | RowStream | CrossMoments
DEFAULT = ("maxie", "maxcor")


@overload
def mediate(
    data: LevelsData,
    method: Any = None,
    *,
    key: Key | int,
    effects: Methods = AUTO,
    composites: str | Sequence[str] = ("maxie", "maxcor"),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    assume: Assume | None = None,
    basis: Basis = "auto",
    level: float = 0.95,
    standardise: bool = True,
    permutations: int = 999,
    folds: int = 5,
    splits: int = 10,
    replicates: int = 2000,
    screened: Screened = "unknown",
    labels: Labels | None = None,
    source: Source | None = None,
    progress: Progress | None = None,
) -> LevelsResult: ...


@overload
def mediate(
    data: Data,
    method: Any = None,
    *,
    key: Key | int,
    effects: Methods = AUTO,
    composites: str | Sequence[str] = ("maxie", "maxcor"),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    assume: Assume | None = None,
    basis: Basis = "auto",
    level: float = 0.95,
    standardise: bool = True,
    permutations: int = 999,
    folds: int = 5,
    splits: int = 10,
    replicates: int = 2000,
    screened: Screened = "unknown",
    labels: Labels | None = None,
    source: Source | None = None,
    progress: Progress | None = None,
) -> MediationResult: ...


@renamed("jaxmed.mediate", standardise_mediators="standardise")
def mediate(
    data: Data | LevelsData,
    method: Any = None,
    *,
    key: Key | int,
    effects: Methods = AUTO,
    composites: str | Sequence[str] = ("maxie", "maxcor"),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    assume: Assume | None = None,
    basis: Basis = "auto",
    level: float = 0.95,
    standardise: bool = True,
    permutations: int = 999,
    folds: int = 5,
    splits: int = 10,
    replicates: int = 2000,
    screened: Screened = "unknown",
    labels: Labels | None = None,
    source: Source | None = None,
    progress: Progress | None = None,
) -> Any:
    """Mediation analysis of one data set.

        result = jaxmed.mediate(data, key=0)
        print(result.summary())
        result.effects["total_indirect"]["estimate"]
        result.save("out")

    The total effect, direct and indirect effect by the estimator that the sizes of the data allow
    (`choose_effects` has the rule), composites, tests, single mediators, and what may be wrong.

    Args:
      data: rows, from `jaxmed.mediation_data` or `jaxmed.from_frame`; or every level of an exposure
        against the reference, from `jaxmed.levels_from_frame`; or a file larger than memory, from
        `jaxmed.stream`; or the merged moments of sites. What needs rows together says NEEDS_ROWS
        in the last two, which have linear covariates, and closed forms (and directions, by
        moments) as composites.
      method: the old name of `composites`; "effects" and "gahmn" give what they gave.
      key: seed (0 to 2^32 - 1, recorded in the result) or JAX key.
      effects: estimators of direct and indirect effect, the one of record first: "auto", names
        (`jaxmed.methods()` lists them), configured estimators, or label -> either; () for none.
        By name a method is as in `compare`: one draw of its folds. By the rule it is the median
        over `splits` draws, without what only the table of single mediators needs.
      composites: maxie, maxcor, reg_outcome, reg_exposure, directions, numerical, lasso_exposure,
        lasso_outcome.
      options: name -> options of that estimator: {"hdma": {"n_include": 60}}.
      assume: of effects="auto": "unknown" (the default), "sparse" (few mediators matter) or
        "dense".
      basis: what the covariates stand for in every model, see `jaxmed.covariate_basis`: "auto" by
        the sizes of the data, "linear", another name, or a function. All commands on the same data
        have the same total effect. The record's `design` says which it is, and what linear
        covariates give.
      level: of all intervals, in (0, 1).
      standardise: divide mediators by their standard deviation first. Changes nothing in the
        primal but rounding; with p >= n-1-q the weights and the cosine depend on it.
      permutations: of the exposure; 0 for none, and in the dual for no test of the total.
      folds: of the cross-fitted effect; 0 for none. Fewer are taken when folds would hold less
        than q + 5 rows, with a warning.
      splits: of the rows into these folds; the cross-fitted effect is the median over them, and so
        is an estimator that the rule has chosen and that draws folds (at most 3 draws where rows
        times mediators are above two million).
      replicates: draws of the exact law, at least 100 and 2 / (1 - level); the p-value of the total
        is at least 1 / (replicates + 1).
      screened: whether the mediators were chosen in these rows by their association with "no"
        variable, the "exposure", the "outcome" or "both"; "unknown".
      labels: display names of mediators: name -> label, a table of features with a column "label",
        or (table, column of names, column of labels).
      source: what happened between the file and the data, for the report.
      progress: called with a sentence before each long step.
    Returns:
      MediationResult; LevelsResult for several levels.
    Raises:
      ValueError: settings out of range or of no use for such data, an unknown name (its subclasses
        ShapeError and InvalidDataError for the data; a basis that leaves too few rows is a
        ShapeError).
    """
    refuse_traced("mediate", data, key)
    settings: dict[str, Any] = {
        "key": key,
        "effects": effects,
        "composites": composites,
        "options": options,
        "assume": assume,
        "basis": basis,
        "level": level,
        "standardise": standardise,
        "permutations": permutations,
        "folds": folds,
        "splits": splits,
        "replicates": replicates,
        "screened": screened,
        "labels": labels,
        "source": source,
        "progress": progress,
    }
    if method is not None:
        names = names_of(method)
        if effects is not AUTO or options or labels is not None or composites != DEFAULT:
            raise ValueError(
                "the old second argument goes with none of effects, composites, options and labels"
            )
        warn("option", "jaxmed.mediate(method)", stacklevel=3)
        if {"effects", "gahmn"} & set(names):
            return by_method(data, names, settings)
        settings["composites"] = names
    if isinstance(data, LevelsData):

        def part(rows: MediationData, report: Source) -> MediationResult:
            given: dict[str, Any] = {"source": report}
            return analyse_rows(rows, call_of(**(settings | given)))

        return over_levels(data, part, basis=basis)
    call = call_of(**settings)
    if isinstance(data, RowStream):
        return analyse_stream(data, call)
    if isinstance(data, CrossMoments):
        return analyse_moments(data, call)
    return analyse_rows(data, call)
