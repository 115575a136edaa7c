"""Estimators whose weights come from elsewhere than the plane of the two paths."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.composites import composite_estimate, paths_and_mediators
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.geometry.composite import CompositeMediator, evaluate_weights
from jaxmed.geometry.paths import Paths
from jaxmed.typing import Array, Estimator, Key, pytree

# (key, data, paths) -> weights [p], status, details of the method
WeightRule = Callable[[Key | None, MediationData, Paths], tuple[Array, Array, object]]


@pytree
class WeightDetails:
    """The composite, and what its weight rule returned beside the weights."""

    composite: CompositeMediator
    rule: object


@in_safe_units
def from_weights(rule: WeightRule, *, route: str = "auto", level: float = 0.95) -> Estimator:
    """An estimator that evaluates the weights of any rule on the same rows.

    Args:
      rule: function of (key, data, paths) giving weights [p] per unit of each mediator, an int32
        status, and a pytree of details.
      route: of the paths, see `geometry.paths`.
      level: of the interval of the total effect.
    Returns:
      Estimator whose `details` is WeightDetails; all-zero weights give zero indirect effect and
      EMPTY_SELECTION, a fatal status NaN.
    """

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        data = jax.tree.map(jnp.asarray, data)
        result, mediators = paths_and_mediators(data, route, level)
        weights, code, details = rule(key, data, result)
        composite = with_status(evaluate_weights(result, weights), code)
        return composite_estimate(
            result, composite, mediators, level, WeightDetails(composite, details)
        )

    return estimate


def with_status(composite: CompositeMediator, code: Array) -> CompositeMediator:
    """The composite with a status of its rule; NaN where that is fatal."""
    empty = st.when(jnp.all(composite.weights == 0), st.EMPTY_SELECTION)
    status = st.combine(composite.status, code, empty)
    fatal = st.is_fatal(status)
    arrays: dict[str, Any] = {
        name: jnp.where(fatal, jnp.nan, value)
        for name, value in vars(composite).items()
        if name not in ("status", "total", "notes")
    }
    return CompositeMediator(**arrays, total=composite.total, status=status, notes=composite.notes)
