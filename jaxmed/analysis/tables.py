"""The tables of one analysis with a row per mediator and a row per data row."""

from typing import Any

import numpy as np

from jaxmed.analysis.data_units import Analysis
from jaxmed.analysis.fit import label, mediator_interval
from jaxmed.analysis.wording import status_fields

LEAD = 10


def mediator_table(analysis: Analysis) -> dict[str, np.ndarray]:
    """Columns of mediators.csv: every mediator given, NaN with a reason where not analysed."""
    facts, effects = analysis.facts, analysis.fit.mediators
    kept, names, sd = facts.kept, facts.names.mediators, facts.sd
    # Effects were estimated per standard deviation; the table is per unit.
    scale = sd[kept] if analysis.scales is not None else np.ones(kept.size)

    def full(values: Any) -> np.ndarray:
        column = np.full(len(names), np.nan)
        column[kept] = np.asarray(values, np.float64)
        return column

    limits = mediator_interval(effects)
    table: dict[str, np.ndarray] = {
        "name": np.asarray(names),
        "label": np.asarray(analysis.labels or names),
        "mean": facts.mean,
        "sd": sd,
    }
    for (method, direction), composite in analysis.composites.items():
        per_unit = np.asarray(composite.weights, np.float64) / scale
        name = label(method, direction)
        table[f"weight_{name}"] = full(per_unit)
        table[f"weight_per_sd_{name}"] = full(per_unit * sd[kept])
    table |= {
        "alpha": full(effects.alpha * scale),
        "alpha_se": full(effects.alpha_se * scale),
        "alpha_p": full(effects.alpha_p),
        "beta": full(effects.beta / scale),
        "beta_se": full(effects.beta_se / scale),
        "beta_p": full(effects.beta_p),
        "indirect": full(effects.indirect),
        "indirect_se": full(effects.indirect_se),
        "indirect_lower": full(limits.lower),
        "indirect_upper": full(limits.upper),
        "p_value": full(effects.p_value),
        "q_value": full(effects.p_adjusted),
    }
    table |= _joint(analysis)
    reasons = facts.reasons.copy()
    reason = np.asarray(effects.reason)
    # Where the whole problem failed, its reason is the one that helps.
    reasons[kept] = np.where(reason > 0, np.maximum(reason, int(analysis.fit.paths.status)), 0)
    fields = [status_fields(int(code)) for code in reasons]
    table["status"] = np.asarray([f["status"] for f in fields])
    table["reason"] = np.asarray([f["reason"] for f in fields])
    return table


def _joint(analysis: Analysis) -> dict[str, np.ndarray]:
    """What the estimator of record says of every mediator beside the others, where it does."""
    found = analysis.effects.joint
    if found is None or not np.isfinite(found["beta"]).any():
        return {}
    columns = ("beta", "beta_se", "indirect", "indirect_se", "lower", "upper", "p")
    joint = {f"joint_{name}": np.asarray(found[name]) for name in columns}
    return joint | {"joint_q": np.asarray(found["p_adjusted"])}


def mediator_summary(mediators: dict[str, np.ndarray]) -> dict[str, Any]:
    """Counts and leaders of the single-mediator tests."""
    q = mediators["q_value"]
    order = np.argsort(np.nan_to_num(mediators["p_value"], nan=2.0), kind="stable")[:LEAD]
    return {
        "count": int(np.sum(~np.isnan(q))),
        "q05": int(np.sum(q < 0.05)),
        "q10": int(np.sum(q < 0.10)),
        "lead": [str(mediators["name"][j]) for j in order if not np.isnan(q[j])],
        "test": "one mediator at a time: larger of the two paths' p-values, Benjamini-Hochberg",
    }


def row_table(analysis: Analysis) -> dict[str, np.ndarray]:
    """Exposure, outcome and composite scores of the rows used, residuals on the covariates.

    Empty where there are no rows.
    """
    data = analysis.data
    if data is None:
        return {}
    design = np.column_stack([np.ones(data.exposure.shape[0]), data.covariates])
    root = np.ones(len(design)) if data.weights is None else np.sqrt(np.asarray(data.weights))
    basis, _ = np.linalg.qr(design * root[:, None])

    def residual(values: Any) -> np.ndarray:
        scaled = np.asarray(values, np.float64) * root
        return (scaled - basis @ (basis.T @ scaled)) / root

    exposure, outcome = residual(data.exposure), residual(data.outcome)
    slope = (exposure * root**2) @ outcome / ((exposure * root**2) @ exposure)
    rows = {
        "exposure": np.asarray(data.exposure, np.float64),
        "outcome": np.asarray(data.outcome, np.float64),
        "exposure_residual": exposure,
        "outcome_residual": outcome,
        "outcome_given_exposure": outcome - slope * exposure,
    }
    for (method, direction), composite in analysis.composites.items():
        score = np.asarray(data.mediators) @ np.asarray(composite.weights)
        rows[f"score_{label(method, direction)}"] = residual(score)
    return rows
