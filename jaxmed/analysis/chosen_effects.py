"""Direct and indirect effect of one analysis: by which estimators, why, and what they say."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence, Sized
from statistics import NormalDist
from typing import Any, get_args

import jax
import numpy as np

from jaxmed import status as st
from jaxmed.analysis.chosen_methods import Chosen, MethodOptions, Methods, choose
from jaxmed.analysis.method_table import (
    MethodFit,
    Prepared,
    effect_columns,
    fit_method,
    mediator_columns,
)
from jaxmed.analysis.pace import now_and_then
from jaxmed.analysis.proportion import share_with_limits
from jaxmed.analysis.settings import Progress
from jaxmed.analysis.wording import status_fields
from jaxmed.estimators.estimate import Effects
from jaxmed.estimators.parts.effects_of_record import FEW
from jaxmed.inference.split_median import median_of_draws
from jaxmed.reports.format import count, number
from jaxmed.reports.methods_text import ASKED_FOR
from jaxmed.sweeps.task import named_key
from jaxmed.typing import ArrayLike, Interval, Key
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
CODES = {name: code for code, name in st.NAMES.items()}
OLS = "ols"  # whose effects are closed forms of what every primal analysis has
# A regression of every mediator on all others moves no effect, and takes most of the time: it is
# made where the method is asked for by name.
WITHOUT_NODES: Mapping[str, Mapping[str, Any]] = {
    name: {"nodewise": False} for name in ("double_selection", "double_selection_zz")
}
# From so many mediators on a path of them is worth LLVM's time.
FAST_FROM = 1024
# From so many numbers of rows and mediators on, a draw takes ten seconds and more: fewer are made.
LONG_FROM, FEW_DRAWS = 2_000_000, 3
ROOM = 0.8  # columns per row up to which least squares leaves residuals to speak of


@dataclasses.dataclass(frozen=True)
class EffectsFound:
    """The estimators of one analysis, the one of record first, and their answers.

    Attributes:
      methods: name -> label.
      reason: why these.
      rows: name -> effects of `effect_columns` with status, notes and reason; least squares is
        not among them where the analysis has it itself.
      closed: name of least squares where the analysis has it itself.
      joint: mediators of the estimator of record, columns of `mediator_columns`; None where it
        has not estimated them.
    """

    methods: Mapping[str, str]
    reason: str
    rows: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    closed: str | None = None
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
    columns = "column" if q == 1 else "columns"
    sizes = f"{n} rows, {count(p, 'mediator')} and {q} {columns} for intercept and covariates"
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
      assume: of "auto" alone, whose estimators are medians over draws of their folds and do
        without regressions of every mediator on the others.
      options: name -> options of its factory.
    Raises:
      ValueError: as `choose`; an assumption beside estimators by name.
    """
    if isinstance(effects, str) and effects == AUTO:
        names, reason = choose_effects(*sizes, weights, assume=assume or "unknown")
        plain = {name: WITHOUT_NODES[name] for name in names if name in WITHOUT_NODES}
        chosen = choose(names, {**plain, **_merged(plain, options)})
        return [dataclasses.replace(method, repeated=method.random) for method in chosen], reason
    if assume is not None:
        raise ValueError('assume goes with effects="auto" only: it chooses the estimator')
    if is_none(effects):
        return [], "no estimator was asked for"
    return choose(effects, options), ASKED_FOR


def _merged(
    plain: Mapping[str, Mapping[str, Any]], options: Mapping[str, Mapping[str, Any]] | None
) -> dict[str, dict[str, Any]]:
    """Options as given, over the plain ones."""
    return {name: {**plain.get(name, {}), **own} for name, own in (options or {}).items()}


def effects_by(
    chosen: Sequence[Chosen],
    reason: str,
    prepare: Callable[[], Prepared],
    level: float,
    key: Key,
    say: Progress,
    *,
    dual: bool,
    splits: int,
) -> EffectsFound:
    """Every estimator on the data, but for least squares where the analysis has it itself.

    Args:
      chosen: the one of record first.
      reason: why these.
      prepare: makes the data ready; called only where a method is fitted to them.
      level: of the intervals.
      key: of the analysis; a method has the random numbers that it has in `compare`.
      say: told before each of them.
      dual: whether the analysis has no least squares.
      splits: draws of the folds of an estimator that the rule has chosen, see `over_splits`.
    """
    methods, found, joint, closed = {}, {}, None, None
    for position, method in enumerate(chosen):
        methods[method.name] = method.label
        if _is_closed(method) and not dual:
            closed = method.name
            continue
        rows = prepare()
        options = MethodOptions(level, raw=rows.design.chosen.linear)
        n, p = rows.data.mediators.shape
        say(f"{method.label} on {p} mediators and {n} rows")
        if method.repeated:
            found[method.name] = over_splits(method, rows, options, key, splits, say)
            continue
        row, columns = fitted(method, rows, options, key)
        found[method.name] = row
        joint = columns if position == 0 else joint
    return EffectsFound(methods, reason, found, closed, joint)


