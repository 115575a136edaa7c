"""Did the training collapse? Status codes from learning curves and from draws."""

import dataclasses

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.distributions.tails import normal_quantile
from jaxmed.gahmn.config import CHUNK, GahmnConfig
from jaxmed.gahmn.fitting import (
    Generators,
    Penalties,
    SeedFit,
    blocks_of,
    fit_seed,
    spline_legs,
)
from jaxmed.gahmn.scaling import Scaled
from jaxmed.gahmn.training import Curve
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, Key, pytree

__all__ = ["Facts", "collapse", "curve_status", "facts_of", "fit_seeds", "judged"]

WON = 0.05  # critic loss, both terms, of a whole chunk
FLAT = 1.38  # of the last half; 2 log 2 = 1.386 at balance
NOISE_SHARE = 0.25


@pytree
class Facts:
    """What regression says about the data, on the networks' scale."""

    exposure_matters: Array  # [] bool: some |t| of exposure -> mediator beyond its Bonferroni bound
    residual_variance: Array  # [p] of the mediators given exposure and a spline basis


def facts_of(data: Scaled, level: float = 0.05) -> Facts:
    """Marginal tests of every mediator on the exposure, splines of the covariates given."""
    legs = spline_legs(data)
    p = data.mediators.shape[1]
    bound = normal_quantile(jnp.asarray(1 - level / (2 * p)))
    largest = jnp.max(jnp.where(data.valid, jnp.abs(legs.alpha.statistic), 0))
    count = jnp.sum(data.weights)
    return Facts(largest > bound, matmul(data.weights, legs.noise**2) / count)


def curve_status(curve: Curve, facts: Facts) -> Array:
    """CRITIC_WON or CRITIC_FLAT of the mediator block at the end of these curves, or OK.

    Only where a is 0 throughout while the exposure does matter for some mediator: at a true null
    a flat critic and a = 0 are what a good fit looks like.

    Args:
      curve: [W] windows so far, at least one chunk of 10 or the whole run.
      facts: of the data.
    """
    windows = curve.critic.shape[0]
    asleep = (curve.largest[-1] == 0) & facts.exposure_matters
    won = jnp.all(curve.critic_highest[-min(CHUNK, windows) :] < WON)
    flat = jnp.all(curve.critic[windows // 2 :] > FLAT)
    return st.combine(st.when(asleep & won, st.CRITIC_WON), st.when(asleep & flat, st.CRITIC_FLAT))


def collapse(key: Key, data: Scaled, config: GahmnConfig, fit: SeedFit, facts: Facts) -> Array:
    """The most severe of DIVERGED, NOISE_COLLAPSE, CRITIC_WON and CRITIC_FLAT, or OK.

    Args:
      key: of two draws at every row.
      data: training rows.
      config: of the fit.
      fit: finished, with the mediators that its outcome block saw.
      facts: of the data.
    """
    found: Generators = fit.generators
    mediators, outcome = blocks_of(config, data)
    first, second, third, fourth = jax.random.split(key, 4)
    drawn = [mediators.draw(found.mediator, k, data) for k in (first, second)]
    variance = data.weights @ (drawn[0] - drawn[1]) ** 2 / (2 * jnp.sum(data.weights))
    share = jnp.where(data.valid, divide(variance, facts.residual_variance, jnp.nan), jnp.nan)
    seen = data.mediators if fit.seen is None else fit.seen
    rows = dataclasses.replace(data, mediators=seen)
    made = [outcome.draw(found.outcome, k, rows) for k in (third, fourth)]
    spread = jnp.sum(data.weights * (made[0] - made[1]) ** 2) / 2
    left = jnp.sum(data.weights * (data.outcome - made[0]) * (data.outcome - made[1]))
    thin = (jnp.nanmedian(share) < NOISE_SHARE) | (spread < NOISE_SHARE * left)
    total = sum(jnp.sum(leaf) for leaf in jax.tree.leaves((found.mediator, found.outcome)))
    return st.combine(
        curve_status(fit.mediator_curve, facts),
        st.when(thin, st.NOISE_COLLAPSE),
        st.when(~jnp.isfinite(total), st.DIVERGED),
    )


def judged(
    key: Key, data: Scaled, config: GahmnConfig, fit: SeedFit, facts: Facts
) -> tuple[SeedFit, Array]:
    """A finished fit without the mediators that its outcome block saw, and its status.

    Args:
      key: of the fit.
      data: training rows.
      config: of the fit.
      fit: finished.
      facts: of the data.
    """
    code = collapse(jax.random.fold_in(key, 0), data, config, fit, facts)
    return dataclasses.replace(fit, seen=None), st.combine(code, fit.status)


def fit_seeds(
    key: Key, data: Scaled, config: GahmnConfig, penalty: Penalties, seeds: int, batch: int = 1
) -> tuple[SeedFit, Array]:
    """Whole fits with keys of their own and what went wrong, leaves with an axis of seeds."""
    facts = facts_of(data)

    def one(k: Key) -> tuple[SeedFit, Array]:
        return judged(k, data, config, fit_seed(k, data, config, penalty), facts)

    return jax.lax.map(one, jax.random.split(key, seeds), batch_size=batch)
