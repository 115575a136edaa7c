"""SPCMA: mediation through sparse principal components of the mediators."""

import dataclasses

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.components import (
    Components,
    component_estimate,
    components_of,
    kept_components,
    residual_noise,
)
from jaxmed.estimators.parts.legs import Legs, legs_of
from jaxmed.estimators.parts.reference import Compat, check_compat
from jaxmed.estimators.parts.resampled import BootstrapInterval, check_interval
from jaxmed.estimators.parts.rows import Columns, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.estimators.pcma import check_components
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.sparse.homotopy import kinks
from jaxmed.typing import Array, Estimator, Key, pytree

RIDGE = 1e-4  # of the release, where the mediators are linearly dependent


@pytree
class SparseLoadings:
    """Sparse loadings V, one column for each component; leaves [r] of which `kept` count."""

    values: Array  # [p, r] lasso coefficients
    penalties: Array  # [r] lambda of the chosen kink
    share: Array  # [r] cumulative share of variance, de-correlated
    status: Array  # [] int32


@pytree
class SpcmaDetails:
    """Component details beside the sparse loadings before de-correlation."""

    components: object  # ComponentDetails; its loadings are W after de-correlation
    sparse: SparseLoadings


@in_safe_units
def spcma(
    *,
    components: int | None = None,
    share: float = 0.8,
    fused: bool = False,
    jump: float = 0.7,
    replicates: int = 1000,
    interval: BootstrapInterval = "bca",
    compat: Compat = "correct",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    level: float = 0.95,
) -> Estimator:
    """Effects through sparse principal components: a lasso path towards each component.

    Args:
      components: their number K; by `share` if None.
      share: of the residual variance that the plain components first reach.
      fused: penalise differences of neighbouring loadings instead of loadings (ordered mediators).
      jump: on a path, the last kink before which the explained variance grew by more than this
        quantile of its growths is taken.
      replicates: of the bootstrap; the loadings are held fixed in it.
      interval: "bca" or "percentile".
      compat: "correct" corrects bias and acceleration about the estimate by the jackknife; "r"
        about the mean of the draws, as the release, which stops for one component.
      covariates_mediator: of the exposure -> mediator models; all if None.
      covariates_outcome: of the outcome model; all if None.
      level: of the intervals.
    Returns:
      Estimator; needs a key. Arguments and result otherwise as `pcma`; `selected` are the
      mediators with a loading in a kept component.
    Raises:
      ReferenceWouldStop: compat="r" and one component.
    Source: Zhao, Lindquist and Caffo (2020), CSDA 142, 106835; hdmed 1.0.1 mediate_spcma. Errors
      are conditional on the loadings.
    """
    check_compat(compat)
    check_components(components, share)
    check_interval(interval, replicates)
    if not 0 < jump < 1:
        raise ValueError(f"jump must be between 0 and 1, not {jump}")

    def fit(key: Key | None, data: MediationData) -> Estimate:
        legs = legs_of(rows_of(data, covariates_mediator, covariates_outcome))
        found = components_of(legs, components)
        wanted = kept_components(found, components, share)
        noise = jnp.sqrt(legs.rows.weights)[:, None] * residual_noise(legs)
        inner = gram(noise)
        sparse = sparse_loadings(inner, found, wanted, legs, fused=fused, jump=jump)
        loadings = decorrelated(inner, sparse.values)
        kept = wanted & jnp.any(loadings != 0, axis=0)
        estimate = component_estimate(
            key,
            legs,
            loadings,
            matmul(legs.rows.mediators, loadings),
            kept,
            sparse.share,
            replicates=replicates,
            interval=interval,
            level=level,
            release=compat == "r",
        )
        return dataclasses.replace(
            estimate,
            details=SpcmaDetails(estimate.details, sparse),
            status=st.combine(estimate.status, sparse.status),
        )

    return fit


