"""Rows that say nothing of the exposure's effect: no overlap, levels without contrast, sites."""

import re

import numpy as np
from scipy.special import expit

from jaxmed.analysis.threats.estimates import Estimates
from jaxmed.analysis.threats.logistic import logistic_logits
from jaxmed.analysis.threats.rows import Factor, Rows, explained
from jaxmed.analysis.threats.threat import Threat, percent, plural
from jaxmed.data.data_report import listed
from jaxmed.data.group_columns import is_factor, named_like

__all__ = ["collinear_exposure", "overlap", "site_exposure"]

LEAST_LEFT = 0.1  # share of the exposure's variation that covariates, or mediators, leave
LEAST_EFFECTIVE = 0.25  # effective rows over rows
# Of the rarer value: no exposure drawn at random fell below the above with as many, for 40 to 1,000
# rows and up to a quarter of them columns; with fewer, one in ten did.
ROWS_PER_COLUMN = 1
SITE_SHARE = 0.5
FEW_ROWS = 5  # a level of fewer is a note: chance alone gives it one value of the exposure
MANY_SHARE = 0.05  # of the rows, in levels of such sizes together
LEAST_DF = 5  # below, what mediators explain of the exposure cannot be told from chance
NONE = 1e-12  # relative spread of an exposure that does not vary


def overlap(rows: Rows) -> list[Threat]:
    """What the covariates leave of the exposure, in three measures."""
    return [*_left(rows), *_without_contrast(rows), *_effective(rows)]


def _left(rows: Rows) -> list[Threat]:
    """1 - R2 of the exposure on the covariates, each variance with its own degrees of freedom."""
    n, rank = rows.count, rows.base.shape[1]
    a = rows.plain_exposure
    whole = float(rows.weights @ np.square(a - np.average(a, weights=rows.weights)))
    if rank < 2 or n <= rank or whole <= 0:
        return []
    left = float(rows.exposure @ rows.exposure) / whole * (n - 1) / (n - rank)
    if left >= LEAST_LEFT:
        return []
    name = rows.data.names.exposure
    return [
        Threat(
            "OVERLAP",
            "warn",
            left,
            LEAST_LEFT,
            f"The covariates leave {percent(left)} of the variation of the exposure {name!r}: the "
            "effect rests on these and on the linear model.",
            "Leave out covariates that are the exposure in other words, or compare rows that "
            "overlap (--where, or match).",
        )
    ]


def _without_contrast(rows: Rows) -> list[Threat]:
    found: list[tuple[Factor, int, int]] = []
    for factor in rows.factors:
        for level in range(int(factor.codes.max(initial=-1)) + 1):
            within = rows.plain_exposure[factor.codes == level]
            size = float(np.abs(rows.plain_exposure).max())
            if within.size > 1 and np.ptp(within) <= NONE * size:
                found.append((factor, level, within.size))
    if not found:
        return []
    found.sort(key=lambda entry: -entry[2])
    total = len(set().union(*(np.flatnonzero(f.codes == k).tolist() for f, k, _ in found)))
    factor, level, size = found[0]
    severity = "warn" if size >= FEW_ROWS or total >= MANY_SHARE * rows.count else "note"
    where = _level(factor, level)
    sentence = (
        f"In {where} the exposure never varies: its {plural(size, 'row')} say nothing about the "
        "effect and rest on the linear model."
    )
    if len(found) > 1:
        others = [f"{_level(f, k)} ({plural(count, 'row')})" for f, k, count in found[1:]]
        sentence += f" So it is in {listed(others)}."
    return [Threat("OVERLAP", severity, float(total), 0.0, sentence, _leave_out(factor, level))]


def _level(factor: Factor, level: int) -> str:
    """A level in words: "site C", "male = 1"."""
    named = factor.levels[level]
    if named is None:
        return f"the reference level of {factor.name}"
    return f"{factor.name} = {named}" if named in ("0", "1") else f"{factor.name} {named}"


def _leave_out(factor: Factor, level: int) -> str:
    named = factor.levels[level]
    # What a shell could read in another way is not offered for copying.
    plain = named is not None and re.fullmatch(r"[\w .,:/%+-]+", named) is not None
    if not plain or not factor.stored or not factor.name.isidentifier():
        return "Leave out the level (--where), or match."
    return f"Leave out the level (--where \"{factor.name} != '{named}'\"), or match."


