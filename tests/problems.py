"""Random mediation problems for tests; data, never goldens."""

import dataclasses

import jax
import numpy as np

from jaxmed.data.mediation_data import MediationData


def problem(rng, n, p, q=0, *, signal=0.5, rho=0.3, scale=1.0, binary=False, offset=3.0):
    """Linear structural model with an active share of the mediators and q covariates."""
    c = rng.normal(size=(n, q)) + offset
    a = rng.integers(0, 2, n).astype(float) if binary else rng.normal(size=n)
    a = a + 0.3 * c.sum(axis=1)
    active = max(1, p // 4)
    common = rng.normal(size=(n, 1))
    x = np.sqrt(rho) * common + np.sqrt(1 - rho) * rng.normal(size=(n, p))
    x[:, :active] += signal * a[:, None]
    x += 0.2 * c.sum(axis=1, keepdims=True)
    y = x[:, :active].sum(axis=1) * signal / np.sqrt(active) + 0.3 * a + c.sum(axis=1)
    y = y + rng.normal(size=n)
    units = 10 ** rng.uniform(-scale, scale, p) if p <= n - 2 - q else np.ones(p)
    return MediationData(a + offset, x * units + offset, y + offset, c)


def with_rows_without_weight(rng, data, count):
    """The data with `count` rows of weight zero and wild values anywhere between its own."""
    n = len(data.exposure) + count
    places = np.sort(rng.permutation(n)[: len(data.exposure)])

    def spread(values):
        wild = 50 + 9 * rng.normal(size=(n, *values.shape[1:]))
        wild[places] = values
        return wild

    weights = np.zeros(n)
    weights[places] = 1
    return dataclasses.replace(jax.tree.map(spread, data), weights=weights)
