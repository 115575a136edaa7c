"""First direction of mediation from second moments: the published likelihood and the software's.

Composite m = Mw with |w| = 1;  m = t1 + t2 A + e2,  Y = t3 + t4 m + t5 A + e1. Indirect
effect t2 t4, direct effect t5. All moments are of residuals on intercept and covariates, which
profiles t1 and t3 out: the fixed points are those of the iteration with explicit intercepts.
"""

import jax
import jax.numpy as jnp

from jaxmed import status
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, norm
from jaxmed.linalg.secular import sphere_minimiser
from jaxmed.typing import Array, ArrayLike, pytree


@pytree
class MediationMoments:
    """Second moments of exposure, mediators and outcome, all residualised on [1, covariates]."""

    gram_mediators: Array  # [p, p] M'M
    mediators_exposure: Array  # [p] M'A
    mediators_outcome: Array  # [p] M'Y
    exposure_ss: Array  # [] A'A
    exposure_outcome: Array  # [] A'Y
    outcome_ss: Array  # [] Y'Y
    num_rows: Array  # [] n
    num_covariates: Array  # [] q


@pytree
class Direction:
    """A direction of mediation; composite m = M weights."""

    weights: Array  # [p], |weights| = 1, oriented so that outcome_effect > 0
    exposure_effect: Array  # [] t2, composite units per exposure unit
    outcome_effect: Array  # [] t4, outcome units per composite unit
    indirect: Array  # [] t2 t4
    direct: Array  # [] t5
    multiplier: Array  # [] lambda of the sphere constraint; -(n-2-q) at a chen2018 fixed point
    profile_loglik: Array  # [] -n/2 log(RSS1/n) - n/2 log(RSS2/n) at the weights
    iterations: Array  # [] int32
    status: Array  # [] int32


@pytree
class _Rotated:
    """The moments in the eigenbasis of M'M, where every step costs O(p)."""

    eigenvalues: Array  # [p]
    exposure: Array  # [p] Q'M'A
    outcome: Array  # [p] Q'M'Y
    moments: MediationMoments


@pytree
class _Effects:
    theta: Array  # [3] t2, t4, t5
    residual_outcome: Array  # [] RSS of Y on A and m
    residual_mediator: Array  # [] RSS of m on A


@pytree
class _Step:
    weights: Array  # [p] rotated
    theta: Array  # [3]
    multiplier: Array  # []
    iteration: Array  # []
    moved: Array  # [] largest squared relative change of theta and weights


def _effects(rotated: _Rotated, weights: Array) -> _Effects:
    """Both regressions for a given composite, by Frisch-Waugh-Lovell from the moments."""
    m = rotated.moments
    composite_exposure = jnp.dot(weights, rotated.exposure)
    composite_outcome = jnp.dot(weights, rotated.outcome)
    t2 = divide(composite_exposure, m.exposure_ss)
    composite_ss = jnp.sum(rotated.eigenvalues * weights**2)
    residual_mediator = composite_ss - t2 * composite_exposure
    partial_outcome = composite_outcome - t2 * m.exposure_outcome
    t4 = divide(partial_outcome, residual_mediator)
    t5 = divide(m.exposure_outcome - t4 * composite_exposure, m.exposure_ss)
    total = divide(m.exposure_outcome, m.exposure_ss)
    residual_outcome = m.outcome_ss - total * m.exposure_outcome - t4 * partial_outcome
    return _Effects(jnp.stack([t2, t4, t5]), residual_outcome, residual_mediator)


