"""Train and test: composites learned on one part of the rows, judged on the other."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.analysis.basis_effects import design_block, matters_sentences
from jaxmed.analysis.composites import composites_of_method
from jaxmed.analysis.design import Basis, designed
from jaxmed.analysis.fingerprints import fingerprint
from jaxmed.analysis.fit import Fit, fit, label
from jaxmed.analysis.inputs import check_flag, check_level, parse_key, refuse_traced
from jaxmed.analysis.least_squares import least_squares
from jaxmed.analysis.pace import Steps
from jaxmed.analysis.partial import Checkpoint, Finished, Partial, partial_results
from jaxmed.analysis.proportion import share_of_total
from jaxmed.analysis.record_values import software
from jaxmed.analysis.user_warnings import warn_user
from jaxmed.analysis.wording import status_fields
from jaxmed.budget import said
from jaxmed.compile import quick_jit
from jaxmed.data import transforms
from jaxmed.data.covariate_basis import covariate_basis
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.data.train_test import on_scale, part_strata
from jaxmed.data.transforms import drop_degenerate
from jaxmed.deprecations import renamed
from jaxmed.estimators.marginal import single_mediator_data
from jaxmed.estimators.parts.units import Units, rescaled, units_of
from jaxmed.estimators.single_score import judge_score, predict_score
from jaxmed.geometry.paths import regime_of
from jaxmed.registry import CLOSED, COMPOSITES, METHODS, check_composites
from jaxmed.reports.record import result_json
from jaxmed.reports.result_form import VERSIONS
from jaxmed.reports.table import data_frame
from jaxmed.statistics.score_ranks import GROUPS
from jaxmed.typing import Interval, Key

SCHEMA = "jaxmed.evaluate"
SCHEMA_VERSION = VERSIONS[SCHEMA]
MIN_PART = 10
PARTS = ("train", "test")


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """One row per method and part ("train", "test"), and the settings."""

    document: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table, one dict per method and part."""
        return self.document["table"]

    def to_pandas(self) -> Any:
        """The table as a pandas DataFrame.

        Raises:
          ImportError: pandas is not installed (extra `io`).
        """
        return data_frame(self.rows)

    def to_json(self) -> str:
        """The document as strict JSON."""
        return result_json(self.document)


@dataclasses.dataclass(frozen=True)
class _Learned:
    """Composites learned on the training rows, and the rows to judge them on."""

    train: MediationData
    test: MediationData
    fit: Fit
    units: Units
    key: Key
    level: float


