"""The variance of the total indirect effect from sums that sites return in a second round.

With the upper triangular factor R of the merged co-moments (columns covariates, exposure,
mediators, outcome), a site's centred rows x' give coordinates x' R^-1, orthonormal over all sites
together. They hold the leverage h (sum of squares, plus the share of the intercept), the whitened
mediators, of which g is the combination by the exposure path, yperp that by the outcome path plus
the residual, and the residual e. The exposure side needs the fitted outcome, the whitened
mediators and the residual variance of all sites. No site needs another's rows.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed import status as st
from jaxmed.data.forms import SHA256, Anything, Flag, Text, Whole
from jaxmed.data.mediation_data import MediationData
from jaxmed.federated.archive import Content, read_archive, write_archive
from jaxmed.federated.influence import sum_share
from jaxmed.federated.marks import Mark, mark_of, marked
from jaxmed.federated.merge import MergeError, expand, site_rows
from jaxmed.federated.merged import Merged
from jaxmed.federated.persons import Persons
from jaxmed.federated.rules import LARGEST_SHARE, ReleaseRefused
from jaxmed.federated.storage import complaint_of
from jaxmed.federated.summary import Given, SiteSummary, codes_of, given_of, summarise
from jaxmed.inference.leave_one_out import LARGEST_LEVERAGE
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.moment_columns import degenerate_mediators, keep_mediators

__all__ = [
    "RoundSums",
    "analysed",
    "check_sums",
    "load_sums",
    "round_sums",
    "save_sums",
    "sums_content",
]

SCHEMA, VERSION = "jaxmed.second_round", 3
DEPENDENT = 1e-10  # a smaller eigenvalue of the correlations is none


@dataclasses.dataclass(frozen=True)
class RoundSums:
    """What one site returns: four sums over its rows and one yes or no."""

    site: str
    merged: str  # digest of the merged moments
    count: int
    variance: float  # sum of g^2 yperp e / (1 - h), exposure^2 outcome^2 units
    hc3: float  # sum of (g e / (1 - h))^2
    exposure_side: float  # sum of A^2 ((Z b)^2 - s2 |W|^2) / (1 - hA)
    exposure_hc3: float  # sum of (A |W| / (1 - hA))^2, exposure^2 units
    exceeds: bool  # whether a leverage is above the bound; which and how large is not told
    ledger: Mark | None = None  # of the release in the ledger of its site
    # Known where it was made, in no file.
    given: Given | None = dataclasses.field(default=None, compare=False)


def round_sums(
    data: MediationData,
    merged: Merged,
    *,
    site: str,
    min_rows: int = 20,
    max_ratio: float = 0.33,
    min_cell: int = 5,
    max_share: float | None = None,
    persons: Sequence[Any] | None = None,
) -> RoundSums:
    """The sums of one site.

    Args:
      data: the rows of the site's summary.
      merged: moments of all sites, this one among them.
      site: its label.
      min_rows: as for the summary, like the others.
      max_ratio: columns per person.
      min_cell: smallest class.
      max_share: of one person in a released sum of the summary.
      persons: of the rows.
    Raises:
      ReleaseRefused: the rules of the first round; one person who makes up more than half of a
        sum; noise in the merged moments; merged moments in which this site's summary of these
        rows is not, or that leave no possible rest.
      MergeError: other columns, or mediators that depend on each other.
    """
    own = summarise(
        data,
        site=site,
        min_rows=min_rows,
        max_ratio=max_ratio,
        min_cell=min_cell,
        max_share=max_share,
        persons=persons,
    )
    _check_part(own, merged)
    rows = site_rows(data, site, merged.design)
    return _sums(rows, merged, site, codes_of(persons, len(data.exposure)))


def _check_part(own: SiteSummary, merged: Merged) -> None:
    if any(merged.noisy):
        raise ReleaseRefused(
            "the merged moments hold noise: sums over the rows without noise would undo it"
        )
    if own.site not in merged.design.sites:
        raise MergeError(
            f"site {own.site!r} is none of the merged {', '.join(merged.design.sites)}"
        )
    if own.digest != merged.digests[merged.design.sites.index(own.site)]:
        raise ReleaseRefused(
            f"the summary of these rows is not the one merged for {own.site!r}: use the same rows, "
            "columns, rules, machine and number of threads as in the first round"
        )
    # What the others are said to have must be possible: total minus own is positive semidefinite.
    part = expand(own.moments, own.site, merged.design)
    total = merged.moments
    rest = float(total.weight) - float(part.weight)
    both = np.stack([np.asarray(total.mean), np.asarray(part.mean)])
    step = both[1] - both[0]
    share = float(part.weight) * (1 + float(part.weight) / rest) if rest > 0.5 else 0.0
    left = np.asarray(total.comoment) - np.asarray(part.comoment) - share * np.outer(step, step)
    size = np.sqrt(np.diagonal(np.asarray(total.comoment)))
    left = left / np.where(size > 0, size, 1) / np.where(size > 0, size, 1)[:, None]
    if rest < -0.5 or np.linalg.eigvalsh((left + left.T) / 2)[0] < -1e-8 * len(size):
        raise ReleaseRefused("the merged moments cannot contain these rows: merge again")


def _sums(rows: MediationData, merged: Merged, site: str, persons: np.ndarray) -> RoundSums:
    moments = analysed(merged)
    kept = [rows.names.mediators.index(name) for name in moments.names.mediators]
    q, p = moments.num_covariates, moments.num_mediators
    order = [*range(q + 1), *range(q + 2, q + 2 + p), q + 1]
    columns = np.concatenate(
        [
            np.asarray(rows.covariates),
            np.asarray(rows.exposure)[:, None],
            np.asarray(rows.mediators)[:, kept],
            np.asarray(rows.outcome)[:, None],
        ],
        axis=1,
    )
    comoment = np.asarray(moments.comoment)[np.ix_(order, order)]
    length = np.sqrt(np.diagonal(comoment))
    upper = _factor(comoment / length / length[:, None], moments.names.mediators, q)
    centred = (columns - np.asarray(moments.mean)[order]) / length
    w = np.ones(len(columns)) if rows.weights is None else np.asarray(rows.weights)
    root = np.sqrt(w)
    coordinates = root[:, None] * np.linalg.solve(upper.T, centred.T).T
    leverage = w / float(moments.weight) + (coordinates[:, :-1] ** 2).sum(axis=1)
    whitened = coordinates[:, q + 1 : -1]
    exposure_path = upper[q, q] * _covector_path(upper, q) * length[q]
    g = whitened @ exposure_path
    residual = coordinates[:, -1] * upper[-1, -1] * length[-1]
    fitted = whitened @ (upper[q + 1 : -1, -1] * length[-1])
    size = (whitened**2).sum(axis=1)
    left, left_without = (
        np.maximum(1 - part, np.finfo(float).eps) for part in (leverage, leverage - size)
    )
    exposure = coordinates[:, q] * upper[q, q] * length[q]
    spare = float(moments.count) - 2 - q - p
    noise = (upper[-1, -1] * length[-1]) ** 2 / spare
    parts = np.stack(
        [
            g**2 * (fitted + residual) * residual / left,
            (g * residual / left) ** 2,
            exposure**2 * (fitted**2 - noise * size) / left_without,
            (exposure / left_without) ** 2 * size,
        ],
        axis=1,
    )
    _check_shares(parts, persons)
    variance, hc3, exposure_side, exposure_hc3 = parts.sum(axis=0).tolist()
    exceeds = bool(leverage[w > 0].max() > LARGEST_LEVERAGE)
    return RoundSums(
        site,
        merged.digest,
        int(np.count_nonzero(w)),
        variance,
        hc3,
        exposure_side,
        exposure_hc3,
        exceeds,
        given=given_of(persons),
    )


def _factor(correlation: np.ndarray, mediators: Sequence[str], q: int) -> np.ndarray:
    """Upper triangular root; dependent mediators have no leverage without a choice among them."""
    values, vectors = np.linalg.eigh(correlation[:-1, :-1])
    if values[0] > DEPENDENT:
        return np.linalg.cholesky(correlation).T
    shares = np.abs(vectors[q + 1 :, 0])
    names = [name for name, share in zip(mediators, shares, strict=True) if share > 0.05]
    raise MergeError(
        "the second round needs mediators that do not depend on each other, on exposure and "
        f"covariates, as {', '.join(names)} do: leave one of them out before both rounds"
    )


def _check_shares(parts: np.ndarray, persons: np.ndarray) -> None:
    """Sums of fourth powers have long tails by nature; more than half is still about one person."""
    who, order = Persons.of(np.ones(len(persons)), persons)
    found = sum_share(parts[order], who)
    if found.share > LARGEST_SHARE:
        raise ReleaseRefused(
            f"one person makes up {found.share:.2f} of the sum of the second round, above "
            f"{LARGEST_SHARE}: take ranks of columns with long tails before both rounds, or do "
            "without the variance from the rows"
        )


def _covector_path(upper: np.ndarray, q: int) -> np.ndarray:
    """L^-1 of the exposure's row of R at the mediators."""
    return np.linalg.solve(upper[q + 1 : -1, q + 1 : -1].T, upper[q, q + 1 : -1])


