"""One triangular factor of [covariates, exposure, mediators, outcome] holds every primal statistic.

If R'R is the co-moment matrix of the columns in that order, then (He 2026, eqs. 6-9)
  R[A, A]^2            = tau, the exposure's sum of squares given the covariates,
  R[A, A] R[A, X]      = s' = A'X,
  R[X, X]              = L', the Cholesky factor of the Gram matrix S of the mediators
                         residualised on A,
  R[X, Y]              = L^-1 gamma, the outcome path,
  R[Y, Y]^2            = the outcome's residual sum of squares given everything.
Projection on covariates and exposure, whitening and residual come out of one factorisation.
A mediator that depends linearly on earlier columns (its row and pivot would be rounding) is left
out: it has a zero row with 1 on the diagonal, `kept` says False, and everything joint is that of
the mediators' span given exposure and covariates.
R is the Cholesky factor of the moments ("gram"), or the R of a QR decomposition of the rows
("qr"), whose relative error grows with cond(Z) where the other's grows with cond(Z)^2.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import ROUNDING_SPREAD
from jaxmed.door import at_the_door
from jaxmed.linalg.dependent import column_factor, gram_factor
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.statistics.cross_moments import CrossMoments, is_host
from jaxmed.typing import Array, pytree, static

# Limits below zero from which a pivot is no rounding of a dependent column's zero.
NEGATIVE = 100.0


@pytree
class JointFactor:
    """Upper triangular R of the columns, each scaled to unit length."""

    upper: Array  # [d, d], order [covariates, exposure, mediators, outcome]
    kept: Array  # [d] bool, False for a column that depends linearly on earlier ones
    length: Array  # [d] Euclidean length of each centred column, in its own units
    count: Array  # [] rows with non-zero weight
    weight: Array  # [] total weight
    weight_square: Array  # [] sum of squared weights
    status: Array  # [] int32
    num_covariates: int = static(default=0)
    route: str = static(default="gram")

    @property
    def mediators(self) -> slice:
        """Positions of the mediators."""
        return slice(self.num_covariates + 1, self.upper.shape[0] - 1)

    @property
    def columns(self) -> Array:
        """R without the diagonal of the columns left out: columns' columns is the correlation."""
        return jnp.where(self.kept[:, None], self.upper, 0)


def rounding(dtype: jnp.dtype) -> float:
    """Machine epsilon of the dtype."""
    return float(jnp.finfo(dtype).eps)


def factor_moments(moments: CrossMoments) -> JointFactor:
    """Cholesky factor of the correlation form of the co-moments.

    Args:
      moments: d = q + 2 + p columns.
    Returns:
      JointFactor. Constant and dependent mediators are left out; a dependent covariate or
      exposure and moments that are none have their reason in `status`.
    Source: exact; relative error about 1e-16 cond(S) in float64, 1e-7 cond(S) in float32.
    """
    q = moments.num_covariates
    comoment = _outcome_last(_outcome_last(jnp.asarray(moments.comoment), q).T, q)
    mean = _outcome_last(jnp.asarray(moments.mean), q)
    length = sqrt(jnp.diagonal(comoment))
    status = _column_status(moments.weight, mean, length, q)
    constant = _constant(moments.weight, mean, length, q)
    divisor = jnp.where(constant, jnp.inf, length)
    correlation = (comoment / divisor[None, :]) / divisor[:, None]
    # The last pivot would be zero for an outcome without residual and poison the whole factor:
    # its diagonal is raised by one here and lowered by one below.
    d = length.shape[0]
    correlation = correlation.at[d - 1, d - 1].add(1.0)
    limit = _gram_limit(d, q, correlation.dtype)
    upper, kept, least = gram_factor(correlation, limit)
    residual = sqrt(upper[d - 1, d - 1] ** 2 - 1.0)
    upper = upper.at[d - 1, d - 1].set(residual)
    # A pivot clearly below zero is no rounding: noise was added, or the numbers are no moments.
    indefinite = least < -NEGATIVE * jnp.max(limit)
    status = st.combine(
        status,
        _dependence_status(kept, q),
        _room_status(moments.count, kept, q),
        st.when(indefinite, st.RANK_DEFICIENT),
        st.when(_no_outcome(upper, q, 100 * rounding(upper.dtype)), st.CONSTANT_OUTCOME),
    )
    count, weight, square = map(jnp.asarray, (moments.count, moments.weight, moments.weight_square))
    return JointFactor(upper, kept, length, count, weight, square, status, q, "gram")


def factor_rows(data: MediationData) -> JointFactor:
    """R of the QR decomposition of the centred, scaled rows; for ill-conditioned mediators.

    Args:
      data: n >= q + p + 2 rows; weights allowed.
    Returns:
      JointFactor as from `factor_moments`, its relative error growing with sqrt(cond(S)).
    """
    xp: Any = np if is_host(data) else jnp
    q = data.covariates.shape[1]
    rows = xp.concatenate(
        [data.covariates, data.exposure[:, None], data.mediators, data.outcome[:, None]], axis=1
    )
    n = rows.shape[0]
    w = xp.ones((n,), rows.dtype) if data.weights is None else xp.asarray(data.weights, rows.dtype)
    weight = w.sum()
    mean = (w @ rows) / weight
    rows = (rows - mean[None, :]) * xp.sqrt(w)[:, None]
    # The mean of the centred rows is rounding of the first mean; at cond 1e12 removing it matters.
    rows = rows - xp.sqrt(w)[:, None] * ((xp.sqrt(w) @ rows) / weight)[None, :]
    sizes = _Sizes(weight, (w * w).sum(), (w > 0).sum(), mean, xp.sqrt((rows * rows).sum(axis=0)))
    divisor, status = _divisor(sizes, q)
    upper = xp.linalg.qr(rows / xp.asarray(divisor)[None, :], mode="r")
    return _factor_of_triangle(upper, sizes, status, q)


