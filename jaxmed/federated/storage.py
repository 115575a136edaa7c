"""A site's summary as a file, checked in every number when it is read."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.federated.archive import (
    MAX_BYTES,
    SiteFileError,
    digest_of,
    read_archive,
    write_archive,
)
from jaxmed.federated.moment_checks import (
    Complaint,
    check_counts,
    check_moments,
    moments_from,
    names_from,
)
from jaxmed.federated.noise import Noise
from jaxmed.federated.release import Rules
from jaxmed.federated.summary import (
    SCHEMA,
    VERSION,
    SiteSummary,
    check_label,
    content_of,
    names_hash,
)
from jaxmed.statistics.cross_moments import CrossMoments

__all__ = ["complaint_of", "load_site", "save_site"]

MOMENT_ARRAYS = ("counts", "mean", "comoment")
_AGAIN = "ask the site to write the file again"
_DTYPES = ("float32", "float64")


def save_site(summary: SiteSummary, path: str | Path, *, key: bytes | None = None) -> Path:
    """Writes the summary as .npz; with a key it is signed."""
    return write_archive(path, content_of(summary), key)


def load_site(
    path: str | Path, *, key: bytes | None = None, max_bytes: int = MAX_BYTES
) -> SiteSummary:
    """The summary in a file.

    Args:
      path: written by `save_site`.
      key: refuses files that are not signed with it.
      max_bytes: refuses files that unpack to more (default 64 MiB, about 2,800 columns).
    Raises:
      SiteFileError: damaged, changed, or numbers that no rows under its own rules can have.
    """
    content = read_archive(path, SCHEMA, VERSION, MOMENT_ARRAYS, key=key, max_bytes=max_bytes)
    wrong = complaint_of(path)
    metadata = content.metadata
    names = names_from(content, wrong)
    moments = moments_from(content, names, wrong)
    try:
        check_label(metadata.get("site"))
    except ValueError as error:
        raise wrong("site", str(error), "give the site another label") from error
    if metadata.get("rows_dtype") not in _DTYPES:
        raise wrong("rows_dtype", f"is none of {', '.join(_DTYPES)}", _AGAIN)
    rules = _rules(metadata.get("rules"), wrong)
    noise = _noise(metadata.get("noise"), len(content.arrays["mean"]), wrong)
    binary = _binary(metadata.get("binary"), len(content.arrays["mean"]), wrong)
    summary = SiteSummary(metadata["site"], moments, metadata["rows_dtype"], binary, rules, noise)
    if metadata.get("names_sha256") != names_hash(summary.columns, moments.num_covariates):
        raise wrong("names_sha256", "does not fit the names", _AGAIN)
    if digest_of(content_of(summary)) != digest_of(content):
        raise wrong("metadata", "holds entries that this version does not know", _AGAIN)
    check_counts(moments, noisy=noise is not None, wrong=wrong)
    _check_rules(summary, wrong)
    check_moments(moments, noisy=noise is not None, wrong=wrong)
    _check_binary(summary, wrong)
    return summary


def complaint_of(path: str | Path) -> Complaint:
    """Makes errors of one file."""
    name = Path(path).name

    def wrong(field: str, problem: str, remedy: str) -> SiteFileError:
        return SiteFileError(name, field, problem, remedy)

    return wrong


def _is_number(value: Any) -> bool:
    # Compared, not converted: JSON has whole numbers that are too large for a float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1.7e308


def _rules(raw: Any, wrong: Complaint) -> Rules:
    if not isinstance(raw, dict) or set(raw) != {"min_rows", "max_ratio", "min_cell"}:
        raise wrong("rules", "are not min_rows, max_ratio and min_cell", _AGAIN)
    if not all(map(_is_number, raw.values())):
        raise wrong("rules", "are no numbers", _AGAIN)
    try:
        return Rules(**raw)
    except ValueError as error:
        raise wrong("rules", str(error), "the site has to release under stricter rules") from error


def _noise(raw: Any, d: int, wrong: Complaint) -> Noise | None:
    if raw is None:
        return None
    numbers, lists = ("epsilon", "delta", "clip", "sigma"), ("centre", "scale")
    if not isinstance(raw, dict) or set(raw) != {*numbers, *lists}:
        raise wrong("noise", f"does not have {', '.join((*numbers, *lists))}", _AGAIN)
    fit = all(isinstance(raw[f], list) and len(raw[f]) == d for f in lists)
    if not fit or not all(map(_is_number, [raw[f] for f in numbers] + raw["centre"] + raw["scale"])):  # noqa: E501  # fmt: skip
        raise wrong("noise", "has no numbers where it should", _AGAIN)
    if not (0 < raw["epsilon"] <= 50 and 0 < raw["delta"] < 1 and 1 < raw["clip"] < 1e50):
        raise wrong("noise", "epsilon, delta or row norm are out of range", _AGAIN)
    if min(raw["scale"]) <= 0:
        raise wrong("noise", "has a scale that is not positive", _AGAIN)
    noise = Noise(
        raw["epsilon"], raw["delta"], raw["clip"], tuple(raw["centre"]), tuple(raw["scale"])
    )
    if not math.isclose(noise.sigma, raw["sigma"], rel_tol=1e-9):
        raise wrong("noise", "sigma is not that of epsilon, delta and row norm", _AGAIN)
    return noise


def _binary(raw: Any, d: int, wrong: Complaint) -> tuple[bool, ...]:
    if not isinstance(raw, list) or len(raw) != d or not all(isinstance(b, bool) for b in raw):
        raise wrong("binary", f"is no list of {d} flags", _AGAIN)
    return tuple(raw)


def _check_rules(summary: SiteSummary, wrong: Complaint) -> None:
    """What the file says of itself: its own thresholds are kept (noise hides the counts)."""
    if summary.noise is not None:
        return
    rules, count = summary.rules, float(summary.moments.count)
    if count < rules.min_rows:
        raise wrong("counts", f"{count:g} rows, fewer than its min_rows {rules.min_rows}", _AGAIN)
    if len(summary.columns) > rules.max_ratio * count:
        raise wrong("rules", "more columns per row than its max_ratio allows", _AGAIN)


def _check_binary(summary: SiteSummary, wrong: Complaint) -> None:
    """Columns of zeros and ones: mean in [0, 1] and E x^2 = E x."""
    flags = np.asarray(summary.binary)
    if not flags.any():
        return
    moments: CrossMoments = summary.moments
    total = float(moments.weight)
    mean = np.asarray(moments.mean)
    variance = np.diagonal(np.asarray(moments.comoment)) / total
    off = np.abs(variance - mean * (1 - mean)) > 1e-8
    off |= (mean < -1e-12) | (mean > 1 + 1e-12)
    if float(moments.weight_square) == total:
        off |= np.abs(mean * total - np.round(mean * total)) > 1e-6
    if (off & flags).any():
        name = summary.columns[int(np.argmax(off & flags))]
        raise wrong(
            "binary", f"{name!r} is said to hold zeros and ones, but E x^2 is not E x",
            "look at its coding",
        )  # fmt: skip
