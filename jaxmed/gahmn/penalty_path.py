"""The penalty by held-out prediction, and how often every mediator survives it."""

import jax
import jax.numpy as jnp

from jaxmed.gahmn.config import GahmnConfig
from jaxmed.gahmn.fitting import Penalties, SeedFit, blocks_of, fit_seed
from jaxmed.gahmn.scaling import Scaled
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, Key, pytree

__all__ = ["MULTIPLES", "PenaltyPath", "penalty_path"]

MULTIPLES = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)
HELD_OUT = 0.2


@pytree
class PenaltyPath:
    """Eight fits on four fifths of the rows."""

    chosen: Penalties
    multiples: Array  # [8] of the configured penalties
    loss: Array  # [8] held-out: mediators' and outcome's squared error over their variances, added
    kept: Array  # [8, p] bool: a_k and b_k not 0


def penalty_path(
    key: Key, data: Scaled, config: GahmnConfig, base: Penalties, batch: int
) -> PenaltyPath:
    """The multiple of the configured penalties with the smallest held-out conditional-mean loss.

    Args:
      key: consumed; one for the split and one that all eight trainings share.
      data: all training rows; a fifth is held out here.
      config: of the fits.
      base: penalties at multiple 1.
      batch: fits vectorised at once.
    """
    split, training, draws = jax.random.split(key, 3)
    n = data.exposure.shape[0]
    order = jax.random.permutation(split, n)
    cut = n - round(HELD_OUT * n)
    train, held = data.rows(order[:cut]), data.rows(order[cut:])

    def one(multiple: Array) -> tuple[Array, Array]:
        weights = Penalties(base.mediator * multiple, base.outcome * multiple)
        fit = fit_seed(training, train, config, weights)
        kept = fit.generators.exposure_support & fit.generators.mediator_support
        return held_out_loss(draws, held, config, fit), kept

    multiples = jnp.asarray(MULTIPLES, base.mediator.dtype)
    loss, kept = jax.lax.map(one, multiples, batch_size=batch)
    best = multiples[jnp.nanargmin(loss)]
    chosen = Penalties(base.mediator * best, base.outcome * best)
    return PenaltyPath(chosen, multiples, loss, kept)


def held_out_loss(key: Key, held: Scaled, config: GahmnConfig, fit: SeedFit) -> Array:
    """Squared error of both conditional means on rows that were not trained on."""
    found = fit.generators
    mediators, outcome = blocks_of(config, held)
    mean = mediators.generator.mean(
        found.mediator, found.mean_draws, held.exposure, held.covariates
    )
    error = jnp.where(held.valid, (held.mediators - mean) ** 2, 0)
    first = held.weights @ error / jnp.sum(held.weights)
    seen = held.mediators
    if config.residualise:
        away = mean - held.exposure[:, None] * found.mediator["exposure"]
        seen = divide(seen - away, found.residual_scale)

    def draw(k: Key) -> Array:
        noise = outcome.generator.noise(k, held.exposure.shape[0])
        return outcome.generator.apply(found.outcome, noise, held.exposure, seen, held.covariates)

    made = jax.lax.map(draw, jax.random.split(key, 2 * config.mean_draws)).mean(axis=0)
    second = jnp.sum(held.weights * (held.outcome - made) ** 2) / jnp.sum(held.weights)
    return divide(jnp.sum(first), jnp.sum(held.valid)) + second
