"""Effects by generated counterfactuals.

With partially linear generators every effect is the same for every individual and draw: direct
c (t1 - t0), indirect sum a_k b_k (t1 - t0), each when both arms share their noise. These functions
generate all the same, so that they hold for generators that are not, and so that the printed
quantities can be shown for what they are.

Source: Zhang et al. (2026), eqs. (7) to (12), with t for t0 inside the sum of (8) and the sums over
draws and individuals that (12) lacks.
"""

import jax
import jax.numpy as jnp

from jaxmed.budget import check_count
from jaxmed.estimators.estimate import Effects
from jaxmed.gahmn.fitted import Fitted
from jaxmed.keys import as_key
from jaxmed.typing import Array, Interval, Key, pytree

__all__ = ["Counterfactuals", "counterfactuals", "simulation_interval"]


@pytree
class Counterfactuals:
    """Contrasts of treated against control, for n individuals and J draws."""

    direct: Array  # [n] mean over draws
    indirect: Array  # [n]
    mediators: Array  # [n, p] of each mediator set back to control; [n, 0] if not asked for
    direct_draws: Array  # [J] mean over individuals
    indirect_draws: Array  # [J]

    @property
    def effects(self) -> Effects:
        """Means over individuals, eqs. (10) and (11)."""
        direct, indirect = jnp.mean(self.direct), jnp.mean(self.indirect)
        return Effects(direct, indirect, direct + indirect)

    @property
    def mediator_effects(self) -> Array:
        """Means over individuals [p], eq. (12)."""
        return jnp.mean(self.mediators, axis=0)


def counterfactuals(
    key: Key,
    fitted: Fitted,
    covariates: Array,
    *,
    control: Array | float | None = None,
    treated: Array | float | None = None,
    draws: int = 100,
    shared_noise: bool = True,
    mediators: bool = True,
) -> Counterfactuals:
    """Direct, indirect and per-mediator effects of individuals, by generation.

    Args:
      key: consumed.
      fitted: one seed.
      covariates: of the individuals [n, q]; a subgroup is its rows.
      control: exposure t0; the fit's if None.
      treated: exposure t1; the fit's if None.
      draws: N_g.
      shared_noise: both arms see the same noise. With noise of their own, the spread over draws
        is that of the generator's noise, about sqrt(2 v / n), and of no estimation error.
      mediators: also one contrast for every mediator, p passes of the outcome's last layer.
    """
    key = as_key(key)
    check_count("draws", draws)
    arms = fitted.scale.arms
    n = covariates.shape[0]
    low, high = (
        jnp.full(n, default if given is None else given)
        for given, default in ((control, arms.control), (treated, arms.treated))
    )
    mean_key, draw_key = jax.random.split(key)

    def mean_mediators(arm: Array, k: Key) -> Array:
        """Eq. (8)."""

        def one(each: Key) -> Array:
            return fitted.mediators(fitted.mediator_noise(each, n), arm, covariates)

        return jax.lax.map(one, jax.random.split(k, draws)).mean(axis=0)

    first, second = (mean_key, mean_key) if shared_noise else jax.random.split(mean_key)
    at_low, at_high = (
        fitted.seen_mediators(mean_mediators(arm, k), covariates)
        for arm, k in ((low, first), (high, second))
    )
    p = at_low.shape[1]

    def one(k: Key) -> tuple[Array, Array, Array]:
        keys = [k] * 6 if shared_noise else list(jax.random.split(k, 6))
        noise = [fitted.outcome_noise(each, n) for each in keys]

        def outcome(i: int, arm: Array, m: Array) -> Array:
            return fitted.outcomes_of_seen(noise[i], arm, m, covariates)

        direct = outcome(0, high, at_low) - outcome(1, low, at_low)
        indirect = outcome(2, high, at_high) - outcome(3, high, at_low)
        if not mediators:
            return direct, indirect, jnp.zeros((n, 0), direct.dtype)
        whole = outcome(4, high, at_high)

        def without(j: Array) -> Array:
            return outcome(5, high, at_high.at[:, j].set(at_low[:, j]))

        return direct, indirect, whole[:, None] - jax.lax.map(without, jnp.arange(p)).T

    found = jax.lax.map(one, jax.random.split(draw_key, draws))
    direct, indirect, each = found
    return Counterfactuals(
        direct.mean(axis=0),
        indirect.mean(axis=0),
        each.mean(axis=0),
        direct.mean(axis=1),
        indirect.mean(axis=1),
    )


def simulation_interval(found: Counterfactuals, level: float = 0.95) -> Effects:
    """Quantiles of the effects over draws of the generator's noise: NOT a confidence interval.

    What the paper prints as its interval. It measures how the generator's noise moves the mean
    over individuals; estimation error is not in it. Its width is zero where both arms share their
    noise, as the printed equations have it.

    Returns:
      Effects of Interval.
    """
    tails = jnp.asarray([(1 - level) / 2, (1 + level) / 2])

    def of(draws: Array) -> Interval:
        lower, upper = jnp.quantile(draws, tails.astype(draws.dtype))
        return Interval(lower, upper, level, "quantiles over generator noise, no sampling error")

    total = found.direct_draws + found.indirect_draws
    return Effects(of(found.direct_draws), of(found.indirect_draws), of(total))
