"""Both legs of every mediator, one at a time: the start of every screening and of every alpha."""

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.distributions.tails import normal_two_sided, t_two_sided
from jaxmed.estimators.parts.exact import no_residual
from jaxmed.estimators.parts.rows import Rows
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.statistics.base_span import BaseSpan, base_span, is_constant
from jaxmed.typing import Array, pytree


@pytree
class Leg:
    """One coefficient per mediator with its test.

    `estimate` and `standard_error` are [p], NaN where the coefficient does not exist. `df`, the
    residual degrees of freedom, is a scalar, or [p] where every mediator has its own.
    """

    estimate: Array  # [p]
    standard_error: Array  # [p]
    df: Array  # [] or [p]

    @property
    def statistic(self) -> Array:
        """Estimate over standard error; 0 where both are 0, infinite for an exact fit."""
        # 0 times infinity would be a NaN, made to be masked.
        exact = jnp.sign(self.estimate) * jnp.where(self.estimate == 0, 1, jnp.inf)
        return divide(self.estimate, self.standard_error, exact)

    @property
    def p_value(self) -> Array:
        """Two-sided Student t; NaN where the coefficient does not exist, or is 0 without error."""
        p = t_two_sided(self.statistic, self.df)
        return jnp.where(self._untested, jnp.nan, p)

    @property
    def normal_p_value(self) -> Array:
        """Two-sided normal; NaN where `p_value` is."""
        return jnp.where(self._untested, jnp.nan, normal_two_sided(self.statistic))

    @property
    def _untested(self) -> Array:
        nothing = (self.estimate == 0) & (self.standard_error == 0)
        return jnp.isnan(self.estimate) | nothing


@pytree
class Legs:
    """Single-mediator regressions and the residuals that they leave.

    In the names below: "given" is what is left of a column after weighted least squares on the
    columns named; b_m and b_y are the bases (intercept, covariates) of mediator and outcome model.

    `rows` are the rows of the data themselves, with weights and `count`. Of the mediator models:
    `alpha`, `exposure` [n] and `noise` [n, p], given b_m (noise: and the exposure), and
    `exposure_ss`, the weighted sum of squares of `exposure`. Of the outcome model: `beta`, one
    mediator at a time, `total`, the slope of the outcome on the exposure without mediators,
    `mediators` [n, p] and `outcome` [n], given b_y and the exposure, and `outcome_exposure_ss`,
    the weighted sum of squares of the exposure given b_y. `outcome_alpha` [p] is the slope of the
    mediators on the exposure given b_y, which the direct effect needs: direct = total -
    sum(outcome_alpha * beta). It is alpha's estimate where both models have the same base.

    `constant` [p] marks mediators of which one of the two models leaves nothing: zero columns of
    `mediators`, NaN in `beta`, and NaN in `alpha` where b_m and the exposure leave nothing. Mask
    their `noise` and `outcome_alpha`, which may be rounding. Residuals are those of rows, not
    multiplied by weights or their roots. `status` is trouble of the whole problem (NaN, a
    degenerate exposure, a constant outcome, fewer rows than one mediator needs), `reason` [p] that
    of every mediator.
    """

    rows: Rows
    alpha: Leg  # exposure -> mediator, given b_m
    beta: Leg  # mediator -> outcome, given b_y and the exposure
    total: Array  # [] exposure -> outcome, given b_y
    exposure: Array  # [n] exposure given b_m
    exposure_ss: Array  # [] its weighted sum of squares
    noise: Array  # [n, p] mediators given b_m and the exposure
    outcome_exposure_ss: Array  # [] of the exposure given b_y
    outcome_alpha: Array  # [p] exposure -> mediator given b_y; alpha where the bases are the same
    mediators: Array  # [n, p] mediators given b_y and the exposure
    outcome: Array  # [n] outcome given b_y and the exposure
    constant: Array  # [p] bool: nothing of the mediator is left given either base and the exposure
    mediator_span: BaseSpan  # of b_m
    outcome_span: BaseSpan  # of b_y
    status: Array  # []

    @property
    def mediator_rank(self) -> Array:
        """Independent columns of b_m, intercept included."""
        return self.mediator_span.rank

    @property
    def outcome_rank(self) -> Array:
        """Independent columns of b_y, intercept included."""
        return self.outcome_span.rank

    @property
    def reason(self) -> Array:
        """Status code per mediator [p]."""
        return st.combine(st.when(self.constant, st.CONSTANT_MEDIATOR), self.status)


