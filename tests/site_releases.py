"""Releases of small cohorts of one site, for tests of its ledger."""

import functools

import numpy as np
from site_problems import sites

from jaxmed.federated.merged import merged_of
from jaxmed.federated.noise import noise_for
from jaxmed.federated.releasing import write_release
from jaxmed.federated.second_round import round_sums
from jaxmed.federated.summary import summarise


@functools.cache
def summary(cohort=0, site="north"):
    return summarise(sites(cohort)[0], site=site)


def noisy(cohort=0, site="north"):
    """Drawn anew at every call."""
    columns = summary().columns
    noise = noise_for(columns, dict.fromkeys(columns, (0, 50)), epsilon=1, delta=1e-5, clip=4)
    rng = np.random.default_rng()
    return summarise(sites(cohort)[0], site=site, noise=noise, generator=rng)


def sums(cohort=0, site="north"):
    return round_sums(sites(cohort)[0], merged_of([summary(cohort, site)]), site=site)


def people(cohort, first=0, last=60):
    return [f"P{cohort}-{i}" for i in range(first, last)]


def put(folder, item, labels, name="a", *, out=None, **more):
    """A release under the ledger in a folder, its file beside it."""
    path = folder / f"{name}.npz" if out is None else out
    ledger = folder / "ledger.jsonl"
    return write_release(
        item, path, ledger=ledger, identifiers=labels, identified_by="column id", **more
    )
