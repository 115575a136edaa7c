"""Closed-form composites as estimators: configuration, then `(key, data) -> Estimate`."""

from collections.abc import Callable

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import (
    Effects,
    Estimate,
    MediatorEffects,
    no_effects,
    poison,
    weak_total,
)
from jaxmed.estimators.marginal import marginal_effects, sums_from_factor, sums_from_rows
from jaxmed.estimators.parts.exact import without_width
from jaxmed.estimators.parts.kept import kept
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.estimators.regression import total_and_direct
from jaxmed.geometry import bisector, index, single_path
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.geometry.paths import Paths, dual_paths, primal, regime_of
from jaxmed.statistics.dual_stats import dual_statistics
from jaxmed.typing import Estimator, Interval, Key

Composite = Callable[[Paths], CompositeMediator]


@kept
def maxie(*, sign: int = 1, route: str = "auto", level: float = 0.95) -> Estimator:
    """Estimator of the composite of extreme indirect effect; see `geometry.bisector.maxie`."""
    bisector.check_sign(sign)
    return from_composite(lambda p: bisector.maxie(p, sign=sign), route=route, level=level)


@kept
def maxcor(*, sign: int = 1, route: str = "auto", level: float = 0.95) -> Estimator:
    """Estimator of the composite of extreme mediation index; see `geometry.index.maxcor`."""
    bisector.check_sign(sign)
    return from_composite(lambda p: index.maxcor(p, sign=sign), route=route, level=level)


def reg_outcome(*, route: str = "auto", level: float = 0.95) -> Estimator:
    """Estimator of the outcome regression; see `geometry.single_path.regress_outcome`."""
    return from_composite(single_path.regress_outcome, route=route, level=level)


def reg_exposure(*, route: str = "auto", level: float = 0.95) -> Estimator:
    """Estimator of the exposure regression; see `geometry.single_path.regress_exposure`."""
    return from_composite(single_path.regress_exposure, route=route, level=level)


@in_safe_units
def from_composite(composite: Composite, *, route: str = "auto", level: float = 0.95) -> Estimator:
    """An estimator from any function of the paths that returns a CompositeMediator.

    The returned function is deterministic (accepts `key=None`), pure, and safe under jit and vmap.
    Standard errors and intervals of the in-sample direct and indirect effects do not exist for
    optimised weights and are NaN; the total effect has its ordinary t interval.
    """

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        del key
        result, mediators = paths_and_mediators(data, route, level)
        chosen = composite(result)
        return composite_estimate(result, chosen, mediators, level)

    return estimate


def paths_and_mediators(
    data: MediationData, route: str, level: float
) -> tuple[Paths, MediatorEffects]:
    """Paths and single-mediator effects from one set of statistics."""
    n, p = data.mediators.shape
    if regime_of(n, p, data.covariates.shape[1]) == "dual":
        stats = dual_statistics(data)
        return dual_paths(stats), marginal_effects(sums_from_rows(stats), level=level)
    factor, result = primal(data, route)
    return result, marginal_effects(sums_from_factor(factor), level=level)


def composite_estimate(
    result: Paths,
    chosen: CompositeMediator,
    mediators: MediatorEffects,
    level: float,
    details: object | None = None,
) -> Estimate:
    """Assembles the Estimate of one composite."""
    own = poison(Effects(chosen.direct, chosen.indirect, chosen.total), chosen.status)
    # The total effect needs no mediator: it is NaN itself where it does not exist.
    effects = Effects(own.direct, own.indirect, chosen.total)
    errors = no_effects(chosen.indirect)
    total, _ = total_and_direct(result, level=level)
    code = st.combine(
        chosen.status, without_width(total.standard_error[None], total.interval.lower[None])
    )
    nan = errors.direct
    none = Interval(nan, nan, level, "none: weights are optimised on the same rows")
    return Estimate(
        effects=effects,
        standard_errors=Effects(nan, nan, total.standard_error),
        intervals=Effects(none, none, total.interval),
        mediators=mediators,
        selected=(chosen.weights != 0) & ~jnp.isnan(chosen.weights),
        status=code,
        details=chosen if details is None else details,
        notes=st.combine_notes(
            chosen.notes,
            jnp.uint32(st.Note.NO_STANDARD_ERRORS.value),
            weak_total(effects.total, total.standard_error),
        ),
    )
