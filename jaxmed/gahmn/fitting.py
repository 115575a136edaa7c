"""One fit: mediator block, residuals, warm start, outcome block.

The four stages are functions of their own, so that the same fit runs inside one program (an
estimator in a sweep) or stage by stage with checkpoints (`analysis.generator_training`).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.parts import supports as sp
from jaxmed.estimators.parts.basis import with_basis
from jaxmed.estimators.parts.legs import Legs, legs_of
from jaxmed.estimators.parts.partially_linear import outcome_fit
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.gahmn.blocks import MediatorBlock, OutcomeBlock, mediator_block, outcome_block
from jaxmed.gahmn.config import WINDOW, GahmnConfig
from jaxmed.gahmn.networks import Params
from jaxmed.gahmn.scaling import Scaled
from jaxmed.gahmn.training import BlockState, Curve, begin, train
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, Key, pytree

__all__ = [
    "Generators",
    "Penalties",
    "SeedFit",
    "Stage",
    "blocks_of",
    "fit_seed",
    "generators",
    "penalties",
    "spline_legs",
    "start_mediators",
    "start_outcome",
]

PATH = {"num_penalties": 30, "ratio": 0.03, "patience": 10}  # of the warm start's lasso


@pytree
class Penalties:
    """Lambda of either block, in the units of its metric."""

    mediator: Array  # []
    outcome: Array  # []


@pytree
class Generators:
    """What one fit leaves: both generators, on the networks' scale."""

    mediator: Params
    outcome: Params
    mean_draws: Array | None  # [32, noise inputs] behind the mediators' conditional mean
    residual_scale: Array  # [p] of what the outcome block sees, 1 if not residualised
    noise_rows: Array | None  # [n, p] standardised residuals over root n: correlation of the noise
    neighbour: Array | None  # [p] correlation of each residual with that of the mediator before
    exposure_support: Array  # [p] bool, a of the last iterate is not 0
    mediator_support: Array  # [p] bool, b of the last iterate is not 0


@pytree
class SeedFit:
    """One fit and its curves."""

    generators: Generators
    mediator_curve: Curve
    outcome_curve: Curve
    seen: Array | None  # [n, p] mediators as the outcome block saw them
    status: Array  # [] of the warm start


@pytree
class Stage:
    """The outcome block before its first step."""

    state: BlockState
    data: Scaled  # with the mediators that the block sees
    mean_draws: Array | None
    residual_scale: Array
    status: Array


def penalties(config: GahmnConfig, p: int) -> Penalties:
    """Lambdas of the configuration, over p where the metric asks for it."""

    def of(block: object, outputs: int) -> Array:
        share = outputs if block.metric == "adam" else 1  # pyright: ignore[reportAttributeAccessIssue]
        return jnp.asarray(block.lam / share)  # pyright: ignore[reportAttributeAccessIssue]

    return Penalties(of(config.mediator, p), of(config.outcome, 1))


def blocks_of(config: GahmnConfig, data: Scaled) -> tuple[MediatorBlock, OutcomeBlock]:
    """Both blocks for data of this shape."""
    p, q = data.shape
    dtype = data.outcome.dtype
    return mediator_block(config, p, q, dtype), outcome_block(config, p, q, dtype)


def _keys(key: Key) -> tuple[Key, Key, Key]:
    first, second, third = jax.random.split(key, 3)
    return first, second, third


def start_mediators(key: Key, data: Scaled, config: GahmnConfig) -> BlockState:
    """The mediator block before its first step."""
    return begin(blocks_of(config, data)[0], _keys(key)[0], support=data.valid)


def start_outcome(key: Key, data: Scaled, config: GahmnConfig, trained: BlockState) -> Stage:
    """The outcome block before its first step: residualised mediators and warm start.

    Args:
      key: of the fit, the same as in `start_mediators`.
      data: training rows.
      config: of the fit.
      trained: the mediator block after its last step.
    """
    mediators, block = blocks_of(config, data)
    _, own, drawing = _keys(key)
    draws = mediators.generator.mean_noise(drawing)
    seen, scale = data.mediators, jnp.ones_like(data.mediators[0])
    if config.residualise:
        nobody = jnp.zeros_like(data.exposure)
        mean = mediators.generator.mean(trained.average, draws, nobody, data.covariates)
        left = jnp.where(data.valid, data.mediators - mean, 0)
        # The exposure's share of the spread counts: the scale is that of the column itself.
        centre = data.weights @ left / jnp.sum(data.weights)
        scale = sqrt(data.weights @ (left - centre) ** 2 / jnp.sum(data.weights))
        seen = divide(left, scale)
    data = dataclasses.replace(data, mediators=seen)
    if not config.warm_start:
        state = begin(block, own, support=data.valid)
        return Stage(state, data, draws, scale, jnp.int32(st.OK))
    selected, beta, direct, code = warm_start(data)
    start = {"mediators": beta, "exposure": direct}
    return Stage(begin(block, own, start, selected), data, draws, scale, code)


