"""Whether numbers from a file can be the moments of rows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxmed.data.forms import Choice, Each, Fields, Text
from jaxmed.data.mediation_data import Names
from jaxmed.federated.archive import Content, SiteFileError
from jaxmed.statistics.cross_moments import CrossMoments

__all__ = [
    "NAME",
    "NAMED",
    "NAMES",
    "ROWS_DTYPE",
    "Complaint",
    "check_counts",
    "check_moments",
    "moments_from",
    "names_from",
]

# (field, problem, remedy) -> the error to raise
Complaint = Callable[[str, str, str], SiteFileError]
ROUNDING = 1e-9
_AGAIN = "ask the sender to write the file again"
# What a file holds of the names, for every version of the library.
NAMED = ("exposure", "outcome", "mediators", "covariates")
NAME = Text(any_character=True)
_KINDS = (NAME, NAME, Each(NAME, least=1), Each(NAME))
NAMES = Fields(dict(zip(NAMED, _KINDS, strict=True)))
ROWS_DTYPE = Choice(("float32", "float64"))
# Beyond this the products of two columns leave the range of numbers.
LARGEST = 1e150


def names_from(content: Content, wrong: Complaint) -> Names:
    """Names of the columns, each once."""
    raw = content.metadata["names"]
    flat = [raw["exposure"], raw["outcome"], *raw["mediators"], *raw["covariates"]]
    if len(set(flat)) < len(flat):
        raise wrong("names", "a name is there twice", "rename it")
    return Names(raw["exposure"], raw["outcome"], tuple(raw["mediators"]), tuple(raw["covariates"]))


def moments_from(content: Content, names: Names, wrong: Complaint) -> CrossMoments:
    """Moments of the shapes that the names ask for."""
    d = len(names.covariates) + 2 + len(names.mediators)
    for field, shape in (("counts", (3,)), ("mean", (d,)), ("comoment", (d, d))):
        found = content.arrays[field]
        if found.shape != shape:
            raise wrong(field, f"has shape {found.shape}, not {shape} of the names", _AGAIN)
        if not np.isfinite(found).all() or np.abs(found).max() > LARGEST:
            raise wrong(field, "holds NaN, infinite or huge values", "look for them in the rows")
    counts: Any = content.arrays["counts"]
    mean: Any = content.arrays["mean"]
    comoment: Any = content.arrays["comoment"]
    return CrossMoments(
        counts[0], counts[1], counts[2], mean, comoment, len(names.covariates), names
    )


def check_counts(moments: CrossMoments, *, noisy: bool, wrong: Complaint) -> None:
    """Count, weight and sum of squared weights against each other."""
    count, weight, square = (
        float(v) for v in (moments.count, moments.weight, moments.weight_square)
    )
    if count < 3:
        raise wrong("counts", f"{count:g} rows", "at least 3 are needed")
    if not noisy and count != round(count):
        raise wrong("counts", f"{count:g} rows are no whole number", _AGAIN)
    if abs(weight - count) > 1e-6 * count:
        raise wrong("counts", f"a weight of {weight:g} on {count:g} rows", "weights have mean 1")
    if square < weight**2 / count * (1 - 1e-6) or square > weight**2 * (1 + 1e-6):
        raise wrong("counts", f"squared weights sum to {square:g}, which no weights do", _AGAIN)


def check_moments(moments: CrossMoments, *, noisy: bool, wrong: Complaint) -> None:
    """Symmetry, and positive semidefiniteness up to rounding (not asked of noisy moments)."""
    comoment = np.asarray(moments.comoment)
    square = np.diagonal(comoment)
    if not noisy and (square < 0).any():
        raise wrong("comoment", "has a negative sum of squares", _AGAIN)
    size = np.sqrt(np.abs(square))
    bound = np.abs(comoment).max() if noisy else np.outer(size, size)
    if (np.abs(comoment - comoment.T) > ROUNDING * bound).any():
        raise wrong("comoment", "is not symmetric", _AGAIN)
    if noisy:
        return
    zero = size == 0
    if np.abs(comoment[zero]).max(initial=0) > 0:
        raise wrong("comoment", "a constant column varies with another", _AGAIN)
    correlation = comoment / np.where(zero, 1, size) / np.where(zero, 1, size)[:, None]
    least = float(np.linalg.eigvalsh(correlation)[0])
    if least < -ROUNDING * len(size):
        raise wrong(
            "comoment",
            f"is not positive semidefinite (correlations have eigenvalue {least:.2g})",
            "no rows have such moments: " + _AGAIN,
        )