def _iterate(rotated: _Rotated, step: _Step) -> _Step:
    """Variances at (w), then w on the sphere given theta, then theta given w."""
    m = rotated.moments
    df_outcome = m.num_rows - 3 - m.num_covariates
    df_mediator = m.num_rows - 2 - m.num_covariates
    before = _effects(rotated, step.weights)
    precision1 = divide(df_outcome, before.residual_outcome)
    precision2 = divide(df_mediator, before.residual_mediator)
    t2, t4, t5 = step.theta
    curvature = t4**2 * precision1 + precision2
    linear = t4 * precision1 * (rotated.outcome - t5 * rotated.exposure)
    linear = linear + precision2 * t2 * rotated.exposure
    solution = sphere_minimiser(curvature * rotated.eigenvalues, linear)
    theta = _effects(rotated, solution.weights).theta
    scale = jnp.maximum(1, jnp.sum(theta**2))
    moved = jnp.maximum(
        jnp.sum((theta - step.theta) ** 2) / scale, jnp.sum((solution.weights - step.weights) ** 2)
    )
    return _Step(solution.weights, theta, solution.multiplier, step.iteration + 1, moved)


def _profile_loglik(rotated: _Rotated, effects: _Effects) -> Array:
    n = rotated.moments.num_rows
    logs = jnp.log(effects.residual_outcome / n) + jnp.log(effects.residual_mediator / n)
    return -n / 2 * logs


def _input_status(moments: MediationMoments, eigenvalues: Array) -> Array:
    """Fatal codes: unbounded likelihood, singular Gram, constant exposure, NaN."""
    p = eigenvalues.shape[0]
    largest, smallest = jnp.max(eigenvalues), jnp.min(eigenvalues)
    singular = smallest <= p * jnp.finfo(eigenvalues.dtype).eps * largest
    finite = jnp.all(jnp.isfinite(jnp.stack([jnp.sum(x) for x in jax.tree.leaves(moments)])))
    # With p >= n - 2 - q some composite predicts the outcome without error.
    saturated = p >= moments.num_rows - 2 - moments.num_covariates
    return status.combine(
        status.when(singular, status.RANK_DEFICIENT),
        status.when(saturated, status.TOO_FEW_ROWS),
        status.when(~(moments.exposure_ss > 0), status.DEGENERATE_EXPOSURE),
        status.when(~finite, status.NONFINITE),
    )


def _rotate(moments: MediationMoments) -> tuple[_Rotated, Array]:
    eigenvalues, basis = jnp.linalg.eigh(moments.gram_mediators)
    rotated = _Rotated(
        eigenvalues,
        matmul(basis.T, moments.mediators_exposure),
        matmul(basis.T, moments.mediators_outcome),
        moments,
    )
    return rotated, basis


def _finish(rotated: _Rotated, basis: Array, weights: Array, step: _Step, code: Array) -> Direction:
    """Orient, return to the original coordinates, NaN where the status is fatal."""
    effects = _effects(rotated, weights)
    t2, t4, t5 = effects.theta
    sign = jnp.where(t4 < 0, -1, 1).astype(weights.dtype)
    nan = jnp.where(status.is_fatal(code), jnp.nan, 0).astype(weights.dtype)
    return Direction(
        weights=sign * matmul(basis, weights) + nan,
        exposure_effect=sign * t2 + nan,
        outcome_effect=sign * t4 + nan,
        indirect=t2 * t4 + nan,
        direct=t5 + nan,
        multiplier=step.multiplier + nan,
        profile_loglik=_profile_loglik(rotated, effects) + nan,
        iterations=step.iteration,
        status=code,
    )