def analysed(merged: Merged) -> CrossMoments:
    """Merged moments without the constant and duplicated mediators that the analysis leaves out."""
    reasons = degenerate_mediators(merged.moments, np.dtype(merged.rows_dtype))
    return keep_mediators(merged.moments, np.flatnonzero(reasons == st.OK))


def check_sums(merged: Merged, sums: Sequence[RoundSums]) -> None:
    """Refuses sums that are not one answer of every site to these merged moments.

    Raises:
      MergeError: a site is missing, there twice, answers to other moments or with other counts.
    """
    sites = [s.site for s in sums]
    if sorted(sites) != sorted(merged.design.sites):
        raise MergeError(
            f"sums of {', '.join(sites) or 'no site'}, needed once from each of "
            f"{', '.join(merged.design.sites)}"
        )
    for one in sums:
        if one.merged != merged.digest:
            raise MergeError(f"{one.site!r} answered to other merged moments: run the round again")
        if one.count != merged.counts[merged.design.sites.index(one.site)]:
            raise MergeError(f"{one.site!r} used {one.count} rows, not those of its summary")


_SUMS = ("variance", "hc3", "exposure_side", "exposure_hc3")
_FIELDS = {"site": Text(), "merged": SHA256, "count": Whole(), "exceeds": Flag()}