def legs_of(rows: Rows) -> Legs:
    """All 2p single-mediator regressions: two residualisations and a few matrix-vector products.

    Degrees of freedom are n - 1 - r_m for alpha and n - 2 - r_y for beta, r the rank of the base.
    Source: least squares of M_j on [1, X, A], and of Y on [1, X, A, M_j] by Frisch-Waugh-Lovell.
    """
    w, count = rows.weights, rows.count

    def partial(span: BaseSpan) -> tuple[Array, ...]:
        columns = jnp.concatenate(
            [rows.exposure[:, None], rows.outcome[:, None], rows.mediators], axis=1
        )
        rest = span.residual(columns)
        t = rest[:, 0]
        gone = is_constant(w, rest[:, :1], rows.exposure[:, None])[0]
        ss = jnp.where(gone, 0, jnp.sum(w * t * t))
        slopes = divide(matmul(w * t, rest[:, 1:]), ss, jnp.nan)
        left = rest[:, 1:] - t[:, None] * slopes[None, :]
        # Rounding of an outcome that exposure and covariates fit is no outcome to explain.
        fitted = is_constant(w, left[:, :1], columns[:, 1:2])[0]
        return t, ss, slopes[1:], left[:, 1:], slopes[0], jnp.where(fitted, 0, left[:, 0])

    mediator_span = base_span(rows.mediator_base, w)
    outcome_span = mediator_span if rows.same_base else base_span(rows.outcome_base, w)
    t, ss, alpha, noise, total, outcome = partial(mediator_span)
    outcome_ss, outcome_alpha, mediators = ss, alpha, noise
    if not rows.same_base:
        _, outcome_ss, outcome_alpha, mediators, total, outcome = partial(outcome_span)
    flat = is_constant(w, noise, rows.mediators)
    constant = flat | is_constant(w, mediators, rows.mediators)
    mediators = jnp.where(constant, 0, mediators)

    df = count - 1 - mediator_span.rank
    noise_ss = jnp.where(flat, jnp.nan, matmul(w, noise * noise))
    alpha_leg = Leg(jnp.where(flat, jnp.nan, alpha), sqrt(divide(noise_ss, df * ss, jnp.nan)), df)

    df = count - 2 - outcome_span.rank
    size = jnp.where(constant, jnp.nan, matmul(w, mediators * mediators))
    cross = matmul(w * outcome, mediators)
    beta = cross / size
    outcome_left = jnp.sum(w * outcome * outcome)
    left = jnp.maximum(outcome_left - beta * cross, 0)
    left = jnp.where(no_residual(left, outcome_left), 0, left)
    beta_leg = Leg(beta, sqrt(left / (df * size)), df)

    degenerate = st.when((ss == 0) | (outcome_ss == 0), st.DEGENERATE_EXPOSURE)
    given = outcome_span.residual(rows.outcome)[:, None]
    level = st.when(is_constant(w, given, rows.outcome[:, None])[0], st.CONSTANT_OUTCOME)
    few = st.when(df <= 0, st.TOO_FEW_ROWS)
    return Legs(
        rows,
        alpha_leg,
        beta_leg,
        total,
        t,
        ss,
        noise,
        outcome_ss,
        outcome_alpha,
        mediators,
        outcome,
        constant,
        mediator_span,
        outcome_span,
        st.combine(rows.status, degenerate, level, few),
    )
