"""GAHMN on one data set: training with checkpoints, effects, generated counterfactuals."""

import dataclasses
import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.analysis.comparison import stacked
from jaxmed.analysis.design import Basis
from jaxmed.analysis.fit import LARGE_FROM
from jaxmed.analysis.generative_result import GenerativeResult, contrasts
from jaxmed.analysis.generator_training import train_generators
from jaxmed.analysis.inputs import check_level, parse_key
from jaxmed.analysis.method_table import (
    MethodFit,
    Prepared,
    data_block,
    effect_columns,
    mediator_columns,
    prepared,
    with_design,
)
from jaxmed.analysis.record_values import plain, software
from jaxmed.analysis.wording import status_fields
from jaxmed.budget import BYTES_A_DRAW, check_count
from jaxmed.compile import quick_jit
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import MediationData
from jaxmed.deprecations import renamed
from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.estimators.parts.assemble import mediator_effects
from jaxmed.estimators.parts.legs import Leg
from jaxmed.gahmn import (
    GahmnConfig,
    GahmnDetails,
    check_rows,
    improved,
    linear_part,
    simulation_interval,
)
from jaxmed.gahmn.reported import interval_of, reported
from jaxmed.reports.result_form import VERSIONS
from jaxmed.sweeps.task import named_key
from jaxmed.typing import Interval, Key

__all__ = ["GenerativeResult", "generative"]

SCHEMA = "jaxmed.gahmn"
SCHEMA_VERSION = VERSIONS[SCHEMA]
RECORD = {
    "ols": "least squares on all mediators",
    "double_selection": "double selection",
    "refit": "refit of the selected",
}
DRAWS = 200  # behind the simulation interval
INDIVIDUALS = 500  # at most


@renamed("jaxmed.analysis.generative.generative", penalty="tuning")
def generative(
    data: MediationData,
    *,
    key: Key | int,
    config: GahmnConfig | None = None,
    interval: str = "auto",
    nuisance: str = "splines",
    n_seeds: int = 1,
    tuning: str = "given",
    arms: tuple[float, float] | None = None,
    min_rows: int = 50,
    level: float = 0.95,
    basis: Basis = "auto",
    checkpoint: str | Path | None = None,
    source: DataReport | None = None,
    progress: Callable[[str], None] | None = None,
) -> GenerativeResult:
    """Generative mediation analysis of one data set.

        found = jaxmed.mediate(data, "gahmn", key=1)
        print(found.summary()); found.generate(2, exposure=1.0, covariates=x, count=100)

    Two rows: the effects of record with an interval that covers, and what the generators say,
    with the quantiles over their noise that the paper calls an interval and that are none.

    Args:
      data: from `jaxmed.mediation_data` or `jaxmed.from_frame`; concrete.
      key: seed (0 to 2^32 - 1, recorded in the result) or JAX key.
      config: of the training; `jaxmed.gahmn.improved()` if None.
      interval: "auto", "ols", "double_selection" or "refit", see `jaxmed.gahmn.gahmn`.
      nuisance: "splines" or "generator".
      n_seeds: trainings; 5 advised where the generators' own estimate is used.
      tuning: of the penalties: "given" in the configuration, or "path", chosen by held-out rows, 8
        trainings more.
      arms: control and treated exposure; None for both values of a binary exposure and the
        quartiles of any other.
      min_rows: fewer rows are refused.
      level: of all intervals.
      basis: what the covariates stand for in the effects of record, see `jaxmed.covariate_basis`:
        their total effect is that of every other command (but with nuisance="generator", which
        has the generators' curves instead). The generators learn from the covariates themselves.
      checkpoint: folder that training is kept in and goes on from.
      source: what happened between the file and the data, for the report.
      progress: called with a sentence before each long step.
    Returns:
      GenerativeResult.
    Raises:
      ValueError: settings out of range; StoredStateError for another fit's checkpoint; ShapeError
        and InvalidDataError for the data.
    """
    seed, key = parse_key(key)
    check_level(level)
    if interval not in ("auto", "ols", "double_selection", "refit"):
        raise ValueError(
            f'interval must be "auto", "ols", "double_selection" or "refit", not {interval!r}'
        )
    if tuning not in ("given", "path"):
        raise ValueError(f'tuning must be "given" or "path", not {tuning!r}')
    check_count("n_seeds", n_seeds, 1, data.mediators.shape[1] * BYTES_A_DRAW)
    config = improved() if config is None else config
    say = progress or (lambda sentence: None)
    check_rows(data, min_rows)
    rows = prepared(data, basis, standardised=False, in_given_order=True)
    design = with_design(rows, level)
    raw = _networks(rows)
    n, p = rows.data.mediators.shape
    say(f"training {n_seeds} pair(s) of generators on {p} mediators and {n} rows")
    details = train_generators(
        named_key(key, "training"),
        raw,
        config,
        n_seeds=n_seeds,
        tuning=tuning,
        arms=arms,
        directory=checkpoint,
        say=say,
    )
    say("effects of record")
    program = _record(interval, nuisance, level, p >= LARGE_FROM)
    estimate = jax.tree.map(
        np.asarray, program(named_key(key, "reported"), rows.data, details, raw.covariates)
    )
    say("counterfactuals")
    drawn = _simulation(named_key(key, "counterfactuals"), raw, details, level)
    own = _own(details, drawn)
    fits = {
        "gahmn": (
            f"GAHMN, {RECORD[interval_of(interval, rows.data, nuisance, 'given')]}",
            _fit(estimate, estimate.status),
        ),
        "gahmn_adversarial": (
            "GAHMN, generators alone",
            _fit(jax.tree.map(np.asarray, own), own.status),
        ),
    }
    table, mediators = [], []
    for name, (label, fit) in fits.items():
        row = {"method": name, "label": label} | effect_columns(fit)
        table.append(row | {"scale": "outcome", "status": fit.status, "reason": fit.reason})
        mediators.append(mediator_columns(name, fit, rows))
    kept = [rows.given.names.mediators[j] for j in rows.kept.kept]
    settings = {
        "seed": seed,
        "level": level,
        "interval": interval,
        "nuisance": nuisance,
        "n_seeds": n_seeds,
        "tuning": tuning,
        "basis": rows.design.asked,
    }
    document = _document(rows, config, details, table, source, settings) | {"design": design}
    return GenerativeResult(
        document, stacked(mediators), details, tuple(kept), np.asarray(raw.covariates)
    )