def save_sums(sums: RoundSums, path: str | Path, *, key: bytes | None = None) -> Path:
    """Writes the sums as .npz; with a key they are signed.

    `write_release` also writes them down in the ledger of the site.
    """
    return write_archive(path, marked(sums_content(sums), sums.ledger), key)


def sums_content(sums: RoundSums) -> Content:
    """The sums as metadata and arrays, without the mark."""
    metadata = {"schema": SCHEMA, "version": VERSION}
    metadata |= {name: getattr(sums, name) for name in _FIELDS}
    arrays = {"sums": np.asarray([getattr(sums, name) for name in _SUMS])}
    return Content(json.loads(json.dumps(metadata)), arrays)


def load_sums(path: str | Path, *, key: bytes | None = None) -> RoundSums:
    """Sums from a file.

    Raises:
      SiteFileError: damaged or changed, or no such sums.
    """
    form = {**_FIELDS, "ledger": Anything()}  # `marks` reads the last
    content = read_archive(path, SCHEMA, VERSION, form, ("sums",), key=key, max_bytes=2**22)
    wrong, again = complaint_of(path), "ask the site to write the file again"
    values = content.arrays["sums"]
    if values.shape != (4,) or not np.isfinite(values).all() or min(values[1], values[3]) < 0:
        raise wrong(
            "sums", "are not four finite numbers, the second and the last not negative", again
        )
    fields = {name: content.metadata[name] for name in _FIELDS}
    mark = mark_of(content, path)
    return RoundSums(**fields, **dict(zip(_SUMS, values.tolist(), strict=True)), ledger=mark)