def sparse_loadings(
    inner: Array, found: Components, wanted: Array, legs: Legs, *, fused: bool, jump: float
) -> SparseLoadings:
    """Lasso coefficients of each wanted component on the mediators, one after the other.

    Args:
      inner: E'E [p, p] of the mediators given covariates and exposure.
      found: plain components.
      wanted: [r] bool, the first few.
      legs: of the data.
      fused: see `spcma`.
      jump: see `spcma`.
    """
    p, r = found.loadings.shape
    n = legs.rows.weights.shape[0]
    dependent = p > n - 1 - legs.rows.mediator_base.shape[1]
    working = inner + RIDGE * jnp.eye(p, dtype=inner.dtype) if dependent else inner
    cumulate = jnp.tril(jnp.ones((p, p), inner.dtype)) if fused else None
    if cumulate is not None:
        working = matmul(cumulate.T, matmul(working, cumulate))
    max_kinks = 6 * p + 20

    def one(j: Array, state: SparseLoadings) -> SparseLoadings:
        before = state.values  # zero from j on
        toward = found.loadings[:, j]
        cross = matmul(inner, before)
        inverse = _pseudo_inverse(matmul(before.T, cross))
        response = toward - matmul(before, matmul(inverse, matmul(cross.T, toward)))
        score = matmul(inner, response)
        if cumulate is not None:
            score = matmul(score, cumulate)
        path = kinks(working, score, most=max_kinks, free=0 if fused else None)
        b = path.coefficients
        if cumulate is not None:
            b = matmul(b, cumulate.T)
        shared = matmul(b, cross)
        own = jnp.sum(matmul(b, inner) * b, axis=1)
        own = (own - jnp.sum(matmul(shared, inverse) * shared, axis=1)) / found.scale
        explained = divide(own, found.total)
        at = _last_jump(explained, path.count, jump)
        # A single kink has nothing but zeros (one mediator): the end of the path is the component.
        alone = path.count == 1
        chosen = jnp.where(alone, toward, b[at])
        gained = jnp.where(alone, divide(found.eigenvalues[j], found.total), explained[at])
        base = jnp.where(j == 0, 0, state.share[j - 1])
        return SparseLoadings(
            before.at[:, j].set(chosen),
            state.penalties.at[j].set(jnp.where(alone, 0, path.penalties[at])),
            state.share.at[j].set(base + gained),
            st.combine(state.status, path.status),
        )

    nan = jnp.full(r, jnp.nan, inner.dtype)
    empty = SparseLoadings(jnp.zeros((p, r), inner.dtype), nan, nan, jnp.int32(st.OK))
    return jax.lax.fori_loop(0, jnp.sum(wanted), one, empty)


def _last_jump(explained: Array, count: Array, jump: float) -> Array:
    """Position after the last growth above the `jump` quantile (type 7) of the growths."""
    growth = jnp.diff(explained)
    exists = jnp.arange(growth.shape[0], dtype=count.dtype) < count - 1
    ordered = jnp.sort(jnp.where(exists, growth, jnp.inf))
    place = jump * jnp.maximum(count - 2, 0).astype(growth.dtype)
    low = jnp.floor(place).astype(count.dtype)
    high = jnp.minimum(low + 1, jnp.maximum(count - 2, 0))
    limit = ordered[low] + (place - low.astype(place.dtype)) * (ordered[high] - ordered[low])
    above = exists & (growth > limit)
    # A path of two kinks has one growth, which is not above itself: the end of the path.
    highest = growth.shape[0] - jnp.argmax(above[::-1]).astype(count.dtype)
    last = jnp.where(jnp.any(above), highest, count - 1)
    return last.astype(int)


def decorrelated(inner: Array, values: Array) -> Array:
    """Unit columns of V [p, r], each less its regression on those before, given the exposure."""
    size = sqrt(jnp.sum(values * values, axis=0))
    unit = divide(values, size)
    cross = matmul(unit.T, matmul(inner, unit))
    earlier = jnp.arange(unit.shape[1])

    def one(j: Array) -> Array:
        first = earlier < j
        block = jnp.where(first[:, None] & first[None, :], cross, 0)
        slopes = matmul(_pseudo_inverse(block), jnp.where(first, cross[:, j], 0))
        return unit[:, j] - matmul(unit, slopes)

    return jax.lax.map(one, earlier).T


def _pseudo_inverse(block: Array) -> Array:
    """Of a positive semidefinite matrix with zero rows, after scaling to a unit diagonal."""
    scale = divide(1.0, sqrt(jnp.diagonal(block)))
    inner = jnp.linalg.pinv(block * scale[:, None] * scale[None, :], hermitian=True)
    return inner * scale[:, None] * scale[None, :]
