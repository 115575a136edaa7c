"""Summaries of several sites to the moments of all their rows, with or without site effects.

Every site's moments are first written in the merged columns: the 0/1 column of a site is constant
within each site, and a by-site covariate is its own site's covariate about its mean and 0 at the
others. Then the moments of disjoint sets of rows add up as they always do; what the site columns
have in common with the others, n_s (mean_s(x) - mean(x)), comes out of the means.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.federated.same_data import NO_SPREAD, same_data
from jaxmed.federated.summary import SiteSummary, in_float64
from jaxmed.statistics.cross_moments import CrossMoments, cross_moments
from jaxmed.statistics.moment_sums import MomentSums

__all__ = ["Design", "MergeError", "design_of", "expand", "merge_sites", "pool", "site_rows"]

Covariates = Literal["shared", "by_site"]


class MergeError(ValueError):
    """Summaries that do not belong together."""


@dataclasses.dataclass(frozen=True)
class Design:
    """Columns of the merged moments."""

    sites: tuple[str, ...]
    names: Names  # of the merged columns
    site_effects: bool
    # by_site: covariates with a slope at each site; shared: empty
    by_site: tuple[tuple[str, ...], ...] = ()


def merge_sites(
    summaries: Sequence[SiteSummary],
    *,
    site_effects: bool = False,
    covariates: Covariates = "shared",
) -> CrossMoments:
    """Moments of all rows of all sites; equal to those of the pooled rows up to rounding.

    Args:
      summaries: one a site, in the order that site columns will have; the first site is the
        reference. A site's number of rows does not matter here.
      site_effects: adds a 0/1 column for each site but the first to the covariates.
      covariates: "shared" slopes, or "by_site": each site has its own, implies site effects, and
        sites may have different covariates.
    Returns:
      CrossMoments in float64 on the host; see `design_of` for the columns.
    Raises:
      MergeError: a site or a file twice, or different columns (the first difference is named).
    """
    design = design_of(summaries, site_effects=site_effects, covariates=covariates)
    return pool([expand(s.moments, s.site, design) for s in summaries], design)


def design_of(
    summaries: Sequence[SiteSummary],
    *,
    site_effects: bool = False,
    covariates: Covariates = "shared",
) -> Design:
    """Columns that `merge_sites` makes: "site[b]" for effects, "site[b]:c" for slopes.

    Raises:
      MergeError: as `merge_sites`.
    """
    if covariates not in ("shared", "by_site"):
        raise ValueError(f'covariates are "shared" or "by_site", not {covariates!r}')
    _check_distinct(summaries)
    _check_columns(summaries, covariates)
    _check_data(summaries)
    labels = tuple(s.site for s in summaries)
    first = summaries[0].moments.names
    effects = tuple(f"site[{label}]" for label in labels[1:])
    if covariates == "by_site":
        slopes = tuple(_varying(s) for s in summaries)
        own = (f"site[{b}]:{c}" for b, names in zip(labels, slopes, strict=True) for c in names)
        return Design(labels, _with(first, (*effects, *own)), True, slopes)
    if not site_effects:
        return Design(labels, first, False)
    _check_site_level(summaries)
    return Design(labels, _with(first, (*first.covariates, *effects)), True)


def _with(names: Names, covariates: tuple[str, ...]) -> Names:
    taken = {names.exposure, names.outcome, *names.mediators}
    if len({*covariates}) < len(covariates) or taken & {*covariates}:
        raise MergeError(f"a column has the name of a site's: rename it ({covariates})")
    return dataclasses.replace(names, covariates=covariates)


def expand(moments: CrossMoments, site: str, design: Design) -> CrossMoments:
    """Moments of one site in the merged columns."""
    if not design.site_effects:
        return moments
    q, names = moments.num_covariates, moments.names
    effects = np.asarray([site == other for other in design.sites[1:]], float)
    if not design.by_site:
        source = [*range(q), *([-1] * effects.size)]
        mean = np.concatenate([np.asarray(moments.mean)[:q], effects])
    else:
        own = [
            names.covariates.index(c) if other == site else -1
            for other, covariates in zip(design.sites, design.by_site, strict=True)
            for c in covariates
        ]
        source = [*([-1] * effects.size), *own]
        mean = np.concatenate([effects, np.zeros(len(own))])
    source = [*source, *range(q, len(moments.mean))]
    # One row and column of zeros at the end, which -1 picks.
    padded = np.pad(np.asarray(moments.comoment), (0, 1))
    comoment: Any = padded[np.ix_(source, source)]
    means: Any = np.concatenate([mean, np.asarray(moments.mean)[q:]])
    return dataclasses.replace(
        moments, mean=means, comoment=comoment, num_covariates=len(mean), names=design.names
    )


def pool(parts: Sequence[CrossMoments], design: Design) -> CrossMoments:
    """Moments of the union of disjoint rows, in NumPy's float64 whatever JAX's precision."""
    scalars = [[float(v) for v in (m.count, m.weight, m.weight_square)] for m in parts]
    sums = MomentSums(
        np.sum([np.asarray(m.comoment, np.float64) for m in parts], axis=0),
        np.sum(scalars, axis=0),
        np.stack([np.asarray(m.mean, np.float64) for m in parts]),
        np.asarray(scalars)[:, 1],
    )
    return sums.moments(len(design.names.covariates), design.names)


def site_rows(data: MediationData, site: str, design: Design) -> MediationData:
    """Rows of one site with the merged columns, for a second round.

    Raises:
      MergeError: the rows have other columns, or the site is not in the merged moments.
    """
    data = in_float64(data)
    if site not in design.sites:
        raise MergeError(f"site {site!r} is none of the merged {', '.join(design.sites)}")
    if not design.site_effects:
        _same(data.names, design.names, site)
        return data
    own = np.asarray(data.covariates)
    n = len(own)
    effects = np.tile(np.asarray([site == s for s in design.sites[1:]], float), (n, 1))
    if not design.by_site:
        covariates = np.concatenate([own, effects], axis=1)
        names = (*data.names.covariates, *design.names.covariates[own.shape[1] :])
    else:
        centred = own - np.asarray(cross_moments(data).mean)[: own.shape[1]]
        columns = [
            centred[:, data.names.covariates.index(c)] if s == site else np.zeros(n)
            for s, wanted in zip(design.sites, design.by_site, strict=True)
            for c in wanted
        ]
        covariates = np.concatenate([effects, np.reshape(columns, (-1, n)).T], axis=1)
        names = design.names.covariates
    names = dataclasses.replace(data.names, covariates=names)
    _same(names, design.names, site)
    return dataclasses.replace(data, covariates=covariates, names=names)


def _same(found: Names, wanted: Names, site: str) -> None:
    if found != wanted:
        raise MergeError(f"the rows of {site!r} have other columns than the merged moments")


def _check_distinct(summaries: Sequence[SiteSummary]) -> None:
    if not summaries:
        raise MergeError("no summary: at least one is needed")
    digests: dict[str, str] = {}
    for summary in summaries:
        if summary.digest in digests:
            raise MergeError(
                f"the summary of {summary.site!r} is given twice: its rows would count double"
            )
        if summary.site in digests.values():
            raise MergeError(f"two summaries are labelled {summary.site!r}: one of them is wrong")
        digests[summary.digest] = summary.site


def _check_data(summaries: Sequence[SiteSummary]) -> None:
    for one, two in itertools.combinations(summaries, 2):
        if same_data(one, two):
            raise MergeError(
                f"the moments of {one.site!r} and {two.site!r} are the same: one data set under "
                "two labels, whose rows would count double; merge one of them"
            )


def _check_columns(summaries: Sequence[SiteSummary], covariates: Covariates) -> None:
    first = summaries[0]
    for other in summaries[1:]:
        for role in ("exposure", "outcome", "mediators", "covariates"):
            if role == "covariates" and covariates == "by_site":
                continue
            one, two = (_listed(getattr(s.moments.names, role)) for s in (first, other))
            if one == two:
                continue
            position = next(
                (i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b),
                min(len(one), len(two)),
            )
            here, there = (
                repr(names[position]) if position < len(names) else "nothing"
                for names in (one, two)
            )
            raise MergeError(
                f"{role} differ at position {position + 1}: {first.site} has {here}, {other.site} "
                f"has {there}; sites need the same columns in the same order"
            )


def _listed(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _varying(summary: SiteSummary) -> tuple[str, ...]:
    """Covariates that vary within the site."""
    moments, q = summary.moments, summary.moments.num_covariates
    if summary.noise is not None:  # which hides whether they do
        return moments.names.covariates
    spread = np.sqrt(np.maximum(np.diagonal(np.asarray(moments.comoment))[:q], 0))
    size = np.abs(np.asarray(moments.mean)[:q]) * np.sqrt(float(moments.weight))
    varies = spread > NO_SPREAD * (size + spread)
    return tuple(c for c, keep in zip(moments.names.covariates, varies, strict=True) if keep)


def _check_site_level(summaries: Sequence[SiteSummary]) -> None:
    """A covariate that is constant within every site is a combination of the site columns."""
    names = summaries[0].moments.names.covariates
    varying = {name for s in summaries for name in _varying(s)}
    for name in names:
        if name not in varying:
            raise MergeError(
                f"covariate {name!r} is constant within every site: with site effects leave it out"
            )
