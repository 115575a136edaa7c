"""Principal components of the mediators given exposure and covariates, and what is made of them."""

import dataclasses

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.estimators.parts.assemble import assemble, mediator_effects
from jaxmed.estimators.parts.component_bootstrap import ScoreEffects, component_bootstrap
from jaxmed.estimators.parts.legs import Leg, Legs
from jaxmed.estimators.parts.reference import stops
from jaxmed.estimators.parts.refit import EffectVariances
from jaxmed.estimators.parts.resampled import Resampled, acceleration, summarise
from jaxmed.linalg.products import gram, matmul, row_gram
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, Interval, Key, pytree


@pytree
class Components:
    """Eigenvectors of the mediators' residual covariance, largest first; r = min(n, p)."""

    loadings: Array  # [p, r], largest entry of a column positive; 0 beyond the rank
    eigenvalues: Array  # [r], divisor n - 1
    total: Array  # [] trace of the covariance
    share: Array  # [r] cumulative share of the trace
    scale: Array  # [] n - 1


@pytree
class ComponentDetails:
    """Effects through each component; leaves [K] of which `kept` count."""

    kept: Array  # [K] bool
    loadings: Array  # [p, K]
    share: Array  # [K] cumulative share of the mediators' residual variance
    alpha: Array  # [K] exposure -> score
    alpha_se: Array
    beta: Array  # [K] score -> outcome given the exposure
    beta_se: Array
    indirect: Array  # [K]
    bootstrap: Resampled  # [K] of `indirect`
    p_values: Effects  # of the three effects, by the bootstrap


def residual_noise(legs: Legs) -> Array:
    """Mediators given covariates and exposure, [n, p]; exactly 0 where constant."""
    usable = jnp.isfinite(legs.alpha.estimate) & ~legs.constant
    return jnp.where(usable, legs.noise, 0)


def components_of(legs: Legs, count: int | None) -> Components:
    """Components of `residual_noise`; of its n x n dual where p > n.

    Args:
      legs: of the data.
      count: number of components computed; min(n, p) if None.
    """
    noise = jnp.sqrt(legs.rows.weights)[:, None] * residual_noise(legs)
    n, p = noise.shape
    if p <= n:
        values, vectors = jnp.linalg.eigh(gram(noise))
        values, vectors = values[::-1], vectors[:, ::-1]
    else:
        values, left = jnp.linalg.eigh(row_gram(noise))
        values, left = values[::-1], left[:, ::-1]
        vectors = divide(matmul(noise.T, left), sqrt(values))
    real = values > 1e2 * max(n, p) * jnp.finfo(noise.dtype).eps * values[0]
    # A constant mediator's noise is rounding.
    vectors = jnp.where(real[None, :] & ~legs.constant[:, None], vectors, 0)
    largest = jnp.take_along_axis(vectors, jnp.argmax(jnp.abs(vectors), axis=0)[None], axis=0)[0]
    vectors = vectors * jnp.where(largest < 0, -1, 1)[None, :].astype(vectors.dtype)
    scale = legs.rows.count - 1
    total = jnp.sum(noise * noise) / scale
    values = jnp.maximum(values, 0) / scale
    share = divide(jnp.cumsum(values), total)
    r = values.shape[0] if count is None else min(count, values.shape[0])
    return Components(vectors[:, :r], values[:r], total, share[:r], scale)


def kept_components(components: Components, count: int | None, share: float) -> Array:
    """[r] bool: the first `count`, or as many as first reach the share of the variance."""
    r = components.share.shape[0]
    wanted = 1 + jnp.sum(components.share < share) if count is None else r
    exists = jnp.any(components.loadings != 0, axis=0)
    return (jnp.arange(r) < wanted) & exists


