"""Least squares on the host: the three effects under one set of covariates, without compiling.

What stands beside the answer of an analysis, so that a basis of the covariates can be judged: the
numbers of `estimators.ols` on the same columns, in float64.
"""

import dataclasses
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.special import stdtrit

from jaxmed.analysis.independent import independent
from jaxmed.data.independent_columns import LEFT
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import ROUNDING_SPREAD, row_blocks
from jaxmed.estimators.parts.units import rescaled, units_of

__all__ = [
    "LEVERAGE_FLOPS",
    "MIN_DF",
    "LinearEffects",
    "MediatorSums",
    "least_squares",
    "mediator_sums",
    "outcome_model",
]

MIN_DF = 2
SINGULAR = 1e-6  # length of a column given the base over its own: less is a constant mediator
LEVERAGE_FLOPS = 4e10
FLOOR = 1e3 * np.finfo(np.float64).eps


@dataclasses.dataclass(frozen=True)
class LinearEffects:
    """Effects and standard errors; direct and indirect are NaN where there is no fit.

    Errors `_se` are HC2. Those called `_equal_se` assume equal error variances, as most software
    and `mediate` do for total and direct effect; the indirect effect has none.
    """

    total: float
    direct: float
    indirect: float
    total_se: float
    direct_se: float
    indirect_se: float
    df: int  # residual degrees of freedom of the outcome model
    total_equal_se: float
    direct_equal_se: float
    total_df: int  # residual degrees of freedom without mediators

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the effects that exist."""
        fitted = np.isfinite(self.direct)
        return ("total", "direct", "indirect") if fitted else ("total",)

    def in_units(self, unit: float) -> "LinearEffects":
        """Effects and errors times a unit."""
        numbers = {
            field.name: getattr(self, field.name) * unit
            for field in dataclasses.fields(self)
            if not field.name.endswith("df")
        }
        return dataclasses.replace(self, **numbers)

    def to_dict(
        self, level: float, *, equal_variances: bool = False
    ) -> dict[str, dict[str, float]]:
        """Estimate, standard error and interval of each effect that exists.

        Args:
          level: of the intervals.
          equal_variances: Student's t with the classical error for total and direct effect;
            else, and for the indirect effect, normal with HC2.
        """
        half = NormalDist().inv_cdf((1 + level) / 2)
        errors = {part: (getattr(self, f"{part}_se"), half) for part in self.parts}
        if equal_variances:
            df = {"total": self.total_df, "direct": self.df}
            parts = [part for part in self.parts if df.get(part, 0) > 0]
            for part in parts:
                width = float(stdtrit(df[part], (1 + level) / 2))
                errors[part] = (getattr(self, f"{part}_equal_se"), width)
        return {
            part: {
                "estimate": getattr(self, part),
                "standard_error": error,
                "lower": getattr(self, part) - width * error,
                "upper": getattr(self, part) + width * error,
            }
            for part, (error, width) in errors.items()
        }


@dataclasses.dataclass(frozen=True)
class MediatorSums:
    """What fits of the same rows under several bases share: the expensive product of mediators."""

    mean: np.ndarray  # [p] weighted
    gram: np.ndarray  # [p, p] weighted products of the centred mediators


def mediator_sums(data: MediationData) -> MediatorSums:
    """Means and products of the mediators in float64, by blocks of rows."""
    m = np.asarray(data.mediators)
    w = np.ones(len(m)) if data.weights is None else np.asarray(data.weights, np.float64)
    parts = row_blocks(m)
    total = np.zeros(m.shape[1])
    for rows in parts:
        total += w[rows] @ m[rows].astype(np.float64)
    mean = total / w.sum()
    gram = np.zeros((m.shape[1], m.shape[1]))
    for rows in parts:
        scaled = np.sqrt(w[rows, None]) * (m[rows] - mean)
        gram += scaled.T @ scaled
    return MediatorSums(mean, gram)


def least_squares(
    data: MediationData,
    covariates: Any,
    *,
    least_df: int = MIN_DF,
    sums: MediatorSums | None = None,
) -> LinearEffects:
    """Total, direct and indirect effect with HC2 errors ("difference" for the path part).

    Beyond `LEVERAGE_FLOPS` products the leverage that mediators add is taken at its mean, as HC1
    does.

    Args:
      data: concrete; its own covariates are not looked at.
      covariates: independent columns [n, q] without the intercept.
      least_df: residual degrees of freedom below which only the total effect is computed.
      sums: of the mediators, where several bases are fitted.
    Returns:
      LinearEffects, equal to those of `estimators.ols(basis="given")` to rounding: constant
      mediators are left out, dependent ones count by their span. One that depends on others and
      on the exposure leaves the total effect alone; all are NaN where covariates determine the
      exposure.
    Source: as `estimators.parts.partially_linear.outcome_fit`.
    """
    units = units_of(data)
    if units.exposure != 1 or units.outcome != 1:
        found = least_squares(rescaled(data, units), covariates, least_df=least_df, sums=sums)
        return found.in_units(float(units.effect))
    a, y, x = (np.asarray(v, np.float64) for v in (data.exposure, data.outcome, covariates))
    m, n = np.asarray(data.mediators), a.size
    w = np.ones(n) if data.weights is None else np.asarray(data.weights, np.float64)
    if not np.all(w > 0):
        a, m, y, x, w = (v[w > 0] for v in (a, m, y, x, w))
    root = np.sqrt(w)
    base = np.column_stack([np.ones(len(a)), x])
    q = np.linalg.qr(root[:, None] * base)[0]
    # From here on columns are times root weights; "given" is what the base leaves.
    t, r = (root * v - q @ (q.T @ (root * v)) for v in (a, y))
    ss, nan = float(t @ t), float("nan")
    df = round(float(w.sum())) - base.shape[1] - 1 - m.shape[1]
    total_df = df + m.shape[1]
    spread = float(np.linalg.norm(root * (a - np.average(a, weights=w))))
    if np.sqrt(ss) <= LEFT * ROUNDING_SPREAD[np.dtype(data.exposure.dtype)] * spread:
        # The covariates leave nothing of the exposure.
        return LinearEffects(nan, nan, nan, nan, nan, nan, df, nan, nan, total_df)
    total = float(t @ r / ss)
    left = r - total * t
    slack = (np.sum(q**2, axis=1) + t * t / ss) / w
    score = t / ss
    # A row of weight w is w rows, each with its own share of the sums: hence the divisions by w.
    alone = float(np.sqrt(np.sum(score**2 * _over(left**2, slack) / w)))
    equal = float(np.sqrt(left @ left / total_df / ss)) if total_df > 0 else nan
    without = LinearEffects(total, nan, nan, alone, nan, nan, df, equal, nan, total_df)
    if total_df < least_df or m.shape[1] > total_df + 1 + base.shape[1]:
        return without
    sums = mediator_sums(data) if sums is None else sums
    fit = outcome_model(m, sums, root, q, t, r)
    if fit is None:
        return without
    residual, on_direct, on_path, leverage, direct, rank = fit
    df = total_df - rank
    if df < least_df:
        return without
    leverage = (np.sum(q**2, axis=1) + leverage) / w
    noise = _over(residual**2, leverage) / w
    gain = _over(left**2, slack) - _over(residual**2, leverage)
    path = max(float(np.sum(_over(score**2, slack) * gain / w)), 0.0)
    direct_var = float(np.sum(on_direct**2 * noise))
    indirect_var = float(np.sum(on_path**2 * noise)) + path
    both = direct_var + indirect_var + 2 * float(np.sum(on_direct * on_path * noise))
    return LinearEffects(
        total,
        direct,
        total - direct,
        float(np.sqrt(max(both, 0))),
        float(np.sqrt(direct_var)),
        float(np.sqrt(indirect_var)),
        df,
        equal,
        float(np.sqrt(residual @ residual / df * np.sum(on_direct**2))),
        total_df,
    )


def outcome_model(
    mediators: np.ndarray,
    sums: MediatorSums,
    root: np.ndarray,
    q: np.ndarray,
    t: np.ndarray,
    r: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float, int] | None:
    """Outcome on exposure and mediators, by blocks of rows: mediators are never copied as a whole.

    Args:
      mediators: [n, p].
      sums: of these.
      root: square roots of the weights [n].
      q: orthonormal base times root weights [n, r].
      t: exposure given the base, times root weights [n].
      r: outcome, likewise.
    Returns:
      Residual, rows of (Z'Z)^-1 Z' for the direct effect and for alpha'b, diagonal of the
      projection on Z, all [n], the direct effect, and the number of independent mediators; None
      where mediators depend on the exposure and each other, or nearly do.
    """
    parts = row_blocks(mediators)

    def scaled(rows: slice) -> np.ndarray:
        return root[rows, None] * (mediators[rows] - sums.mean)

    onto = np.zeros((q.shape[1], len(sums.mean)))
    cross = np.zeros((2, len(sums.mean)))
    for rows in parts:
        columns = scaled(rows)
        onto += q[rows].T @ columns
        cross += np.stack([t[rows], r[rows]]) @ columns
    gram = np.block([[np.sum(t * t), cross[:1]], [cross[:1].T, sums.gram - onto.T @ onto]])
    right = np.concatenate([[t @ r], cross[1]])
    raw = np.diagonal(sums.gram) + np.sum(root**2) * sums.mean**2
    size = np.sqrt(np.maximum(np.diagonal(gram), 0))
    there = np.append(True, size[1:] > SINGULAR * np.sqrt(raw))
    size = np.where(there, size, 1)
    gram, right = gram / size / size[:, None], right / size
    chosen = independent(gram, there)
    if chosen is None:
        return None
    gram, right, size = gram[np.ix_(chosen, chosen)], right[chosen], size[chosen]
    lower = np.linalg.cholesky(gram)
    used = chosen[1:] - 1

    def given(rows: slice) -> np.ndarray:
        return np.column_stack([t[rows], (scaled(rows) - q[rows] @ onto)[:, used]])

    alpha = gram[0] * size / size[0]
    alpha[0] = 0.0  # alpha_k = t'm_k / t't, in units of the scaled columns
    wanted = np.column_stack([np.eye(len(gram))[0] / size[0], alpha / size])
    weights = np.linalg.solve(gram, np.column_stack([right, wanted]))
    inverse = np.linalg.inv(lower).T
    n, p = len(mediators), used.size
    exact = n * p * p <= LEVERAGE_FLOPS
    found = []
    for rows in parts:
        z = given(rows) / size
        leverage = np.sum((z @ inverse) ** 2, axis=1) if exact else np.full(len(z), (p + 1) / n)
        found.append(np.column_stack([z @ weights, leverage]))
    fitted, on_direct, on_path, leverage = np.concatenate(found).T
    return r - fitted, on_direct, on_path, leverage, float(weights[0, 0] / size[0]), p


def _over(square: np.ndarray, leverage: np.ndarray) -> np.ndarray:
    """Square / (1 - leverage), 0 where a row determines its own fit."""
    slack = 1 - leverage
    return np.where(slack > FLOOR, square / np.where(slack > FLOOR, slack, 1), 0)