@pytree
class _Sizes:
    """What rows, weights and columns amount to; of the host or of a device."""

    weight: Array  # []
    weight_square: Array  # []
    count: Array  # [] rows with non-zero weight
    mean: Array  # [d]
    length: Array  # [d] of the centred columns


# The decomposition between the two is the host's own for host arrays.
@at_the_door("q")
def _divisor(sizes: _Sizes, q: int) -> tuple[Array, Array]:
    """By what columns are divided, [d], infinite where they are constant; and their status."""
    weight, mean, length = (jnp.asarray(x) for x in (sizes.weight, sizes.mean, sizes.length))
    constant = _constant(weight, mean, length, q)
    return jnp.where(constant, jnp.inf, length), _column_status(weight, mean, length, q)


@at_the_door("q")
def _factor_of_triangle(upper: Array, sizes: _Sizes, status: Array, q: int) -> JointFactor:
    """The joint factor of R of a QR decomposition of the scaled rows."""
    upper, length = jnp.asarray(upper), jnp.asarray(sizes.length)
    weight = jnp.asarray(sizes.weight)
    count = jnp.asarray(sizes.count, upper.dtype)
    # QR leaves the signs of the diagonal free; a positive one makes this R the Cholesky factor.
    sign = jnp.where(jnp.diagonal(upper) < 0, -1.0, 1.0).astype(upper.dtype)
    limit = _rows_limit(weight, jnp.asarray(sizes.mean), length)
    upper, kept = column_factor(sign[:, None] * upper, limit)
    status = st.combine(
        status,
        _dependence_status(kept, q),
        _room_status(count, kept, q),
        st.when(_no_outcome(upper, q, jnp.max(limit) ** 2), st.CONSTANT_OUTCOME),
    )
    square = jnp.asarray(sizes.weight_square)
    return JointFactor(upper, kept, length, count, weight, square, status, q, "qr")


def _gram_limit(d: int, q: int, dtype: jnp.dtype) -> Array:
    """Squared distance [d] at which a column depends on those before it; the outcome never does."""
    eps = rounding(dtype)
    mediators = 4 * max(d, 8) * eps
    bounds = [max(100 * eps, mediators)] * (q + 1) + [mediators] * (d - q - 2) + [-1.0]
    return jnp.asarray(bounds, dtype)


def _rows_limit(weight: Array, mean: Array, length: Array) -> Array:
    """Distance [d] at which a column depends on those before it; the outcome never does.

    Values are rounded relative to their size, which the mean may make many times their spread: a
    column that was computed from others keeps that much of its own.
    """
    d = length.shape[0]
    size = 1 + jnp.max(divide(jnp.abs(mean) * sqrt(weight), length))
    bound = 4 * rounding(length.dtype) * (2 * d) ** 0.5 * size
    return jnp.full(d, bound).at[d - 1].set(-1)


def _dependence_status(kept: Array, q: int) -> Array:
    """What no span helps with: dependent covariates, an exposure that depends on them."""
    covariates = jnp.all(kept[:q])
    return st.combine(
        st.when(~kept[q] & covariates, st.DEGENERATE_EXPOSURE),
        st.when(~covariates, st.RANK_DEFICIENT),
    )


def _room_status(count: Array, kept: Array, q: int) -> Array:
    """More mediators than degrees of freedom, unless so many depend on others that some are left.

    The rank alone does not tell: with too few rows it is what the rows allow.
    """
    m, p = count - 2 - q, kept.shape[0] - q - 2
    rank = jnp.sum(kept[q + 1 : -1], dtype=count.dtype)
    return st.when((m < p) & (rank >= m), st.TOO_FEW_ROWS)


def _no_outcome(upper: Array, q: int, limit: Array | float) -> Array:
    """True where the covariates leave only rounding of the outcome."""
    return jnp.sum(upper[q:, -1] ** 2) <= limit


def _outcome_last(rows: Array, q: int) -> Array:
    """Rows of the moment columns with the outcome's moved behind the mediators'.

    Slices, because XLA's gather on a CPU takes as long as the factorisation.
    """
    return jnp.concatenate([rows[: q + 1], rows[q + 2 :], rows[q + 1 : q + 2]])


def _constant(weight: Array, mean: Array, length: Array, q: int) -> Array:
    """True for columns whose spread is only the rounding of their mean; [d].

    For the q covariates by the wider rule of the data layer: nothing refuses a constant one at the
    door, and as a direction of rounding it would take a degree of freedom and say nothing.
    """
    d = length.shape[0]
    rule = [ROUNDING_SPREAD[np.dtype(length.dtype)]] * q + [8 * rounding(length.dtype)] * (d - q)
    return length <= jnp.asarray(rule, length.dtype) * jnp.abs(mean) * sqrt(weight)


def _column_status(weight: Array, mean: Array, length: Array, q: int) -> Array:
    constant = _constant(weight, mean, length, q)
    return st.combine(
        st.when(constant[q], st.DEGENERATE_EXPOSURE),
        st.when(constant[-1], st.CONSTANT_OUTCOME),
        st.when(jnp.any(constant[:q]), st.RANK_DEFICIENT),
        st.when(~jnp.all(jnp.isfinite(length)), st.NONFINITE),
    )


def conditional_outcome(factor: JointFactor) -> tuple[Array, Array, Array]:
    """(tau, A'Y, Y'Y) given the covariates, in units of the scaled columns."""
    upper, q = factor.upper, factor.num_covariates
    exposure = upper[q, q]
    outcome = upper[q:, -1]
    return exposure**2, exposure * upper[q, -1], jnp.sum(outcome * outcome)
