"""One triangular factor of [covariates, exposure, mediators, outcome] holds every primal statistic.

If R'R is the co-moment matrix of the columns in that order, then (He 2026, eqs. 6-9)
  R[A, A]^2            = tau, the exposure's sum of squares given the covariates,
  R[A, A] R[A, X]      = s' = A'X,
  R[X, X]              = L', the Cholesky factor of the Gram matrix S of the mediators
                         residualised on A,
  R[X, Y]              = L^-1 gamma, the outcome path,
  R[Y, Y]^2            = the outcome's residual sum of squares given everything.
Projection on covariates and exposure, whitening and residual come out of one factorisation.
R is the Cholesky factor of the moments ("gram"), or the R of a QR decomposition of the rows
("qr"), whose relative error grows with cond(Z) where the other's grows with cond(Z)^2.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import ROUNDING_SPREAD
from jaxmed.linalg.safe import sqrt
from jaxmed.statistics.cross_moments import CrossMoments, is_host
from jaxmed.typing import Array, pytree, static


@pytree
class JointFactor:
    """Upper triangular R of the columns, each scaled to unit length."""

    upper: Array  # [d, d], order [covariates, exposure, mediators, outcome]
    length: Array  # [d] Euclidean length of each centred column, in its own units
    count: Array  # [] rows with non-zero weight
    weight: Array  # [] total weight
    weight_square: Array  # [] sum of squared weights
    status: Array  # [] int32
    num_covariates: int = static(default=0)
    route: str = static(default="gram")


def rounding(dtype: jnp.dtype) -> float:
    """Machine epsilon of the dtype."""
    return float(jnp.finfo(dtype).eps)


def factor_moments(moments: CrossMoments) -> JointFactor:
    """Cholesky factor of the correlation form of the co-moments.

    Args:
      moments: d = q + 2 + p columns.
    Returns:
      JointFactor; NaN with the reason in `status` for a constant or dependent column.
    Source: exact; relative error about 1e-16 cond(S) in float64, 1e-7 cond(S) in float32.
    """
    q = moments.num_covariates
    comoment = _outcome_last(_outcome_last(jnp.asarray(moments.comoment), q).T, q)
    mean = _outcome_last(jnp.asarray(moments.mean), q)
    length = sqrt(jnp.diagonal(comoment))
    status = _column_status(moments.count, moments.weight, mean, length, q)
    constant = _constant(moments.weight, mean, length, q)
    divisor = jnp.where(constant, 1.0, length)
    correlation = (comoment / divisor) / divisor[:, None]
    # The last pivot would be zero for an outcome without residual and poison the whole factor:
    # its diagonal is raised by one here and lowered by one below.
    d = length.shape[0]
    correlation = correlation.at[d - 1, d - 1].add(1.0)
    upper = jax.scipy.linalg.cholesky(correlation, lower=False)
    residual = sqrt(upper[d - 1, d - 1] ** 2 - 1.0)
    upper = upper.at[d - 1, d - 1].set(residual)
    status = st.combine(status, _rank_status(upper, correlation, q))
    count, weight, square = map(jnp.asarray, (moments.count, moments.weight, moments.weight_square))
    return JointFactor(upper, length, count, weight, square, status, q, "gram")


def factor_rows(data: MediationData) -> JointFactor:
    """R of the QR decomposition of the centred, scaled rows; for ill-conditioned mediators.

    Args:
      data: n >= q + p + 2 rows; weights allowed.
    Returns:
      JointFactor as from `factor_moments`, its relative error growing with sqrt(cond(S)).
    """
    xp = np if is_host(data) else jnp
    q = data.covariates.shape[1]
    rows = xp.concatenate(
        [data.covariates, data.exposure[:, None], data.mediators, data.outcome[:, None]], axis=1
    )
    n = rows.shape[0]
    w = xp.ones((n,), rows.dtype) if data.weights is None else xp.asarray(data.weights, rows.dtype)
    weight = w.sum()
    mean = (w @ rows) / weight
    rows = (rows - mean) * xp.sqrt(w)[:, None]
    # The mean of the centred rows is rounding of the first mean; at cond 1e12 removing it matters.
    rows = rows - xp.sqrt(w)[:, None] * ((xp.sqrt(w) @ rows) / weight)
    length = jnp.asarray(xp.sqrt((rows * rows).sum(axis=0)))
    count = jnp.asarray(xp.sum(w > 0), rows.dtype)
    status = _column_status(count, jnp.asarray(weight), jnp.asarray(mean), length, q)
    constant = _constant(jnp.asarray(weight), jnp.asarray(mean), length, q)
    scaled = rows / xp.asarray(jnp.where(constant, 1.0, length), rows.dtype)
    upper = jnp.asarray(xp.linalg.qr(scaled, mode="r"))
    # QR leaves the signs of the diagonal free; a positive one makes this R the Cholesky factor.
    sign = jnp.where(jnp.diagonal(upper) < 0, -1.0, 1.0).astype(upper.dtype)
    upper = sign[:, None] * upper
    diagonal = jnp.diagonal(upper)
    tolerance = 4 * rounding(upper.dtype) * sum(upper.shape) ** 0.5
    status = st.combine(
        status,
        st.when(diagonal[q] <= tolerance, st.DEGENERATE_EXPOSURE),
        st.when(jnp.any(diagonal[:-1] <= tolerance), st.RANK_DEFICIENT),
    )
    total, square = jnp.asarray(weight), jnp.asarray((w * w).sum())
    return JointFactor(upper, length, count, total, square, status, q, "qr")


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


def _column_status(count: Array, weight: Array, mean: Array, length: Array, q: int) -> Array:
    constant = _constant(weight, mean, length, q)
    d = length.shape[0]
    return st.combine(
        st.when(count - 2 - q < d - q - 2, st.TOO_FEW_ROWS),
        st.when(constant[q], st.DEGENERATE_EXPOSURE),
        st.when(jnp.any(constant[:-1]), st.RANK_DEFICIENT),
        st.when(~jnp.all(jnp.isfinite(length)), st.NONFINITE),
    )


def _rank_status(upper: Array, correlation: Array, q: int) -> Array:
    """Dependent columns: NaN from the factorisation, or a pivot at the level of rounding."""
    eps = rounding(upper.dtype)
    d = upper.shape[0]
    pivots = jnp.diagonal(upper)[:-1] ** 2
    failed = jnp.any(jnp.isnan(upper))
    dependent = failed | (jnp.min(pivots) <= 4 * max(d, 8) * eps)
    if q == 0:
        return st.when(dependent, st.RANK_DEFICIENT)
    # A failed factor does not tell which column failed; a degenerate exposure has its own code.
    head = jax.scipy.linalg.cholesky(correlation[: q + 1, : q + 1], lower=False)
    covariates_ok = jnp.all(jnp.diagonal(head)[:q] ** 2 > 100 * eps)
    exposure_gone = ~(head[q, q] ** 2 > 100 * eps)
    return st.combine(
        st.when(dependent, st.RANK_DEFICIENT),
        st.when(covariates_ok & exposure_gone, st.DEGENERATE_EXPOSURE),
        st.when(~covariates_ok, st.RANK_DEFICIENT),
    )


def conditional_outcome(factor: JointFactor) -> tuple[Array, Array, Array]:
    """(tau, A'Y, Y'Y) given the covariates, in units of the scaled columns."""
    upper, q = factor.upper, factor.num_covariates
    exposure = upper[q, q]
    outcome = upper[q:, -1]
    return exposure**2, exposure * upper[q, -1], jnp.sum(outcome * outcome)
