"""Single rows that decide: leverage in the outcome model, and the total indirect effect without."""

import math

import numpy as np
from scipy.special import betaincinv

from jaxmed.analysis.least_squares import LEVERAGE_FLOPS, MIN_DF, mediator_sums, outcome_model
from jaxmed.analysis.threats.rows import Rows
from jaxmed.analysis.threats.threat import Threat
from jaxmed.data.data_report import listed

__all__ = ["leverage"]

HIGHEST = 0.9
HIGH, MANY = 0.5, 0.01  # leverage, and the share of rows above it
HALF = 0.5  # of the standard error of the total indirect effect
# Both are also compared with what Gaussian columns of the same sizes show in one data set of so
# many: with 60 mediators in 100 rows every leverage is above .5.
CHANCE = 0.01
FLOOR = 1e-10  # slack of a row that determines its own fit
REMEDY = (
    "Winsorise or rank-normalise the mediators before the analysis, and see whether the conclusion "
    "is the same without these rows (--where)."
)


def leverage(rows: Rows) -> list[Threat]:
    """Leverage in the outcome model, and what one row does to the total indirect effect.

    Least squares of the outcome on exposure and mediators given the covariates; the estimate
    without a row is exact, by one update of the two regressions. Not where there are more
    mediators than rows, where the mediators determine the exposure, or where leverages would take
    more than `LEVERAGE_FLOPS` products.
    """
    n, p = rows.count, rows.mediators.shape[1]
    df = n - rows.base.shape[1] - 1
    ss = float(rows.exposure @ rows.exposure)
    if df - p < MIN_DF or n * p * p > LEVERAGE_FLOPS or ss <= 0:
        return []
    fit = outcome_model(
        rows.mediators,
        mediator_sums(rows.data),
        rows.root,
        rows.base,
        rows.exposure,
        rows.outcome,
    )
    if fit is None or df - fit[5] < MIN_DF:
        return []
    residual, on_direct, on_path, from_outcome, direct, rank = fit
    slack = 1 - np.sum(rows.base**2, axis=1)
    # Beyond the covariates: the ends of their splines have high leverage in any data.
    beyond = _at_weight_one(_over(from_outcome, slack), rows.weights)
    high = _high(rows, beyond, 1 + rank, n - rows.base.shape[1])
    # Given exposure and covariates.
    total = float(rows.exposure @ rows.outcome) / ss
    left = rows.outcome - total * rows.exposure
    alone = _over(rows.exposure / ss * left, slack - rows.exposure**2 / ss)
    shift = _over(on_direct * residual, slack - from_outcome) - alone  # of the indirect effect
    s2 = float(residual @ residual) / (df - rank)
    path = max(float(left @ left) / df - s2, 0.0) / ss
    # Where both paths are noise the first-order error is near 0; that of the product is the latter.
    error = math.sqrt(max(s2 * float(on_path @ on_path) + path, rank * s2 / ss / df))
    free = (df - rank) / n
    return [*high, *_influential(rows, total - direct, shift, error, free)]


def _over(numerator: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """Numerator / slack; 0 where a row determines its own fit, which is then not one of the rest.

    Without it a coefficient is not determined: the leverage of 1 is told of.
    """
    free = slack > FLOOR
    return np.where(free, numerator / np.where(free, slack, 1.0), 0.0)


def _at_weight_one(found: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Leverages [n] that rows would have at weight 1, all others as they are.

    h / (1 - h) is the weight times what the other rows make of the row's columns: without this, a
    heavy row is one of high leverage whatever it holds.
    """
    free = 1 - found
    odds = np.where(free > FLOOR, found / np.where(free > FLOOR, free, 1.0), np.inf) / weights
    return np.where(np.isinf(odds), 1.0, odds / (1 + np.where(np.isinf(odds), 0.0, odds)))


def _high(rows: Rows, found: np.ndarray, columns: int, degrees: int) -> list[Threat]:
    """Rows of high leverage [n] of exposure and mediators given the covariates.

    Args:
      rows: of the analysis.
      found: leverage in what the covariates leave.
      columns: exposure and independent mediators.
      degrees: rows less the rank of the covariates with the intercept.
    """
    n = rows.count
    # Leverage of d Gaussian columns in m dimensions is Beta(d / 2, (m - d) / 2).
    chance = float(betaincinv(columns / 2, max(degrees - columns, 1) / 2, 1 - CHANCE / n))
    high = np.flatnonzero((found > HIGH) & (found > chance))
    highest = float(found[high].max(initial=0.0))
    if not (highest > HIGHEST or high.size > MANY * n):
        return []
    worst = high[np.argsort(-found[high])]
    measured, threshold = (highest, HIGHEST) if highest > HIGHEST else (high.size / n, MANY)
    named = listed([str(int(rows.numbers[i])) for i in worst])
    which = f"{'Rows' if high.size > 1 else 'Row'} {named} {rows.place}"
    several = high.size > 1
    whose = "their" if several else "its"
    if highest > HIGHEST:
        decides = "nearly determine" if several else "nearly determines"
    else:
        decides = "weigh heavily in" if several else "weighs heavily in"
    sentence = (
        f"{which} {decides} {whose} own fit by exposure and mediators: leverage up to "
        f"{highest:.2f} of at most 1 given the covariates, where the mean is "
        f"{columns / degrees:.2f}."
    )
    return [Threat("LEVERAGE", "warn", measured, threshold, sentence, REMEDY)]


def _influential(
    rows: Rows, indirect: float, shift: np.ndarray, error: float, free: float
) -> list[Threat]:
    """Rows without which the indirect effect is another by more than half its standard error.

    Args:
      rows: of the analysis.
      indirect: total indirect effect.
      shift: [n] what it changes by without each row.
      error: its standard error.
      free: residual degrees of freedom of the outcome model over rows: a residual without its own
        row is larger by 1 / sqrt(free).
    """
    if not error > 0:
        return []
    ratio = np.abs(shift) / error
    bound = np.maximum(HALF, _by_chance(rows.count) / math.sqrt(free) * rows.weights)
    found = np.flatnonzero(ratio > bound)
    if not found.size:
        return []
    found = found[np.argsort(-(ratio / bound)[found])]
    worst, threshold = int(found[0]), float(bound[found[0]])
    without = (indirect + shift[worst]) * rows.unit
    sentence = (
        f"Without {rows.called(worst)} the total indirect effect (least squares on all mediators) "
        f"is {without:.3g} instead of {indirect * rows.unit:.3g}, a difference of "
        f"{ratio[worst]:.2g} standard errors."
    )
    if found.size > 1:
        named = listed([str(int(rows.numbers[i])) for i in found[1:]])
        sentence += f" Other rows that change it by more than such data usually show: {named}."
    return [Threat("LEVERAGE", "warn", float(ratio[worst]), threshold, sentence, REMEDY)]


def _by_chance(rows: int) -> float:
    """The largest change, in standard errors, that Gaussian data show in one set of 1 / CHANCE.

    One row's change is about a product of two normals over sqrt(n), which is larger than x with
    probability sqrt(2 / (pi x)) exp(-x).
    """
    target = math.log(rows / CHANCE)
    x = target
    for _ in range(20):
        x = target - math.log(math.pi * x / 2) / 2
    return x / math.sqrt(rows)
