"""GAHMN as an estimator: trained generators, and effects with an interval that covers."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.deprecations import renamed
from jaxmed.distributions.tails import normal_quantile
from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.estimators.parts.assemble import mediator_effects
from jaxmed.estimators.parts.basis import Basis, check_basis
from jaxmed.estimators.parts.effects_of_record import check_level
from jaxmed.estimators.parts.kept import kept
from jaxmed.estimators.parts.legs import Leg
from jaxmed.gahmn.adversarial import GahmnDetails, details_of
from jaxmed.gahmn.collapse import fit_seeds
from jaxmed.gahmn.config import GahmnConfig, improved
from jaxmed.gahmn.fitting import penalties
from jaxmed.gahmn.penalty_path import penalty_path
from jaxmed.gahmn.reported import reported
from jaxmed.gahmn.rows import check_rows, holdout_rows, small_arm
from jaxmed.gahmn.scaling import training_rows
from jaxmed.keys import as_key
from jaxmed.typing import Array, Estimator, Interval, Key

__all__ = ["gahmn"]

IntervalKind = Literal["auto", "double_selection", "ols", "refit", "bootstrap"]
Nuisance = Literal["splines", "generator"]


@renamed("jaxmed.gahmn.gahmn", penalty="tuning")
@kept
def gahmn(
    config: GahmnConfig | None = None,
    *,
    interval: IntervalKind = "auto",
    nuisance: Nuisance = "splines",
    basis: Basis = "splines_all_products",
    network_covariates: Sequence[int] | None = None,
    n_seeds: int = 1,
    tuning: Literal["given", "path"] = "given",
    holdout: float = 0.0,
    arms: tuple[float, float] | None = None,
    resamples: int = 20,
    batch: int = 1,
    min_rows: int = 50,
    level: float = 0.95,
) -> Estimator:
    """Generative mediation analysis: two conditional generators, and effects that can be trusted.

    The reported effects are the centre of the reported interval. The generators' own, c and
    sum a_k b_k, are in `details.adversarial`: adversarial training gives no standard error, and
    the quantiles that the paper prints are over the generator's noise.

    Args:
      config: `gahmn.improved()` if None; `gahmn.faithful()` trains as printed.
      interval: "ols" (all mediators), "double_selection", "refit" (sandwich on the mediators of
        the outcome generator: covers only where all signals are strong), "bootstrap" (whole
        pipeline under multinomial weights; centre and mediators are the generators'), or "auto":
        "ols" with at least four rows per mediator and basis column, else "double_selection".
      nuisance: curves of the covariates behind "ols", "double_selection" and "refit": "splines", or
        the "generator"'s conditional means.
      basis: of the covariates behind "splines": the splines with all products that the published
        studies had; "given" for data of `jaxmed.covariate_basis`, or another of its names.
      network_covariates: positions of the covariates that the generators see, which learn curves
        of their own; all if None.
      n_seeds: trainings; 5 advised where the adversarial estimate is used.
      tuning: of the penalties: "given" in the configuration, or "path", for either block the best
        of 8 multiples by its held-out conditional-mean loss, 8 trainings more. Where the exposure
        moves mediators by less than about .4 standard deviations the given ones keep none. A
        bootstrap refits with the multiples chosen once.
      holdout: share of rows, drawn with the key, that nothing is fitted to.
      arms: control and treated exposure; None for both values of a binary exposure and the
        quartiles of any other.
      resamples: of "bootstrap".
      batch: trainings vectorised at once: 1 on a CPU, more on an accelerator.
      min_rows: fewer rows are refused.
      level: of the intervals.
    Returns:
      Estimator that needs a key; `details` is GahmnDetails. The status of a collapsed training
      (CRITIC_WON, CRITIC_FLAT, NOISE_COLLAPSE, DIVERGED) qualifies the generators, not the
      effects of "ols" and "double_selection".
    Raises:
      ValueError: an argument outside its range; ShapeError and InvalidDataError, see `check_rows`.
    Source: Zhang et al. (2026, AAAI 40:28247); specification of GAHMN. Coverage of the intervals:
      docs/gahmn.md.
    """
    config = improved() if config is None else config
    check_level(level)
    check_basis(basis)
    _check(interval, nuisance, tuning, n_seeds, holdout, resamples, batch)

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        if key is None:
            raise ValueError("generators are trained with random numbers: pass a key")
        key = as_key(key)
        check_rows(data, min_rows)
        split, training, own = jax.random.split(key, 3)
        if holdout:
            data = _rows(data, holdout_rows(split, data.exposure.shape[0], holdout)[0])
        raw = jnp.asarray(data.covariates)
        if network_covariates is not None:
            raw = raw[:, list(network_covariates)]
        seen = dataclasses.replace(data, covariates=raw, names=Names())
        details = _trained(training, seen, config, n_seeds, tuning, arms, batch)
        if interval == "bootstrap":
            return _bootstrap(own, seen, config, details, arms, resamples, batch, level)
        return reported(own, data, details, interval, nuisance, level, basis=basis, raw=raw)

    return estimate


def _rows(data: MediationData, index: Array) -> MediationData:
    picked = jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], data)
    return dataclasses.replace(picked, names=data.names)


def _trained(
    key: Key,
    data: MediationData,
    config: GahmnConfig,
    n_seeds: int,
    tuning: str,
    arms: tuple[float, float] | None,
    batch: int,
) -> GahmnDetails:
    """All seeds, their mean and what went wrong."""
    scale, ready = training_rows(data, config.precision, arms)
    path, weights = None, penalties(config, ready.mediators.shape[1])
    if tuning == "path":
        key, own = jax.random.split(key)
        path = penalty_path(own, ready, config, weights, batch)
        weights = path.chosen
    fits, codes = fit_seeds(key, ready, config, weights, n_seeds, batch)
    return details_of(scale, config, fits, st.combine(codes, small_arm(ready)), path)


def _bootstrap(
    key: Key,
    data: MediationData,
    config: GahmnConfig,
    details: GahmnDetails,
    arms: tuple[float, float] | None,
    resamples: int,
    batch: int,
    level: float,
) -> Estimate:
    """The generators' effects with the spread of whole fits under multinomial weights."""
    n = data.exposure.shape[0]
    # The choice of a path is held: eight trainings more for each resample would be another price.
    p, path = data.mediators.shape[1], details.path
    weights = penalties(config, p) if path is None else path.chosen
    given = jnp.ones(n) if data.weights is None else jnp.asarray(data.weights)

    def one(k: Key) -> tuple[Array, Array, Array, Array]:
        draw, training = jax.random.split(k)
        rows = jax.random.categorical(draw, jnp.log(given), shape=(n,))
        counts = jnp.zeros(n, data.exposure.dtype).at[rows].add(1)
        again = dataclasses.replace(data, weights=counts)
        scale, ready = training_rows(again, config.precision, arms)
        fits, codes = fit_seeds(training, ready, config, weights, 1)
        found = details_of(scale, config, fits, codes, None).adversarial
        return found.effects.direct, found.effects.indirect, found.alpha, found.beta

    drawn = jax.lax.map(one, jax.random.split(key, resamples), batch_size=batch)
    direct, indirect, alpha, beta = (jnp.nanstd(x, axis=0, ddof=1) for x in drawn)
    total = jnp.nanstd(drawn[0] + drawn[1], ddof=1)
    found = details.adversarial
    errors = Effects(direct, indirect, total)
    half = normal_quantile(jnp.asarray((1 + level) / 2, direct.dtype))
    intervals = Effects(
        *(
            Interval(
                getattr(found.effects, part) - half * getattr(errors, part),
                getattr(found.effects, part) + half * getattr(errors, part),
                level,
                f"normal, {resamples} whole refits",
            )
            for part in ("direct", "indirect", "total")
        )
    )
    reason = st.when(~details.fitted.scale.valid, st.CONSTANT_MEDIATOR)
    table = mediator_effects(
        Leg(found.alpha, alpha, jnp.inf),  # pyright: ignore[reportArgumentType]
        Leg(found.beta, beta, jnp.inf),  # pyright: ignore[reportArgumentType]
        reason,
        level=level,
    )
    return Estimate(found.effects, errors, intervals, table, found.selected, found.status, details)


def _check(
    interval: str,
    nuisance: str,
    tuning: str,
    n_seeds: int,
    holdout: float,
    resamples: int,
    batch: int,
) -> None:
    for name, value, allowed in (
        ("interval", interval, get_args(IntervalKind)),
        ("nuisance", nuisance, get_args(Nuisance)),
        ("tuning", tuning, ("given", "path")),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, not {value!r}")
    for name, value in (("n_seeds", n_seeds), ("resamples", resamples), ("batch", batch)):
        check_count(name, value, least=2 if name == "resamples" else 1)
    if not 0 <= holdout <= 0.9:
        raise ValueError(f"holdout is a share of the rows in [0, 0.9], not {holdout}")
