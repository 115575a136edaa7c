"""Direct and indirect effect from de-sparsified coefficients."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.parts.debiased_lasso import Debiased
from jaxmed.estimators.parts.legs import Leg, Legs
from jaxmed.estimators.parts.logistic_refit import logistic_refit
from jaxmed.estimators.parts.partially_linear import exposure_given_outcome_base
from jaxmed.estimators.parts.refit import EffectVariances
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree


@pytree
class DebiasedDetails:
    """What HDMA and HIMA2 know beyond the effects."""

    candidates: Array  # [d] int32 positions of the screened mediators
    initial: Array  # [d] coefficients of the initial lasso
    lam_node: Array  # [] penalty of the node-wise regressions, on columns of sd 1
    lam_initial: Array  # [] penalty of the initial lasso
    sigma: Array  # [] noise level of the outcome model
    violation: Array  # [] optimality of the node-wise regressions, relative to the penalty
    total_marginal: Array  # [] exposure -> outcome without mediators (log odds for binomial)
    gap: Array  # [] direct + indirect - total_marginal


def debiased_effects(
    legs: Legs, index: Array, fit: Debiased, *, linear: bool = True
) -> tuple[Array, Array, EffectVariances]:
    """Direct effect, indirect effect over all candidates, and their variances.

    Args:
      legs: of the data.
      index: candidates [d].
      fit: outcome model on them, with the exposure's coefficient.
      linear: the direct effect is what the de-sparsified coefficients leave of least squares'
        total effect; otherwise (log odds, which do not add up) the exposure's own one-step
        coefficient. That one keeps a bias of the exposure's lasso, whose penalty is that of the
        mediators' (100 rows, one mediator: 1.19 where 1 is right).
    Source: baselines.md section 10: alpha'V_b alpha + b'S_E b/|A|^2 with V_b the covariance of
      the one-step errors; the direct effect's error is that of its own score.
    """
    usable = jnp.isfinite(fit.estimate) & jnp.isfinite(legs.alpha.estimate[index])
    alpha = jnp.where(usable, legs.alpha.estimate[index], 0)
    b = jnp.where(usable, fit.estimate, 0)
    through = matmul(fit.scores, alpha)
    noise = matmul(jnp.where(usable, legs.noise[:, index], 0), b)
    path = jnp.sum(legs.rows.weights * noise * noise) / (legs.alpha.df * legs.exposure_ss)
    direct, scores = fit.direct, fit.direct_scores
    if linear:
        outcome_alpha = jnp.where(usable, legs.outcome_alpha[index], 0)
        direct = legs.total - jnp.sum(outcome_alpha * b)
        scores = divide(exposure_given_outcome_base(legs), legs.outcome_exposure_ss)
        scores = scores - matmul(fit.scores, outcome_alpha)
    variances = EffectVariances(
        jnp.sum(fit.spread * scores**2),
        jnp.sum(fit.spread * through**2) + path,
        jnp.sum(fit.spread * scores * through),
    )
    return direct, jnp.sum(alpha * b), variances


def shrinkage_alone(legs: Legs, fit: Debiased) -> Array:
    """ZERO_RESIDUAL where the residual is what the smallest penalty leaves of an exact fit.

    The grid of the initial lasso ends at a thousandth of its largest penalty, which leaves some
    1e-6 of the sum of squares. The errors are then those of the penalty, not of any noise.
    """
    whole = jnp.sum(legs.rows.weights * legs.outcome**2) / legs.rows.count
    return st.when(fit.sigma**2 <= 1e-5 * whole, st.ZERO_RESIDUAL)


def debiased_details(
    index: Array, fit: Debiased, marginal: Array, direct: Array, indirect: Array
) -> DebiasedDetails:
    """The record of a fit on candidates `index` [d] and of its effects."""
    return DebiasedDetails(
        index,
        fit.initial.coefficients,
        fit.lam_node,
        fit.initial.penalty,
        fit.sigma,
        fit.violation,
        marginal,
        direct + indirect - marginal,
    )


def beta_leg(index: Array, fit: Debiased, p: int, count: Array) -> Leg:
    """De-sparsified coefficients as a leg of all p mediators; NaN outside the candidates."""
    d = index.shape[0]
    nan = jnp.full(p, jnp.nan, fit.estimate.dtype)
    return Leg(
        nan.at[index].set(fit.estimate[:d]), nan.at[index].set(fit.standard_error[:d]), count
    )


def marginal_total(legs: Legs, family: str) -> tuple[Array, Array]:
    """Exposure -> outcome given the covariates, without mediators, and its status.

    Least squares; for binomial the log odds ratio of a logistic regression, with LOG_ODDS.
    """
    if family == "gaussian":
        return legs.total, jnp.zeros((), jnp.int32)
    rows = legs.rows
    columns = jnp.concatenate([rows.outcome_base, rows.exposure[:, None]], axis=1)
    held = jnp.ones(columns.shape[1], bool)
    fit = logistic_refit(columns, held, rows.outcome, rows.weights)
    # Separation by the exposure alone leaves the mediators' part as it is.
    lost = st.when(fit.status != st.OK, st.NOT_CONVERGED)
    return fit.coefficients[-1], st.combine(lost, jnp.int32(st.LOG_ODDS))
