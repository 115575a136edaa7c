"""The penalty by held-out prediction, and how often every mediator survives it."""

import jax
import jax.numpy as jnp

from jaxmed.gahmn.config import GahmnConfig
from jaxmed.gahmn.fitting import Generators, Penalties, blocks_of, fit_seed
from jaxmed.gahmn.scaling import Scaled
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, Key, pytree

__all__ = [
    "MULTIPLES",
    "PathFit",
    "PenaltyPath",
    "mediator_loss",
    "path_fit",
    "path_of",
    "penalty_path",
]

MULTIPLES = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)
HELD_OUT = 0.2


@pytree
class PenaltyPath:
    """Eight fits on four fifths of the rows."""

    chosen: Penalties
    best: Array  # [2] multiples of the mediators' and of the outcome's penalty
    multiples: Array  # [8] of the configured penalties
    loss: Array  # [8, 2] held-out squared error of mediators and of outcome, over their variances
    kept: Array  # [8, p] bool: a_k and b_k not 0


@pytree
class PathFit:
    """One fit of the path, as its held-out rows see it."""

    kept: Array  # [p] bool
    alpha: Array  # [p]
    curve: Array  # [h, p] mediators' mean at exposure 0
    outcome_loss: Array  # []


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
    multiples = jnp.asarray(MULTIPLES, base.mediator.dtype)
    fits = jax.lax.map(
        lambda multiple: path_fit(key, data, config, base, multiple), multiples, batch_size=batch
    )
    return path_of(key, data, base, fits)


def path_fit(
    key: Key, data: Scaled, config: GahmnConfig, base: Penalties, multiple: Array
) -> PathFit:
    """The fit of one multiple on four fifths of the rows; arguments as of `penalty_path`."""
    train, held = _parts(key, data)
    _, training, draws = jax.random.split(key, 3)
    weights = Penalties(base.mediator * multiple, base.outcome * multiple)
    found = fit_seed(training, train, config, weights).generators
    nobody = jnp.zeros_like(held.exposure)
    mediators = blocks_of(config, held)[0].generator
    curve = mediators.mean(found.mediator, found.mean_draws, nobody, held.covariates)
    error = _outcome_loss(draws, held, config, found, curve)
    kept = found.exposure_support & found.mediator_support
    return PathFit(kept, found.mediator["exposure"], curve, error)


def path_of(key: Key, data: Scaled, base: Penalties, fits: PathFit) -> PenaltyPath:
    """The path from its fits [8, ...]; arguments as of `penalty_path`."""
    held = _parts(key, data)[1]
    left = held.mediators - jnp.nanmean(fits.curve, axis=0)
    mediators = jax.vmap(lambda a: mediator_loss(held, left, a))(fits.alpha)
    loss = jnp.stack([mediators, fits.outcome_loss], axis=1)
    multiples = jnp.asarray(MULTIPLES, base.mediator.dtype)
    # Where all fits diverged the first is as good as any: the status of the last fit tells.
    place = jnp.argmin(jnp.where(jnp.isnan(loss), jnp.inf, loss), axis=0)
    best = multiples[place]
    chosen = Penalties(base.mediator * best[0], base.outcome * best[1])
    return PenaltyPath(chosen, best, multiples, loss, fits.kept)


def _parts(key: Key, data: Scaled) -> tuple[Scaled, Scaled]:
    """Rows to train on, and rows held out."""
    n = data.exposure.shape[0]
    order = jax.random.permutation(jax.random.split(key, 3)[0], n)
    cut = n - round(HELD_OUT * n)
    return data.rows(order[:cut]), data.rows(order[cut:])


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
