"""Direct and indirect effect of one analysis: by which estimators, why, and what they say."""

import dataclasses
import math
from collections.abc import Mapping, Sequence, Sized
from typing import Any, get_args

import numpy as np

from jaxmed import status as st
from jaxmed.analysis.chosen_methods import Chosen, MethodOptions, Methods, choose
from jaxmed.analysis.method_table import Prepared, effect_columns, fit_method, mediator_columns
from jaxmed.analysis.settings import Progress
from jaxmed.analysis.wording import status_fields
from jaxmed.estimators.parts.effects_of_record import FEW
from jaxmed.reports.format import number
from jaxmed.sweeps.task import named_key
from jaxmed.typing import ArrayLike, Key
from jaxmed.vocabulary import Assume

__all__ = [
    "AUTO",
    "EffectsFound",
    "choose_effects",
    "difference",
    "effects_by",
    "fitted",
    "without_rows_of",
    "wanted",
]

AUTO = "auto"
OLS = "ols"  # whose effects are closed forms of what every primal analysis has
# A regression of every mediator on all others moves no effect, and takes most of the time: it is
# made where the method is asked for by name.
WITHOUT_NODES: Mapping[str, Mapping[str, Any]] = {
    name: {"nodewise": False} for name in ("double_selection", "double_selection_zz")
}
# From so many mediators on a path of them is worth LLVM's time.
LARGE_FROM = 1024
ROOM = 0.8  # columns per row up to which least squares leaves residuals to speak of


@dataclasses.dataclass(frozen=True)
class EffectsFound:
    """The estimators of one analysis, the one of record first, and their answers.

    Attributes:
      methods: name -> label.
      reason: why these.
      rows: name -> effects of `effect_columns` with status, notes and reason; least squares is
        not among them where the analysis has it itself.
      joint: mediators of the estimator of record, columns of `mediator_columns`; None where it
        has not estimated them.
    """

    methods: Mapping[str, str]
    reason: str
    rows: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    joint: Mapping[str, np.ndarray] | None = None


def choose_effects(
    n: int, p: int, q: int, weights: ArrayLike | None = None, *, assume: Assume = "unknown"
) -> tuple[tuple[str, ...], str]:
    """The methods for direct and indirect effect, and the reason in words.

    Least squares on all mediators needs no sparsity but p + q < n; double selection needs signals
    that are few, and its `zz` variant fewer assumptions at more width. Data cannot tell few strong
    signals from many weak ones, so that the choice rests on sizes and on what the user assumes.

    Args:
      n: rows.
      p: mediators.
      q: rank of the covariates' basis, the intercept included.
      weights: case weights [n], which count rows: n is then their sum.
      assume: "sparse" (few mediators matter), "dense" (many may), or "unknown".

    Returns:
      (names, the one to report first; reason).

    Raises:
      ValueError: an unknown assumption.

    Source: coverage of intervals over some 600 data sets each of the partially linear design;
      columns p + q up to n / 4, up to .8 n, and beyond.
    """
    if assume not in get_args(Assume):
        raise ValueError(f"assume must be one of {get_args(Assume)}, not {assume!r}")
    if weights is not None:
        n = round(float(np.sum(np.asarray(weights))))
    sizes = f"{n} rows, {p} mediators and {q} columns for intercept and covariates"
    if n >= FEW * (p + q):
        return (OLS,), (
            f"{sizes}: rows are at least {FEW} times the columns, so that least squares on all "
            "mediators, which assumes no sparsity, is hardly wider than methods that do"
        )
    if assume == "sparse":
        return ("double_selection",), (
            f"{sizes}, and few mediators are assumed to matter: double selection keeps those that "
            "predict the outcome or the exposure; its intervals fail where many weak mediators "
            "matter"
        )
    believed = "many mediators may matter" if assume == "dense" else "how many matter is unknown"
    if p + q < ROOM * n:
        return (OLS, "double_selection_zz"), (
            f"{sizes}, and {believed}: least squares on all mediators is valid for any number of "
            "signals, and wide; the robust double selection beside it is narrower and needs some "
            "sparsity. The data cannot say which holds: their difference is shown and decides "
            "nothing"
        )
    return ("double_selection_zz",), (
        f"{sizes}, and {believed}: least squares leaves too few residuals, and the robust double "
        "selection needs sparsity of the exposure given the mediators or of the outcome given the "
        "exposure. No method is valid for every truth here"
    )


