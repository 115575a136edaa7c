"""Value of a policy that shifts mediators."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.data import validation
from jaxmed.data.mediation_data import MediationData, weights_of
from jaxmed.door import at_the_door
from jaxmed.estimands.generated import generated_mean, over_seeds
from jaxmed.estimands.generator import Generator, Trainable, generators_of
from jaxmed.estimands.structural import (
    Adjust,
    check_options,
    legs_with,
    mean_of,
    select,
    settled,
    structural,
)
from jaxmed.estimands.terms import Terms, mediator_positions, terms_of
from jaxmed.estimators.parts.basis import Basis
from jaxmed.keys import as_key
from jaxmed.typing import Array, ArrayLike, Key, pytree

__all__ = ["ShiftValue", "shift_value"]


@pytree
class ShiftValue:
    """Mean outcomes with shifted mediators: "shifted" V(delta), "observed" E[Y], "change"."""

    values: Terms
    generated: Array | None  # [] V(delta) by the generators
    selected: Array  # [p] bool, mediators of the outcome equation
    status: Array  # [] of the values
    generator_status: Array | None  # [] of the training; it qualifies `generated` only


def shift_value(
    key: Key,
    data: MediationData,
    shift: Mapping[str | int, float],
    *,
    generator: Generator | Trainable | None = None,
    seeds: int = 1,
    draws: int = 50,
    adjust: Adjust = "auto",
    basis: Basis = "splines_all_products",
    level: float = 0.95,
) -> ShiftValue:
    """V(delta) = E[Y(T, M_S + delta)]: the mean outcome if some mediators were moved.

    Exposure and all other mediators stay as they are: the shift comes after them. In a partially
    linear model V = E[Y] + sum delta_k b_k, whatever moves the exposure. b is least squares of
    what the outcome leaves on what the mediators leave, given exposure, covariates and the other
    mediators: its score is orthogonal to both, so that it is consistent if either the outcome's
    or the shifted mediators' equation is right. The regime: no unmeasured confounding of
    mediators and outcome given the rest, effects that are linear over the shift.

    Args:
      key: consumed (folds of a lasso, training, draws).
      data: any exposure.
      shift: delta in units of the mediator, by name or position.
      generator: draws beside the estimates, as in `disparity`; None for none.
      seeds: trainings, where there is something to train.
      draws: of mediators and outcome for each individual.
      adjust: as in `disparity`; shifted mediators are always in the outcome equation.
      basis: of the covariates.
      level: of the intervals.
    Returns:
      ShiftValue, with the sampling error of E[Y] in the intervals of V and not in "change".
    Raises:
      ValueError: no shift, one that is not finite, an unknown or repeated mediator, an unknown
        option.
    Source: Diaz and van der Laan (2012) for shifts; Robinson (1988) for the score.
    """
    key = as_key(key)
    check_count("draws", draws)
    check_options(adjust, basis, level)
    positions = mediator_positions(data, list(shift))
    sizes = tuple(shift.values())
    if not validation.is_traced(*sizes) and not np.all(np.isfinite(np.asarray(sizes, float))):
        raise ValueError("every shift must be a finite number in units of its mediator")
    folding, training, drawing = jax.random.split(key, 3)
    own = None if generator is None else generators_of(training, data, generator, seeds)
    values, delta, selected, status = _estimates(
        folding, *settled(data, basis), positions, sizes, adjust, level
    )
    drawn = None
    if own is not None:
        covariates, exposure = jnp.asarray(data.covariates), jnp.asarray(data.exposure)

        def quantity(k: Key, one: Generator) -> Array:
            return generated_mean(
                k,
                one,
                covariates,
                weights_of(data),
                exposure,
                draws=draws,
                mediators=lambda here, _: here + delta,
            )

        drawn = over_seeds(drawing, own, quantity, delta.dtype)
    return ShiftValue(values, drawn, selected, status, None if own is None else own.status)


@at_the_door("basis", "positions", "adjust", "level")
def _estimates(
    key: Key,
    data: MediationData,
    basis: Basis,
    positions: tuple[int, ...],
    sizes: tuple[ArrayLike, ...],
    adjust: str,
    level: float,
) -> tuple[Terms, Array, Array, Array]:
    """Values, the shift of every mediator, those of the outcome equation, and a status."""
    legs = legs_with(data, basis)
    w, y = legs.rows.weights, legs.rows.outcome
    p, where = legs.mediators.shape[1], jnp.asarray(positions)
    delta = jnp.zeros(p, y.dtype).at[where].set(jnp.asarray(list(sizes), y.dtype))
    forced = jnp.zeros(p, bool).at[where].set(True)
    selected, code = select(key, legs, adjust, delta[None], forced)
    fit = structural(legs, selected)
    mean, influence = mean_of(w, y)
    change = (jnp.sum(delta * fit.beta), fit.of_beta(delta))
    found = {
        "shifted": (mean + change[0], influence + change[1]),
        "observed": (mean, influence),
        "change": change,
    }
    # A constant mediator has no coefficient: moving it moves nothing that these data can tell.
    absent = st.when(jnp.any(forced & legs.constant), st.CONSTANT_MEDIATOR)
    lost = jnp.where(st.is_fatal(absent), jnp.nan, 0).astype(y.dtype)
    found = {name: (value + lost, psi + lost) for name, (value, psi) in found.items()}
    return (
        terms_of(found, level, "normal, orthogonal score, HC2"),
        delta,
        fit.selected,
        st.combine(code, fit.status, absent),
    )
