"""The span of a base of columns under case weights, and what it leaves of others."""

import jax.numpy as jnp
import numpy as np

from jaxmed.data.validation import ROUNDING_SPREAD
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.statistics.joint_factor import rounding
from jaxmed.typing import Array, pytree


@pytree
class BaseSpan:
    """The span of a base under case weights, from `base_span`.

    `columns` [n, r] are the r columns of the base: the first of unit weighted length, the others
    what is left of them given the first, of unit length too, or 0 where they are constant.
    `values` [r] and `vectors` [r, r] are the eigenvalues and eigenvectors of their weighted Gram
    matrix, the values 0 where at most 10 r eps times the largest: those directions are dependent.
    `shift` [r] is what was taken of the first column and `size` [r] the length that was left.
    `weights` [n] are those that it was made with.
    """

    columns: Array  # [n, r] of unit length, given the first
    values: Array  # [r] eigenvalues of their weighted Gram matrix, 0 of what is dependent
    vectors: Array  # [r, r] its eigenvectors, in columns
    shift: Array  # [r] multiples of the first column taken off, in units of the base
    size: Array  # [r] weighted length of what was left, 0 of a constant
    weights: Array  # [n]

    @property
    def rank(self) -> Array:
        """Number of independent directions, in the dtype of the base; []."""
        return jnp.sum((self.values > 0).astype(self.values.dtype))

    @property
    def inverse(self) -> Array:
        """Pseudo-inverse of the weighted Gram matrix of `columns`; [r, r]."""
        return matmul(self.vectors * divide(1.0, self.values)[None, :], self.vectors.T)

    @property
    def leverages(self) -> Array:
        """Diagonal of B (B'VB)^-1 B' for the base B, per copy of a row; [n]."""
        return jnp.sum(matmul(self.columns, self.inverse) * self.columns, axis=1)

    def orthonormal(self) -> tuple[Array, Array]:
        """Directions [n, r] of the span with B'VB = I, 0 of what is dependent, and `to` [r, r].

        Base @ to = directions: coefficients of the directions times `to` are those of the base.
        """
        turned = self.vectors * divide(1.0, sqrt(self.values))[None, :]
        inside = divide(1.0, self.size)[:, None] * turned
        to = inside.at[0].add(-matmul(self.shift[None, :], inside)[0])
        return matmul(self.columns, turned), to

    def residual(self, columns: Array) -> Array:
        """What weighted least squares on the base leaves of columns, [n] or [n, k]."""
        onto = matmul(self.inverse, (self.columns * self.weights[:, None]).T)
        flat = columns if columns.ndim == 2 else columns[:, None]
        # Twice: what the first pass leaves by rounding of the normal equations goes in the second.
        for _ in range(2):
            flat = flat - matmul(self.columns, matmul(onto, flat))
        return flat if columns.ndim == 2 else flat[:, 0]

    def onto(self, columns: Array) -> tuple[Array, Array]:
        """Loadings [r, k] of columns [n, k] on the orthonormal directions, and the residual."""
        rest = self.residual(columns)
        free, _ = self.orthonormal()
        return matmul((self.weights[:, None] * free).T, columns - rest), rest


def project_out(base: Array, weights: Array, columns: Array) -> Array:
    """Residuals of columns ([n] or [n, k]) from weighted least squares on `base` [n, r].

    Directions of the base without weight (a level absent from a resample) and dependent columns
    are left out. For several sets of columns, `base_span` once.
    """
    return base_span(base, weights).residual(columns)


def base_span(base: Array, weights: Array) -> BaseSpan:
    """The span of `base` [n, r].

    The columns are taken given the first, the intercept (or root weights): a large mean then costs
    no digits and a constant column counts as dependent.
    """
    one, rest = base[:, :1], base[:, 1:]
    length = jnp.sum(weights * one[:, 0] ** 2)
    first = divide(one, sqrt(length))
    if base.shape[1] == 1:
        unit = jnp.ones((1, 1), base.dtype)
        return BaseSpan(first, unit[0], unit, 0 * unit[0], sqrt(length)[None], weights)
    mean = divide(matmul(weights * one[:, 0], rest), length)
    centred = rest - one * mean[None, :]
    size = sqrt(matmul(weights, centred * centred))
    raw = sqrt(matmul(weights, rest * rest))
    size = jnp.where(size > ROUNDING_SPREAD[np.dtype(base.dtype)] * raw, size, 0)
    scaled = jnp.concatenate([first, divide(centred, size)], axis=1)
    gram = matmul((scaled * weights[:, None]).T, scaled)
    # No singular value decomposition: jaxlib 0.9's waits inside XLA's thread pool, and as many of
    # them at once as there are threads wait for ever.
    values, vectors = jnp.linalg.eigh(gram)
    # The cut of `jnp.linalg.pinv`, so that rank and projection agree on what is dependent.
    bound = 10 * base.shape[1] * jnp.finfo(base.dtype).eps * jnp.max(values)
    return BaseSpan(
        scaled,
        values * (values > bound).astype(values.dtype),
        vectors,
        jnp.concatenate([jnp.zeros(1, mean.dtype), mean]),
        jnp.concatenate([sqrt(length)[None], size]),
        weights,
    )


def mean_and_sd(weights: Array, columns: Array) -> tuple[Array, Array]:
    """Mean and standard deviation (divisor n - 1) of columns [n, k]; both [k]."""
    count = jnp.sum(weights)
    mean = matmul(weights, columns) / count
    centred = columns - mean[None, :]
    return mean, sqrt(matmul(weights, centred * centred) / (count - 1))


def is_constant(weights: Array, residual: Array, columns: Array) -> Array:
    """Columns [n, k] of which a projection leaves rounding only, [k] bool."""
    left, raw = matmul(weights, residual**2), matmul(weights, columns**2)
    return ~(left > (32 * rounding(columns.dtype)) ** 2 * raw)