def direction_chen2018(
    moments: MediationMoments,
    starts: Array | None = None,
    *,
    tolerance: ArrayLike = 1e-22,
    max_iterations: int = 5000,
) -> Direction:
    """First direction of mediation by the published likelihood, mediator and outcome terms.

    Maximises -|Y - t3 - t5 A - t4 Mw|^2 / 2 s1^2 - |Mw - t1 - t2 A|^2 / 2 s2^2 over the unit
    sphere by alternation, with s1^2 and s2^2 refreshed at every step (divisors n-3-q, n-2-q).
    Not concave and not scale-invariant: it favours composites of small residual variance.

    Args:
      moments: second moments; p < n - 2 - q.
      starts: start vectors [k, p], not necessarily of unit length; default the vector of ones
        alone. The end of highest profile log-likelihood is kept.
      tolerance: bound on the squared change of weights and of (t2, t4, t5), relative to
        max(1, |theta|^2), not below rounding of the dtype. The paper's 1e-5 stops far from the
        fixed point, since convergence is linear and slow.
      max_iterations: budget; NOT_CONVERGED beyond it.
    Returns:
      Direction. TOO_FEW_ROWS where p >= n - 2 - q (unbounded likelihood: reduce the mediators
      by principal components first), RANK_DEFICIENT where M'M is singular.
    Source: Chen et al. (2018), Biostatistics 19, first direction; step 3 by the exact
      secular equation. Exact maximisation in each step, a local maximum overall.
    """
    rotated, basis = _rotate(moments)
    dtype = moments.gram_mediators.dtype
    p = moments.gram_mediators.shape[0]
    starts = jnp.ones((1, p), dtype) if starts is None else jnp.asarray(starts, dtype)
    tolerance = jnp.maximum(tolerance, (64 * jnp.finfo(dtype).eps) ** 2).astype(dtype)

    def climb(start: Array) -> _Step:
        first = _Step(
            start,
            jnp.ones(3, dtype),
            jnp.zeros((), dtype),
            jnp.zeros((), jnp.int32),
            jnp.full((), jnp.inf, dtype),
        )
        return jax.lax.while_loop(
            lambda s: (s.moved > tolerance) & (s.iteration < max_iterations),
            lambda s: _iterate(rotated, s),
            first,
        )

    ends = jax.vmap(climb)(matmul(starts, basis))
    loglik = jax.vmap(lambda w: _profile_loglik(rotated, _effects(rotated, w)))(ends.weights)
    best = jnp.argmax(jnp.where(jnp.isfinite(loglik), loglik, -jnp.inf))
    step = jax.tree.map(lambda leaf: leaf[best], ends)
    code = status.combine(
        _input_status(moments, rotated.eigenvalues),
        status.when(~(step.moved <= tolerance), status.NOT_CONVERGED),
    )
    return _finish(rotated, basis, step.weights, step, code)


def direction_hdmed(moments: MediationMoments) -> Direction:
    """The direction that the released software computes: OLS of the outcome on the mediators.

    A broken line continuation drops the mediator-model term from its likelihood. The fixed
    point is then lambda = 0, t4 = |b|, w = b / |b|, b the coefficients of M in Y ~ 1 + A + M
    (and covariates), whatever the exposure does to the mediators; computed here as that
    regression, in one step. Its indirect effect is the total indirect effect of OLS.

    Args:
      moments: second moments; p < n - 2 - q.
    Returns:
      Direction with iterations 0 and multiplier 0; status as `direction_chen2018`.
    Source: Chen et al. (2018) as released (hdmed 1.0.1 `mediate_hdmm`), fixed point of its loop.
    """
    rotated, basis = _rotate(moments)
    m = moments
    code = _input_status(moments, rotated.eigenvalues)
    inverse = divide(1.0, jnp.maximum(rotated.eigenvalues, 0))
    # (M'M - M'A A'M / A'A)^-1 by Sherman-Morrison on the eigendecomposition.
    total = divide(m.exposure_outcome, m.exposure_ss)
    right = inverse * (rotated.outcome - total * rotated.exposure)
    pull = inverse * rotated.exposure
    left = m.exposure_ss - jnp.dot(pull, rotated.exposure)
    dependent = left <= jnp.finfo(left.dtype).eps * m.exposure_ss * rotated.exposure.shape[0]
    code = status.combine(code, status.when(dependent, status.RANK_DEFICIENT))
    b = right + pull * divide(jnp.dot(rotated.exposure, right), left)
    code = status.combine(code, status.when(norm(b) == 0, status.NULL_PATH))
    zero = jnp.zeros((), b.dtype)
    step = _Step(b, jnp.zeros(3, b.dtype), zero, jnp.zeros((), jnp.int32), zero)
    return _finish(rotated, basis, divide(b, norm(b)), step, code)
