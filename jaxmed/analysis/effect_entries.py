"""The `effects` of a record: one entry per estimand and estimator, those of record first."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxmed import status as st
from jaxmed.analysis.chosen_effects import EffectsFound
from jaxmed.analysis.data_units import Analysis
from jaxmed.analysis.proportion import HOLDS_ZERO, share_with_limits
from jaxmed.analysis.single import is_single, single_effect
from jaxmed.analysis.wording import EFFECTS, status_fields
from jaxmed.distributions.fieller import KINDS
from jaxmed.estimators.estimate import Effects
from jaxmed.registry import METHODS

__all__ = ["effect_entries"]

OLS = METHODS["ols"]
TOTAL = ("ols", "OLS")  # without mediators
CROSS_FITTED = ("maxie", "MaxIE, cross-fitted")
SAME = 1e-6  # relative; totals of two linear methods that differ by less are one
# Column of a table of methods -> quantity.
_ESTIMATED = {"direct": "direct_effect", "indirect": "total_indirect"}
SPLITS = ("splits", "splits_used", "split_sd", "split_lower", "split_upper")
Entry = dict[str, Any]


def effect_entries(analysis: Analysis, level: float) -> list[Entry]:
    """All effects of one analysis; see `reports.record` for the fields of an entry."""
    found = analysis.effects
    dual = analysis.fit.paths.regime == "dual"
    entries = [_total(analysis, level)]
    closed = [] if dual else _least_squares(analysis, level)
    names = list(found.methods)
    if not names:
        # Least squares is there anyway where it exists.
        entries += closed or _nothing(analysis, level)
    for name in names:
        of_record = name == names[0]
        if name in found.rows:
            entries += _fitted(name, found, analysis, level, of_record)
        elif name == found.closed:
            under = {"method": name, "method_label": found.methods[name], "of_record": of_record}
            entries += [entry | under for entry in closed]
    if names and found.closed is None and OLS.name not in found.rows:
        entries += [entry | {"of_record": False} for entry in closed]
    entries += _parts(analysis, level) + _cross_fitted(analysis, level)
    return [single_effect(entry) for entry in entries] if is_single(analysis.fit) else entries


def _entry(
    analysis: Analysis,
    quantity: str,
    level: float,
    estimate: Any,
    error: Any,
    lower: Any,
    upper: Any,
    interval: str,
    *,
    method: tuple[str, str],
    naive: Any = math.nan,
    status: Mapping[str, Any],
) -> Entry:
    names = analysis.facts.names
    label, estimand = EFFECTS[quantity]
    unit = f"{names.outcome} per unit of {names.exposure}"
    return {
        "quantity": quantity,
        "method": method[0],
        "method_label": method[1],
        "of_record": True,
        "label": label,
        "estimand": estimand,
        "estimate": estimate,
        "naive": naive,
        "standard_error": error,
        "lower": lower,
        "upper": upper,
        "level": level,
        "interval": interval,
        "unit": "share of the total effect" if quantity == "proportion_mediated" else unit,
        **status,
    }


def _linear(analysis: Analysis, quantity: str, level: float, effect: Any, code: int) -> Entry:
    """One coefficient of least squares."""
    if effect.standard_error == 0:
        code = max(code, st.ZERO_RESIDUAL)
    notes = analysis.fit.paths.notes if quantity == "direct_effect" else st.NO_NOTES
    return _entry(
        analysis,
        quantity,
        level,
        effect.estimate,
        effect.standard_error,
        effect.interval.lower,
        effect.interval.upper,
        effect.interval.method,
        method=TOTAL if quantity == "total_effect" else (OLS.name, OLS.label),
        status=status_fields(code, notes),
    )


def _total(analysis: Analysis, level: float) -> Entry:
    fit, code = analysis.fit, int(analysis.fit.paths.status)
    if math.isfinite(fit.total.estimate) and code not in (st.OK, st.WEIGHTED):
        code = st.OK  # the trouble is the mediators'
    return _linear(analysis, "total_effect", level, fit.total, code)


def _least_squares(analysis: Analysis, level: float) -> list[Entry]:
    """Direct effect, total indirect effect and share by least squares on all mediators."""
    fit, law = analysis.fit, analysis.law.intervals["total"]
    code, q = int(fit.paths.status), fit.paths.quadratics
    no_residual = q.residual_df <= q.dimension
    direct = _linear(
        analysis,
        "direct_effect",
        level,
        fit.direct,
        max(code, st.NOT_IN_DUAL) if no_residual else code,
    )
    indirect = _of_law(analysis, "total", "total_indirect", level)
    sizes = Effects(fit.direct.estimate, law.estimate, fit.total.estimate)
    errors = Effects(fit.direct.standard_error, law.standard_error, fit.total.standard_error)
    share = share_with_limits(sizes, errors, fit.total.interval)
    method, code = (OLS.name, OLS.label), int(law.status)
    return [direct, indirect, _share(analysis, level, share, method, code)]


def _share(
    analysis: Analysis,
    level: float,
    share: Mapping[str, Any],
    method: tuple[str, str],
    code: int | None = None,
) -> Entry:
    status = _status_of_share(share)
    if code is not None and st.is_fatal(code):
        status = status_fields(code)
    value = share["proportion_mediated"]
    return _entry(
        analysis,
        "proportion_mediated",
        level,
        value,
        math.nan,
        share["proportion_lower"],
        share["proportion_upper"],
        "Fieller" if math.isfinite(share["proportion_lower"]) else "",
        method=method,
        status=status,
    )


def _status_of_share(share: Mapping[str, Any]) -> dict[str, Any]:
    """OK with a note where limits are missing, NOT_APPLICABLE where the share is."""
    whole, limits = (math.isfinite(share[f"proportion_{p}"]) for p in ("mediated", "lower"))
    if whole and limits:
        return status_fields(st.OK)
    weak = share["proportion_reason"] in (HOLDS_ZERO, *KINDS.values())
    note = st.Note.WEAK_TOTAL if weak else st.Note.NO_STANDARD_ERRORS
    fields = status_fields(st.OK if whole else st.NOT_APPLICABLE, int(note))
    return fields | {"reason": share["proportion_reason"] or fields["reason"]}


def _fitted(
    name: str, found: EffectsFound, analysis: Analysis, level: float, of_record: bool
) -> list[Entry]:
    """The effects of a method that was run on the data."""
    row = found.rows[name]
    method = (name, found.methods[name])
    status = {field: row[field] for field in ("status", "notes", "reason")}
    parts = dict(_ESTIMATED)
    total = float(np.asarray(analysis.fit.total.estimate))
    if math.isfinite(row["total"]) and abs(row["total"] - total) > SAME * abs(total):
        parts = {"total": "total_effect"} | parts
    entries = [
        _entry(
            analysis,
            quantity,
            level,
            row[part],
            row.get(f"{part}_se", math.nan),
            row[f"{part}_lower"],
            row[f"{part}_upper"],
            row["interval"],
            method=method,
            status=status,
        )
        for part, quantity in parts.items()
    ]
    if "proportion_mediated" in row:
        share = {key: row[key] for key in row if key.startswith("proportion")}
        entries.append(_share(analysis, level, share, method))
        if not math.isfinite(row["indirect"]):
            entries[-1] |= status
    # How far the draw of the folds moves it.
    moved = {name: row[name] for name in SPLITS if name in row}
    entries = [e | moved if e["quantity"] == "total_indirect" else e for e in entries]
    unit = {"unit": "log odds"} if row.get("scale") == "log odds" else {}
    shares = "proportion_mediated"
    # A total effect of another scale, or of another regression, is not the one of record.
    return [
        entry
        | {"of_record": of_record and entry["quantity"] != "total_effect"}
        | (unit if entry["quantity"] != shares else {})
        for entry in entries
    ]


def _nothing(analysis: Analysis, level: float) -> list[Entry]:
    """Direct and total indirect effect where nobody asked for an estimator of them."""
    nan = math.nan
    status = status_fields(max(int(analysis.fit.paths.status), st.NOT_ESTIMATED))
    return [
        _entry(analysis, q, level, nan, nan, nan, nan, "", method=("", ""), status=status)
        | {"of_record": False}
        for q in _ESTIMATED.values()
    ]


def _of_law(analysis: Analysis, part: str, quantity: str, level: float) -> Entry:
    law = analysis.law.intervals[part]
    return _entry(
        analysis,
        quantity,
        level,
        law.estimate,
        law.standard_error,
        law.interval.lower,
        law.interval.upper,
        law.interval.method,
        method=(OLS.name, OLS.label),
        naive=law.naive,
        status=status_fields(int(law.status), law.notes),
    )


def _parts(analysis: Analysis, level: float) -> list[Entry]:
    return [
        _of_law(analysis, part, part, level) | {"of_record": False}
        for part in ("concordant", "suppression")
    ]


def _cross_fitted(analysis: Analysis, level: float) -> list[Entry]:
    entries = []
    for quantity, cross in (
        ("cross_fitted", analysis.rows.cross_fit),
        ("cross_fitted_suppression", analysis.rows.cross_fit_suppression),
    ):
        if cross is None:
            continue
        entry = _entry(
            analysis,
            quantity,
            level,
            cross.indirect,
            cross.standard_error,
            cross.interval.lower,
            cross.interval.upper,
            cross.interval.method,
            method=CROSS_FITTED,
            status=status_fields(int(cross.status), analysis.fit.paths.notes),
        )
        entries.append(
            entry
            | {
                "of_record": False,
                "splits": cross.splits,
                "splits_used": cross.splits_used,
                "split_sd": cross.spread,
                "split_lower": cross.lowest,
                "split_upper": cross.highest,
            }
        )
    return entries