def _effective(rows: Rows) -> list[Threat]:
    """Rows of a two-valued exposure that could have had either value.

    Not where the rarer value has few rows for each column: a fit to so few is chance.
    """
    a, n = rows.plain_exposure, rows.count
    low, high = float(a.min()), float(a.max())
    if rows.base.shape[1] < 2 or low == high or not np.all((a == low) | (a == high)):
        return []
    treated = (a == high).astype(float)
    rarer = min(float(rows.weights @ treated), float(rows.weights @ (1 - treated)))
    if rarer < ROWS_PER_COLUMN * rows.base.shape[1]:
        return []
    columns = rows.base / rows.root[:, None] * np.sqrt(rows.weights.sum())
    columns[:, 0] = 1.0
    logits = logistic_logits(columns, treated, rows.weights)
    contrast = expit(logits) * expit(-logits)
    contrast = contrast / contrast.max()
    effective = float((rows.weights @ contrast) ** 2 / (rows.weights @ np.square(contrast)))
    share = effective / float(rows.weights.sum())
    if not share < LEAST_EFFECTIVE:
        return []
    name = rows.data.names.exposure
    return [
        Threat(
            "OVERLAP",
            "warn",
            share,
            LEAST_EFFECTIVE,
            f"Given the covariates most rows could hardly have had the other value of {name!r}: "
            f"the comparison rests on {plural(effective, 'effective row')} of {n:,}.",
            "Compare rows that overlap (--where, or match).",
        )
    ]


def site_exposure(rows: Rows) -> list[Threat]:
    """A factor that is most of the exposure: a covariate, or a column that is named as a place."""
    others = [f for f in rows.idle if named_like(f.name) and is_factor(f.codes)]
    found = [(share, factor, True) for factor, share in _shares(rows, rows.factors)]
    found += [(share, factor, False) for factor, share in _shares(rows, others)]
    found = [entry for entry in found if SITE_SHARE < entry[0] < 1 - NONE]
    if not found:
        return []
    share, factor, adjusted = max(found, key=lambda entry: entry[0])
    sentence = f"{factor.name!r} determines most of the exposure ({percent(share)} of it): "
    if adjusted:
        sentence += (
            "it is among the covariates, so that the effect rests on what varies within its "
            "levels; what else differs between them than a shift is read as exposure."
        )
        remedy = "Look whether the effect is there within single levels (--where)."
    else:
        sentence += "what differs between its levels is read as exposure."
        remedy = f"Put {factor.name!r} among the covariates, or compare within levels (--where)."
    return [Threat("SITE_EXPOSURE", "warn", share, SITE_SHARE, sentence, remedy)]


def _shares(rows: Rows, factors: list[Factor] | tuple[Factor, ...]) -> list[tuple[Factor, float]]:
    """R2 of the exposure on each factor, adjusted for the number of its levels."""
    found = []
    for factor in factors:
        share, count, levels = explained(rows.plain_exposure, rows.weights, factor.codes)
        if 2 <= levels < count:
            found.append((factor, 1 - (1 - share) * (count - 1) / (count - levels)))
    return found


def collinear_exposure(found: Estimates) -> list[Threat]:
    """Mediators that determine the exposure, by R2 adjusted for their number; primal only."""
    df = found.rows - 1 - found.covariates
    left = df - found.mediators
    if not (found.exposure_q >= 0 and left >= LEAST_DF):
        return []
    free = df / left / (1 + found.exposure_q)
    if 1 - free <= 1 - LEAST_LEFT:
        return []
    return [
        Threat(
            "COLLINEAR_EXPOSURE",
            "warn",
            1 - free,
            1 - LEAST_LEFT,
            f"The mediators determine the exposure (R2 {1 - free:.2g} given the covariates, "
            "adjusted for their number): the direct effect rests on "
            f"{percent(free)} of the exposure's variation.",
            "Leave out mediators that are the exposure in other words (a dose, its metabolite, an "
            "age clock).",
        )
    ]
