"""Three sites with their own means and slopes, and the same rows together; data, never goldens."""

import dataclasses

import numpy as np

from jaxmed.data.mediation_data import MediationData, Names

SITES = ("north", "south", "west")
P, N = 5, 60


def sites(seed=0, *, q=2, rows=(N, N, N), weighted=False, binary=False):
    """Data of each site, in the order of SITES."""
    rng = np.random.default_rng(seed)
    names = Names("dose", "score", tuple(f"m{j + 1}" for j in range(P)), ("age", "male")[:q])
    found = []
    for k, n in enumerate(rows):
        c = np.stack([50 + 5 * k + 10 * rng.normal(size=n), rng.integers(0, 2, n) * 1.0], axis=1)
        a = 0.02 * c[:, 0] + rng.normal(size=n) + k
        a = (a > np.median(a)) * 1.0 if binary else a
        x = 0.5 * a[:, None] + rng.normal(size=(n, P)) @ (np.eye(P) + 0.3) + 2 * k
        x = x + 0.03 * (k + 1) * c[:, :1]
        y = x @ np.linspace(0.5, -0.2, P) + 0.3 * a + 0.05 * (k + 1) * c[:, 0] + 3 * k
        y = y + rng.normal(size=n)
        w = None
        if weighted:
            w = rng.uniform(0.3, 2, n)
            w[:4] = 0
            w *= np.count_nonzero(w) / w.sum()
        found.append(MediationData(a, x, y, c[:, :q], w, names))
    return found


def pooled(parts, covariates=None, names=None):
    """All rows in one data set, with other covariates [n, q] where given."""
    fields = {
        f: np.concatenate([getattr(d, f) for d in parts])
        for f in ("exposure", "mediators", "outcome", "covariates")
    }
    if parts[0].weights is not None:
        fields["weights"] = np.concatenate([d.weights for d in parts])
    if covariates is not None:
        fields["covariates"] = covariates
    labels = parts[0].names
    if names is not None:
        labels = dataclasses.replace(labels, covariates=names)
    return MediationData(**fields, names=labels)


def indicators(parts):
    """0/1 columns of all sites [n, S]."""
    return np.repeat(np.eye(len(parts)), [len(d.exposure) for d in parts], axis=0)
