"""MedFix: adaptive lasso of the outcome model after an elastic net, both by cross-validation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.calibration.joint_adjustment import check_adjust
from jaxmed.data.mediation_data import MediationData
from jaxmed.distributions.tails import normal_two_sided
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.medfix_kernel import (
    NetFit,
    NetSettings,
    cross_validated_net,
)
from jaxmed.estimators.parts.assemble import assemble, mediator_effects
from jaxmed.estimators.parts.legs import Leg, legs_of
from jaxmed.estimators.parts.reference import check_compat, stops
from jaxmed.estimators.parts.refit import refit
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.linalg.triangular import solve_lower
from jaxmed.sparse.folds import assign_folds, fold_moments, given_folds
from jaxmed.statistics.base_span import is_constant, mean_and_sd
from jaxmed.typing import Array, Estimator, Key, pytree

# Largest nu = log(selected) / log n with compat="correct": the exponent ceil(2 nu / (1 - nu)) + 1
# of the adaptive weights explodes as nu goes to 1.
NU_CAP = 0.8


@pytree
class FoldIds:
    """Fold of every row, counted from 0, in every cross-validation of MedFix."""

    grid: Array  # [nlambda2, n]; [0, n] without a grid
    initial: Array  # [n]
    adaptive: Array  # [n]


@pytree
class MedfixDetails:
    """What only MedFix knows; coefficients of standardised variables."""

    ridges: Array  # [nlambda2] lambda2
    ridge_loss: Array  # [nlambda2] least cross-validated error of each
    initial: NetFit
    nu: Array  # [] after the cap
    exponent: Array  # [] gamma
    factors: Array  # [p] adaptive weights, the least being 1; infinite where not selected
    factor_unit: Array  # [] what the least weight is in the release's units
    adaptive: NetFit  # its penalties belong to `factors`
    beta: Array  # [p] adaptive lasso in original units
    beta_se: Array  # [p] of the paper: s^2 (X'X)^-1 on the selected
    beta_p: Array  # [p] z test, 1 where not selected


@in_safe_units
def medfix(
    *,
    nlambda2: int = 50,
    lambda2: tuple[float, float] = (1e-4, 0.02),
    num_penalties: int = 100,
    folds: int = 10,
    fold_ids: FoldIds | Any = None,
    patience: int = 20,
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    adjust: str = "bh",
    level: float = 0.95,
    compat: str = "correct",
) -> Estimator:
    """Elastic net, then adaptive lasso of the outcome on all mediators given exposure.

    With compat="correct" the effects and the tests are least squares on the selected mediators,
    given the selection; the adaptive lasso with the paper's z tests is in the details. With "r"
    these are reported and direct = total - indirect.

    Args:
      nlambda2: ridge penalties of the elastic net; 0 makes it a lasso.
      lambda2: their range, log-equispaced.
      num_penalties: lambda1 values of every path.
      folds: of the cross-validation; "r" always takes 5.
      fold_ids: FoldIds, or one [n] for all; drawn if None, which needs a key.
      patience: "correct" only: paths end so many penalties after the least held-out error; 0 for
        whole paths.
      covariates_mediator: of the mediator models; all covariates if None.
      covariates_outcome: of the outcome model; all covariates if None.
      adjust: of the joint significance p-values: "none", "bonferroni", "bh", "hdmt" or "dact".
      level: of the intervals.
      compat: "correct": nu counts mediators only and is capped, all ridge penalties share
        their folds, tight solutions. "r": fresh folds each, the intercept counted, the
        release's solver and stop rule.
    Returns:
      Estimator; `details` are MedfixDetails. No mediator selected: indirect 0 with
      EMPTY_SELECTION.
    Raises:
      ValueError: an argument out of range; no key and no fold_ids.
    Source: Zhang (2021), hdmed 1.0.1 `mediate_medfix`; Zou and Zhang (2009) for the exponent.
    """
    check_compat(compat)
    check_adjust(adjust)
    release = compat == "r"
    if nlambda2 < 0 or num_penalties < 2:
        raise ValueError("nlambda2 must be at least 0 and num_penalties at least 2")
    if not 0 < lambda2[0] <= lambda2[1]:
        raise ValueError(f"lambda2 must be a range of positive numbers, not {lambda2}")
    check_count("folds", folds, least=2)
    if patience < 0:
        raise ValueError(f"patience must not be negative, not {patience}")
    count_folds = 5 if release else folds
    settings = NetSettings(num_penalties, release, patience)

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        rows = rows_of(data, covariates_mediator, covariates_outcome)
        legs = legs_of(rows)
        w, count = rows.weights, rows.count
        ids = _folds(key, fold_ids, w.shape[0], count_folds, nlambda2, release)
        residuals = jnp.concatenate([legs.mediators, legs.outcome[:, None]], axis=1)
        # What least squares leaves by rounding must not be scaled up and fitted.
        raw = jnp.concatenate([rows.mediators, rows.outcome[:, None]], axis=1)
        residuals = jnp.where(is_constant(w, residuals, raw), 0, residuals)
        mean, sd = mean_and_sd(w, residuals)
        columns = divide(residuals - mean[None, :], sd)
        p = columns.shape[1] - 1
        ones, none = jnp.ones(p, columns.dtype), jnp.zeros((), columns.dtype)

        def held(folds_of_rows: Array) -> Array:
            rows = jnp.concatenate([jnp.ones_like(w)[:, None], columns], axis=1)
            return fold_moments(rows * sqrt(w / count)[:, None], folds_of_rows, count_folds)

        def net(moments: Array, factors: Array, ridge: Array) -> NetFit:
            return cross_validated_net(moments, factors, ridge, count, settings)

        ridges = jnp.asarray(np.geomspace(*lambda2, nlambda2), columns.dtype)
        ridge, ridge_loss, codes = none, ridges, st.OK
        first = held(ids.initial)
        if nlambda2:

            def loss(pair: tuple[Array, Array]) -> tuple[Array, Array]:
                value, own = pair
                fit = net(held(own) if release else first, ones, value)
                return jnp.min(fit.loss), fit.status

            ridge_loss, codes = jax.lax.map(loss, (ridges, ids.grid))
            ridge, codes = ridges[jnp.argmin(ridge_loss)], jnp.max(codes)
        initial = net(first, ones, ridge)

        b = initial.coefficients
        kept = b != 0
        size = jnp.sum(kept).astype(b.dtype) + (1 if release else 0)
        nu = jnp.log(jnp.maximum(size, 1)) / jnp.log(count)
        nu = nu if release else jnp.minimum(nu, NU_CAP)
        exponent = jnp.ceil(2 * nu / (1 - nu)) + 1
        base = jnp.abs(b) + 1 / count
        top = jnp.max(jnp.where(kept, base, 0))
        top = jnp.where(top > 0, top, 1)
        # Only ratios of weights matter; in units of the least they do not overflow so soon.
        factors = jnp.where(kept, jnp.exp(exponent * jnp.log(top / base)), jnp.inf)
        adaptive = net(held(ids.adaptive), factors, none)
        chosen = (adaptive.coefficients != 0) & kept & jnp.any(kept)
        final = jnp.where(chosen, adaptive.coefficients, 0)

        se, p_value, singular = _z_test(columns, w, count, final, chosen)
        unit = divide(sd[-1], sd[:-1])
        beta, beta_se = final * unit, se * unit
        code = st.combine(legs.status, codes, initial.status, adaptive.status)
        details = MedfixDetails(
            ridges,
            ridge_loss,
            initial,
            nu,
            exponent,
            factors,
            top ** (-exponent),
            adaptive,
            beta,
            beta_se,
            p_value,
        )
        missed = st.combine(st.when(~chosen, st.NOT_SELECTED), legs.reason)
        if release:
            code = st.combine(code, st.when(jnp.sum(chosen) == 0, st.EMPTY_SELECTION))
            code = st.combine(code, st.when(singular, st.RANK_DEFICIENT))
            reason = "a constant mediator cannot be standardised"
            code = st.combine(code, stops(jnp.any(legs.constant), reason))
            leg, tests, why = Leg(beta, beta_se, legs.beta.df), p_value, legs.reason
            indirect = jnp.sum(jnp.where(chosen, legs.alpha.estimate * beta, 0))
            direct, variances = legs.total - indirect, None
        else:
            again = refit(legs, jnp.arange(p), chosen)
            code = st.combine(code, again.status)
            leg = Leg(jnp.where(chosen, again.beta, jnp.nan), again.beta_se, again.df)
            tests, why = again.beta_p, missed
            direct, indirect, variances = again.direct, again.indirect, again.variances
        table = mediator_effects(legs.alpha, leg, why, level=level, adjust=adjust, beta_p=tests)
        return assemble(
            direct=direct,
            indirect=indirect,
            variances=variances,
            mediators=table,
            selected=chosen,
            status=code,
            details=details,
            level=level,
            method="none" if release else "delta, given the selection",
        )

    return estimate


def _z_test(
    columns: Array, w: Array, count: Array, b: Array, chosen: Array
) -> tuple[Array, Array, Array]:
    """Errors and p-values of the adaptive lasso: s^2 (X'X)^-1 on the selected columns."""
    k = jnp.sum(chosen).astype(b.dtype)
    residual = columns[:, -1] - matmul(columns[:, :-1], b)
    # The release's count includes the intercept, and takes one more off.
    s2 = jnp.sum(w * residual * residual) / (count - k - 2)
    inner = gram(jnp.sqrt(w)[:, None] * columns[:, :-1])
    both = chosen[:, None] & chosen[None, :]
    identity = jnp.eye(b.shape[0], dtype=b.dtype)
    inverse = solve_lower(jnp.linalg.cholesky(jnp.where(both, inner, identity)), identity)
    se = jnp.where(chosen, sqrt(s2 * jnp.sum(inverse * inverse, axis=0)), jnp.nan)
    p_value = jnp.where(chosen, normal_two_sided(divide(b, se)), 1)
    return se, p_value, ~jnp.all(jnp.isfinite(inverse))


def _folds(
    key: Key | None, given: FoldIds | Any, n: int, folds: int, grid: int, fresh: bool
) -> FoldIds:
    if given is not None:
        if not isinstance(given, FoldIds):
            same = jnp.asarray(given)
            given = FoldIds(jnp.broadcast_to(same, (grid, n)), same, same)
        shapes = tuple(jnp.shape(x) for x in (given.grid, given.initial, given.adaptive))
        if shapes != ((grid, n), (n,), (n,)):
            wanted = f"[{grid}, {n}], [{n}] and [{n}]"
            raise ValueError(f"fold_ids must be {wanted}, not {shapes}")
        parts = (given.grid, given.initial, given.adaptive)
        return FoldIds(*(given_folds(x, folds) for x in parts))
    if key is None:
        raise ValueError("cross-validation folds are drawn at random: pass a key or fold_ids")
    keys = jax.random.split(key, 3)

    def draw(k: Key) -> Array:
        return assign_folds(k, n, folds)

    first = draw(keys[0])
    own = jax.vmap(draw)(jax.random.split(keys[2], grid)) if fresh and grid else None
    every = jnp.broadcast_to(first, (grid, n)) if own is None else own
    return FoldIds(every, first, draw(keys[1]))
