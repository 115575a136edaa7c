"""Everything that the statistics of one data set determine without randomness, in one compiled program."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np

from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.estimators.estimate import MediatorEffects
from jaxmed.estimators.marginal import (
    MarginalSums,
    marginal_effects,
    sums_from_factor,
    sums_from_rows,
)
from jaxmed.estimators.regression import LinearEffect, total_and_direct
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.geometry.index import maxcor
from jaxmed.geometry.paths import Paths, dual_paths, needs_rows, primal_paths, regime_of
from jaxmed.geometry.single_path import regress_exposure, regress_outcome
from jaxmed.inference.cosine_test import CosineTest, corrected_cosine_test, cosine_test
from jaxmed.inference.intersection_union import IntersectionUnionTest, intersection_union_test
from jaxmed.inference.joint_test import JointTest, joint_test
from jaxmed.statistics.cross_moments import CrossMoments, cross_moments, is_host
from jaxmed.statistics.dual_stats import DualStatistics, dual_statistics
from jaxmed.statistics.joint_factor import JointFactor, factor_moments, factor_rows
from jaxmed.typing import pytree

# Composites that are closed forms of the paths: (method, direction) -> function of the paths.
CLOSED_FORMS: dict[tuple[str, str], Callable[[Paths], CompositeMediator]] = {
    ("maxie", "concordant"): functools.partial(maxie, sign=1),
    ("maxie", "suppression"): functools.partial(maxie, sign=-1),
    ("maxcor", "concordant"): functools.partial(maxcor, sign=1),
    ("maxcor", "suppression"): functools.partial(maxcor, sign=-1),
    ("reg_outcome", ""): regress_outcome,
    ("reg_exposure", ""): regress_exposure,
}


@pytree
class Fit:
    """Paths, composites, single-mediator effects and tests of one data set."""

    paths: Paths
    composites: dict[str, CompositeMediator]  # key "method" or "method_direction"
    mediators: MediatorEffects
    total: LinearEffect
    direct: LinearEffect
    cosine: CosineTest | None  # None for a single mediator, which has no angle
    corrected: CosineTest | None
    joint: JointTest
    intersection_union: IntersectionUnionTest


def fit(
    data: MediationData, *, methods: tuple[str, ...] = ("maxie", "maxcor"), level: float = 0.95
) -> Fit:
    """Statistics on the host where that is faster, the rest in one jitted program per shape.

    Args:
      data: concrete data, validated.
      methods: closed-form methods, of maxie, maxcor, reg_outcome, reg_exposure.
      level: of intervals.
    Returns:
      Fit; the Gram route is replaced by QR where it was unreliable (`fit.paths.route` tells).
    """
    data = dataclasses.replace(data, names=Names())  # names are static and would force a recompile
    if jax.default_backend() != "cpu":
        data = jax.tree.map(jax.numpy.asarray, data)
    n, p = data.mediators.shape
    if regime_of(n, p, data.covariates.shape[1]) == "dual":
        return _fit_dual(data, methods, level)
    result = _moments_program(cross_moments(data), methods, level)
    if needs_rows(result.paths):
        factor = factor_rows(data)
        result = _factor_program(factor, methods, level)
    return result


def label(method: str, direction: str) -> str:
    """Key of one composite, e.g. "maxie_concordant"."""
    return f"{method}_{direction}" if direction else method


@functools.partial(jax.jit, static_argnames=("methods", "level"))
def _moments_program(moments: CrossMoments, methods: tuple[str, ...], level: float) -> Fit:
    return _from_factor(factor_moments(moments), methods, level)


@functools.partial(jax.jit, static_argnames=("methods", "level"))
def _factor_program(factor: JointFactor, methods: tuple[str, ...], level: float) -> Fit:
    return _from_factor(factor, methods, level)


def _from_factor(factor: JointFactor, methods: tuple[str, ...], level: float) -> Fit:
    return _assemble(primal_paths(factor), sums_from_factor(factor), methods, level)


def _fit_dual(data: MediationData, methods: tuple[str, ...], level: float) -> Fit:
    stats = dual_statistics(data)
    sums = sums_from_rows(stats)
    mediators = stats.mediators
    on_host = is_host(data)
    if on_host:
        # The n x p block stays with NumPy; the program sees the n x n kernel only.
        stats = dataclasses.replace(stats, mediators=None)
    result = _dual_program(stats, sums, methods, level)
    if not on_host:
        return result
    rows = np.stack([np.asarray(c.weights) for c in result.composites.values()], axis=1)
    weights = mediators.T @ rows  # type: ignore[union-attr]
    composites = {
        name: dataclasses.replace(c, weights=weights[:, i])
        for i, (name, c) in enumerate(result.composites.items())
    }
    return dataclasses.replace(result, composites=composites)


@functools.partial(jax.jit, static_argnames=("methods", "level"))
def _dual_program(
    stats: DualStatistics, sums: MarginalSums, methods: tuple[str, ...], level: float
) -> Fit:
    return _assemble(dual_paths(stats), sums, methods, level)


def _assemble(paths: Paths, sums: MarginalSums, methods: tuple[str, ...], level: float) -> Fit:
    single = sums.exposure_cross.shape[0] == 1
    total, direct = total_and_direct(paths, level=level)
    return Fit(
        paths=paths,
        composites={
            label(*key): composite(paths)
            for key, composite in CLOSED_FORMS.items()
            if key[0] in methods
        },
        mediators=marginal_effects(sums, level=level),
        total=total,
        direct=direct,
        cosine=None if single else cosine_test(paths),
        corrected=None if single else corrected_cosine_test(paths),
        joint=joint_test(paths),
        intersection_union=intersection_union_test(paths),
    )
