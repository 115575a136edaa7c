"""Estimators of few operations, for tests of what is done with an estimator.

Without the tables of single mediators, which are most of a program and of no account there.
"""

import jax.numpy as jnp

from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.geometry import bisector, single_path
from jaxmed.geometry.paths import paths


def light(composite):
    """The composite's estimator: its three effects and its weights."""

    def estimate(key, data):
        del key
        found = composite(paths(data, route="gram"))
        effects = Effects(found.direct, found.indirect, found.total)
        return Estimate(effects, None, None, None, None, found.status, found)

    return estimate


light_maxie, light_reg = light(bisector.maxie), light(single_path.regress_exposure)


def product(key, data):
    """Product of two simple slopes, through the first mediator and without covariates."""
    del key
    w = jnp.ones_like(data.outcome) if data.weights is None else data.weights
    columns = (data.exposure, data.mediators[:, 0], data.outcome)
    a, m, y = (v - jnp.sum(w * v) / jnp.sum(w) for v in columns)
    size = jnp.sum(w * a * a)
    alpha, total = jnp.sum(w * a * m) / size, jnp.sum(w * a * y) / size
    m = m - alpha * a
    indirect = alpha * jnp.sum(w * m * y) / jnp.sum(w * m * m)
    effects = Effects(total - indirect, indirect, total)
    return Estimate(effects, None, None, None, None, jnp.int32(0), None)
