"""Quadratic data terms of the descent: b'Gb / 2 - s'b from moments or from rows.

A quadratic carries the curvature and a `residual` the data: the score s - Gb of all columns where
moments are at hand (`GramQuadratic`), the weighted residual of the rows otherwise (`RowQuadratic`,
cheaper when p > n).
"""

import jax.numpy as jnp

from jaxmed.linalg.products import gram, matmul
from jaxmed.typing import Array, pytree


@pytree
class GramQuadratic:
    """Curvature G; the residual is the score [p]."""

    gram: Array  # [p, p]

    @property
    def curvature(self) -> Array:
        """Second derivative along each coordinate, [p]."""
        return jnp.diagonal(self.gram)

    def partial(self, residual: Array, j: Array) -> Array:
        """Score of column j."""
        return residual[j]

    def move(self, residual: Array, j: Array, step: Array) -> Array:
        """Residual after coefficient j grew by `step`."""
        return residual - step * self.gram[j]

    def score(self, residual: Array) -> Array:
        """Negative gradient of the smooth part, [p]."""
        return residual

    def residual_at(self, residual: Array, coefficients: Array) -> Array:
        """Residual at `coefficients`, given the residual at zero."""
        return residual - matmul(self.gram, coefficients)

    @property
    def rank_bound(self) -> int:
        """Most columns that can be linearly independent."""
        return self.gram.shape[0]

    def restricted(self, columns: Array, residual: Array) -> tuple[Array, Array]:
        """G [k, k] and score [k] of some columns."""
        return self.gram[columns][:, columns], residual[columns]

    def shift(self, residual: Array, columns: Array, step: Array) -> Array:
        """Residual after the coefficients of `columns` grew by step [k]."""
        return residual - matmul(step, self.gram[columns])


@pytree
class RowQuadratic:
    """Curvature X'HX kept as rows; the residual is h - HXb [n], its score X' of that.

    H is diagonal where `images` is None; else the rows of `images` are H x_j.
    """

    columns: Array  # [p, n], one variable per contiguous row
    weights: Array  # [n], diagonal of H
    curvature: Array  # [p], diagonal of X'HX
    images: Array | None = None  # [p, n]

    def partial(self, residual: Array, j: Array) -> Array:
        """Score of column j."""
        return matmul(self.columns[j], residual)

    def move(self, residual: Array, j: Array, step: Array) -> Array:
        """Residual after coefficient j grew by `step`."""
        if self.images is None:
            return residual - step * self.weights * self.columns[j]
        return residual - step * self.images[j]

    def score(self, residual: Array) -> Array:
        """Negative gradient of the smooth part, [p]."""
        return matmul(self.columns, residual)

    def residual_at(self, residual: Array, coefficients: Array) -> Array:
        """Residual at `coefficients`, given the residual at zero."""
        if self.images is None:
            return residual - self.weights * matmul(coefficients, self.columns)
        return residual - matmul(coefficients, self.images)

    @property
    def rank_bound(self) -> int:
        """Most columns that can be linearly independent."""
        return min(self.columns.shape)

    def restricted(self, columns: Array, residual: Array) -> tuple[Array, Array]:
        """X'HX [k, k] and score [k] of some columns."""
        x = self.columns[columns]
        image = x * self.weights[None, :] if self.images is None else self.images[columns]
        return matmul(image, x.T), matmul(x, residual)

    def shift(self, residual: Array, columns: Array, step: Array) -> Array:
        """Residual after the coefficients of `columns` grew by step [k]."""
        if self.images is None:
            return residual - self.weights * matmul(step, self.columns[columns])
        return residual - matmul(step, self.images[columns])


Quadratic = GramQuadratic | RowQuadratic


def row_quadratic(columns: Array, weights: Array) -> RowQuadratic:
    """`RowQuadratic` of columns [p, n] under weights [n]."""
    return RowQuadratic(columns, weights, matmul(columns * columns, weights))


def least_squares(columns: Array, weights: Array, response: Array) -> tuple[Quadratic, Array]:
    """The quadratic of sum_i v_i (y_i - x_i'b)^2 / 2 and its residual at b = 0.

    Args:
      columns: [p, n]; moments are formed where p < n.
      weights: v [n].
      response: y [n].
    """
    residual = weights * response
    if columns.shape[0] < columns.shape[1]:
        moments = gram((columns * jnp.sqrt(weights)[None, :]).T)
        return GramQuadratic(moments), matmul(columns, residual)
    return row_quadratic(columns, weights), residual
