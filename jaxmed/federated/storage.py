"""A site's summary as a file, checked in every number when it is read."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.forms import SHA256, Anything, Each, Fields, Flag, Maybe, Number, Text
from jaxmed.federated.archive import (
    MAX_BYTES,
    SiteFileError,
    digest_of,
    read_archive,
    write_archive,
)
from jaxmed.federated.marks import mark_of, marked, unmarked
from jaxmed.federated.moment_checks import (
    NAMES,
    ROWS_DTYPE,
    Complaint,
    check_counts,
    check_moments,
    moments_from,
    names_from,
)
from jaxmed.federated.noise import Noise
from jaxmed.federated.rules import Rules
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
_NOISE = {
    **dict.fromkeys(("epsilon", "delta", "clip", "sigma"), Number()),
    **dict.fromkeys(("centre", "scale"), Each(Number())),
}
_FORM = {
    "site": Text(),
    "names": NAMES,
    "names_sha256": SHA256,
    "rows_dtype": ROWS_DTYPE,
    "binary": Each(Flag()),
    "rules": Fields({field.name: Number() for field in dataclasses.fields(Rules)}),
    "noise": Maybe(Fields(_NOISE)),
    "ledger": Anything(),  # `marks` reads it
}


def save_site(summary: SiteSummary, path: str | Path, *, key: bytes | None = None) -> Path:
    """Writes the summary as .npz; with a key it is signed.

    `write_release` also writes it down in the ledger of the site.
    """
    return write_archive(path, marked(content_of(summary), summary.ledger), key)


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
    content = read_archive(
        path, SCHEMA, VERSION, _FORM, MOMENT_ARRAYS, key=key, max_bytes=max_bytes
    )
    wrong = complaint_of(path)
    metadata = content.metadata
    names = names_from(content, wrong)
    moments = moments_from(content, names, wrong)
    try:
        check_label(metadata["site"])
    except ValueError as error:
        raise wrong("site", str(error), "give the site another label") from error
    rules = _rules(metadata["rules"], wrong)
    noise = _noise(metadata["noise"], len(content.arrays["mean"]), wrong)
    binary = metadata["binary"]
    if len(binary) != len(content.arrays["mean"]):
        raise wrong("binary", f"has {len(binary)} flags for {len(content.arrays['mean'])}", _AGAIN)
    summary = SiteSummary(
        metadata["site"],
        moments,
        metadata["rows_dtype"],
        tuple(binary),
        rules,
        noise,
        mark_of(content, path),
    )
    if metadata["names_sha256"] != names_hash(summary.columns, moments.num_covariates):
        raise wrong("names_sha256", "does not fit the names", _AGAIN)
    if summary.digest != digest_of(unmarked(content)):
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


def _rules(raw: dict[str, Any], wrong: Complaint) -> Rules:
    try:
        return Rules(**raw)
    except ValueError as error:
        raise wrong("rules", str(error), "the site has to release under stricter rules") from error


def _noise(raw: dict[str, Any] | None, d: int, wrong: Complaint) -> Noise | None:
    if raw is None:
        return None
    if not len(raw["centre"]) == len(raw["scale"]) == d:
        raise wrong("noise", f"has no centre and scale for each of {d} columns", _AGAIN)
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
            "binary",
            f"{name!r} is said to hold zeros and ones, but E x^2 is not E x",
            "look at its coding",
        )