@renamed("jaxmed.evaluate", standardise_mediators="standardise")
def evaluate(
    data: MediationData,
    methods: str | Sequence[str] = ("maxie", "maxcor", "lasso_exposure", "lasso_outcome"),
    *,
    key: Key | int,
    holdout: float = 0.3,
    level: float = 0.95,
    basis: Basis = "auto",
    standardise: bool = True,
    checkpoint: Checkpoint = None,
    resume: bool = False,
    source: DataReport | None = None,
    progress: Callable[[str], None] | None = None,
) -> EvaluationResult:
    """Learn composites on the training rows and report the same columns on both parts.

    Weights, the standardisation of mediators and the choice of penalties see training rows only. On
    the test rows the composite is one given mediator, so that its effects have ordinary
    inference: the interval of the indirect effect is valid there, and absent on the training rows.

    Args:
      data: concrete rows.
      methods: composites by name: maxie, maxcor, reg_outcome, reg_exposure, directions, numerical,
        lasso_exposure, lasso_outcome; maxie and maxcor stand for their upward ones.
      key: seed (recorded) or JAX key.
      holdout: share of test rows, in (0, 1); by strata of a 0/1 outcome, so that a rare outcome
        is present in both parts.
      level: of the test intervals.
      basis: what the covariates stand for, see `jaxmed.covariate_basis`. It belongs to the data
        set: both parts have the columns of the whole table, whose centres and knots come from the
        covariates of all rows, and from nothing else of the test rows.
      standardise: mediators by the training rows' means and standard deviations.
      checkpoint: folder that keeps every finished method until all are done. None keeps nothing.
      resume: goes on from what an interrupted call left in the folder, where data, methods, key,
        other settings and versions are the same; see `jaxmed.compare`.
      source: what happened between the file and the data, for the record.
      progress: called with a sentence before each long step.
    Returns:
      EvaluationResult. For a 0/1 outcome `auc` is that of the composite score alone, and
      `group_means` is the prevalence in fifths of the composite residualised on the exposure;
      both count case weights. `document["data"]["total"]` is the total effect of the whole table,
      that of every other command, beside those of the two parts.
    Raises:
      ValueError: holdout out of range or parts too small.
    Source: He (2026) section 8: its table's columns, and its figure's quintile prevalence and AUC.
    """
    refuse_traced("evaluate", data, key)
    methods = (methods,) if isinstance(methods, str) else tuple(methods)
    if not all(isinstance(name, str) for name in methods):
        raise ValueError(f"evaluate takes composites by name: {', '.join(COMPOSITES)}")
    check_composites(methods)
    check_level(level)
    check_flag("standardise", standardise)
    seed, key = parse_key(key)
    if not 0 < holdout < 1:
        raise ValueError(f"holdout must be between 0 and 1, not {said(holdout)}")
    say = progress or (lambda sentence: None)
    with partial_results(checkpoint, resume=resume, progress=progress) as partial:
        design = designed(data, basis)
        given, data = design.given, design.data
        units = units_of(data)
        safe = rescaled(data, units)
        split_key, method_key = jax.random.split(key)
        train_rows, test_rows = _split(split_key, data, holdout, design.linear.rank - 1)
        kept = drop_degenerate(_rows(safe, train_rows), keep_duplicates=_is_dual(data, train_rows))
        train = _independent(kept.data)
        test = _independent(_rows(safe, test_rows))
        test = dataclasses.replace(test, mediators=test.mediators[:, kept.kept], names=train.names)
        if standardise:
            train, scales = transforms.standardise(train)
            test = on_scale(test, scales)
        say(f"learning on {len(train_rows)} rows, testing on {len(test_rows)}")
        result = fit(train, methods=tuple(m for m in methods if m in CLOSED), level=level)
        learned = _Learned(train, test, result, units, method_key, level)
        table = _all(methods, learned, partial, say)
    every = np.arange(data.exposure.shape[0])
    usable = drop_degenerate(data, keep_duplicates=_is_dual(data, every)).data
    block = design_block(design, usable, level, equal_variances=True)
    for sentence in matters_sentences(block):
        warn_user(sentence)
    whole = least_squares(data, data.covariates, least_df=every.size)
    parts = {part: next(r["total"] for r in table if r["part"] == part) for part in PARTS}
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": software(str(np.asarray(data.exposure).dtype)),
        "settings": {
            "methods": list(methods),
            "seed": seed,
            "holdout": holdout,
            "level": level,
            "basis": design.asked,
            "standardise": standardise,
            "exposure": given.names.exposure,
            "outcome": given.names.outcome,
            "covariates": list(given.names.covariates),
        },
        "data": {
            "source": None if source is None else source.to_dict(),
            "files": None if source is None else source.files(),
            "lines": [] if source is None else source.lines(),
            "train_rows": len(train_rows),
            "test_rows": len(test_rows),
            "num_mediators": data.mediators.shape[1],
            "num_mediators_analysed": int(kept.kept.size),
            "regime": result.paths.regime,
            "total": {"whole": whole.to_dict(level, equal_variances=True)["total"], **parts},
        },
        "design": block,
        "table": table,
        "warnings": [*design.chosen.warnings, *matters_sentences(block)],
    }
    return EvaluationResult(document)


