"""From arrays to the plain record that reports are made from."""

import dataclasses
import math
from typing import Any

import jax
import numpy as np
from scipy.special import stdtr

from jaxmed import status as st
from jaxmed.analysis.chosen_effects import difference
from jaxmed.analysis.data_facts import DataFacts, dropped_mediators, row_facts
from jaxmed.analysis.data_units import Analysis
from jaxmed.analysis.effect_entries import effect_entries
from jaxmed.analysis.fit import label
from jaxmed.analysis.found_threats import found_threats
from jaxmed.analysis.proportion import share_of_total
from jaxmed.analysis.record_values import plain, software
from jaxmed.analysis.single import existing_composites, is_single, single_test
from jaxmed.analysis.tables import mediator_summary, mediator_table, row_table
from jaxmed.analysis.wording import DIRECTIONS, TESTS, status_fields
from jaxmed.data.data_report import Source
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.inference.dual_total import DualTotalTest
from jaxmed.registry import METHODS
from jaxmed.reports.methods_text import citations, methods_text
from jaxmed.reports.record import SCHEMA, SCHEMA_VERSION, Record

TOP = 20
ARRAYS = ("fit", "law", "rows", "scales")


def build_record(analysis: Analysis, settings: Any, source: Source | None) -> Record:
    """The record of one analysis; see `reports.record` for its fields."""
    # On the host from here on: every operation on a JAX array would compile a program of its own.
    host = {f: jax.tree.map(np.asarray, getattr(analysis, f)) for f in ARRAYS}
    # One by one: as a pytree the dict would come back sorted by method, not as asked for.
    host["composites"] = {
        name: jax.tree.map(np.asarray, composite)
        for name, composite in existing_composites(analysis).items()
    }
    analysis = dataclasses.replace(analysis, **host)
    mediators = mediator_table(analysis)
    effects = effect_entries(analysis, settings.level)
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": software(str(analysis.fit.paths.exposure_path.dtype)),
        "settings": dataclasses.asdict(settings)
        | {
            "exposure": analysis.facts.names.exposure,
            "outcome": analysis.facts.names.outcome,
            "covariates": list(analysis.facts.names.covariates),
        },
        "data": _data(analysis.facts, source),
        "design": analysis.design,
        "paths": _paths(analysis),
        "effects": effects,
        "choice": _choice(analysis, effects),
        "composites": [
            _composite(analysis, method, direction, composite, mediators)
            for (method, direction), composite in analysis.composites.items()
        ],
        "tests": _tests(analysis, settings.replicates),
        "mediator_summary": mediator_summary(mediators),
        "threats": found_threats(analysis, effects, settings, source),
        "warnings": analysis.warnings,
    }
    document = plain(document)
    document |= {"methods_text": methods_text(document), "citations": citations(document)}
    return Record(document, mediators, row_table(analysis))


def _choice(analysis: Analysis, effects: list[dict[str, Any]]) -> dict[str, Any]:
    """Which estimators, why, and by how much they differ."""
    found = analysis.effects
    answers = {
        entry["method_label"]: float(np.asarray(entry["estimate"]))
        for entry in effects
        if entry["quantity"] == "total_indirect" and entry["method"] in found.methods
    }
    said = difference(list(answers.items()))
    return {"methods": list(found.methods), "reason": found.reason, "sentences": said}


def _data(facts: DataFacts, source: Source | None) -> dict[str, Any]:
    names, described = facts.names, facts.columns
    return {
        **row_facts(names, facts.rows_used, facts.weighted, facts.reasons, source),
        "exposure": described[names.exposure],
        "outcome": described[names.outcome],
        "covariates": [described[name] for name in names.covariates],
        "dropped_mediators": dropped_mediators(names, facts.reasons),
    }


def _paths(analysis: Analysis) -> dict[str, Any]:
    fit = analysis.fit
    paths, q = fit.paths, fit.paths.quadratics
    residual = q.outcome_outcome + q.residual_ss
    angle = 2 * math.atan2(float(paths.half_difference), float(paths.half_sum))
    concordant, suppression = np.degrees(fit.maxcor_angles)
    return {
        "regime": paths.regime,
        "route": paths.route,
        "condition": paths.condition,
        "dimension": q.dimension,
        "residual_df": q.residual_df,
        "cosine": q.cosine,
        "angle_degrees": math.degrees(angle),
        "exposure_r2": q.exposure_exposure / (1 + q.exposure_exposure),
        "outcome_r2": q.outcome_outcome / residual if residual else math.nan,
        "exposure_norm": float(q.exposure_exposure) ** 0.5,
        "outcome_norm": float(q.outcome_outcome) ** 0.5 * analysis.outcome_unit,
        "maxcor_angle_degrees": {
            "concordant": concordant,
            "suppression": suppression,
        },
    } | status_fields(int(paths.status), paths.notes)


