"""What one site tells the others: moments, names, and the rules under which they were released."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import InvalidDataError
from jaxmed.federated.archive import Content, digest_of
from jaxmed.federated.identifiers import persons_of
from jaxmed.federated.marks import Mark
from jaxmed.federated.moment_checks import LARGEST, NAMED
from jaxmed.federated.noise import Noise, noisy_moments
from jaxmed.federated.release import binary_columns, check_release
from jaxmed.federated.rules import Rules, rules_of
from jaxmed.statistics.cross_moments import CrossMoments, cross_moments

__all__ = [
    "SCHEMA",
    "VERSION",
    "Given",
    "SiteSummary",
    "codes_of",
    "content_of",
    "given_of",
    "in_float64",
    "names_hash",
    "summarise",
]

SCHEMA, VERSION = "jaxmed.site", 2
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Given(NamedTuple):
    """How many rows were given, whether or not they have weight, and how many persons."""

    rows: int
    persons: int


@dataclasses.dataclass(frozen=True)
class SiteSummary:
    """Moments of one site's rows; no row, minimum or maximum is in it.

    Columns are [covariates, exposure, outcome, mediators], d = q + 2 + p of them.
    """

    site: str
    moments: CrossMoments  # NumPy float64, names complete
    rows_dtype: str  # of the rows, by which constant columns are told
    binary: tuple[bool, ...]  # [d] columns of zeros and ones; all False with noise
    rules: Rules
    noise: Noise | None = None
    ledger: Mark | None = None  # of the release in the ledger of its site
    # Known where it was made, in no file.
    given: Given | None = dataclasses.field(default=None, compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the d columns in their order."""
        names = self.moments.names
        return (*names.covariates, names.exposure, names.outcome, *names.mediators)

    @property
    def digest(self) -> str:
        """sha256 of everything in the summary but its mark (the ledger holds this digest)."""
        return digest_of(content_of(self))


def summarise(
    data: MediationData,
    *,
    site: str,
    min_rows: int = 20,
    max_ratio: float = 0.33,
    min_cell: int = 5,
    max_share: float | None = None,
    persons: Sequence[Any] | None = None,
    noise: Noise | None = None,
    generator: np.random.Generator | None = None,
) -> SiteSummary:
    """The summary that a site may send, or a refusal.

    Args:
      data: rows of one site, on the host. Case weights are those of the data, scaled to mean 1
        within the site.
      site: label of letters, digits, "_", "." and "-"; it names the columns of site effects.
      min_rows: fewer rows, persons, or effective persons under the case weights are refused; at
        least 10.
      max_ratio: more columns (p + q + 2) per person are refused.
      min_cell: classes of fewer persons, but not of none, are refused.
      max_share: a larger share of one person in a released sum is refused; 1 / min_cell if None,
        at most one half.
      persons: an identifier of the person of every row [n]; None: each row is a person.
      noise: Gaussian mechanism (`noise_for`); None releases the moments themselves.
      generator: of the noise, for simulations alone; None: the system's secure randomness.
    Returns:
      SiteSummary with moments accumulated in float64.
    Raises:
      ReleaseRefused: with the reason.
      InvalidDataError: NaN or infinity in the rows; case weights with noise.
      ValueError: a label or thresholds out of range.
    """
    check_label(site)
    rules = rules_of(min_rows, max_ratio, min_cell, max_share)
    codes = codes_of(persons, len(data.exposure))
    dtype = str(np.asarray(data.mediators).dtype)
    data = _scaled_weights(in_float64(data))
    _check_finite(data)
    check_release(data, rules, codes, noise=noise is not None)
    if noise is None:
        moments, binary = cross_moments(data), binary_columns(data)
    else:
        moments = noisy_moments(data, noise, generator)
        binary = (False,) * len(noise.centre)
    return SiteSummary(
        site, _symmetric(moments), dtype, binary, rules, noise, given=given_of(codes)
    )


