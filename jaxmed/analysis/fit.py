"""All that the statistics of one data set determine without randomness, in one program."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.analysis.compile import quick_jit
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.estimators.estimate import MediatorEffects
from jaxmed.estimators.marginal import (
    MarginalSums,
    single_regressions,
    sums_from_factor,
    sums_from_rows,
    with_intervals,
)
from jaxmed.estimators.regression import LinearEffect, total_and_direct
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.geometry.index import maxcor, optimal_angle
from jaxmed.geometry.paths import Paths, dual_paths, needs_rows, primal_paths, regime_of
from jaxmed.geometry.single_path import regress_exposure, regress_outcome
from jaxmed.inference.cosine_test import CosineTest, corrected_cosine_test, cosine_test
from jaxmed.inference.intersection_union import IntersectionUnionTest, intersection_union_test
from jaxmed.inference.joint_test import JointTest, joint_test
from jaxmed.statistics.cross_moments import CrossMoments, cross_moments, is_host
from jaxmed.statistics.dual_stats import DualStatistics, dual_statistics
from jaxmed.statistics.joint_factor import JointFactor, factor_moments, factor_rows
from jaxmed.typing import Array, pytree

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
    mediators: MediatorEffects  # without intervals: `estimators.marginal.with_intervals` adds them
    total: LinearEffect
    direct: LinearEffect
    maxcor_angles: Array  # [2] radians from the exposure path: concordant, suppression
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
        data = jax.tree.map(jnp.asarray, data)
    n, p = data.mediators.shape
    if regime_of(n, p, data.covariates.shape[1]) == "dual":
        return _fit_dual(data, methods, level)
    result = fit_moments(cross_moments(data), methods=methods, level=level)
    if needs_rows(result.paths):
        programs = LARGE if p >= LARGE_FROM else SMALL
        result = programs.factor(factor_rows(data), methods, level)
    return result


def fit_moments(
    moments: CrossMoments, *, methods: tuple[str, ...] = ("maxie", "maxcor"), level: float = 0.95
) -> Fit:
    """`fit` where moments are all there is: primal, by the Gram route."""
    programs = LARGE if moments.num_mediators >= LARGE_FROM else SMALL
    unnamed = dataclasses.replace(moments, names=Names())
    return programs.moments(unnamed, methods, level)


def fit_kernel(
    stats: DualStatistics, sums: MarginalSums, *, methods: tuple[str, ...], level: float
) -> Fit:
    """`fit` in the dual where mediators are not kept: composites have row coefficients [n]."""
    programs = LARGE if len(stats.row_weights) >= LARGE_FROM else SMALL
    return programs.dual(stats, sums, methods, level)


def closed_composites(result: Fit, method: str) -> dict[tuple[str, str], CompositeMediator]:
    """The composites that a fit holds of one closed-form method, keyed by (method, direction)."""
    return {
        (method, direction): result.composites[name]
        for direction in ("concordant", "suppression", "")
        if (name := label(method, direction)) in result.composites
    }


def label(method: str, direction: str) -> str:
    """Key of one composite, e.g. "maxie_concordant"."""
    return f"{method}_{direction}" if direction else method


def _from_moments(moments: CrossMoments, methods: tuple[str, ...], level: float) -> Fit:
    return _from_factor(factor_moments(moments), methods, level)


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
    result = fit_kernel(stats, sums, methods=methods, level=level)
    if not on_host or not result.composites:
        return result
    rows = np.stack([np.asarray(c.weights) for c in result.composites.values()], axis=1)
    weights = mediators.array().T @ rows  # type: ignore[union-attr]
    composites = {
        name: dataclasses.replace(c, weights=weights[:, i])
        for i, (name, c) in enumerate(result.composites.items())
    }
    return dataclasses.replace(result, composites=composites)


def _from_kernel(
    stats: DualStatistics, sums: MarginalSums, methods: tuple[str, ...], level: float
) -> Fit:
    return _assemble(dual_paths(stats), sums, methods, level)


def _maxcor_angles(paths: Paths) -> Array:
    turn = jnp.stack([paths.angle, jnp.pi - paths.angle])
    return optimal_angle(turn, paths.quadratics.exposure_exposure)


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
        mediators=single_regressions(sums),
        total=total,
        direct=direct,
        maxcor_angles=_maxcor_angles(paths),
        cosine=None if single else cosine_test(paths),
        corrected=None if single else corrected_cosine_test(paths),
        joint=joint_test(paths),
        intersection_union=intersection_union_test(paths),
    )


@dataclasses.dataclass(frozen=True)
class Programs:
    """The three compiled entries, by what the statistics of the data are."""

    moments: Callable[..., Fit]
    factor: Callable[..., Fit]
    dual: Callable[..., Fit]


def _programs(optimised: bool) -> Programs:
    entries = (_from_moments, _from_factor, _from_kernel)
    return Programs(*(quick_jit(f, ("methods", "level"), optimised=optimised) for f in entries))


# From this size on, loops over p^2 or n^2 numbers are worth LLVM's time.
LARGE_FROM = 256
SMALL, LARGE = _programs(optimised=False), _programs(optimised=True)
# Fills in `Fit.mediators`: a loop over all mediators, worth optimised code.
mediator_intervals = quick_jit(with_intervals, ("level",), optimised=True)