def wanted(
    effects: Methods,
    sizes: tuple[int, int, int],
    weights: ArrayLike | None,
    *,
    assume: Assume | None,
    options: Mapping[str, Mapping[str, Any]] | None,
) -> tuple[list[Chosen], str]:
    """The estimators that were asked for, or those of the rule for "auto", and why these.

    Args:
      effects: "auto", what `choose` takes, or none.
      sizes: rows, mediators, rank of the covariates' basis with the intercept.
      weights: case weights.
      assume: of "auto" alone.
      options: name -> options of its factory.
    Raises:
      ValueError: as `choose`; an assumption beside estimators by name.
    """
    if isinstance(effects, str) and effects == AUTO:
        names, reason = choose_effects(*sizes, weights, assume=assume or "unknown")
        plain = {name: WITHOUT_NODES[name] for name in names if name in WITHOUT_NODES}
        return choose(names, {**plain, **_merged(plain, options)}), reason
    if assume is not None:
        raise ValueError('assume goes with effects="auto" only: it chooses the estimator')
    if isinstance(effects, Sized) and not len(effects):
        return [], "no estimator was asked for"
    return choose(effects, options), "asked for by name"


def _merged(
    plain: Mapping[str, Mapping[str, Any]], options: Mapping[str, Mapping[str, Any]] | None
) -> dict[str, dict[str, Any]]:
    """Options as given, over the plain ones."""
    return {name: {**plain.get(name, {}), **own} for name, own in (options or {}).items()}


def effects_by(
    chosen: Sequence[Chosen], reason: str, rows: Prepared, level: float, key: Key, say: Progress
) -> EffectsFound:
    """Every estimator on the data, but for least squares where the analysis has it itself.

    Args:
      chosen: the one of record first.
      reason: why these.
      rows: the data.
      level: of the intervals.
      key: of the analysis; a method has the random numbers that it has in `compare`.
      say: told before each of them.
    """
    options = MethodOptions(level, raw=rows.design.chosen.linear)
    methods, found, joint = {}, {}, None
    for position, method in enumerate(chosen):
        methods[method.name] = method.label
        if _is_closed(method) and not rows.dual:
            continue
        n, p = rows.data.mediators.shape
        say(f"{method.label} on {p} mediators and {n} rows")
        row, columns = fitted(
            method, rows, options, key, fast=p >= LARGE_FROM if _is_short(method) else None
        )
        found[method.name] = row
        if position == 0 and not _is_short(method):
            # Of a selection without these regressions the coefficients hold as an effect, not one
            # by one.
            joint = columns
    return EffectsFound(methods, reason, found, joint)


def _is_short(method: Chosen) -> bool:
    """True for a selection without the regressions of `WITHOUT_NODES`."""
    return dict(method.options).get("nodewise", True) is False


def fitted(
    method: Chosen,
    rows: Prepared,
    options: MethodOptions,
    key: Key,
    *,
    fast: bool | None = None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One method on the data: its row of a table, and its mediators; a refusal is its status."""
    own = named_key(named_key(key, "method"), method.name)
    fit = fit_method(method.make(rows.data, options), own, rows.data, timed=False, fast=fast)
    row = {"method": method.name, "label": method.label} | effect_columns(fit)
    row |= {
        "scale": "log odds" if method.log_odds(rows.data) else "outcome",
        "status": fit.status,
        "notes": fit.notes,
        "reason": fit.reason,
    }
    return row, mediator_columns(method.name, fit, rows)


def without_rows_of(chosen: Sequence[Chosen], reason: str, *, dual: bool) -> EffectsFound:
    """What moments allow: least squares, and the reason why there is nothing else.

    Args:
      chosen: as `effects_by`.
      reason: why these.
      dual: whether there is no least squares either.
    """
    nan = dict.fromkeys(
        f"{part}{of}" for part in ("direct", "indirect", "total") for of in ("", "_lower", "_upper")
    )
    missing = dict.fromkeys(nan, math.nan) | status_fields(st.NEEDS_ROWS) | {"interval": ""}
    methods = {method.name: method.label for method in chosen}
    rows = {m.name: {"label": m.label} | missing for m in chosen if dual or not _is_closed(m)}
    if not dual and OLS not in methods and methods:
        (least_squares,) = choose(OLS)
        methods = {OLS: least_squares.label} | methods
        reason += ". Without rows least squares is what there is"
    return EffectsFound(methods, reason, rows)


def _is_closed(method: Chosen) -> bool:
    """Least squares by name: the analysis has it, with an interval that agrees with its test."""
    return method.method is not None and method.method.name == OLS and not method.options


def difference(answers: Sequence[tuple[str, float]]) -> list[str]:
    """A sentence on the difference of the first two indirect effects; none for one.

    Args:
      answers: label and indirect effect of every estimator.
    """
    shown = [(label, float(value)) for label, value in answers if math.isfinite(value)]
    if len(shown) < 2:
        return []
    (first, one), (second, other) = shown[:2]
    return [
        f"Indirect effect: {number(one)} by {first}, {number(other)} by {second}, a difference of "
        f"{number(one - other)}."
    ]
