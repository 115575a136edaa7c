"""The coordinator's file: merged moments, and which sites and columns are in them."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.forms import SHA256, Each, Fields, Flag, Number, Text
from jaxmed.data.mediation_data import Names
from jaxmed.federated.archive import MAX_BYTES, Content, digest_of, read_archive, write_archive
from jaxmed.federated.merge import Covariates, Design, design_of, expand, pool
from jaxmed.federated.moment_checks import (
    NAME,
    NAMED,
    NAMES,
    ROWS_DTYPE,
    Complaint,
    check_counts,
    check_moments,
    moments_from,
    names_from,
)
from jaxmed.federated.storage import MOMENT_ARRAYS, complaint_of
from jaxmed.federated.summary import SiteSummary, arrays_of
from jaxmed.statistics.cross_moments import CrossMoments

__all__ = ["Merged", "SitesReport", "load_merged", "merged_of", "save_merged"]

SCHEMA, VERSION = "jaxmed.merged", 1
_AGAIN = "merge the site files again"
_SITE = {"site": Text(), "sha256": SHA256, "rows": Number(), "noise": Flag()}
_FORM = {
    "names": NAMES,
    "site_effects": Flag(),
    "by_site": Each(Each(NAME)),
    "sites": Each(Fields(_SITE), least=1),
    "rows_dtype": ROWS_DTYPE,
}


@dataclasses.dataclass(frozen=True)
class Merged:
    """Moments of all sites together."""

    moments: CrossMoments
    design: Design
    digests: tuple[str, ...]  # of the summaries, in the order of design.sites
    counts: tuple[float, ...]  # rows of each
    rows_dtype: str  # the coarsest of the sites
    noisy: tuple[bool, ...]  # whether a site's moments hold noise

    @property
    def digest(self) -> str:
        """sha256 of everything in it."""
        return digest_of(_content(self))

    @property
    def report(self) -> "SitesReport":
        """Where the moments come from, for `mediate_moments(source=...)`."""
        return SitesReport(self)


@dataclasses.dataclass(frozen=True)
class SitesReport:
    """Sites and rows behind merged moments (a `data.data_report.Source`)."""

    merged: Merged

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, ready for JSON."""
        merged = self.merged
        sites = zip(merged.design.sites, merged.counts, merged.digests, merged.noisy, strict=True)
        return {
            "sites": [
                {"site": s, "rows": rows, "sha256": digest, "noise": noise}
                for s, rows, digest, noise in sites
            ],
            "site_effects": merged.design.site_effects,
            "covariates": "by_site" if merged.design.by_site else "shared",
        }

    def files(self) -> None:
        """None: files of data stay at the sites, and nobody elsewhere may know them."""

    def lines(self) -> list[str]:
        """Sentences for a human."""
        merged = self.merged
        each = ", ".join(
            f"{site} {rows:.0f}" + (" with noise" if noise else "")
            for site, rows, noise in zip(
                merged.design.sites, merged.counts, merged.noisy, strict=True
            )
        )
        columns = "covariate slopes by site" if merged.design.by_site else "shared slopes"
        effects = "site effects" if merged.design.site_effects else "no site effects"
        return [f"moments of {len(merged.counts)} sites (rows: {each})", f"{effects}, {columns}"]


def merged_of(
    summaries: Sequence[SiteSummary],
    *,
    site_effects: bool = False,
    covariates: Covariates = "shared",
) -> Merged:
    """`merge_sites` with the record of what was merged; arguments and errors as there."""
    design = design_of(summaries, site_effects=site_effects, covariates=covariates)
    moments = pool([expand(s.moments, s.site, design) for s in summaries], design)
    return Merged(
        moments,
        design,
        tuple(s.digest for s in summaries),
        tuple(float(s.moments.count) for s in summaries),
        "float32" if any(s.rows_dtype == "float32" for s in summaries) else "float64",
        tuple(s.noise is not None for s in summaries),
    )


def save_merged(merged: Merged, path: str | Path, *, key: bytes | None = None) -> Path:
    """Writes the merged moments as .npz; with a key they are signed."""
    return write_archive(path, _content(merged), key)


def load_merged(
    path: str | Path, *, key: bytes | None = None, max_bytes: int = MAX_BYTES
) -> Merged:
    """Merged moments from a file.

    Raises:
      SiteFileError: damaged or changed, or numbers that no rows can have.
    """
    content = read_archive(
        path, SCHEMA, VERSION, _FORM, MOMENT_ARRAYS, key=key, max_bytes=max_bytes
    )
    wrong = complaint_of(path)
    names = names_from(content, wrong)
    moments = moments_from(content, names, wrong)
    sites = _sites(content.metadata, wrong)
    design = _design(content.metadata, names, tuple(s["site"] for s in sites), wrong)
    merged = Merged(
        moments,
        design,
        tuple(s["sha256"] for s in sites),
        tuple(float(s["rows"]) for s in sites),
        content.metadata["rows_dtype"],
        tuple(s["noise"] for s in sites),
    )
    if digest_of(_content(merged)) != digest_of(content):
        raise wrong("metadata", "holds entries that do not fit each other", _AGAIN)
    noisy = any(merged.noisy)
    check_counts(moments, noisy=noisy, wrong=wrong)
    if not np.isclose(sum(merged.counts), float(moments.count), rtol=1e-9):
        raise wrong("counts", "are not the sum of the sites' rows", _AGAIN)
    check_moments(moments, noisy=noisy, wrong=wrong)
    return merged


def _content(merged: Merged) -> Content:
    design = merged.design
    metadata = {
        "schema": SCHEMA,
        "version": VERSION,
        "names": {field: getattr(merged.moments.names, field) for field in NAMED},
        "site_effects": design.site_effects,
        "by_site": design.by_site,
        "sites": [
            {"site": site, "sha256": digest, "rows": float(rows), "noise": bool(noise)}
            for site, digest, rows, noise in zip(
                design.sites, merged.digests, merged.counts, merged.noisy, strict=True
            )
        ],
        "rows_dtype": merged.rows_dtype,
    }
    return Content(json.loads(json.dumps(metadata)), arrays_of(merged.moments))


def _sites(metadata: dict[str, Any], wrong: Complaint) -> list[dict[str, Any]]:
    sites = metadata["sites"]
    labels = [site["site"] for site in sites]
    if len(set(labels)) < len(labels):
        raise wrong("sites", "a site is there twice", _AGAIN)
    return sites


def _design(
    metadata: dict[str, Any], names: Names, sites: tuple[str, ...], wrong: Complaint
) -> Design:
    effects, raw = metadata["site_effects"], metadata["by_site"]
    if len(raw) not in (0, len(sites)):
        raise wrong("by_site", "does not fit the sites", _AGAIN)
    design = Design(sites, names, effects, tuple(map(tuple, raw)))
    wanted = tuple(f"site[{s}]" for s in sites[1:])
    if design.by_site:
        slopes = zip(sites, design.by_site, strict=True)
        wanted += tuple(f"site[{s}]:{c}" for s, own in slopes for c in own)
    fits = (
        names.covariates == wanted
        if design.by_site
        else (not effects or names.covariates[len(names.covariates) - len(wanted) :] == wanted)
    )
    if not fits or (design.by_site and not effects):
        raise wrong("names", "are not the columns that the sites make", _AGAIN)
    return design
