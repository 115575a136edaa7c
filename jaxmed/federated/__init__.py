"""Mediation analysis of several sites that send moments instead of rows."""

from jaxmed.federated.archive import SiteFileError, read_key
from jaxmed.federated.marks import Mark
from jaxmed.federated.merge import Design, MergeError, merge_sites
from jaxmed.federated.merged import Merged, load_merged, merged_of, save_merged
from jaxmed.federated.noise import Noise, gaussian_sigma, noise_for
from jaxmed.federated.releasing import Released, write_release
from jaxmed.federated.rules import ReleaseRefused, Rules
from jaxmed.federated.second_round import (
    RoundSums,
    load_sums,
    round_sums,
    save_sums,
)
from jaxmed.federated.single_mediators import components, guo_screen, hima_screen, marginal
from jaxmed.federated.storage import load_site, save_site
from jaxmed.federated.summary import SiteSummary, summarise

__all__ = [
    "Design",
    "Mark",
    "MergeError",
    "Merged",
    "Noise",
    "ReleaseRefused",
    "Released",
    "RoundSums",
    "Rules",
    "SiteFileError",
    "SiteSummary",
    "gaussian_sigma",
    "components",
    "guo_screen",
    "hima_screen",
    "marginal",
    "load_merged",
    "load_site",
    "load_sums",
    "merge_sites",
    "merged_of",
    "noise_for",
    "read_key",
    "round_sums",
    "save_merged",
    "save_site",
    "save_sums",
    "summarise",
    "write_release",
]
