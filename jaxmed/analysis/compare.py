"""Many methods on one data set: one table, the same resamples for all."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxmed import status as st
from jaxmed.analysis.chosen_methods import LOG_ODDS, Chosen, MethodOptions, Methods, choose
from jaxmed.analysis.comparison import SCHEMA, SCHEMA_VERSION, Comparison, stacked
from jaxmed.analysis.design import Basis
from jaxmed.analysis.fingerprints import fingerprint, method_settings
from jaxmed.analysis.inputs import check_flag, check_level, parse_key, refuse_traced
from jaxmed.analysis.method_table import (
    PARTS,
    STOPPED,
    MethodFit,
    Prepared,
    covariate_names,
    data_block,
    effect_columns,
    fit_method,
    mediator_columns,
    prepared,
    with_design,
)
from jaxmed.analysis.pace import Steps, in_chunks, now_and_then
from jaxmed.analysis.partial import Checkpoint, Finished, Partial, partial_results
from jaxmed.analysis.record_values import plain, software
from jaxmed.analysis.user_warnings import warn_user
from jaxmed.budget import BYTES_A_DRAW, check_fits, check_whole, said
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import MediationData
from jaxmed.deprecations import renamed
from jaxmed.estimators.parts.reference import Compat, check_compat
from jaxmed.estimators.parts.rows import Columns
from jaxmed.sweeps.bootstrap_intervals import bootstrap_interval
from jaxmed.sweeps.resampling import check_resamples
from jaxmed.sweeps.shared_resamples import SharedDraws, shared_resamples
from jaxmed.sweeps.task import named_key
from jaxmed.typing import Estimator, Key

__all__ = ["compare"]

WEIGHTS = "case weights"
COPIES = "row copies: the method takes no case weights"
NO_DUAL = (
    "none: with p > n - 2 - q a resample holds about 63 percent of the rows, and the optimum in "
    "its smaller row space is another target (jaxmed.bootstrap has exponential weights)"
)


@dataclasses.dataclass(frozen=True)
class _Run:
    """What all methods of one comparison share."""

    rows: Prepared
    options: MethodOptions
    key: Key
    bootstrap: int
    chunk: int | None
    batch: int | None
    say: Callable[[str], None]


@renamed("jaxmed.compare", standardise_mediators="standardise")
def compare(
    data: MediationData,
    methods: Methods,
    *,
    key: Key | int,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    bootstrap: int = 0,
    level: float = 0.95,
    basis: Basis = "auto",
    compat: Compat = "correct",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    standardise: bool | None = None,
    chunk: int | None = None,
    batch: int | None = 1,
    checkpoint: Checkpoint = None,
    resume: bool = False,
    source: DataReport | None = None,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Direct, indirect and total effect by several methods, each with its own interval.

        found = jaxmed.compare(data, ["ols", "hima", "guo"], key=1, bootstrap=200)
        print(found.summary())

    Method-specific random numbers (folds) come from a stable hash of the method's name: another
    method more changes no other row. With `bootstrap`, all methods see the same resamples, too:
    rows drawn with replacement, passed as case weights (how often each row was drawn), or as row
    copies to a method that takes no weights. The whole method is repeated, screening, tuning and
    selection included.

    The percentile interval is shown for every method because it is what users of these methods
    compute; its `note` says what it is worth. It does not cover for composites whose weights are
    optimised on the same rows, and it is one of the biased quantity after selection or shrinkage.
    In the dual (p > n - 2 - q) composites have none, with the reason in the table.

    Args:
      data: from `jaxmed.mediation_data` or `jaxmed.from_frame`; concrete.
      methods: names (`jaxmed.methods()` lists them), configured estimators, which read case weights
        as counts of rows, or label -> either (several settings of one method).
      key: seed (0 to 2^32 - 1, recorded in the result) or JAX key.
      options: by method, options of its factory: {"hdma": {"n_include": 60}}. A method of the
        mapping label -> name has them under every label.
      bootstrap: resamples; 0, the default, for none: the whole method is repeated on each.
      level: of all intervals.
      basis: what the covariates stand for in every model of every method, see
        `jaxmed.covariate_basis`; configured estimators see its columns as covariates.
      compat: "correct", or "r" for what the released packages compute, where there is one; their
        covariates are linear, and so is basis="auto" then.
      covariates_mediator: names or positions of the covariates of the mediator models, which get
        the columns of the basis that are made of these alone; all if None.
      covariates_outcome: of the outcome model; all if None.
      standardise: divide mediators by their standard deviation first; tables are per unit
        either way. None: yes, but not with compat="r".
      chunk: resamples of one program call; the numbers do not depend on it.
      batch: resamples vectorised at once: 1 on a CPU, more (or None, the whole chunk) on an
        accelerator.
      checkpoint: folder that keeps every finished method until all are done. None keeps nothing.
      resume: goes on from what an interrupted call left in the folder, for methods whose data,
        options, key, other settings and versions are the same; otherwise that is deleted. The
        result is that of a call without interruption, seconds apart. A damaged file is said in a
        warning, and its method computed anew.
      source: what happened between the file and the data, for the report.
      progress: called with a sentence before each long step, and now and then within it.

    Returns:
      Comparison. A method that refuses the data (ValueError, or `ReferenceWouldStop` with
      compat="r") has its reason in its row, and a warning; the others are computed. Resamples on
      which a method failed are counted by status and left out of its bootstrap interval.

    Raises:
      ValueError: settings out of range, unknown methods or covariates (its subclasses ShapeError
        and InvalidDataError for the data).
    """
    refuse_traced("compare", data, key)
    chosen = choose(methods, options)
    seed, key = parse_key(key)
    check_level(level)
    check_compat(compat)
    scaled = compat == "correct" if standardise is None else standardise
    check_flag("standardise", scaled)
    check_whole("bootstrap", bootstrap)
    if bootstrap < 0 or bootstrap == 1:
        raise ValueError(f"bootstrap must be 0 (none) or at least 2, not {said(bootstrap)}")
    check_fits("bootstrap", bootstrap, BYTES_A_DRAW)
    check_resamples(data, 1, 1, 1 if chunk is None else chunk, batch)
    sets = {"covariates_mediator": covariates_mediator, "covariates_outcome": covariates_outcome}
    say = progress or (lambda sentence: None)
    if compat == "r" and basis == "auto":
        basis = "linear"  # all that the released packages know
    with partial_results(checkpoint, resume=resume, progress=progress) as partial:
        rows = prepared(data, basis, standardised=scaled)
        positions = {name: rows.positions(wanted) for name, wanted in sets.items()}
        every = tuple(range(rows.design.chosen.rank - 1))
        bases = {every if where is None else where for where in positions.values()}
        design = with_design(rows, level, same=len(bases) == 1)
        common = MethodOptions(level, compat, **positions, raw=rows.design.chosen.linear)
        run = _Run(rows, common, key, bootstrap, chunk, batch, say)
        finished = _all(chosen, run, partial)
    table = [row for method in finished for row in method.rows]
    names = rows.given.names
    covariates = {part: covariate_names(rows.given, wanted) for part, wanted in sets.items()}
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": software(str(rows.data.exposure.dtype)),
        "settings": {
            "methods": [method.name for method in chosen],
            "options": _recorded(options or {}),
            "seed": seed,
            "bootstrap": bootstrap,
            "level": level,
            "basis": rows.design.asked,
            "compat": compat,
            "standardise": scaled,
            "exposure": names.exposure,
            "outcome": names.outcome,
            "covariates": list(names.covariates),
            **covariates,
        },
        "data": data_block(rows, source),
        "design": design,
        "table": table,
        "warnings": [*rows.warnings, *_without_answer(table)],
    }
    return Comparison(document, stacked([method.columns for method in finished]))


