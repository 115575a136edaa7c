"""Rows residualised on intercept and covariates, for inference that moments cannot give."""

import jax.numpy as jnp

from jaxmed.data.mediation_data import MediationData
from jaxmed.linalg import products
from jaxmed.typing import Array, pytree


@pytree
class ResidualRows:
    """Residuals on [1, covariates]; each row multiplied by the root of its weight."""

    exposure: Array  # [n]
    mediators: Array  # [n, p]
    outcome: Array  # [n]
    basis: Array  # [n, 1+q] orthonormal


def residual_rows(data: MediationData) -> ResidualRows:
    """Projects exposure, mediators and outcome off the weighted [1, covariates]."""
    n = data.exposure.shape[0]
    dtype = data.exposure.dtype
    root = jnp.ones(n, dtype) if data.weights is None else jnp.sqrt(jnp.asarray(data.weights))
    design = jnp.concatenate([jnp.ones((n, 1), dtype), jnp.asarray(data.covariates)], axis=1)
    size = jnp.sqrt(jnp.sum(design**2, axis=0))
    scaled = design / jnp.where(size > 0, size, 1)[None, :]
    basis, _ = jnp.linalg.qr(root[:, None] * scaled)
    columns = jnp.concatenate(
        [
            jnp.asarray(data.exposure)[:, None],
            jnp.asarray(data.outcome)[:, None],
            jnp.asarray(data.mediators),
        ],
        axis=1,
    )
    # Means first: a column's mean may be 1e6 times its spread.
    weight = jnp.sum(root**2)
    mean = matvec(root**2, columns) / weight
    columns = root[:, None] * (columns - mean[None, :])
    columns = project_off(basis, columns)
    return ResidualRows(columns[:, 0], columns[:, 2:], columns[:, 1], basis)


def project_off(basis: Array, columns: Array) -> Array:
    """Columns minus their projection on an orthonormal basis."""
    return columns - products.matmul(basis, products.cross(basis, columns))


def weighted_first(order: Array, weights: Array | None) -> Array:
    """Row numbers `order` [n] with the rows of non-zero weight in front, each part in its order."""
    if weights is None:
        return order
    return order[jnp.argsort(jnp.asarray(weights)[order] == 0, stable=True)]


def matvec(row: Array, columns: Array) -> Array:
    """Row' columns at full precision."""
    return products.matmul(row[None, :], columns)[0]
