"""The penalty by held-out prediction, and how often every mediator survives it."""

import jax
import jax.numpy as jnp

from jaxmed.gahmn.config import GahmnConfig
from jaxmed.gahmn.fitting import Generators, Penalties, blocks_of, fit_seed
from jaxmed.gahmn.scaling import Scaled
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, Key, pytree

__all__ = ["MULTIPLES", "PenaltyPath", "mediator_loss", "penalty_path"]

MULTIPLES = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)
HELD_OUT = 0.2


@pytree
class PenaltyPath:
    """Eight fits on four fifths of the rows."""

    chosen: Penalties
    multiples: Array  # [8] of the configured penalties
    loss: Array  # [8, 2] held-out squared error of mediators and of outcome, over their variances
    kept: Array  # [8, p] bool: a_k and b_k not 0


def penalty_path(
    key: Key, data: Scaled, config: GahmnConfig, base: Penalties, batch: int
) -> PenaltyPath:
    """The multiples of the configured penalties with the smallest held-out conditional-mean losses.

    One multiple for either block, by the loss of that block. The mediators' curves of the
    covariates are the average of all eight fits: those of a single fit differ by more than the
    exposure effects in question.

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
    block = blocks_of(config, held)[0]

    def one(multiple: Array) -> tuple[Array, Array, Array, Array]:
        weights = Penalties(base.mediator * multiple, base.outcome * multiple)
        found = fit_seed(training, train, config, weights).generators
        nobody = jnp.zeros_like(held.exposure)
        curve = block.generator.mean(found.mediator, found.mean_draws, nobody, held.covariates)
        error = _outcome_loss(draws, held, config, found, curve)
        kept = found.exposure_support & found.mediator_support
        return kept, found.mediator["exposure"], curve, error

    multiples = jnp.asarray(MULTIPLES, base.mediator.dtype)
    kept, alpha, curves, outcome = jax.lax.map(one, multiples, batch_size=batch)
    left = held.mediators - jnp.nanmean(curves, axis=0)
    mediators = jax.vmap(lambda a: mediator_loss(held, left, a))(alpha)
    loss = jnp.stack([mediators, outcome], axis=1)
    best = multiples[jnp.nanargmin(loss, axis=0)]
    chosen = Penalties(base.mediator * best[0], base.outcome * best[1])
    return PenaltyPath(chosen, multiples, loss, kept)


def mediator_loss(held: Scaled, left: Array, alpha: Array) -> Array:
    """Mean squared error of the exposure's part of the mediators.

    Args:
      held: rows that were not trained on.
      left: mediators less their mean at exposure 0 [n, p]; intercepts are fitted here.
      alpha: effects of the exposure [p].
    """
    share = held.weights / jnp.sum(held.weights)
    error = left - held.exposure[:, None] * alpha
    error = jnp.where(held.valid, (error - share @ error) ** 2, 0)
    return divide(jnp.sum(share @ error), jnp.sum(held.valid))


def _outcome_loss(
    key: Key, held: Scaled, config: GahmnConfig, found: Generators, curve: Array
) -> Array:
    """Squared error of the outcome's conditional mean on rows that were not trained on."""
    outcome = blocks_of(config, held)[1]
    seen = held.mediators
    if config.residualise:
        seen = divide(seen - curve, found.residual_scale)

    def draw(k: Key) -> Array:
        noise = outcome.generator.noise(k, held.exposure.shape[0])
        return outcome.generator.apply(found.outcome, noise, held.exposure, seen, held.covariates)

    made = jax.lax.map(draw, jax.random.split(key, 2 * config.mean_draws)).mean(axis=0)
    return jnp.sum(held.weights * (held.outcome - made) ** 2) / jnp.sum(held.weights)