def _all(chosen: Sequence[Chosen], run: _Run, partial: Partial) -> list[Finished]:
    """Row and mediators of every method, computed or taken from what is kept."""
    steps = Steps(run.say, "method", len(chosen))
    identity = functools.cache(lambda: _identity_of_run(run))
    finished = []
    for method in chosen:
        steps.begin(method.label)
        found, taken = partial.finished(
            method.label,
            functools.partial(_identity, method, run, identity),
            functools.partial(_one, method, run),
        )
        if taken:
            steps.take()
        for sentence in _without_answer(found.rows):
            warn_user(sentence)
        finished.append(found)
    return finished


def _without_answer(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Methods that have no indirect effect, and why."""
    return [
        f"{row['label']}: {row['reason']}"
        for row in rows
        if not math.isfinite(row["indirect"]) and row["reason"]
    ]


def _identity_of_run(run: _Run) -> str:
    """Fingerprint of what the numbers of every method depend on."""
    rows = run.rows
    names = [*rows.given.names.mediators]
    settings = dataclasses.asdict(run.options) | {
        name: getattr(run, name) for name in ("bootstrap", "chunk", "batch")
    }
    arrays = [*jax.tree.leaves(rows.data), rows.scale, rows.kept.reasons, run.key]
    return fingerprint({"call": "compare", "mediators": names, **settings}, arrays)


def _identity(method: Chosen, run: _Run, of_run: Callable[[], str]) -> str | None:
    own = method_settings(method, run.key, run.rows.data)
    return None if own is None else fingerprint({"run": of_run(), **own})


def _recorded(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Options of methods as JSON has them; what it does not know as Python shows it."""
    return {
        method: {name: value if _is_plain(value) else repr(value) for name, value in given.items()}
        for method, given in plain(dict(options)).items()
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _one(method: Chosen, run: _Run) -> Finished:
    """Row of the table and rows of the mediators of one method."""
    data = run.rows.data
    own_key = named_key(named_key(run.key, "method"), method.name)
    try:
        estimator = method.make(data, run.options)
    except ValueError as error:
        estimator = None
        fit = MethodFit(None, math.nan, STOPPED, str(error))
    else:
        fit = fit_method(estimator, own_key, data, timed=True)
    row = {"method": method.name, "label": method.label} | effect_columns(fit)
    notes = [method.note] if run.bootstrap and method.note else []
    if method.log_odds(data) and fit.status != "LOG_ODDS":
        notes.insert(0, LOG_ODDS)
    gap = fit.estimate is not None and bool(row["gap"])
    if gap and fit.status not in ("NOT_ADDITIVE", "LOG_ODDS"):
        notes.insert(0, st.MESSAGES[st.NOT_ADDITIVE])
    row |= {
        "scale": "log odds" if method.log_odds(data) else "outcome",
        "random": method.random,
        "seconds": fit.seconds,
        "note": "; ".join(notes),
        "status": fit.status,
        "notes": fit.notes,
        "reason": fit.reason,
    }
    possible = estimator is not None and fit.estimate is not None
    row |= _bootstrap(method, estimator if possible else None, run)
    return Finished([row], mediator_columns(method.name, fit, run.rows))


def _bootstrap(method: Chosen, estimator: Estimator | None, run: _Run) -> dict[str, Any]:
    """Columns of the bootstrap; NaN limits where there is none."""
    resampling = WEIGHTS if method.takes_weights else COPIES
    if method.composite and run.rows.dual:
        resampling = NO_DUAL
    if run.bootstrap == 0:
        resampling = "none asked for"
    if estimator is None:
        resampling = "none: no estimate"
    draws, seconds = SharedDraws({}, {}), math.nan
    if resampling in (WEIGHTS, COPIES):
        assert estimator is not None
        run.say(f"{method.label}: {run.bootstrap} resamples")
        tell = now_and_then(run.say, f"resamples of {method.label}")
        start = time.perf_counter()
        draws = shared_resamples(
            named_key(run.key, "bootstrap"),
            run.rows.data,
            method.name,
            estimator,
            run.bootstrap,
            copies=not method.takes_weights,
            needs_rank=method.composite,
            chunk=run.chunk,
            batch=run.batch,
            progress=in_chunks(tell, run.bootstrap),
        )
        seconds = time.perf_counter() - start
    row: dict[str, Any] = {}
    for part in PARTS:
        values = draws.effects.get(part, np.empty(0))
        found = bootstrap_interval(
            values[np.isfinite(values)],
            0.0,
            kind="percentile",
            level=run.options.level,
            method="percentile",
        )
        # Nothing selected in nearly all resamples: two limits of 0 are no interval.
        width = found.upper > found.lower
        row |= {
            f"{part}_bootstrap_lower": found.lower if width else math.nan,
            f"{part}_bootstrap_upper": found.upper if width else math.nan,
        }
    return row | {
        "resampling": resampling,
        "resamples": run.bootstrap if draws.effects else 0,
        "failed": draws.failed,
        "bootstrap_seconds": seconds,
    }
