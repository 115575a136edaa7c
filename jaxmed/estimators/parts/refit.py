"""Least squares of the outcome on a selected set of mediators, and what follows for the effects."""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.parts.exact import no_residual, unless_rounding
from jaxmed.estimators.parts.legs import Leg, Legs
from jaxmed.estimators.parts.span import factor, singular
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.linalg.triangular import solve_lower
from jaxmed.typing import Array, pytree


@pytree
class EffectVariances:
    """Sampling variances of one estimate of the effects; scalars.

    `direct` and `indirect` are variances, not standard errors; `covariance` is that of the direct
    with the indirect effect, so that var(total) = direct + indirect + 2 covariance. NaN where one
    is not known: it takes the total's with it.
    """

    direct: Array
    indirect: Array
    covariance: Array  # of direct and indirect

    @property
    def total(self) -> Array:
        """Of direct + indirect."""
        return self.direct + self.indirect + 2 * self.covariance


@pytree
class Refit:
    """Outcome ~ 1 + covariates + exposure + selected mediators; leaves [d] over candidates.

    `beta`, `beta_se` and `beta_p` [d] are given covariates, exposure and the other selected
    mediators, outcome per mediator unit. `direct` is the coefficient of the exposure in that
    model and `indirect` the sum of alpha beta over the selected, with `variances` given the
    selection. `sigma2` is the residual variance and `df` its degrees of freedom, n - 1 - r_y less
    the number selected. `status` has that of the legs in it.
    """

    beta: Array  # [d] 0 where not selected
    beta_se: Array  # [d] NaN where not selected
    beta_p: Array  # [d] t, NaN where not selected
    direct: Array  # []
    indirect: Array  # [] sum of alpha beta over the selected
    variances: EffectVariances
    sigma2: Array  # [] residual variance
    df: Array  # [] its degrees of freedom
    status: Array  # []


def refit(legs: Legs, index: Array, selected: Array) -> Refit:
    """Refit on candidates `index` [d] of which `selected` [d] (bool) are in the model.

    Returns:
      Refit. Direct + indirect is the total effect of least squares without mediators where both
      models have the same covariates. Nothing selected: indirect 0 with variance 0. Variances
      are conditional on the selection; RANK_DEFICIENT and NaN where the selected are dependent.
    Source: TIE: alpha'V_beta alpha + beta'S_E beta / |A|^2, S_E the residual covariance of the
      mediators; first order in either coefficient.
    """
    w = legs.rows.weights
    root = jnp.sqrt(w)[:, None]
    columns = legs.mediators[:, index] * selected[None, :].astype(w.dtype)
    size = sqrt(matmul(w, columns * columns))
    inner = gram(root * divide(columns, size))
    lower = factor(inner, selected)
    dependent = singular(lower)

    alpha = jnp.where(selected, legs.alpha.estimate[index], 0)
    outcome_alpha = jnp.where(selected, legs.outcome_alpha[index], 0)
    cross = matmul(w * legs.outcome, columns)
    right = divide(jnp.stack([cross, alpha, outcome_alpha], axis=1), size[:, None])
    half = solve_lower(lower, right)
    beta = divide(jax.scipy.linalg.solve_triangular(lower.T, half[:, 0], lower=False), size)

    k = jnp.sum(selected).astype(beta.dtype)
    df = legs.rows.count - 1 - legs.outcome_rank - k
    residual = legs.outcome - matmul(columns, beta)
    left, whole = jnp.sum(w * residual * residual), jnp.sum(w * legs.outcome**2)
    exact = no_residual(left, whole)
    sigma2 = jnp.where(exact, 0, left) / df
    inverse = solve_lower(lower, jnp.eye(index.shape[0], dtype=inner.dtype))
    unit_error = sqrt(jnp.sum(inverse * inverse, axis=0))
    beta_se = sqrt(sigma2) * unit_error * divide(1.0, size, jnp.nan)
    beta = unless_rounding(beta, exact, divide(unit_error, size), sqrt(whole))
    beta_p = Leg(beta, beta_se, df).p_value

    path = legs.noise[:, index] * selected[None, :].astype(w.dtype)
    path_noise = matmul(jnp.where(jnp.isfinite(path), path, 0), beta)
    path_variance = jnp.sum(w * path_noise**2) / (legs.alpha.df * legs.exposure_ss)
    on_direct = 1 / legs.outcome_exposure_ss + jnp.sum(half[:, 2] ** 2)
    direct = unless_rounding(
        legs.total - jnp.sum(outcome_alpha * beta),
        exact,
        sqrt(on_direct),
        sqrt(whole + legs.total**2 * legs.outcome_exposure_ss),
    )
    variances = EffectVariances(
        sigma2 * on_direct,
        sigma2 * jnp.sum(half[:, 1] ** 2) + path_variance,
        -sigma2 * jnp.sum(half[:, 1] * half[:, 2]),
    )
    code = st.combine(
        legs.status,
        st.when(dependent, st.RANK_DEFICIENT),
        st.when(df <= 0, st.TOO_FEW_ROWS),
        st.when(k == 0, st.EMPTY_SELECTION),
    )
    absent = ~selected
    return Refit(
        jnp.where(absent, 0, jnp.where(dependent, jnp.nan, beta)),
        jnp.where(absent | dependent, jnp.nan, beta_se),
        jnp.where(absent | dependent, jnp.nan, beta_p),
        direct,
        jnp.sum(alpha * beta),
        variances,
        sigma2,
        df,
        code,
    )
