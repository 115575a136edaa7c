"""Outcomes for which a linear model answers another question, and totals too small to divide by."""

import math

from jaxmed.analysis.threats.estimates import Estimates, Outcome
from jaxmed.analysis.threats.threat import Threat, percent, plural
from jaxmed.reports.shares import LEAST_RATIO

__all__ = ["counted", "rare", "total_near_zero", "two_valued"]

RARE_SHARE = 0.05
EVENTS_PER_COLUMN = 5
MANY_ZEROS = 0.2
# A count whose mean is less than so many of its standard deviations: a normal of that mean and
# spread would be negative in more than one row of forty. Ages and weights in integers are not.
NEAR_ZERO_COUNT = 2
# Of 95 % intervals of a linear model, for the natural indirect effects of a logistic one.
COVERAGE = (0.13, 0.88)


def two_valued(outcome: Outcome) -> list[Threat]:
    """A 0/1 outcome in a linear model."""
    if not outcome.levels:
        return []
    low, high = outcome.levels
    coded = (low, high) == (0.0, 1.0)
    sentence = (
        f"The outcome {outcome.name!r} is 0/1: the numbers are risk differences of a linear model. "
        if coded
        else f"The outcome {outcome.name!r} has two values, {low:g} and {high:g}: the numbers are "
        f"those of a linear model of it, {high - low:g} times risk differences. "
    )
    sentence += (
        "Where the risk is not linear in exposure and mediators, the indirect effect is neither "
        "the natural effect at exposure 0 nor that at 1 (measured coverage of these two "
        f"{_short(COVERAGE[0])} to {_short(COVERAGE[1])}, where .95 was meant)."
    )
    remedy = "Read them as differences in risk of this model, not as odds ratios or ratios of risk."
    return [Threat("OUTCOME_01", "note", None, None, sentence, remedy)]


def counted(outcome: Outcome) -> list[Threat]:
    """A count in a linear model."""
    if outcome.levels or not outcome.counts:
        return []
    spread = outcome.variance > outcome.mean
    near = outcome.mean < NEAR_ZERO_COUNT * math.sqrt(outcome.variance)
    many = outcome.zeros > MANY_ZEROS
    if not (many or (spread and near)):
        return []
    ratio = outcome.variance / outcome.mean
    what = (
        f"{percent(outcome.zeros)} zeros"
        if many
        else f"a variance that is {ratio:.2g} times the mean"
    )
    measured, threshold = (outcome.zeros, MANY_ZEROS) if many else (ratio, 1.0)
    sentence = (
        f"The outcome {outcome.name!r} is a count with {what}: the numbers are differences of "
        "means of a linear model. Where effects multiply the mean, the indirect effect is neither "
        "the natural effect at exposure 0 nor that at 1."
    )
    remedy = "See whether the conclusion is the same for the logarithm of the count plus 1."
    return [Threat("OUTCOME_COUNT", "note", measured, threshold, sentence, remedy)]


def rare(outcome: Outcome, found: Estimates) -> list[Threat]:
    """Few rows of the rarer value, as a share or for each column of the outcome model.

    With more mediators than rows no least squares on all of them is reported, and only covariates
    and exposure are counted.
    """
    if not outcome.levels:
        return []
    share = outcome.rare / found.rows
    columns = found.covariates + (found.mediators if found.primal else 1)
    per_column = outcome.rare / max(columns, 1)
    if share >= RARE_SHARE and per_column >= EVENTS_PER_COLUMN:
        return []
    value = f"{outcome.rarer:g}"
    sentence = (
        f"The outcome {outcome.name!r} is {value} in {plural(outcome.rare, 'row')} of "
        f"{found.rows:,} ({percent(share)})"
    )
    if share < RARE_SHARE:
        measured, threshold = share, RARE_SHARE
        sentence += ": on the risk scale a linear model is furthest from the truth there"
    else:
        measured, threshold = per_column, float(EVENTS_PER_COLUMN)
        of = "mediators and covariates" if found.primal else "columns"
        sentence += (
            f", {per_column:.2g} for each of {columns:,} {of}: intervals rest on these few rows"
        )
    remedy = "Fewer mediators (chosen in other rows), or more rows with the rarer value."
    return [Threat("RARE_01", "warn", measured, threshold, f"{sentence}.", remedy)]


def total_near_zero(found: Estimates) -> list[Threat]:
    """A total effect that no share can be taken of."""
    if not (math.isfinite(found.total) and found.total_se > 0):
        return []
    ratio = abs(found.total) / found.total_se
    if not ratio < LEAST_RATIO:
        return []
    sentence = (
        f"The total effect is {ratio:.2g} standard errors from zero: shares of it (the proportion "
        "mediated) have no stable meaning."
    )
    remedy = "Read the indirect effect in units of the outcome."
    return [Threat("TOTAL_NEAR_ZERO", "note", ratio, float(LEAST_RATIO), sentence, remedy)]


def _short(share: float) -> str:
    return f"{share:.2f}".lstrip("0")