def _composite(
    analysis: Analysis,
    method: str,
    direction: str,
    composite: CompositeMediator,
    mediators: dict[str, np.ndarray],
) -> dict[str, Any]:
    size = np.abs(mediators[f"weight_per_sd_{label(method, direction)}"])
    order = np.argsort(-np.nan_to_num(size, nan=-1.0), kind="stable")[:TOP]
    top = [str(mediators["name"][j]) for j in order if size[j] > 0]
    name = METHODS[method].label + (f" {DIRECTIONS[direction]}" if direction else "")
    whole = analysis.fit.total
    share, why = share_of_total(
        composite.indirect, composite.total, whole.interval, whole.standard_error
    )
    return {
        "method": method,
        "direction": direction,
        "label": name,
        "exposure_effect": composite.exposure_effect,
        "outcome_effect": composite.outcome_effect,
        "indirect": composite.indirect,
        "direct": composite.direct,
        "total": composite.total,
        "proportion_mediated": share,
        "proportion_reason": why,
        "index": composite.index,
        "exposure_correlation": composite.exposure_correlation,
        "outcome_correlation": composite.outcome_correlation,
        "top": top,
    } | status_fields(int(composite.status), composite.notes)


def _tests(analysis: Analysis, replicates: int) -> list[dict[str, Any]]:
    fit, rows = analysis.fit, analysis.rows
    union, joint = fit.intersection_union, fit.joint
    failed = int(fit.paths.status)
    entries = []
    none = max(failed, st.NOT_IN_DUAL), max(failed, st.NOT_APPLICABLE)
    for name, test, missing in (
        ("total", analysis.law.test, none[0]),
        ("total_robust", rows.robust, none[0]),
        ("cosine", fit.cosine, none[1]),
        ("corrected_cosine", fit.corrected, none[1]),
    ):
        if test is None:
            entries.append(_test(name, code=missing))
        else:
            entries.append(_sided(name, test, test.statistic, test.df))
    outcome_side = bool(np.asarray(joint.p_outcome) >= np.asarray(joint.p_exposure))
    entries.append(
        _sided(
            "joint",
            joint,
            joint.statistic_outcome if outcome_side else joint.statistic_exposure,
            joint.df_outcome if outcome_side else joint.df_exposure,
        )
        | {"p_outcome": joint.p_outcome, "p_exposure": joint.p_exposure}
    )
    outcome_side = bool(np.asarray(union.p_outcome) >= np.asarray(union.p_exposure))
    entries.append(
        _test(
            "intersection_union",
            union.statistic_outcome if outcome_side else union.statistic_exposure,
            union.df_outcome if outcome_side else union.df_exposure,
            union.p_value,
            code=int(union.status),
            notes=union.notes,
        )
        | {"p_outcome": union.p_outcome, "p_exposure": union.p_exposure}
    )
    if rows.dual_total is not None:
        entries.append(_dual_total(rows.dual_total))
    elif fit.paths.regime == "dual":
        entries.append(_test("dual_total", code=max(failed, st.NOT_ESTIMATED)))
    if rows.permutation is not None:
        test = rows.permutation
        entries.append(
            _test(
                "permutation",
                test.cosine,
                math.nan,
                test.p_value,
                code=int(test.status),
                notes=test.notes,
            )
            | {"count": test.count}
        )
    for entry in entries:
        if entry["test"] == "total" and not is_single(fit):
            entry |= {"p_closed_form": _by_t(entry), "replicates": replicates}
    return [single_test(entry) for entry in entries] if is_single(fit) else entries


def _by_t(entry: dict[str, Any]) -> float:
    """The p-value of W by t, which has no least value as that of the draws has."""
    return float(2 * stdtr(float(entry["df"]), -abs(float(entry["statistic"]))))


def _sided(name: str, test: Any, statistic: Any, df: Any) -> dict[str, Any]:
    """The entry of a test that has p-values of both sides."""
    return _test(
        name,
        statistic,
        df,
        test.p_value,
        test.p_concordant,
        test.p_suppression,
        int(test.status),
        test.notes,
    )


def _dual_total(test: DualTotalTest) -> dict[str, Any]:
    return _sided("dual_total", test, test.statistic, test.df) | {
        "p_reml": test.p_reml,
        "p_permutation": test.p_permutation,
        "ratio": test.ratio,
        "count": test.count,
    }


def _test(
    name: str,
    statistic: Any = math.nan,
    df: Any = math.nan,
    p_value: Any = math.nan,
    p_concordant: Any = math.nan,
    p_suppression: Any = math.nan,
    code: int = st.OK,
    notes: Any = st.NO_NOTES,
) -> dict[str, Any]:
    title, null, exact = TESTS[name]
    return {
        "test": name,
        "label": title,
        "null": null,
        "exact": exact,
        "statistic": statistic,
        "df": df,
        "p_value": p_value,
        "p_concordant": p_concordant,
        "p_suppression": p_suppression,
    } | status_fields(code, notes)
