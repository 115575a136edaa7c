"""Least squares of the outcome on some of the mediators, with variances that need no equal spread.

The estimators of record: effects, their HC2 variances and those of single coefficients, for a
chosen set of mediators given any basis of the covariates.
"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.parts.exact import no_residual, unless_rounding
from jaxmed.estimators.parts.legs import Legs
from jaxmed.estimators.parts.refit import EffectVariances
from jaxmed.estimators.parts.span import span_of
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.linalg.triangular import solve_lower
from jaxmed.typing import Array, pytree

Variance = Literal["difference", "path_sum"]


def check_variance(variance: str) -> None:
    """Raises ValueError for an unknown variance."""
    if variance not in get_args(Variance):
        raise ValueError(f"variance must be one of {get_args(Variance)}, not {variance!r}")


@pytree
class OutcomeFit:
    """Outcome ~ basis + exposure + selected mediators."""

    beta: Array  # [p] NaN where not in the model, and where `tied`
    beta_se: Array  # [p] HC2
    direct: Array  # []
    indirect: Array  # [] sum of alpha beta
    variances: EffectVariances
    leverage: Array  # [n] of the rows in the outcome model
    df: Array  # []
    tied: Array  # [p] bool: in the model and part of a linear dependency
    status: Array  # []
    notes: Array  # [] SPAN_ONLY where mediators of the model depend on each other


def over_slack(square: Array, leverage: Array) -> Array:
    """Square / (1 - leverage), 0 where a row determines its own fit and so leaves no residual."""
    slack = 1 - leverage
    floor = 1e3 * jnp.finfo(square.dtype).eps
    return jnp.where(slack > floor, divide(square, slack), 0)


def alpha_errors(legs: Legs) -> Array:
    """HC3 standard errors [p] of exposure -> mediator, NaN where there is no coefficient."""
    rows, t = legs.rows, legs.exposure
    slack = legs.mediator_span.leverages + divide(t * t, legs.exposure_ss)
    scaled = over_slack(rows.weights * t * t, slack)
    square = matmul(over_slack(scaled, slack), legs.noise**2)
    error = divide(sqrt(square), legs.exposure_ss, jnp.nan)
    return jnp.where(jnp.isnan(legs.alpha.estimate), jnp.nan, error)


def total_variance(legs: Legs) -> Array:
    """HC2 variance [] of the total effect, which no mediator takes part in."""
    rows = legs.rows
    exposure = exposure_given_outcome_base(legs)
    slack = legs.outcome_span.leverages
    slack = slack + divide(exposure**2, legs.outcome_exposure_ss)
    score = divide(exposure, legs.outcome_exposure_ss)
    return jnp.sum(rows.weights * score**2 * over_slack(legs.outcome**2, slack))


def outcome_fit(legs: Legs, selected: Array, *, variance: str) -> OutcomeFit:
    """The outcome model with the mediators `selected` [p] (bool).

    Args:
      legs: of the rows, any basis.
      selected: constant mediators are left out.
      variance: of the part of the indirect effect that the noise of alpha makes, "path_sum"
        (never negative, generous where beta is noisy) or "difference" (unbiased when beta is
        least squares on many mediators).
    Returns:
      OutcomeFit; TOO_FEW_ROWS where fewer than 2 degrees of freedom are left. Nothing selected:
      indirect 0, EMPTY_SELECTION. Effects, variances and degrees of freedom are those of the span
      of the selected: dependent ones change nothing but their own coefficients, which are not
      determined (NaN); RANK_DEFICIENT where the exposure is part of a dependency.
    Raises:
      ValueError: "difference" with different covariates in the two models.
    Source: specification of the intervals, section 1: HC2 for the outcome residuals, HC3 for the
      path part. Direct + indirect is the total effect where both models share their covariates.
    """
    rows = legs.rows
    if variance == "difference" and not rows.same_base:
        raise ValueError(
            'variance="difference" compares the two models and needs the same covariates in both:'
            ' pass variance="path_sum"'
        )
    w, (n, p) = rows.weights, legs.mediators.shape
    outcome_ss = legs.outcome_exposure_ss
    selected = selected & ~legs.constant & ~jnp.isnan(legs.alpha.estimate)
    count = jnp.sum(selected)
    # More columns than rows are never fitted: a fixed number of places is enough.
    index = jnp.argsort(~selected, stable=True)[: min(n, p)]
    inside = selected[index]
    columns = jnp.where(inside, legs.mediators[:, index], 0)
    size = sqrt(matmul(w, columns * columns))
    scaled = divide(columns, size)
    inner = gram(jnp.sqrt(w)[:, None] * scaled)
    alpha = jnp.where(inside, legs.alpha.estimate[index], 0)
    outcome_alpha = jnp.where(inside, legs.outcome_alpha[index], 0)
    paths = jnp.stack([alpha * sqrt(legs.exposure_ss), outcome_alpha * sqrt(outcome_ss)])
    span = span_of(inner, inside, divide(paths, size))
    half = jnp.where(span.kept[:, None], solve_lower(span.lower, scaled.T), 0)

    leverage = legs.outcome_span.leverages + half_squares(half)
    exposure = exposure_given_outcome_base(legs)
    leverage = leverage + divide(exposure**2, legs.outcome_exposure_ss)
    fitted = matmul(half, w * legs.outcome)
    residual = legs.outcome - matmul(fitted, half)
    whole = jnp.sum(w * legs.outcome**2)
    exact = no_residual(jnp.sum(w * residual**2), whole)
    residual = jnp.where(exact, 0, residual)
    noise = over_slack(w * residual**2, leverage)

    back = jax.scipy.linalg.solve_triangular(
        span.lower.T, jnp.concatenate([fitted[:, None], half], axis=1), lower=False
    )
    back = divide(back, size[:, None])
    beta, beta_se = back[:, 0], sqrt(matmul(back[:, 1:] ** 2, noise))
    beta = unless_rounding(beta, exact, sqrt(matmul(back[:, 1:] ** 2, w)), sqrt(whole))

    on_path, on_direct = matmul(jnp.stack([alpha, outcome_alpha]), back[:, 1:])
    on_direct = divide(exposure, legs.outcome_exposure_ss) - on_direct
    direct = unless_rounding(
        legs.total - jnp.sum(outcome_alpha * beta),
        exact,
        sqrt(jnp.sum(w * on_direct**2)),
        sqrt(whole + legs.total**2 * legs.outcome_exposure_ss),
    )

    slack = legs.mediator_span.leverages + divide(legs.exposure**2, legs.exposure_ss)
    weight = over_slack(w * divide(legs.exposure, legs.exposure_ss) ** 2, slack)
    if variance == "path_sum":
        path = matmul(jnp.where(inside, legs.noise[:, index], 0), beta)
        path_variance = jnp.sum(over_slack(weight * path**2, slack))
    else:
        gain = over_slack(legs.outcome**2, slack) - over_slack(residual**2, leverage)
        path_variance = jnp.maximum(jnp.sum(weight * gain), 0)
    variances = EffectVariances(
        jnp.sum(on_direct**2 * noise),
        jnp.sum(on_path**2 * noise) + path_variance,
        jnp.sum(on_direct * on_path * noise),
    )
    rank = legs.outcome_rank + jnp.sum(span.kept, dtype=rows.count.dtype)
    df = rows.count - 1 - rank
    few = st.when((df < 2) | (count > min(n, p)), st.TOO_FEW_ROWS)
    code = st.combine(
        legs.status,
        jnp.where(st.is_fatal(few), few, span.status),
        st.when(count == 0, st.EMPTY_SELECTION),
    )
    absent = ~inside | span.tied | st.is_fatal(code)
    tied = jnp.zeros(p, bool).at[index].set(span.tied)

    def place(values: Array) -> Array:
        nowhere = jnp.full(p, jnp.nan, values.dtype)
        return nowhere.at[index].set(jnp.where(absent, jnp.nan, values))

    return OutcomeFit(
        place(beta),
        place(beta_se),
        direct,
        jnp.sum(alpha * beta),
        variances,
        leverage,
        df,
        tied,
        code,
        span.notes,
    )


def half_squares(half: Array) -> Array:
    """Sums of squares [n] down the columns of L^-1 X' [d, n]."""
    return jnp.sum(half * half, axis=0)


def exposure_given_outcome_base(legs: Legs) -> Array:
    """Residual [n] of the exposure on the covariates of the outcome model."""
    if legs.rows.same_base:
        return legs.exposure
    return legs.outcome_span.residual(legs.rows.exposure)