def component_estimate(
    key: Key | None,
    legs: Legs,
    loadings: Array,
    scores: Array,
    kept: Array,
    share: Array,
    *,
    replicates: int,
    interval: str,
    level: float,
    release: bool,
) -> Estimate:
    """Effects through scores that are uncorrelated given the exposure, with their bootstrap.

    Args:
      key: of the resamples.
      legs: of the data.
      loadings: [p, K] such that the scores' coefficients act on mediators as loadings @ beta.
      scores: [n, K].
      kept: [K] bool.
      share: [K] cumulative share of variance, for the record.
      replicates: of the bootstrap.
      interval: "bca" or "percentile".
      level: of the intervals.
      release: the release's z0, accelerations and p-values.
    """
    if key is None:
        raise ValueError("resamples are drawn at random: pass a key")
    code = legs.status
    if release:
        code = st.combine(code, stops(jnp.sum(kept) == 1, "one component loses its dimension"))
    boot = component_bootstrap(key, legs.rows, scores, replicates)

    def parts(effects: ScoreEffects) -> Array:
        direct, indirect = effects.overall(kept)
        return jnp.stack([direct, indirect, direct + indirect], axis=-1)

    estimate, draws = parts(boot.estimate), parts(boot.draws)
    options = {"interval": interval, "level": level, "release": release}
    if release:
        ones = jnp.ones(replicates, estimate.dtype)
        # Of the draws themselves, and 36 times too large for the sums over components.
        factors = jnp.asarray([36, 36, 1], estimate.dtype)
        curve = acceleration(draws, ones) * factors
        single_curve = acceleration(boot.draws.indirect, ones)
    else:
        curve = acceleration(parts(boot.jackknife), boot.row_weights)
        single_curve = acceleration(boot.jackknife.indirect, boot.row_weights)
    whole = summarise(estimate, draws, curve, **options)
    single = summarise(boot.estimate.indirect, boot.draws.indirect, single_curve, **options)

    covariance = jnp.cov(draws[:, :2].T)
    used = jnp.where(kept, boot.estimate.beta, 0)
    deviations = boot.draws.beta - jnp.mean(boot.draws.beta, axis=0, keepdims=True)
    beta_draws = jnp.where(kept[None, :], deviations, 0)
    beta_cov = gram(beta_draws) / (replicates - 1)
    constant = legs.constant
    beta = matmul(loadings, used)
    beta_se = sqrt(jnp.sum(matmul(loadings, beta_cov) * loadings, axis=1))
    df = legs.beta.df + 1 - jnp.sum(kept, dtype=beta.dtype)
    weight = jnp.any((loadings != 0) & kept[None, :], axis=1) & ~constant

    def deviation(x: Array) -> Array:
        return jnp.std(x, axis=0, ddof=1)

    details = ComponentDetails(
        kept=kept,
        loadings=loadings,
        share=share,
        alpha=boot.estimate.alpha,
        alpha_se=deviation(boot.draws.alpha),
        beta=boot.estimate.beta,
        beta_se=deviation(boot.draws.beta),
        indirect=boot.estimate.indirect,
        bootstrap=single,
        p_values=Effects(*whole.p_value),
    )
    result = assemble(
        direct=estimate[0],
        indirect=estimate[1],
        variances=EffectVariances(covariance[0, 0], covariance[1, 1], covariance[0, 1]),
        mediators=mediator_effects(
            legs.alpha,
            Leg(jnp.where(weight, beta, jnp.nan), jnp.where(weight, beta_se, jnp.nan), df),
            st.combine(legs.reason, st.when(~weight, st.NOT_SELECTED)),
            level=level,
        ),
        selected=weight,
        status=st.combine(code, st.when(~jnp.any(kept), st.EMPTY_SELECTION)),
        details=details,
        level=level,
        method="normal",
    )
    fatal = st.is_fatal(result.status)
    # Resamples of an exact fit differ by rounding.
    noise = 1e4 * float(jnp.finfo(estimate.dtype).eps) * jnp.max(jnp.abs(estimate))
    narrow = ~(whole.upper - whole.lower > noise)
    status = st.combine(
        result.status, st.when(jnp.any(narrow & ~jnp.isnan(whole.lower)), st.ZERO_RESIDUAL)
    )
    absent = fatal | narrow
    lower, upper = (jnp.where(absent, jnp.nan, x) for x in (whole.lower, whole.upper))
    method = f"bootstrap, {interval}, given the loadings"
    intervals = Effects(*(Interval(lower[i], upper[i], level, method) for i in range(3)))
    return dataclasses.replace(result, intervals=intervals, status=status)
