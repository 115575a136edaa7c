"""Scores of held-out rows by composites learned on the other folds, for many splits of the rows.

What the splits share is computed once: in the primal the moments of held-out
parts add up to those of the training parts, and in the dual every training kernel is part of
the kernel of all rows.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.geometry.index import maxcor
from jaxmed.geometry.paths import Paths, dual_paths, primal, primal_paths, regime_of
from jaxmed.inference.fold_rows import FoldRows, take
from jaxmed.inference.rows import project_off
from jaxmed.linalg import products
from jaxmed.linalg.safe import divide
from jaxmed.statistics.cross_moments import CrossMoments, cross_moments
from jaxmed.statistics.dual_stats import dual_statistics, without_mediators
from jaxmed.statistics.joint_factor import factor_moments
from jaxmed.typing import Array

Composite = Callable[[Paths], CompositeMediator]
# From the folds of one split to scores [K, c, held] and int32 status [K, c] of the c composites.
Learner = Callable[[FoldRows], tuple[Array, Array]]


def learner(
    data: MediationData, composites: Sequence[Composite], folds: int, route: str
) -> Learner:
    """The cheapest of the three learners that serves these data and composites.

    Args:
      data: n rows.
      composites: from paths to weights.
      folds: K; the smallest training part decides between primal and dual.
      route: "qr" learns from rows in the primal; anything else from moments.
    """
    n, p = data.mediators.shape
    dual = regime_of(n - -(-n // folds), p, data.covariates.shape[1]) == "dual"
    if not dual and route != "qr":
        return _by_moments(data, composites)
    if dual and all(map(_in_the_plane, composites)):
        return _by_kernel(data, composites)
    return _by_rows(data, composites, dual)


def _in_the_plane(composite: Composite) -> bool:
    """True for composites whose weights are a combination of the two paths' weights.

    Only these can be had as coefficients of the rows; another function of the paths may treat
    weights one by one.
    """
    function = composite.func if isinstance(composite, functools.partial) else composite
    return function in (maxie, maxcor)


def _compose(composites: Sequence[Composite], paths: Paths) -> tuple[Array, Array]:
    """Weights [c, p], or row coefficients [c, n], and status [c]."""
    learned = [composite(paths) for composite in composites]
    return jnp.stack([c.weights for c in learned]), jnp.stack([c.status for c in learned])


def _by_rows(data: MediationData, composites: Sequence[Composite], dual: bool) -> Learner:
    def one(rows: FoldRows) -> tuple[Array, Array]:
        train = take(data, rows.train, rows.learned)
        paths = dual_paths(dual_statistics(train)) if dual else primal(train, "qr")[1]
        weights, status = _compose(composites, paths)
        return products.matmul(jnp.asarray(data.mediators)[rows.test], weights.T).T, status

    return lambda rows: jax.lax.map(one, rows)


def _by_moments(data: MediationData, composites: Sequence[Composite]) -> Learner:
    """The Gram route: n rows are multiplied per split, not (K-1) n."""

    def learn(rows: FoldRows) -> tuple[Array, Array]:
        parts = jax.lax.map(
            lambda held: cross_moments(take(data, *held)), (rows.test, rows.present)
        )

        def one(fold: tuple[Array, Array]) -> tuple[Array, Array]:
            test, number = fold
            paths = primal_paths(factor_moments(_all_but(parts, number)))
            weights, status = _compose(composites, paths)
            return products.matmul(jnp.asarray(data.mediators)[test], weights.T).T, status

        return jax.lax.map(one, (rows.test, jnp.arange(rows.test.shape[0])))

    return learn


def _all_but(parts: CrossMoments, number: Array) -> CrossMoments:
    """Moments of all parts [K, ...] together but one: a sum, where a difference would cancel."""
    weight = jnp.asarray(parts.weight)
    others = jnp.arange(weight.shape[0]) != number
    weight = jnp.where(others, weight, 0)

    def total(values: Array) -> Array:
        values = jnp.asarray(values)
        kept = others.reshape(-1, *[1] * (values.ndim - 1))
        return jnp.sum(jnp.where(kept, values, 0), axis=0)

    mean = divide(total(weight[:, None] * parts.mean), jnp.sum(weight))
    step = jnp.where(others[:, None], parts.mean - mean[None, :], 0)
    between = products.gram(jnp.sqrt(weight)[:, None] * step)
    return CrossMoments(
        total(parts.count),
        jnp.sum(weight),
        total(parts.weight_square),
        mean,
        total(parts.comoment) + between,
        parts.num_covariates,
        parts.names,
    )


def _by_kernel(data: MediationData, composites: Sequence[Composite]) -> Learner:
    """The dual: mediators are multiplied once for all splits.

    They are residualised on [1, covariates] over all rows, and the training kernel again over its
    own rows. A held-out score is then off by a combination of [1, covariates], which its
    regressions take out.
    """
    whole = dual_statistics(data, keep_mediators=False)
    kernel = jnp.asarray(whole.kernel)  # [n, n], rows multiplied by the root of their weight
    root = jnp.sqrt(jnp.asarray(whole.row_weights))

    def one(rows: FoldRows) -> tuple[Array, Array]:
        own = without_mediators(take(data, rows.train, rows.learned))
        basis = jnp.asarray(own.basis)
        mask = rows.learned.astype(kernel.dtype)
        both = mask[:, None] * mask[None, :]
        inside = project_off(basis, both * kernel[rows.train][:, rows.train])
        own = dataclasses.replace(
            own,
            kernel=project_off(basis, inside.T),
            num_mediators=whole.num_mediators,
            status=st.combine(own.status, whole.status),
        )
        coefficients, status = _compose(composites, dual_paths(own))  # [c, rows]
        coefficients = mask[:, None] * project_off(basis, coefficients.T)
        scores = products.matmul(kernel[rows.test][:, rows.train], coefficients)
        return divide(scores, root[rows.test][:, None]).T, status

    return lambda rows: jax.lax.map(one, rows)
