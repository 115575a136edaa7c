"""What the generators say themselves: means over seeds of their linear parts."""

from typing import Any

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.estimate import Effects
from jaxmed.gahmn.config import GahmnConfig
from jaxmed.gahmn.fitted import Fitted, linear_part
from jaxmed.gahmn.fitting import SeedFit
from jaxmed.gahmn.penalty_path import PenaltyPath
from jaxmed.gahmn.training import Curve
from jaxmed.typing import Array, pytree

__all__ = ["Adversarial", "GahmnDetails", "details_of"]


@pytree
class Adversarial:
    """The generators' own linear part: means over seeds, per unit of exposure and mediator."""

    effects: Effects  # c and sum a_k b_k
    alpha: Array  # [p] a
    beta: Array  # [p] b
    indirect: Array  # [p] mean of a_k b_k
    selected: Array  # [p] bool: a_k and b_k not 0 in more than half of the seeds
    frequency: Array  # [p] share of the fits (seeds, and penalties of a path) that kept it
    seed_sd: Effects  # sd over seeds; NaN for one seed
    status: Array  # [] most severe over seeds
    seed_status: Array  # [S]


@pytree
class GahmnDetails:
    """What only GAHMN knows."""

    adversarial: Adversarial
    fitted: Fitted  # leading axis of seeds
    mediator_curve: Curve  # [S, W]
    outcome_curve: Curve  # [S, W]
    path: PenaltyPath | None


def details_of(
    scale: Any, config: GahmnConfig, fits: SeedFit, codes: Array, path: PenaltyPath | None
) -> GahmnDetails:
    """Means over seeds and what went wrong, from fits with a leading axis of seeds."""
    fitted = Fitted(scale, fits.generators, config)
    kept = fits.generators.exposure_support & fits.generators.mediator_support
    linear = linear_part(fitted)
    indirect = linear.indirect.sum(axis=1)
    total = linear.direct + indirect
    seeds = kept.shape[0]
    frequency = jnp.mean(kept, axis=0)
    if path is not None:
        count = path.kept.shape[0]
        frequency = (jnp.sum(path.kept, axis=0) + jnp.sum(kept, axis=0)) / (count + seeds)

    def sd(values: Array) -> Array:
        return jnp.std(values, ddof=1) if seeds > 1 else jnp.full_like(values[0], jnp.nan)

    invalid = ~scale.valid

    def valid(values: Array) -> Array:
        return jnp.where(invalid, jnp.nan, jnp.mean(values, axis=0))

    empty = st.when(~jnp.any(fits.generators.mediator_support), st.EMPTY_SELECTION)
    adversarial = Adversarial(
        effects=Effects(linear.direct.mean(), indirect.mean(), total.mean()),
        alpha=valid(linear.alpha),
        beta=valid(linear.beta),
        indirect=valid(linear.indirect),
        selected=(jnp.mean(kept, axis=0) > 0.5) & scale.valid,
        frequency=frequency,
        seed_sd=Effects(sd(linear.direct), sd(indirect), sd(total)),
        status=st.combine(jnp.max(codes), empty),
        seed_status=codes,
    )
    return GahmnDetails(adversarial, fitted, fits.mediator_curve, fits.outcome_curve, path)
