"""Many methods on one data set: one table, the same resamples for all."""

import dataclasses
import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxmed import status as st
from jaxmed.analysis.chosen_methods import LOG_ODDS, Chosen, MethodOptions, Methods, choose
from jaxmed.analysis.comparison import SCHEMA, SCHEMA_VERSION, Comparison, stacked
from jaxmed.analysis.design import Basis
from jaxmed.analysis.inputs import check_level, parse_key
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
from jaxmed.analysis.record_values import software
from jaxmed.budget import BYTES_A_DRAW, check_fits, check_whole, said
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import MediationData
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


def compare(
    data: MediationData,
    methods: Methods,
    *,
    key: Key | int,
    bootstrap: int = 200,
    level: float = 0.95,
    basis: Basis = "auto",
    compat: Compat = "correct",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    standardise_mediators: bool | None = None,
    chunk: int | None = None,
    batch: int | None = 1,
    source: DataReport | None = None,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Direct, indirect and total effect by several methods, with two intervals each.

        found = jaxmed.compare(data, ["ols", "hima", "guo"], key=1)
        print(found.summary())

    All methods see the same resamples: rows drawn with replacement, passed as case weights (how
    often each row was drawn), or as row copies to a method that takes no weights. The whole method
    is repeated, screening, tuning and selection included. Method-specific random numbers (folds)
    come from a stable hash of the method's name: another method more changes no other row.

    The percentile interval is shown for every method because it is what users of these methods
    compute; its `note` says what it is worth. It does not cover for composites whose weights are
    optimised on the same rows, and it is one of the biased quantity after selection or shrinkage.
    In the dual (p > n - 2 - q) composites have none, with the reason in the table.

    Args:
      data: from `jaxmed.mediation_data` or `jaxmed.from_frame`; concrete.
      methods: names (`jaxmed.methods()` lists them), configured estimators, which read case weights
        as counts of rows, or label -> either (several settings of one method).
      key: seed (0 to 2^32 - 1, recorded in the result) or JAX key.
      bootstrap: resamples; 0 for none.
      level: of all intervals.
      basis: what the covariates stand for in every model of every method, see
        `jaxmed.covariate_basis`; configured estimators see its columns as covariates.
      compat: "correct", or "r" for what the released packages compute, where there is one; their
        covariates are linear, and so is basis="auto" then.
      covariates_mediator: names or positions of the covariates of the mediator models, which get
        the columns of the basis that are made of these alone; all if None.
      covariates_outcome: of the outcome model; all if None.
      standardise_mediators: divide mediators by their standard deviation first; tables are per unit
        either way. None: yes, but not with compat="r".
      chunk: resamples of one program call; the numbers do not depend on it.
      batch: resamples vectorised at once: 1 on a CPU, more (or None, the whole chunk) on an
        accelerator.
      source: what happened between the file and the data, for the report.
      progress: called with a sentence before each long step.

    Returns:
      Comparison. A method that refuses the data (ValueError, or `ReferenceWouldStop` with
      compat="r") has its reason in its row, and a warning; the others are computed. Resamples on
      which a method failed are counted by status and left out of its bootstrap interval.

    Raises:
      ValueError: settings out of range, unknown methods or covariates (its subclasses ShapeError
        and InvalidDataError for the data).
    """
    chosen = choose(methods)
    seed, key = parse_key(key)
    check_level(level)
    check_compat(compat)
    check_whole("bootstrap", bootstrap)
    if bootstrap < 0 or bootstrap == 1:
        raise ValueError(f"bootstrap must be 0 (none) or at least 2, not {said(bootstrap)}")
    check_fits("bootstrap", bootstrap, BYTES_A_DRAW)
    check_resamples(data, 1, 1, 1 if chunk is None else chunk, batch)
    sets = {"covariates_mediator": covariates_mediator, "covariates_outcome": covariates_outcome}
    scaled = compat == "correct" if standardise_mediators is None else standardise_mediators
    say = progress or (lambda sentence: None)
    if compat == "r" and basis == "auto":
        basis = "linear"  # all that the released packages know
    rows = prepared(data, basis, standardised=scaled)
    positions = {name: rows.positions(wanted) for name, wanted in sets.items()}
    every = tuple(range(rows.design.chosen.rank - 1))
    bases = {every if where is None else where for where in positions.values()}
    design = with_design(rows, level, same=len(bases) == 1)
    options = MethodOptions(
        level,
        compat,
        positions["covariates_mediator"],
        positions["covariates_outcome"],
        rows.design.chosen.linear,
    )
    run = _Run(rows, options, key, bootstrap, chunk, batch, say)
    table, mediators, sentences = [], [], list(rows.warnings)
    for method in chosen:
        row, columns = _one(method, run)
        table.append(row)
        mediators.append(columns)
        if not math.isfinite(row["indirect"]) and row["reason"]:
            sentences.append(f"{row['label']}: {row['reason']}")
            warnings.warn(sentences[-1], stacklevel=2)
    names = rows.given.names
    covariates = {part: covariate_names(rows.given, wanted) for part, wanted in sets.items()}
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": software(str(rows.data.exposure.dtype)),
        "settings": {
            "methods": [method.name for method in chosen],
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
        "warnings": sentences,
    }
    return Comparison(document, stacked(mediators))


def _one(method: Chosen, run: _Run) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Row of the table and rows of the mediators of one method."""
    run.say(f"{method.label}: fit")
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
    return row, mediator_columns(method.name, fit, run.rows)


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