def spline_legs(data: Scaled) -> Legs:
    """Exposure, mediators and outcome given a spline basis of the covariates."""
    plain = MediationData(
        data.exposure, data.mediators, data.outcome, data.covariates, data.weights
    )
    return legs_of(with_basis(rows_of(plain), "splines_all_products"))


def warm_start(data: Scaled) -> tuple[Array, Array, Array, Array]:
    """Lasso with the exposure unpenalised, BIC, refit; all given a spline basis of the covariates.

    Returns:
      Selected mediators [p], their coefficients [p] (0 elsewhere), the exposure's, and the status
      of the lasso. None is selected where the refit does not exist.
    Source: specification of GAHMN, section 8.
    """
    legs = spline_legs(data)
    rows = legs.rows
    found = sp.outcome_support(
        sp.moments(sp.standardised(legs)), rows.count, 1 + legs.outcome_rank, **PATH
    )
    fit = outcome_fit(legs, found.selected, variance="path_sum")
    usable = jnp.isfinite(fit.direct) & jnp.all(jnp.isfinite(fit.beta) | ~found.selected)
    selected = found.selected & usable
    beta = jnp.where(selected, fit.beta, 0).astype(data.outcome.dtype)
    direct = jnp.where(usable, fit.direct, 0).astype(data.outcome.dtype)
    return selected, beta, direct, found.status


def generators(
    key: Key,
    data: Scaled,
    config: GahmnConfig,
    mediators: BlockState,
    stage: Stage,
    outcome: BlockState,
) -> Generators:
    """What a finished fit leaves.

    Args:
      key: of the fit.
      data: training rows.
      config: of the fit.
      mediators: mediator block after its last step.
      stage: outcome block before its first step.
      outcome: outcome block after its last step.
    """
    block = blocks_of(config, data)[0]
    a, b = mediators.generator["exposure"] != 0, outcome.generator["mediators"] != 0
    # Without freezing an average of iterates is never 0: the support is that of the last one.
    mediator = {**mediators.average, "exposure": jnp.where(a, mediators.average["exposure"], 0)}
    last = {**outcome.average, "mediators": jnp.where(b, outcome.average["mediators"], 0)}
    rows = near = None
    if config.noise == "location_scale" and config.correlation != "none":
        mean = block.generator.mean(mediator, None, data.exposure, data.covariates)
        spread = block.generator.scale(mediator, data.exposure, data.covariates)  # pyright: ignore[reportAttributeAccessIssue]
        rows = _unit_columns(jnp.where(data.valid, (data.mediators - mean) / spread, 0), data)
        if config.correlation == "neighbour":
            pairs = jnp.sum(rows[:, 1:] * rows[:, :-1], axis=0)
            rows, near = None, jnp.concatenate([jnp.zeros_like(pairs[:1]), pairs])
    return Generators(mediator, last, stage.mean_draws, stage.residual_scale, rows, near, a, b)


def _unit_columns(rows: Array, data: Scaled) -> Array:
    """Columns of weighted mean 0 and sum of squares 1, so that rows'rows is their correlation."""
    share = data.weights / jnp.sum(data.weights)
    centred = rows - share @ rows
    return jnp.sqrt(share)[:, None] * divide(centred, sqrt(share @ centred**2))


def fit_seed(key: Key, data: Scaled, config: GahmnConfig, penalty: Penalties) -> SeedFit:
    """A whole fit inside one program.

    Args:
      key: consumed.
      data: training rows, as the networks see them.
      config: of the fit.
      penalty: lambdas; those of the configuration are `penalties(config, p)`.
    """
    mediator, outcome = blocks_of(config, data)
    state = start_mediators(key, data, config)
    state, first = train(mediator, data, penalty.mediator, state, config.mediator.steps // WINDOW)
    stage = start_outcome(key, data, config, state)
    final, second = train(
        outcome, stage.data, penalty.outcome, stage.state, config.outcome.steps // WINDOW
    )
    left = generators(key, data, config, state, stage, final)
    return SeedFit(left, first, second, stage.data.mediators, stage.status)
