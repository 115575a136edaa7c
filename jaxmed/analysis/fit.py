"""All that the statistics of one data set determine without randomness, in one program."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.compile import quick_jit
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.estimators.estimate import MediatorEffects
from jaxmed.estimators.marginal import (
    MarginalSums,
    marginal_effects,
    sums_from_factor,
    sums_from_rows,
)
from jaxmed.estimators.regression import LinearEffect, total_and_direct
from jaxmed.geometry.bisector import bisecting
from jaxmed.geometry.composite import CompositeMediator, plane_composite
from jaxmed.geometry.index import leaning
from jaxmed.geometry.paths import Paths, dual_paths, needs_rows, primal_paths, regime_of
from jaxmed.geometry.single_path import towards_exposure, towards_outcome
from jaxmed.inference.cosine_test import CosineTest, cosine_tests
from jaxmed.inference.intersection_union import IntersectionUnionTest, intersection_union_test
from jaxmed.inference.joint_test import JointTest, joint_test
from jaxmed.statistics.cross_moments import CrossMoments, cross_moments, is_host
from jaxmed.statistics.dual_stats import DualStatistics, dual_statistics
from jaxmed.statistics.joint_factor import JointFactor, factor_moments, factor_rows
from jaxmed.typing import Array, Interval, pytree

# Composites that are closed forms of the paths, as (method, direction).
CLOSED_FORMS = (
    ("maxie", "concordant"),
    ("maxie", "suppression"),
    ("maxcor", "concordant"),
    ("maxcor", "suppression"),
    ("reg_outcome", ""),
    ("reg_exposure", ""),
)


@pytree
class Fit:
    """Paths, composites, single-mediator effects and tests of one data set."""

    paths: Paths
    composites: dict[str, CompositeMediator]  # key "method" or "method_direction"
    mediators: MediatorEffects
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
    # Two programs: that of the rows is seldom worth the optimisation that many mediators are.
    many = len(sums.exposure_cross) >= MANY_MEDIATORS
    mediators = (_fast_marginals if many else _quick_marginals)(sums, level=level)
    programs = LARGE if len(stats.row_weights) >= DUAL_LARGE_FROM else SMALL
    return programs.dual(stats, mediators, methods, level)


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
    mediators = marginal_effects(sums_from_factor(factor), level=level)
    return _assemble(primal_paths(factor), mediators, methods, level)


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
    stats: DualStatistics, mediators: MediatorEffects, methods: tuple[str, ...], level: float
) -> Fit:
    return _assemble(dual_paths(stats), mediators, methods, level)


def _closed_forms(
    paths: Paths, methods: tuple[str, ...]
) -> tuple[dict[str, CompositeMediator], Array]:
    """The composites by label, and the angles of MaxCor [2]: concordant, suppression.

    Their directions in the plane of the paths become composites in one batch, and both angles come
    from one bisection: the same formulas once in the program instead of four times.
    """
    half_angles = jnp.stack([paths.half_difference, paths.half_sum])
    signs = jnp.asarray([1, -1], half_angles.dtype)
    angles, along_exposure, along_outcome = leaning(paths, signs, half_angles, half_angles[::-1])
    directions = {
        ("maxie", "concordant"): bisecting(paths, 1),
        ("maxie", "suppression"): bisecting(paths, -1),
        ("maxcor", "concordant"): (along_exposure[0], along_outcome[0]),
        ("maxcor", "suppression"): (along_exposure[1], along_outcome[1]),
        ("reg_outcome", ""): towards_outcome(paths),
        ("reg_exposure", ""): towards_exposure(paths),
    }
    chosen = [key for key in CLOSED_FORMS if key[0] in methods]
    if not chosen:
        return {}, angles
    first, second = (jnp.stack([directions[key][i] for key in chosen]) for i in (0, 1))
    every = jax.vmap(plane_composite, in_axes=(None, 0, 0))(paths, first, second)
    return {
        label(*key): jax.tree.map(lambda leaf, i=i: leaf[i], every) for i, key in enumerate(chosen)
    }, angles


def _assemble(
    paths: Paths, mediators: MediatorEffects, methods: tuple[str, ...], level: float
) -> Fit:
    single = mediators.alpha.shape[0] == 1
    total, direct = total_and_direct(paths, level=level)
    composites, angles = _closed_forms(paths, methods)
    cosine, corrected = (None, None) if single else cosine_tests(paths)
    return Fit(
        paths=paths,
        composites=composites,
        mediators=mediators,
        total=total,
        direct=direct,
        maxcor_angles=angles,
        cosine=cosine,
        corrected=corrected,
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


# From so many mediators on, loops over p^2 numbers are worth LLVM's time; in the dual from so many
# rows on, whose programs have fewer passes over n^2 numbers.
LARGE_FROM = 256
DUAL_LARGE_FROM = 1024
# From so many mediators on one loop over all of them is.
MANY_MEDIATORS = 4096
_quick_marginals, _fast_marginals = (
    quick_jit(marginal_effects, ("level",), optimised=fast) for fast in (False, True)
)
SMALL, LARGE = _programs(optimised=False), _programs(optimised=True)


def _interval(effects: MediatorEffects) -> Interval:
    return effects.interval


_quick_interval, _fast_interval = (quick_jit(_interval, optimised=fast) for fast in (False, True))


def mediator_interval(effects: MediatorEffects) -> Interval:
    """The limits of `Fit.mediators`."""
    many = len(effects.alpha) >= MANY_MEDIATORS
    return (_fast_interval if many else _quick_interval)(effects)
