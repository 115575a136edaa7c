"""Pathway lasso: both effects of every mediator and their product penalised together."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.calibration.joint_adjustment import check_adjust
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.estimators.parts.additivity import gap_of
from jaxmed.estimators.parts.assemble import assemble, mediator_effects
from jaxmed.estimators.parts.legs import Leg, legs_of
from jaxmed.estimators.parts.reference import check_compat, stops
from jaxmed.estimators.parts.refit import refit
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.estimators.pathway_kernel import (
    PathwayPath,
    agreement,
    exact_stability,
    first_halves,
    moments_of,
    original_units,
    pathway_grid,
    standardise,
)
from jaxmed.sparse.pathway import PathwayMoments, PathwayPenalty, PathwaySolution, pathway_objective
from jaxmed.sparse.pathway_path import exact_path
from jaxmed.sparse.release.pathway_admm import admm_path
from jaxmed.typing import Array, Estimator, Key, pytree

Selection = Literal["vss", "none"]
DIRECT_PENALTY = 0.0  # ratio to lam of the l1 penalty on the direct effect; none in the release


@pytree
class PathwayDetails:
    """What only the pathway lasso knows."""

    path: PathwayPath
    chosen: Array  # [] position on the path
    penalty: Array  # [] lambda there; NaN without a choice
    stability: Array  # [L] mean kappa of the half splits; NaN without them
    shrunken: Effects  # at the chosen penalty; the indirect effect is biased towards 0
    alpha: Array  # [p] shrunken, at the chosen penalty
    beta: Array  # [p]
    gap: Array  # [] direct + indirect, as reported, less the total effect of least squares


@in_safe_units
def pathway_lasso(
    *,
    lam: float | Sequence[float] | None = None,
    omega_ratio: float = 1.0,
    phi: float = 2.0,
    rho: float = 1.0,
    selection: Selection = "vss",
    splits: int = 5,
    halves: Any = None,
    cutoff: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-3,
    tolerance: float | None = None,
    max_iterations: int | None = None,
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    adjust: str = "bh",
    level: float = 0.95,
    compat: str = "correct",
) -> Estimator:
    """Penalty on |alpha beta| of every mediator, chosen by the stability of half splits.

    The penalty shrinks alpha and beta alike: its indirect effect is biased towards 0 and its
    direct effect takes up what is lost. With compat="correct" the reported effects are therefore
    least squares on the mediators with alpha beta != 0, with intervals given the selection, and
    the shrunken ones are in the details; compat="r" reports the shrunken ones, without errors.

    Args:
      lam: penalty or penalties, > 0, on standardised variables; the release's 50 if None.
      omega_ratio: of the l1 penalty on alpha and beta to lam.
      phi: of the ridge on alpha, beta and the direct effect; at least 1/2 (convexity).
      rho: augmentation of the ADMM (compat="r").
      selection: "vss", the smallest lam whose mean kappa over half splits is at least
        (1 - cutoff) of the largest (the largest lam where no kappa is positive); "none", for a
        single lam or for the path alone: with several lam the effects are then NaN with
        NOT_ESTIMATED.
      splits: number of random half splits; they need a key.
      halves: the splits themselves, [splits, n] true for the first half; no key is needed.
      cutoff: share of the largest mean kappa that "vss" gives up, in [0, 1).
      patience: "correct" only: the half splits' paths end after so many lam without an acceptable
        kappa, counted from the largest lam; 0 for whole paths. `stability` is NaN beyond.
      threshold: of |alpha beta| on standardised variables, for a mediator to count in kappa.
      tolerance: 1e-12 of the optimality conditions; with "r" 1e-6 of the last change.
      max_iterations: 500 rounds of descent; with "r" 5000 iterations; per lam.
      covariates_mediator: of the mediator models; all covariates if None.
      covariates_outcome: of the outcome model; all covariates if None.
      adjust: of the refit's joint significance: "none", "bonferroni", "bh", "hdmt" or "dact".
      level: of the intervals.
      compat: "correct", the exact minimiser, or "r", the ADMM with the release's stop rule and
        multipliers reset at every penalty. Covariates (none in the release) are projected out.
    Returns:
      Estimator; `details` are PathwayDetails.
    Raises:
      ValueError: an argument out of range.
    Source: Zhao and Luo (2022), hdmed 1.0.1 `mediate_plasso`. No inference exists for the
      shrunken effects.
    """
    check_compat(compat)
    check_adjust(adjust)
    grid = np.unique(np.atleast_1d(np.asarray(pathway_grid() if lam is None else lam, float)))
    if grid.size == 0 or not (np.isfinite(grid) & (grid > 0)).all():
        raise ValueError("lam must be positive and finite")
    if omega_ratio < 0:
        raise ValueError(f"omega_ratio must be at least 0, not {omega_ratio}")
    if phi < 0.5:
        raise ValueError(f"phi must be at least 1/2, or the penalty is not convex; not {phi}")
    if rho <= 0:
        raise ValueError(f"rho must be positive, not {rho}")
    if selection not in get_args(Selection):
        raise ValueError(f"selection must be one of {get_args(Selection)}, not {selection!r}")
    check_count("splits", splits)
    if not 0 <= cutoff < 1 or threshold < 0:
        raise ValueError("cutoff must lie in [0, 1), threshold at least 0")
    exact = compat == "correct"
    tolerance = tolerance if tolerance is not None else 1e-12 if exact else 1e-6
    budget = max_iterations if max_iterations is not None else 500 if exact else 5000
    if patience < 0:
        raise ValueError(f"patience must not be negative, not {patience}")
    if tolerance <= 0 or budget < 1:
        raise ValueError("tolerance must be positive and max_iterations at least 1")
    stable = selection == "vss"

    def penalties_of(dtype: Any) -> PathwayPenalty:
        values = jnp.asarray(grid[::-1].copy(), dtype)
        return PathwayPenalty(values, values * phi, values * omega_ratio, values * DIRECT_PENALTY)

    def solve(moments: PathwayMoments, warm: bool) -> tuple[PathwaySolution, Array, Array]:
        penalties = penalties_of(moments.score.dtype)
        values = penalties.product
        if exact:
            solution, violation = exact_path(
                moments, penalties, tolerance=tolerance, max_rounds=budget
            )
        else:
            solution = admm_path(
                moments,
                penalties,
                rho=rho,
                tolerance=tolerance,
                max_iterations=budget,
                warm=warm,
            )
            violation = jnp.full_like(values, jnp.nan)
        value = jax.vmap(lambda q, a, d: pathway_objective(moments, q, a, d))
        found = (solution, violation, value(penalties, solution.a, solution.d))
        return jax.tree.map(lambda x: x[::-1], found)

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        rows = rows_of(data, covariates_mediator, covariates_outcome)
        legs = legs_of(rows)
        scaled = standardise(rows, legs)
        solution, violation, objective = solve(moments_of(scaled, scaled.weights), True)
        path = original_units(scaled, solution, violation, objective, grid)
        stability = jnp.full_like(path.direct, jnp.nan)
        code = legs.status
        chosen = jnp.zeros((), jnp.int32)
        if stable:
            first = first_halves(key, halves, splits, rows.weights.shape[0])

            def half_moments(half: Array) -> PathwayMoments:
                return moments_of(scaled, scaled.weights * half)

            both = jnp.concatenate([first, ~first]).astype(rows.weights.dtype)
            if exact:
                stability, half_code = exact_stability(
                    jax.lax.map(half_moments, both),
                    penalties_of(path.direct.dtype),
                    threshold=threshold,
                    tolerance=tolerance,
                    max_rounds=budget,
                    accepted=1 - cutoff,
                    patience=patience or grid.size,
                )
                stability = stability[::-1]
            else:

                def active(half: Array) -> tuple[Array, Array]:
                    found, _, _ = solve(half_moments(half), False)
                    return jnp.abs(found.a * found.d[:, 1:]) > threshold, jnp.max(found.status)

                sets, codes = jax.lax.map(active, both)
                kappas = jax.vmap(agreement, in_axes=1)(sets)
                stability, half_code = kappas.astype(path.direct.dtype), jnp.max(codes)
            best = jnp.nanmax(stability)
            chosen = jnp.argmax(stability >= (1 - cutoff) * best)
            code = st.combine(code, half_code)
            # No agreement beyond chance: the rule means nothing, and the largest penalty selects
            # least.
            if exact:
                chosen = jnp.where(best > 0, chosen, grid.size - 1)
            else:
                code = st.combine(code, stops(best < 0, "no lam meets the stability cutoff"))
        elif grid.size > 1:
            code = st.combine(code, st.NOT_ESTIMATED)
        if not exact:
            reason = "a constant mediator cannot be standardised"
            code = st.combine(code, stops(jnp.any(legs.constant), reason))

        code = st.combine(code, path.status[chosen])
        alpha, beta = path.alpha[chosen], path.beta[chosen]
        shrunken = Effects(
            path.direct[chosen], path.indirect[chosen], path.direct[chosen] + path.indirect[chosen]
        )
        unchosen = st.is_fatal(code)
        penalty = jnp.where(unchosen, jnp.nan, path.penalties[chosen])
        selected = (alpha * beta != 0) & ~legs.constant
        missed = st.combine(st.when(~selected, st.NOT_SELECTED), legs.reason)
        missed = st.combine(missed, st.when(unchosen, st.NOT_ESTIMATED))
        empty = st.when(jnp.sum(selected) == 0, st.EMPTY_SELECTION)
        if exact:
            again = refit(legs, jnp.arange(selected.shape[0]), selected)
            code = st.combine(code, again.status)
            direct, indirect, variances = again.direct, again.indirect, again.variances
            shown = selected & ~unchosen
            beta_leg = Leg(
                jnp.where(shown, again.beta, jnp.nan),
                jnp.where(shown, again.beta_se, jnp.nan),
                again.df,
            )
            alpha_leg, reason = legs.alpha, missed
        else:
            code = st.combine(code, empty)
            direct, indirect, variances = shrunken.direct, shrunken.indirect, None
            nan = jnp.full_like(alpha, jnp.nan)
            alpha_leg, beta_leg = Leg(alpha, nan, legs.alpha.df), Leg(beta, nan, legs.beta.df)
            reason = legs.reason
        gap, additive = gap_of(legs, direct + indirect)
        code = st.combine(code, additive)
        details = PathwayDetails(path, chosen, penalty, stability, shrunken, alpha, beta, gap)
        return assemble(
            direct=direct,
            indirect=indirect,
            variances=variances,
            mediators=mediator_effects(alpha_leg, beta_leg, reason, level=level, adjust=adjust),
            selected=selected,
            status=code,
            details=details,
            level=level,
            method="delta, given the selection" if exact else "none",
        )

    return estimate
