"""Single values and columns that a linear model of Gaussian columns does not expect."""

import numpy as np

from jaxmed.analysis.threats.rows import Rows
from jaxmed.analysis.threats.threat import Threat, percent
from jaxmed.data.data_report import listed
from jaxmed.data.transforms import column_scales
from jaxmed.data.validation import row_blocks

__all__ = ["outliers", "zero_inflated"]

ROBUST_Z = 8
KURTOSIS = 20
AT_MINIMUM, MOSTLY = 0.2, 0.5
TO_SD = 1.4826  # of a normal: standard deviation over median absolute deviation


def outliers(rows: Rows) -> list[Threat]:
    """Cells of exposure and outcome far from their median; mediators with heavy tails."""
    return [*_cells(rows), *_heavy(rows)]


def _cells(rows: Rows) -> list[Threat]:
    names = rows.data.names
    found = []
    for name, values in (
        (names.exposure, rows.plain_exposure),
        (names.outcome, rows.plain_outcome),
    ):
        distance = _robust_z(values, rows.weights)
        far = int(np.sum(distance > ROBUST_Z))
        if far:
            worst = int(distance.argmax())
            more = f" and {far - 1} more" if far > 1 else ""
            found.append((float(distance[worst]), f"{name!r} ({rows.called(worst)}{more})"))
    if not found:
        return []
    largest = max(found)[0]
    sentence = (
        f"Values up to {largest:.3g} robust standard deviations from the median: "
        f"{listed([text for _, text in found])}."
    )
    remedy = "Check these cells; see whether the conclusion is the same without them (--where)."
    return [Threat("OUTLIERS", "note", largest, float(ROBUST_Z), sentence, remedy)]


def _robust_z(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Distance from the median over the median absolute deviation, 0 where that is 0."""
    away = np.abs(values - _median(values, weights))
    spread = TO_SD * _median(away, weights)
    return away / spread if spread > 0 else np.zeros_like(away)


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    """Weighted median; the mean of both where the weights split evenly."""
    order = np.argsort(values)
    ahead = np.cumsum(weights[order])
    half = ahead[-1] / 2
    first = int(np.searchsorted(ahead, half * (1 - 1e-12)))
    last = int(np.searchsorted(ahead, half * (1 + 1e-12), side="right"))
    return float((values[order[first]] + values[order[min(last, len(values) - 1)]]) / 2)


def _heavy(rows: Rows) -> list[Threat]:
    kurtosis = _excess_kurtosis(rows.mediators, rows.weights)
    heavy = np.flatnonzero(kurtosis > KURTOSIS)
    if not heavy.size:
        return []
    worst = heavy[np.argsort(-kurtosis[heavy])]
    names = [rows.data.names.mediators[j] for j in worst]
    largest = float(kurtosis[worst[0]])
    sentence = (
        f"Mediators with an excess kurtosis above {KURTOSIS} (a few values carry the column): "
        f"{listed(names)}."
    )
    remedy = "Take logarithms, rank-normalise or winsorise these mediators before the analysis."
    return [Threat("OUTLIERS", "note", largest, float(KURTOSIS), sentence, remedy)]


def _excess_kurtosis(matrix: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of each column [p], by blocks of rows; 0 for a constant one."""
    mean, sd = column_scales(matrix, weights)
    sd = np.where(sd > 0, sd, 1.0)
    second, fourth = np.zeros(len(mean)), np.zeros(len(mean))
    for block in row_blocks(matrix):
        square = np.square((matrix[block] - mean) / sd)
        second += weights[block] @ square
        fourth += weights[block] @ np.square(square, out=square)
    second, fourth = second / weights.sum(), fourth / weights.sum()
    return np.where(second > 0, fourth / np.where(second > 0, second, 1) ** 2, 3.0) - 3.0


def zero_inflated(rows: Rows) -> list[Threat]:
    """Mediators many of whose values are their smallest one, but for those of three values."""
    matrix = rows.mediators
    share = _share_at_minimum(matrix, rows.weights)
    many = np.flatnonzero(share > AT_MINIMUM)
    many = many[_more_than_three(matrix, many)]
    if not many.size:
        return []
    worst = many[np.argsort(-share[many], kind="stable")]
    names = [f"{rows.data.names.mediators[j]} ({percent(float(share[j]))})" for j in worst]
    largest = float(share[worst[0]])
    mostly = largest > MOSTLY
    number = (
        f"{many.size:,} of {matrix.shape[1]:,} mediators have"
        if matrix.shape[1] > 1
        else ("The mediator has")
    )
    sentence = (
        f"{number} more than {percent(AT_MINIMUM)} of their values at the smallest one: "
        f"{listed(names)}. A limit of detection?"
    )
    remedy = (
        "Look whether the conclusion is the same without these mediators, and with values below "
        "the limit set to half of it."
    )
    return [
        Threat(
            "ZERO_INFLATED",
            "warn" if mostly else "note",
            largest,
            MOSTLY if mostly else AT_MINIMUM,
            sentence,
            remedy,
        )
    ]


def _share_at_minimum(matrix: np.ndarray, weights: np.ndarray) -> np.ndarray:
    smallest = matrix.min(axis=0)
    share = np.zeros(matrix.shape[1])
    for block in row_blocks(matrix):
        share += weights[block] @ (matrix[block] == smallest)
    return share / weights.sum()


def _more_than_three(matrix: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """True for columns of more than three values: others are genotypes or 0/1, not measurements."""
    found = np.zeros(columns.size, bool)
    for k, j in enumerate(columns):
        column = matrix[:, j]
        ends = (column == column.min()) | (column == column.max())
        inner = column[~ends]
        found[k] = inner.size > 0 and bool(np.any(inner != inner[0]))
    return found
