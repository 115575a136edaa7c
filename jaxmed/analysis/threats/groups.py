"""Columns without a role: rows that belong together, and batches that the mediators show."""

import numpy as np
from scipy.special import fdtrc

from jaxmed.analysis.threats.rows import Factor, Rows, explained
from jaxmed.analysis.threats.threat import Threat, percent
from jaxmed.data.data_report import listed
from jaxmed.data.group_columns import MOST_ROWS, is_factor, is_repeated, named_like
from jaxmed.data.transforms import column_scales
from jaxmed.data.validation import row_blocks

__all__ = ["batch", "clusters", "leading_components"]

LEAST_LEVELS = 3  # "patient" of two values says who is one
REMEDIES = {
    "person": "Analyse one row of each value, or the means of its rows.",
    "place": "Put the column among the covariates; with many values, analyse the means of each.",
}
COMPONENTS = 5
BATCH_SHARE = 0.3
SIGNIFICANT = 0.01  # of the F test over all pairs: a factor of many levels explains by chance
# Of the Krylov space: vectors at once, and how often the kernel is applied.
VECTORS, POWERS = 12, 4
SEED = 0


def clusters(rows: Rows) -> list[Threat]:
    """Columns without a role whose names and values say that rows belong together.

    A person may have any number of rows; rows of a place are dependent in this way in groups of up
    to 50, and larger groups are for `batch`.
    """
    found = [f for f in rows.idle if _is_cluster(f)]
    if not found:
        return []
    # The finest grouping first: the most values.
    found.sort(key=lambda factor: -_levels(factor))
    first = found[0]
    there = int(np.sum(first.codes >= 0))
    sentence = (
        f"Column {first.name!r} repeats ({_levels(first):,} values in {there:,} rows): intervals "
        "assume independent rows."
    )
    if len(found) > 1:
        sentence += f" So do {listed([repr(factor.name) for factor in found[1:]])}."
    remedy = REMEDIES[named_like(first.name)]
    share = _levels(first) / there
    return [Threat("CLUSTERS", "warn", share, 1.0, sentence, remedy)]


def _is_cluster(factor: Factor) -> bool:
    kind = named_like(factor.name)
    if not kind or _levels(factor) < LEAST_LEVELS:
        return False
    return is_repeated(factor.codes, np.inf if kind == "person" else MOST_ROWS)


def _levels(factor: Factor) -> int:
    return int(np.unique(factor.codes[factor.codes >= 0]).size)


def batch(rows: Rows) -> list[Threat]:
    """Leading components of the mediators given exposure and covariates that a column explains."""
    factors = [factor for factor in rows.idle if is_factor(factor.codes)]
    if not factors:
        return []
    components = leading_components(rows)
    scores = components / rows.root[:, None]
    pairs = len(factors) * scores.shape[1]
    found = []
    for factor in factors:
        best = (0.0, 0)
        for k in range(scores.shape[1]):
            share, count, levels = explained(scores[:, k], rows.weights, factor.codes)
            if not 2 <= levels < count:
                continue
            within, between = count - levels, levels - 1
            adjusted = 1 - (1 - share) * (count - 1) / within
            ratio = share / between * within / max(1 - share, np.finfo(float).tiny)
            if float(fdtrc(between, within, ratio)) < SIGNIFICANT / pairs:
                best = max(best, (adjusted, k))
        if best[0] > BATCH_SHARE:
            found.append((*best, factor))
    if not found:
        return []
    found.sort(key=lambda entry: -entry[0])
    share, k, factor = found[0]
    sentence = (
        f"Component {k + 1} of the mediators given exposure and covariates is {percent(share)} "
        f"explained by {factor.name!r}, which is not among the covariates."
    )
    if len(found) > 1:
        others = [f"{f.name!r} ({percent(s)} of component {j + 1})" for s, j, f in found[1:]]
        sentence += f" Also {listed(others)}."
    remedy = (
        f"Put {factor.name!r} among the covariates if it is technical or came before the exposure; "
        "not if it is a consequence of the mediators."
    )
    return [Threat("BATCH", "warn", share, BATCH_SHARE, sentence, remedy)]


def leading_components(rows: Rows, count: int = COMPONENTS) -> np.ndarray:
    """Scores [n, k] of the first principal components, times root weights, of unit length.

    Of the mediators in units of their standard deviations, given exposure and covariates, by a
    block Krylov space: a few products with the mediators, which are not copied. A component that
    stands out is exact to rounding; those within the bulk are directions of it.

    Args:
      rows: of the analysis.
      count: components.
    Source: Musco and Musco (2015), Algorithm 2.
    """
    matrix = rows.mediators
    sd = column_scales(matrix, rows.weights)[1]
    scale = np.where(sd > 0, 1 / np.where(sd > 0, sd, 1.0), 0.0)
    length = float(np.linalg.norm(rows.exposure))
    own = rows.exposure[:, None] / length if length > 0 else rows.exposure[:, None]
    base = np.column_stack([rows.base, own])
    free = min(len(matrix) - base.shape[1], matrix.shape[1])
    if free < 1:
        return np.zeros((len(matrix), 0))

    def rest(columns: np.ndarray) -> np.ndarray:
        return columns - base @ (base.T @ columns)

    def onto(columns: np.ndarray) -> np.ndarray:
        """Loadings [p, k]: the transposed matrix times columns [n, k]."""
        scaled = rows.root[:, None] * rest(columns)
        found = np.zeros((len(sd), columns.shape[1]))
        for block in row_blocks(matrix):
            found += matrix[block].T @ scaled[block]
        return scale[:, None] * found

    def back(loadings: np.ndarray) -> np.ndarray:
        scaled = scale[:, None] * loadings
        parts = [matrix[block] @ scaled for block in row_blocks(matrix)]
        return rest(rows.root[:, None] * np.concatenate(parts))

    vectors = min(VECTORS, free)
    block = rest(np.random.default_rng(SEED).normal(size=(len(matrix), vectors)))
    spaces = []
    for _ in range(POWERS):
        block = np.linalg.qr(back(onto(block)))[0]
        spaces.append(block)
    space = np.linalg.svd(rest(np.column_stack(spaces)), full_matrices=False)[0][:, :free]
    loadings = onto(space)
    values, turned = np.linalg.eigh(loadings.T @ loadings)
    return (space @ turned[:, np.argsort(-values)])[:, : min(count, free)]
