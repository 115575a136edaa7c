"""Least squares on the host: the three effects under one set of covariates, without compiling.

What stands beside the answer of an analysis, so that a basis of the covariates can be judged: the
numbers of `estimators.ols` on the same columns, in float64.
"""

import dataclasses
from statistics import NormalDist
from typing import Any

import numpy as np

from jaxmed.data.mediation_data import MediationData

__all__ = ["LinearEffects", "least_squares"]

MIN_DF = 2
SINGULAR = 1e-9  # pivot of a column over its length
FLOOR = 1e3 * np.finfo(np.float64).eps


@dataclasses.dataclass(frozen=True)
class LinearEffects:
    """Effects and HC2 standard errors; direct and indirect are NaN where there is no fit."""

    total: float
    direct: float
    indirect: float
    total_se: float
    direct_se: float
    indirect_se: float
    df: int  # residual degrees of freedom of the outcome model

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the effects that exist."""
        fitted = np.isfinite(self.direct)
        return ("total", "direct", "indirect") if fitted else ("total",)

    def to_dict(self, level: float) -> dict[str, dict[str, float]]:
        """Estimate, standard error and normal interval of each effect that exists."""
        half = NormalDist().inv_cdf((1 + level) / 2)
        found = {}
        for part in self.parts:
            value, error = getattr(self, part), getattr(self, f"{part}_se")
            found[part] = {
                "estimate": value,
                "standard_error": error,
                "lower": value - half * error,
                "upper": value + half * error,
            }
        return found


def least_squares(data: MediationData, covariates: Any, *, least_df: int = MIN_DF) -> LinearEffects:
    """Total, direct and indirect effect with HC2 errors ("difference" for the path part).

    Args:
      data: concrete; its own covariates are not looked at.
      covariates: independent columns [n, q] without the intercept.
      least_df: residual degrees of freedom below which only the total effect is computed.
    Returns:
      LinearEffects, equal to those of `estimators.ols(basis="given")` to rounding. Dependent
      mediators leave the total effect alone.
    Source: as `estimators.parts.partially_linear.outcome_fit`.
    """
    a, m, y, x = (
        np.asarray(v, np.float64) for v in (data.exposure, data.mediators, data.outcome, covariates)
    )
    n = a.size
    w = np.ones(n) if data.weights is None else np.asarray(data.weights, np.float64)
    used = w > 0
    a, m, y, x, w = a[used], m[used], y[used], x[used], w[used]
    root = np.sqrt(w)
    base = np.column_stack([np.ones(len(a)), x])
    q_base = np.linalg.qr(root[:, None] * base)[0]

    def given(values: np.ndarray) -> np.ndarray:
        scaled = root * values if values.ndim == 1 else root[:, None] * values
        scaled = scaled - q_base @ (q_base.T @ scaled)
        return (scaled.T / root).T

    t, r = given(a), given(y)
    ss = float(np.sum(w * t * t))
    total = float(np.sum(w * t * r) / ss)
    left = r - total * t
    slack = np.sum(q_base**2, axis=1) / w + t * t / ss
    score = t / ss
    df = round(float(w.sum())) - base.shape[1] - 1 - m.shape[1]
    alone = float(np.sqrt(np.sum(score**2 * _over(w * left**2, slack))))
    nan = float("nan")
    none = LinearEffects(total, nan, nan, alone, nan, nan, df)
    if df < least_df:
        return none
    size = np.sqrt(w @ m**2)
    design = np.column_stack([a, m / np.where(size > 0, size, 1)])
    rest = root[:, None] * given(design)
    q_rest, upper = np.linalg.qr(rest)
    if np.any(np.abs(np.diag(upper)) <= SINGULAR * np.linalg.norm(rest, axis=0)):
        return none
    coefficients = np.linalg.solve(upper, q_rest.T @ (root * r))
    residual = r - q_rest @ (q_rest.T @ (root * r)) / root
    leverage = (np.sum(q_base**2, axis=1) + np.sum(q_rest**2, axis=1)) / w
    noise = _over(w * residual**2, leverage)
    alpha = (score * w) @ design[:, 1:]
    # Rows of (Z'WZ)^-1 Z' for the direct effect and for alpha'b.
    wanted = np.column_stack([np.eye(len(upper))[0], np.concatenate([[0.0], alpha])])
    on_direct, on_path = (q_rest @ np.linalg.solve(upper.T, wanted)).T / root
    weight = _over(w * score**2, slack)
    path = max(float(np.sum(weight * (_over(left**2, slack) - _over(residual**2, leverage)))), 0)
    direct_var = float(np.sum(on_direct**2 * noise))
    indirect_var = float(np.sum(on_path**2 * noise)) + path
    both = direct_var + indirect_var + 2 * float(np.sum(on_direct * on_path * noise))
    direct = float(coefficients[0])
    return LinearEffects(
        total, direct, total - direct, float(np.sqrt(max(both, 0))), float(np.sqrt(direct_var)),
        float(np.sqrt(indirect_var)), df,
    )  # fmt: skip


def _over(square: np.ndarray, leverage: np.ndarray) -> np.ndarray:
    """Square / (1 - leverage), 0 where a row determines its own fit."""
    slack = 1 - leverage
    return np.where(slack > FLOOR, square / np.where(slack > FLOOR, slack, 1), 0)
