"""Exposure and outcome in units in which no square leaves the range of the precision.

Sums of squares of an outcome of size 1e-155 (1e-20 in float32) are zero: its path would be null
and its effect 0. Columns outside a wide safe range are divided by a power of two, which is exact,
and results multiplied by it; within that range every number keeps its last bit.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Effects, Estimate, MediatorEffects
from jaxmed.estimators.parts.kept import kept
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.keys import key_or_none
from jaxmed.linalg.safe import power_of_two
from jaxmed.statistics.cross_moments import is_host
from jaxmed.typing import Array, Estimator, Interval, Key, pytree

__all__ = [
    "Units",
    "composite_in_units",
    "effects_in_units",
    "in_safe_units",
    "interval_in_units",
    "mediators_in_units",
    "rescaled",
    "units_of",
    "with_safe_mediators",
]


@pytree
class Units:
    """What exposure and outcome were divided by: powers of two, 1 within the safe range."""

    exposure: Array  # []
    outcome: Array  # []

    @property
    def effect(self) -> Array:
        """Outcome per exposure."""
        return self.outcome / self.exposure


def units_of(data: MediationData) -> Units:
    """The units of one data set; NumPy for host arrays."""
    xp: Any = np if is_host(data) else jnp

    def unit(column: Any) -> Any:
        return power_of_two(xp, xp.max(xp.abs(xp.asarray(column))))

    return Units(unit(data.exposure), unit(data.outcome))


def rescaled(data: MediationData, units: Units) -> MediationData:
    """The data in these units."""
    return dataclasses.replace(
        data, exposure=data.exposure / units.exposure, outcome=data.outcome / units.outcome
    )


def with_safe_mediators(data: MediationData) -> tuple[MediationData, np.ndarray]:
    """Host data whose mediators have squares in range, and what each was divided by [p]."""
    mediators = np.asarray(data.mediators)
    unit = power_of_two(np, np.maximum(mediators.max(axis=0), -mediators.min(axis=0)))
    if np.all(unit == 1):
        return data, np.ones(unit.size)
    scaled: Any = mediators / unit
    return dataclasses.replace(data, mediators=scaled), unit.astype(np.float64)


def interval_in_units(interval: Interval, unit: Array) -> Interval:
    """Limits times a unit."""
    return dataclasses.replace(interval, lower=interval.lower * unit, upper=interval.upper * unit)


def effects_in_units(effects: Effects, unit: Array) -> Effects:
    """Three numbers or intervals times a unit."""

    def times(value: Any) -> Any:
        if isinstance(value, Interval):
            return interval_in_units(value, unit)
        return value * unit

    return Effects(*(times(getattr(effects, part)) for part in ("direct", "indirect", "total")))


def mediators_in_units(table: MediatorEffects, units: Units) -> MediatorEffects:
    """The table of mediators per unit of exposure and in units of the outcome."""
    factors = {
        "alpha": 1 / units.exposure,
        "alpha_se": 1 / units.exposure,
        "beta": units.outcome,
        "beta_se": units.outcome,
    } | dict.fromkeys(("indirect", "indirect_se"), units.effect)
    changed = {name: getattr(table, name) * factor for name, factor in factors.items()}
    return dataclasses.replace(table, **changed)


def composite_in_units(composite: CompositeMediator, units: Units) -> CompositeMediator:
    """A composite's effects per unit of exposure and in units of the outcome."""
    factors = {"exposure_effect": 1 / units.exposure, "outcome_effect": units.outcome}
    factors |= dict.fromkeys(("indirect", "direct", "total"), units.effect)
    changed = {name: getattr(composite, name) * factor for name, factor in factors.items()}
    return dataclasses.replace(composite, **changed)


def in_safe_units(factory: Callable[..., Estimator]) -> Callable[..., Estimator]:
    """A factory whose estimators answer in the data's units from data in safe ones.

    Equal configurations give one estimator, see `kept`.
    `details` follow where they are a composite or hold one; other details of a method are in the
    units of the computation, which differ from the data's outside the safe range only.
    """

    @kept
    @functools.wraps(factory)
    def make(*args: Any, **kwargs: Any) -> Estimator:
        estimator = factory(*args, **kwargs)

        def estimate(key: Key | None, data: MediationData) -> Estimate:
            key = key_or_none(key)
            units = units_of(data)
            if is_host(data) and units.exposure == 1 and units.outcome == 1:
                return estimator(key, data)
            return _in_units(estimator(key, rescaled(data, units)), units)

        return estimate

    return make


def _in_units(found: Estimate, units: Units) -> Estimate:
    details = found.details
    if isinstance(details, CompositeMediator):
        details = composite_in_units(details, units)
    elif isinstance(getattr(details, "composite", None), CompositeMediator):
        composite = composite_in_units(details.composite, units)
        details = dataclasses.replace(details, composite=composite)
    effects = ("gap", "total_marginal")
    moved = {
        name: getattr(details, name) * units.effect for name in effects if hasattr(details, name)
    }
    if moved:
        details = dataclasses.replace(details, **moved)
    return dataclasses.replace(
        found,
        effects=effects_in_units(found.effects, units.effect),
        standard_errors=effects_in_units(found.standard_errors, units.effect),
        intervals=effects_in_units(found.intervals, units.effect),
        mediators=mediators_in_units(found.mediators, units),
        details=details,
    )