def _is_log_odds(fit: MethodFit) -> bool:
    return st.NAMES[st.LOG_ODDS] in (fit.status, *fit.notes)


def over_splits(
    method: Chosen,
    rows: Prepared,
    options: MethodOptions,
    key: Key,
    splits: int,
    say: Progress,
) -> dict[str, Any]:
    """The median of a method over draws of its folds, as a row of a table.

    The penalty that a cross-validation chooses, and with it the selection, depends on the draw:
    with more mediators than rows the indirect effect moves by a standard error and more. The
    variance is the median over draws of se^2 + (estimate - median)^2.

    Args:
      method: of one draw.
      rows: the data.
      options: of all methods.
      key: of the analysis; the first draw is that of `compare`.
      splits: draws; `FEW_DRAWS` at most where a draw takes long.
      say: told how many are done.
    Source: Chernozhukov et al. (2018), The Econometrics Journal 21, definition 3.3.
    """
    size = rows.data.mediators.size
    draws = max(splits if size <= LONG_FROM else min(splits, FEW_DRAWS), 1)
    fast, tell = rows.data.mediators.shape[1] >= FAST_FROM, now_and_then(say, "draws of its folds")
    drawn: list[dict[str, Any]] = []
    for i in range(draws):
        own = key if i == 0 else jax.random.fold_in(key, i)
        drawn.append(_row(method, rows, _fit(method, rows, options, own, fast)))
        tell(i + 1, draws)
    usable = [row for row in drawn if math.isfinite(row["indirect"])]
    if len(drawn) == 1:
        return drawn[0]
    if 2 * len(usable) <= len(drawn):  # a median of what is left would be one of a choice
        lost = next(row for row in drawn if not math.isfinite(row["indirect"]))
        return lost | {"splits": len(drawn), "splits_used": len(usable)}
    half = NormalDist().inv_cdf((1 + options.level) / 2)
    row = dict(usable[0])
    sizes: dict[str, float] = {}
    for part in ("direct", "indirect"):
        values = np.array([one[part] for one in usable])
        errors = np.array([one[f"{part}_se"] for one in usable])
        middle, error = map(float, median_of_draws(values, errors))
        row |= {part: middle, f"{part}_se": error}
        row |= {f"{part}_lower": middle - half * error, f"{part}_upper": middle + half * error}
        sizes[part] = middle
    # The total effect is that of least squares in every draw.
    total = Interval(row["total_lower"], row["total_upper"], options.level)  # pyright: ignore[reportArgumentType]
    errors = Effects(row["direct_se"], row["indirect_se"], row["total_se"])
    row |= share_with_limits(Effects(**sizes, total=row["total"]), errors, total)
    worst = max(usable, key=lambda one: CODES.get(one["status"], st.OK))
    values = [one["indirect"] for one in usable]
    return row | {
        "interval": f"{row['interval']}, median of splits",
        "selected": int(np.median([one["selected"] for one in usable])),
        "splits": len(drawn),
        "splits_used": len(usable),
        "split_sd": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
        "split_lower": min(values),
        "split_upper": max(values),
        "notes": sorted({note for one in usable for note in one["notes"]}),
        **{field: worst[field] for field in ("status", "reason")},
        **dict.fromkeys(("direct_p", "indirect_p"), math.nan),  # of no single draw
    }


def fitted(
    method: Chosen, rows: Prepared, options: MethodOptions, key: Key
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One method on the data: its row of a table, and its mediators; a refusal is its status."""
    fit = _fit(method, rows, options, key)
    return _row(method, rows, fit), mediator_columns(method.name, fit, rows)


def _fit(
    method: Chosen, rows: Prepared, options: MethodOptions, key: Key, fast: bool | None = None
) -> MethodFit:
    own = named_key(named_key(key, "method"), method.name)
    return fit_method(method.make(rows.data, options), own, rows.data, timed=False, fast=fast)


def _row(method: Chosen, rows: Prepared, fit: MethodFit) -> dict[str, Any]:
    # Of a configured estimator only its answer tells.
    log_odds = method.log_odds(rows.data) or _is_log_odds(fit)
    return (
        {"method": method.name, "label": method.label}
        | effect_columns(fit)
        | {
            "scale": "log odds" if log_odds else "outcome",
            "status": fit.status,
            "notes": fit.notes,
            "reason": fit.reason,
        }
    )


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
    closed = next((m.name for m in chosen if _is_closed(m)), None) if not dual else None
    rows = {m.name: {"label": m.label} | missing for m in chosen if m.name != closed}
    if not dual and closed is None and methods:
        (least_squares,) = choose(OLS)
        closed = least_squares.name
        methods = {closed: least_squares.label} | methods
        rows.pop(closed, None)
        reason += ". Without rows least squares is what there is"
    return EffectsFound(methods, reason, rows, closed)


def is_none(effects: Any) -> bool:
    """True for no estimator at all: () and the like."""
    return isinstance(effects, Sized) and not isinstance(effects, str) and not len(effects)


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