def _networks(rows: Prepared) -> MediationData:
    """The data as the generators see them: covariates as given, without those left out."""
    lost = rows.design.chosen.dropped
    names = rows.given.names.covariates
    kept = [j for j, name in enumerate(names) if name not in lost]
    covariates = jnp.asarray(np.asarray(rows.given.covariates)[:, kept])
    return dataclasses.replace(rows.data, covariates=covariates)


def _fit(estimate: Estimate, status: Any) -> MethodFit:
    return MethodFit(estimate, math.nan, **status_fields(int(status)))


def _simulation(key: Key, data: MediationData, details: GahmnDetails, level: float) -> Effects:
    x = jnp.asarray(data.covariates)[:INDIVIDUALS]
    return simulation_interval(contrasts(DRAWS, False)(key, details.fitted, x), level)


@functools.cache
def _record(interval: str, nuisance: str, level: float, large: bool) -> Callable[..., Estimate]:
    return quick_jit(
        lambda key, data, details, raw: reported(
            key, data, details, interval, nuisance, level, basis="given", raw=raw
        ),
        optimised=large,
    )


def _adversarial(details: GahmnDetails, simulated: Effects) -> Estimate:
    """The generators' own effects as an Estimate without standard errors.

    The simulation interval is of treated against control; here it is per unit of exposure.
    """
    found, width = details.adversarial, details.fitted.scale.arms.width
    nan = jnp.full_like(found.effects.direct, jnp.nan)
    none = jnp.full_like(found.alpha, jnp.nan)
    table = mediator_effects(
        Leg(found.alpha, none, nan),
        Leg(found.beta, none, nan),
        st.when(~details.fitted.scale.valid, st.CONSTANT_MEDIATOR),
    )
    table = dataclasses.replace(table, indirect=found.indirect)

    def per_unit(interval: Interval) -> Interval:
        return dataclasses.replace(
            interval, lower=interval.lower / width, upper=interval.upper / width
        )

    parts = ("direct", "indirect", "total")
    return Estimate(
        found.effects,
        Effects(nan, nan, nan),
        Effects(*(per_unit(getattr(simulated, part)) for part in parts)),
        table,
        found.selected,
        found.status,
        None,
    )


_own = quick_jit(_adversarial)


def _document(
    rows: Prepared,
    config: GahmnConfig,
    details: GahmnDetails,
    table: list[dict[str, Any]],
    source: DataReport | None,
    settings: dict[str, Any],
) -> dict[str, Any]:
    given, found, arms = rows.given.names, details.adversarial, details.fitted.scale.arms
    linear = linear_part(details.fitted)
    seeds = [
        {"direct": float(c), "indirect": float(i), **status_fields(int(code))}
        for c, i, code in zip(
            linear.direct, linear.indirect.sum(axis=1), found.seed_status, strict=True
        )
    ]
    sentences = [
        "The first row is the estimate to report: its interval is one of sampling. The second is "
        "the generators' own linear part; its interval holds quantiles over the generators' noise "
        "and says nothing about estimation error.",
        f"Exposure compared at {float(arms.control):.4g} (control) and {float(arms.treated):.4g} "
        "(treated); effects are per unit of exposure.",
    ]
    if details.path is not None:
        first, second = (float(value) for value in details.path.best)
        sentences.append(
            f"Penalty by held-out rows: {first:g} times the configured one for the mediators, "
            f"{second:g} times for the outcome."
        )
    if len(seeds) > 1:
        sentences.append(
            f"Standard deviation over {len(seeds)} trainings: direct effect "
            f"{float(found.seed_sd.direct):.3g}, indirect effect "
            f"{float(found.seed_sd.indirect):.3g}."
        )
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": software(str(rows.data.exposure.dtype)),
        "settings": {
            "methods": ["gahmn"],
            "mode": config.mode,
            "noise": config.noise,
            "mediator_steps": config.mediator.steps,
            "outcome_steps": config.outcome.steps,
            "exposure": given.exposure,
            "outcome": given.outcome,
            "covariates": list(given.covariates),
            "config": plain(dataclasses.asdict(config)),
            **settings,
        },
        "data": data_block(rows, source),
        "choice": {"methods": ["gahmn"], "reason": "asked for", "sentences": sentences},
        "seeds": seeds,
        "table": table,
        "warnings": rows.warnings,
    }