def _all(
    methods: tuple[str, ...],
    learned: _Learned,
    partial: Partial,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Rows of all methods, computed or taken from what is kept."""
    steps = Steps(say, "composite", len(methods))

    @functools.cache
    def of_run() -> str:
        # One program holds all closed forms: other methods beside one may change its last bits.
        settings = {"call": "evaluate", "methods": methods, "level": learned.level}
        parts = (learned.train, learned.test, learned.units, learned.key)
        return fingerprint(settings, jax.tree.leaves(parts))

    table: list[dict[str, Any]] = []
    for position, name in enumerate(methods):
        steps.begin(METHODS[name].label)
        found, taken = partial.finished(
            name,
            functools.partial(lambda name: fingerprint({"run": of_run(), "name": name}), name),
            functools.partial(_one, name, position, learned),
        )
        if taken:
            steps.take()
        table += found.rows
    return table


def _one(name: str, position: int, learned: _Learned) -> Finished:
    """Rows of one method: both parts of each of its composites but a downward one."""
    found = composites_of_method(name, learned.fit, learned.train, learned.key, position)
    rows = []
    for (method, direction), composite in found.items():
        if direction == "suppression":
            continue
        weights = np.asarray(composite.weights)
        code = int(composite.status)
        for part, data in zip(PARTS, (learned.train, learned.test), strict=True):
            judged = _judge(data, weights, learned.level, code, part == "test")
            named = {"method": label(method, direction), "label": METHODS[name].label_of_one}
            rows.append(named | {"part": part} | _in_units(judged, learned.units))
    return Finished(rows)


def _is_dual(data: MediationData, rows: np.ndarray) -> bool:
    return regime_of(len(rows), data.mediators.shape[1], data.covariates.shape[1]) == "dual"


def _split(
    key: Key, data: MediationData, holdout: float, linear: int
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the training and the test part, sorted.

    Args:
      key: consumed.
      data: on its basis.
      holdout: share of the test part.
      linear: columns that linear covariates have, for the refusal.
    """
    n = data.exposure.shape[0]
    order = np.asarray(jax.random.permutation(key, n))
    outcome = np.asarray(data.outcome)
    binary = np.isin(outcome, (0, 1)).all()
    strata = [order[outcome[order] == v] for v in (0, 1)] if binary else [order]
    train, test = (np.sort(np.concatenate(part)) for part in part_strata(strata, holdout))
    least = data.covariates.shape[1] + MIN_PART
    if min(len(train), len(test)) < least:
        fewer = linear + MIN_PART
        remedy = f', {fewer} with basis="linear"' if fewer < least else ""
        raise ValueError(
            f"holdout {holdout} of {n} rows leaves {len(train)} training and {len(test)} test "
            f"rows: at least {least} of each are needed{remedy}"
        )
    return train, test


def _rows(data: MediationData, rows: np.ndarray) -> MediationData:
    part = jax.tree.map(lambda values: values[rows], data)
    if part.weights is None:
        return part
    return dataclasses.replace(part, weights=part.weights * (len(rows) / part.weights.sum()))


def _independent(part: MediationData) -> MediationData:
    """Without the columns that are constant or dependent in this part (a level that is absent)."""
    return covariate_basis(part, "linear").data


def _in_units(judged: dict[str, Any], units: Units) -> dict[str, Any]:
    """A row of the table in the units of the data."""
    effect, outcome = float(units.effect), float(units.outcome)
    moved = {name: judged[name] * effect for name in ("indirect", "total", "lower", "upper")}
    return judged | moved | {"group_means": [mean * outcome for mean in judged["group_means"]]}


# In the order of the record.
_COLUMNS = (
    "indirect",
    "index",
    "exposure_correlation",
    "outcome_correlation",
    "total",
    "proportion_mediated",
    "auc",
    "lower",
    "upper",
)
_judge_score = quick_jit(judge_score, ("level",))


def _judge(
    data: MediationData, weights: np.ndarray, level: float, code: int, inference: bool
) -> dict[str, Any]:
    """The paper's columns for one composite on one part of the rows."""
    score = np.asarray(data.mediators) @ weights
    usable = not st.is_fatal(code) and bool(np.any(weights != 0))
    if not usable:
        score = np.zeros_like(score)
    single = dataclasses.replace(single_mediator_data(data, jnp.asarray(score)), names=Names())
    values = _judge_score(single, level)
    limits = Interval(values["total_lower"], values["total_upper"], level)
    values["proportion_mediated"], _ = share_of_total(
        values["indirect"], values["total"], limits, values["total_error"]
    )
    host = jax.tree.map(np.asarray, data)
    values["auc"], groups = predict_score(host, score, float(values["slope"]))
    nan = float("nan")
    if not inference:
        values |= {"lower": nan, "upper": nan}
    row: dict[str, Any] = {
        name: float(values[name]) if usable or name == "total" else nan for name in _COLUMNS
    }
    row["group_means"] = groups.tolist() if usable else [nan] * GROUPS
    row["selected"] = int(np.count_nonzero(weights))
    ended = status_fields(max(code, int(values["status"]) if usable else st.EMPTY_SELECTION))
    return row | {name: ended[name] for name in ("status", "reason")}  # a flat table
