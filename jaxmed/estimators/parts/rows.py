"""Rows of one data set as the field's methods need them: two sets of covariates, case weights.

Case weights count rows: a row of weight 2 is two equal rows, and n is the sum of the weights. So a
resample with replacement is the same data under other weights.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData, weights_of
from jaxmed.data.validation import ROUNDING_SPREAD
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.statistics.joint_factor import rounding
from jaxmed.typing import Array, pytree, static

# Names or positions of covariates; None for all of them.
Columns = Sequence[str | int] | None


@pytree
class Rows:
    """One data set; every base starts with the intercept.

    `exposure` [n], `mediators` [n, p] and `outcome` [n] are those of the data, in their units and
    not yet given anything. `mediator_base` [n, 1+q_m] and `outcome_base` [n, 1+q_y] are the
    intercept and the covariates of either model, which may depend on each other. `weights` [n]
    count rows; they are ones where the data have none. `same_base` is known while tracing: both
    models were given the same covariates.
    """

    exposure: Array  # [n]
    mediators: Array  # [n, p]
    outcome: Array  # [n]
    mediator_base: Array  # [n, 1+q_m] intercept and covariates of the mediator models
    outcome_base: Array  # [n, 1+q_y] intercept and covariates of the outcome model
    weights: Array  # [n] >= 0
    same_base: bool = static(default=True)

    @property
    def count(self) -> Array:
        """Number of rows n: the sum of the case weights."""
        return jnp.sum(self.weights)

    @property
    def status(self) -> Array:
        """NONFINITE where any number is NaN or infinite."""
        parts = (self.exposure, self.mediators, self.outcome, self.outcome_base, self.weights)
        total = sum(jnp.sum(part) for part in (*parts, self.mediator_base))
        return st.when(~jnp.isfinite(total), st.NONFINITE)


def rows_of(
    data: MediationData, covariates_mediator: Columns = None, covariates_outcome: Columns = None
) -> Rows:
    """Rows of the data with the covariates of either model.

    Args:
      data: rows.
      covariates_mediator: of exposure -> mediator models; all covariates if None.
      covariates_outcome: of the outcome model; all covariates if None.
    Raises:
      ValueError: a covariate that the data do not have.
    """
    exposure, weights = jnp.asarray(data.exposure), weights_of(data)
    first, second = (
        covariate_positions(data, wanted) for wanted in (covariates_mediator, covariates_outcome)
    )
    ones = jnp.ones_like(exposure)[:, None]
    mediator_base, outcome_base = (
        jnp.concatenate([ones, jnp.asarray(data.covariates)[:, list(where)]], axis=1)
        for where in (first, second)
    )
    mediators, outcome = jnp.asarray(data.mediators), jnp.asarray(data.outcome)
    same = first == second
    return Rows(exposure, mediators, outcome, mediator_base, outcome_base, weights, same)


def covariate_positions(data: MediationData, wanted: Columns) -> tuple[int, ...]:
    """Positions of the wanted covariates, in the order of the data.

    Raises:
      ValueError: a name or position that the data do not have, with what there is.
    """
    q = data.covariates.shape[1]
    if wanted is None:
        return tuple(range(q))
    if isinstance(wanted, str):
        raise ValueError(f"covariates are a sequence of names, not the string {wanted!r}")
    names = data.names.covariates
    found = []
    for name in wanted:
        position = name if isinstance(name, int) else names.index(name) if name in names else -1
        if not 0 <= position < q:
            there = ", ".join(names) or f"{q} without names"
            raise ValueError(f"there is no covariate {name!r}; covariates are: {there}")
        found.append(position)
    return tuple(sorted(set(found)))


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