def _check_finite(data: MediationData) -> None:
    parts = (data.covariates, data.exposure, data.outcome, data.mediators)
    if not all(np.isfinite(part).all() for part in parts):
        raise InvalidDataError("the rows hold NaN or infinite values: drop or impute them first")
    if max(np.abs(part).max(initial=0) for part in parts) > LARGEST:
        raise InvalidDataError(
            f"the rows hold values above {LARGEST:g}, whose products leave the range of numbers: "
            "divide the column by a power of ten"
        )


def _scaled_weights(data: MediationData) -> MediationData:
    """With case weights of mean 1 over the rows that have any."""
    if data.weights is None:
        return data
    weights = np.asarray(data.weights)
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InvalidDataError("case weights must be finite, none negative and not all 0")
    mean = weights.sum() / np.count_nonzero(weights)
    scaled: Any = weights if abs(mean - 1) < 1e-12 else weights / mean
    return dataclasses.replace(data, weights=scaled)


def codes_of(persons: Sequence[Any] | None, n: int) -> np.ndarray:
    """A number for each person, of every row [n].

    Raises:
      ValueError: as many identifiers as there are rows are needed.
    """
    if persons is None:
        return np.arange(n)
    if len(persons) != n:
        raise ValueError(f"persons has {len(persons)} identifiers for {n} rows: give one a row")
    return persons_of(persons)


def given_of(codes: np.ndarray) -> Given:
    """From a number for each person, of every row [n]."""
    return Given(len(codes), len(np.unique(codes)))


def check_label(site: Any) -> None:
    """Raises ValueError for what cannot be part of a column name."""
    if not isinstance(site, str) or not _LABEL.fullmatch(site):
        raise ValueError(f"site labels are 1 to 64 letters, digits, '_', '.' or '-', not {site!r}")


def in_float64(data: MediationData) -> MediationData:
    """The rows on the host in float64, with a name for every column."""
    p, q = np.shape(data.mediators)[1], np.shape(data.covariates)[1]
    names = data.names
    names = dataclasses.replace(
        names,
        mediators=names.mediators or tuple(f"m{j + 1}" for j in range(p)),
        covariates=names.covariates or tuple(f"c{j + 1}" for j in range(q)),
        groups=(),  # covariates of sites are linear: which belong to one factor has no use
    )
    fields: dict[str, Any] = {
        name: np.asarray(getattr(data, name), np.float64)
        for name in ("exposure", "mediators", "outcome", "covariates")
    }
    if data.weights is not None:
        fields["weights"] = np.asarray(data.weights, np.float64)
    return MediationData(**fields, names=names)


def names_hash(columns: tuple[str, ...], num_covariates: int) -> str:
    """sha256 of the ordered names with the place of the exposure."""
    return hashlib.sha256(json.dumps([num_covariates, *columns]).encode()).hexdigest()


def content_of(summary: SiteSummary) -> Content:
    """The summary as metadata and arrays, without the mark."""
    moments, names = summary.moments, summary.moments.names
    metadata = {
        "schema": SCHEMA,
        "version": VERSION,
        "site": summary.site,
        "names": {field: getattr(names, field) for field in NAMED},
        "names_sha256": names_hash(summary.columns, moments.num_covariates),
        "rows_dtype": summary.rows_dtype,
        "binary": list(summary.binary),
        "rules": dataclasses.asdict(summary.rules),
        "noise": None
        if summary.noise is None
        else dataclasses.asdict(summary.noise) | {"sigma": summary.noise.sigma},
    }
    # As JSON gives it back, so that the digest is the same before and after a file.
    return Content(json.loads(json.dumps(metadata)), arrays_of(moments))


def arrays_of(moments: CrossMoments) -> dict[str, np.ndarray]:
    """Arrays of moments for a file."""
    counts = [float(v) for v in (moments.count, moments.weight, moments.weight_square)]
    return {
        "counts": np.asarray(counts),
        "mean": np.asarray(moments.mean, np.float64),
        "comoment": np.asarray(moments.comoment, np.float64),
    }


def _symmetric(moments: CrossMoments) -> CrossMoments:
    comoment = np.asarray(moments.comoment)
    half: Any = (comoment + comoment.T) / 2
    return dataclasses.replace(moments, comoment=half)
