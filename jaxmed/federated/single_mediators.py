"""What methods of one mediator or component at a time give from moments alone."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.validation import ShapeError, is_traced
from jaxmed.estimators.estimate import MediatorEffects
from jaxmed.estimators.marginal import marginal_effects, sums_from_factor
from jaxmed.estimators.parts.screening import screen_size, smallest
from jaxmed.estimators.pcma import check_components
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.joint_factor import JointFactor, factor_moments, rounding
from jaxmed.statistics.moment_variation import check_moments_leave
from jaxmed.typing import Array, pytree

__all__ = ["ComponentEffects", "components", "guo_screen", "hima_screen", "marginal"]


def marginal(moments: CrossMoments) -> MediatorEffects:
    """Single-mediator regressions of all mediators, as `Fit.mediators` has them from rows.

    Args:
      moments: merged, p <= n - 2 - q.
    Returns:
      MediatorEffects, with intervals of level .95.
    Raises:
      InvalidDataError: exposure or outcome is constant, or an exact linear function of covariates;
        this and the others here alike.
    """
    return marginal_effects(sums_from_factor(_factor(moments)))


def hima_screen(moments: CrossMoments, n_include: int | None = None) -> tuple[Array, Array]:
    """The screening of `hima`: mediators with the smallest p-value given the exposure.

    Args:
      moments: merged, with a concrete count.
      n_include: mediators kept; ceil(2n / log n) if None.
    Returns:
      (positions kept, in the order of the columns; p-values [p]).
    Source: Zhang et al. (2016). The penalised stage and its choice by BIC need more than this
      order, and are not offered on moments.
    """
    p_value = marginal(moments).beta_p
    size = screen_size(round(float(moments.count)), moments.num_mediators, n_include)
    return smallest(p_value, size), p_value


def guo_screen(moments: CrossMoments, prescreen: int = 1000) -> tuple[Array, Array]:
    """The screening of `guo`: mediators with the largest |cor(M, A) cor(M, Y)| given covariates.

    Args:
      moments: merged.
      prescreen: mediators kept; all where there are not more.
    Returns:
      (positions kept, in the order of the columns; scores [p], alpha cor(M, Y) in units of `guo`).
    """
    factor = _factor(moments)
    sums = sums_from_factor(factor)
    alpha = divide(sums.exposure_cross, sums.exposure_ss)
    joint = sums.outcome_cross + _total(factor) * sums.exposure_cross
    size = sums.given_exposure + alpha * sums.exposure_cross
    score = jnp.where(sums.given_exposure > 0, jnp.abs(divide(alpha * joint, size)), 0)
    p = moments.num_mediators
    return (jnp.arange(p) if p <= prescreen else smallest(-score, prescreen)), score


@pytree
class ComponentEffects:
    """Effects through the principal components of the mediators given exposure and covariates."""

    loadings: Array  # [p, r], largest entry of a column positive
    share: Array  # [r] cumulative share of the mediators' residual variance
    kept: Array  # [r] bool
    alpha: Array  # [r] exposure -> score
    beta: Array  # [r] score -> outcome given the exposure
    direct: Array  # []
    indirect: Array  # [] sum over the kept
    total: Array  # []
    status: Array  # int32

    @property
    def contributions(self) -> Array:
        """Products alpha beta [r] of all components."""
        return self.alpha * self.beta


def components(
    moments: CrossMoments, count: int | None = None, *, share: float = 0.8
) -> ComponentEffects:
    """The point estimates of `pcma` from moments; its bootstrap needs rows.

    Args:
      moments: merged, p <= n - 2 - q.
      count: components kept; by `share` if None.
      share: of the mediators' residual variance that the components first reach.
    Returns:
      ComponentEffects, equal to those of `pcma` on the rows where both models have all covariates.
    Raises:
      ValueError: a number of components below 1, a share outside (0, 1].
    Source: Huang and Pan (2016).
    """
    check_components(count, share)
    factor = _factor(moments)
    sums = sums_from_factor(factor)
    covariance = _residual_products(factor)
    values, vectors = jnp.linalg.eigh(covariance)
    values, vectors = jnp.maximum(values[::-1], 0), vectors[:, ::-1]
    largest = jnp.take_along_axis(vectors, jnp.argmax(jnp.abs(vectors), axis=0)[None], axis=0)[0]
    vectors = vectors * jnp.where(largest < 0, -1, 1)
    reached = divide(jnp.cumsum(values), jnp.trace(covariance))
    wanted = 1 + jnp.sum(reached < share) if count is None else count
    # A direction of rounding (dependent mediators) is no component.
    least = 4 * values.shape[0] * rounding(values.dtype) * jnp.trace(covariance)
    values = jnp.where(values > least, values, 0)
    kept = (jnp.arange(values.shape[0]) < wanted) & (values > 0)
    alpha = matmul(vectors.T, divide(sums.exposure_cross, sums.exposure_ss))
    beta = divide(matmul(vectors.T, sums.outcome_cross), values)
    indirect, total = jnp.sum(jnp.where(kept, alpha * beta, 0)), _total(factor)
    fatal = st.is_fatal(factor.status)

    def valid(x: Array) -> Array:
        return jnp.where(fatal, jnp.nan, x)

    return ComponentEffects(
        valid(vectors),
        valid(reached),
        kept,
        valid(alpha),
        valid(beta),
        valid(total - indirect),
        valid(indirect),
        valid(total),
        factor.status,
    )


def _factor(moments: CrossMoments) -> JointFactor:
    p, q = moments.num_mediators, moments.num_covariates
    if p > float(moments.count) - 2 - q:
        raise ShapeError(f"{p} mediators on {float(moments.count):g} rows need the rows")
    if not is_traced(moments.comoment):
        check_moments_leave(moments)
    return factor_moments(moments)


def _residual_products(factor: JointFactor) -> Array:
    """[p, p] sums of products of the mediators given covariates and exposure."""
    mediators = factor.mediators
    columns = factor.columns[mediators, mediators] * factor.length[mediators]
    return matmul(columns.T, columns)


def _total(factor: JointFactor) -> Array:
    q = factor.num_covariates
    slope = divide(factor.upper[q, -1], factor.upper[q, q])
    return slope * divide(factor.length[-1], factor.length[q])
