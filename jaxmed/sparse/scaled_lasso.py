"""Scaled lasso: a lasso whose penalty follows its own estimate of the noise."""

import statistics

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import sqrt
from jaxmed.sparse.descent import descend, optimality_violation
from jaxmed.sparse.penalties import L1
from jaxmed.sparse.quadratic import GramQuadratic
from jaxmed.typing import Array, ArrayLike, pytree

# Of the release (scalreg): start, stop and budget of the noise iteration.
RELEASE_START = 5.0
RELEASE_TOLERANCE = 1e-4
RELEASE_ROUNDS = 101
# Allowed optimality violation of each lasso, relative to the largest score: below what moves sigma
# by its own tolerance.
LASSO_TOLERANCE = 1e-12


@pytree
class ScaledLasso:
    """Coefficients with the noise level that they leave."""

    coefficients: Array  # [p]
    sigma: Array  # [] root mean squared residual at the coefficients
    penalty: Array  # [] lambda of the coefficients: level times the sigma one round earlier
    rounds: Array  # [] int32, lassos solved
    violation: Array  # [] optimality violation at `penalty`, units of the penalty
    change: Array  # [] |last change of sigma|
    status: Array  # [] NOT_CONVERGED where sigma or a lasso did not settle


def quantile_level(p: int, *, tolerance: float = 1e-3) -> float:
    """The constant L of the penalty sqrt(2/n) L sigma.

    Damped iteration from 0.1 for L = -Phi^-1(min((L^4 + 2 L^2)/p, 0.99)).

    Args:
      p: number of columns.
      tolerance: stop once L moves by at most this; the release's 1e-3 fixes its third digit.
    Source: Sun and Zhang (2013), JMLR 14, 3385; baselines B4.
    """
    level, normal = 0.1, statistics.NormalDist()
    for _ in range(1000):
        target = -normal.inv_cdf(min((level**4 + 2 * level**2) / p, 0.99))
        level, before = (level + target) / 2, level
        if abs(level - before) <= tolerance:
            return level
    return level


def scaled_lasso(
    gram: Array,
    score: Array,
    outcome_ss: Array,
    count: ArrayLike,
    *,
    level: float | None = None,
    start: float | None = None,
    tolerance: float | None = None,
    max_rounds: int = 500,
    lasso_rounds: int = 1000,
) -> ScaledLasso:
    """Lasso at penalty lambda_0 sigma, sigma the root mean squared residual, iterated.

    Columns are penalised as they come: nothing is centred or scaled here.

    Args:
      gram: X'X / n, [p, p].
      score: X'y / n, [p].
      outcome_ss: y'y / n, [].
      count: number of rows n.
      level: lambda_0; sqrt(2/n) times `quantile_level` by default.
      start: first sigma; the root mean square of y by default. The release starts at 5.
      tolerance: stop once sigma moves by at most this; 1e-10 of y's root mean square (float32:
        1e-5) by default. The release stops at 1e-4 after at most 101 rounds, MedDiC's at 20.
      max_rounds: budget of lassos.
      lasso_rounds: budget of each lasso.
    Returns:
      ScaledLasso. Its coefficients belong to the last penalty used, that is to the sigma before
      the last, as in the release; after convergence the two are the same to `tolerance`.
    Source: Sun and Zhang (2012), Biometrika 99, 879; release scalreg 1.0.1. The sequence of sigma
      is monotone from either side; with p > n it may run into sigma = 0, an exact fit.
    """
    p, dtype = gram.shape[0], gram.dtype
    eps = float(jnp.finfo(dtype).eps)
    spread = sqrt(outcome_ss)
    if level is None:
        lambda_0 = jnp.sqrt(2 / jnp.asarray(count, dtype)) * quantile_level(p)
    else:
        lambda_0 = jnp.asarray(level, dtype)
    first = spread if start is None else jnp.asarray(start, dtype)
    relative = max(1e-10, 100 * eps)
    stop = relative * spread if tolerance is None else jnp.asarray(tolerance, dtype)
    allowed = max(LASSO_TOLERANCE, 20 * eps) * jnp.max(jnp.abs(score))
    quadratic = GramQuadratic(gram)
    ones = jnp.ones(p, dtype)

    def one_round(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        b, residual, sigma, _, rounds, _ = carry
        penalty = lambda_0 * sigma
        state = descend(
            quadratic, L1(penalty * ones), b, residual, tolerance=allowed, max_rounds=lasso_rounds
        )
        left = outcome_ss - jnp.sum(state.coefficients * (score + state.residual))
        new = sqrt(left)
        change = jnp.abs(new - sigma)
        return state.coefficients, state.residual, new, penalty, rounds + 1, change

    zero = jnp.zeros(p, dtype)
    begin = (zero, score, first, jnp.zeros((), dtype), jnp.int32(0), jnp.full_like(spread, jnp.inf))
    b, _, sigma, penalty, rounds, change = jax.lax.while_loop(
        lambda carry: (carry[5] > stop) & (carry[4] < max_rounds), one_round, begin
    )
    breach = optimality_violation(
        score - matmul(gram, b), b, L1(penalty * ones), quadratic.curvature
    )
    # Rounding of the score at b is not the solver's failure.
    missed = ~(breach <= 10 * allowed + 100 * eps * jnp.max(jnp.abs(score)))
    code = st.when(missed | ~(change <= stop), st.NOT_CONVERGED)
    return ScaledLasso(b, sigma, penalty, rounds, breach, change, code)
