"""GAHMN as an estimator: trained generators, and effects with an interval that covers."""

import dataclasses
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.data import validation
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import InvalidDataError, ShapeError
from jaxmed.distributions.tails import normal_quantile
from jaxmed.estimators.double_selection import double_selection
from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.estimators.ols import ols
from jaxmed.estimators.parts.assemble import mediator_effects
from jaxmed.estimators.parts.basis import with_basis
from jaxmed.estimators.parts.effects_of_record import answer, check_level
from jaxmed.estimators.parts.legs import Leg, legs_of
from jaxmed.estimators.parts.partially_linear import outcome_fit
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.gahmn.collapse import collapse, facts_of
from jaxmed.gahmn.config import GahmnConfig, improved
from jaxmed.gahmn.fitted import Fitted, linear_part, one_seed
from jaxmed.gahmn.fitting import SeedFit, fit_seed, penalties
from jaxmed.gahmn.penalty_path import PenaltyPath, penalty_path
from jaxmed.gahmn.scaling import Arms, Scaled, scale_of, scaled
from jaxmed.gahmn.training import Curve
from jaxmed.typing import Array, Estimator, Interval, Key, pytree

__all__ = [
    "Adversarial",
    "GahmnDetails",
    "check_rows",
    "details_of",
    "gahmn",
    "holdout_rows",
    "reported",
]

IntervalKind = Literal["auto", "double_selection", "ols", "refit", "bootstrap"]
Nuisance = Literal["splines", "generator"]
FEW = 4  # rows per column from which least squares on all mediators costs little
MIN_ARM = 20


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


def holdout_rows(key: Key, num_rows: int, holdout: float) -> tuple[Array, Array]:
    """Positions of training and held-out rows.

    Args:
      key: consumed.
      num_rows: n.
      holdout: share of the rows held out.
    """
    order = jax.random.permutation(key, num_rows)
    train = num_rows - round(holdout * num_rows)
    return jnp.sort(order[:train]), jnp.sort(order[train:])


def check_rows(data: MediationData, min_rows: int = 50) -> None:
    """Refuses too few rows, and a binary exposure with an arm below 20 rows.

    Args:
      data: concrete values are looked at, traced ones only for their shape.
      min_rows: least number of rows.
    Raises:
      ShapeError: fewer rows.
      InvalidDataError: an arm that is too small, with the column's name.
    """
    n = data.exposure.shape[0]
    if n < min_rows:
        raise ShapeError(
            f"adversarial training on {n} rows is not to be trusted: at least min_rows={min_rows} "
            "are asked for; pass a lower min_rows to train all the same"
        )
    if validation.is_traced(data.exposure):
        return
    exposure = np.asarray(data.exposure)
    kept = exposure if data.weights is None else exposure[np.asarray(data.weights) > 0]
    values, counts = np.unique(kept, return_counts=True)
    name = data.names.exposure
    if len(values) == 1:
        raise InvalidDataError(
            f"exposure {name!r} has the value {values[0]:g} in all rows, so that one arm is "
            "empty: rows of both arms are needed"
        )
    if len(values) == 2 and counts.min() < MIN_ARM:
        arm, small = values[counts.argmin()], counts.min()
        raise InvalidDataError(
            f"exposure {name!r} has only {small} rows with the value {arm:g}: each arm needs "
            f"{MIN_ARM} for its distribution to be learned; merge levels or collect more rows"
        )


def gahmn(
    config: GahmnConfig | None = None,
    *,
    interval: IntervalKind = "auto",
    nuisance: Nuisance = "splines",
    n_seeds: int = 1,
    penalty: Literal["given", "path"] = "given",
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
      n_seeds: trainings; 5 advised where the adversarial estimate is used.
      penalty: "given" in the configuration, or "path": the best of 8 multiples by the held-out
        conditional-mean loss, 9 trainings a seed.
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
    _check(interval, nuisance, penalty, n_seeds, holdout, resamples, batch)

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        if key is None:
            raise ValueError("generators are trained with random numbers: pass a key")
        check_rows(data, min_rows)
        split, training, own = jax.random.split(key, 3)
        if holdout:
            data = _rows(data, holdout_rows(split, data.exposure.shape[0], holdout)[0])
        details = _trained(training, data, config, n_seeds, penalty, arms, batch)
        if interval == "bootstrap":
            return _bootstrap(own, data, config, details, arms, resamples, batch, level)
        return reported(own, data, details, interval, nuisance, level)

    return estimate


def _rows(data: MediationData, index: Array) -> MediationData:
    picked = jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], data)
    return dataclasses.replace(picked, names=data.names)


def _trained(
    key: Key, data: MediationData, config: GahmnConfig, n_seeds: int, penalty: str,
    arms: tuple[float, float] | None, batch: int,
) -> GahmnDetails:  # fmt: skip
    """All seeds, their mean and what went wrong."""
    scale = scale_of(data, None if arms is None else Arms(*map(jnp.asarray, arms)))
    dtype = jnp.dtype(jnp.float32) if config.precision == "float32" else scale.outcome.dtype
    ready = scaled(data, scale, dtype)
    facts = facts_of(ready)
    path, weights = None, penalties(config, ready.mediators.shape[1])
    if penalty == "path":
        key, own = jax.random.split(key)
        path = penalty_path(own, ready, config, weights, batch)
        weights = path.chosen

    def one(k: Key) -> tuple[SeedFit, Array]:
        fit = fit_seed(k, ready, config, weights)
        code = collapse(jax.random.fold_in(k, 0), ready, config, fit, facts)
        return dataclasses.replace(fit, seen=None), code

    fits, codes = jax.lax.map(one, jax.random.split(key, n_seeds), batch_size=batch)
    return details_of(scale, config, fits, st.combine(codes, small_arm(ready)), path)


def small_arm(data: Scaled) -> Array:
    """SMALL_SAMPLE where an arm of a binary exposure has less than 20 rows; for traced data."""
    present = data.weights > 0
    rows = [jnp.sum(present & (data.exposure == arm)) for arm in (0, 1)]
    binary = rows[0] + rows[1] == jnp.sum(present)
    return st.when(binary & (jnp.minimum(*rows) < MIN_ARM), st.SMALL_SAMPLE)


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
        alpha=valid(linear.alpha), beta=valid(linear.beta), indirect=valid(linear.indirect),
        selected=(jnp.mean(kept, axis=0) > 0.5) & scale.valid,
        frequency=frequency,
        seed_sd=Effects(sd(linear.direct), sd(indirect), sd(total)),
        status=st.combine(jnp.max(codes), empty), seed_status=codes,
    )  # fmt: skip
    return GahmnDetails(adversarial, fitted, fits.mediator_curve, fits.outcome_curve, path)


def _curve_free(key: Key, data: MediationData, fitted: Fitted) -> MediationData:
    """Mediators and outcome minus the generators' conditional means at control."""
    covariates = jnp.asarray(data.covariates)
    nobody = jnp.full(covariates.shape[0], fitted.scale.arms.control)
    curve = fitted.mediator_mean(nobody, covariates)
    level = fitted.outcome_mean(key, nobody, curve, covariates)
    return dataclasses.replace(
        data, mediators=jnp.asarray(data.mediators) - curve,
        outcome=jnp.asarray(data.outcome) - level,
    )  # fmt: skip


def reported(
    key: Key, data: MediationData, details: GahmnDetails, interval: str, nuisance: str,
    level: float,
) -> Estimate:  # fmt: skip
    """The effects of record, with the generators in the details.

    Args:
      key: of cross-validation folds.
      data: training rows.
      details: of the trained generators.
      interval: see `gahmn`, all but "bootstrap".
      nuisance: see `gahmn`.
      level: of the intervals.
    """
    basis: Any = "splines"
    drawn, folds = jax.random.split(key)
    if nuisance == "generator":
        basis, data = "linear", _curve_free(drawn, data, one_seed(details.fitted, 0))
    if interval == "auto":
        n, p = data.mediators.shape
        shape = jax.eval_shape(lambda d: with_basis(rows_of(d), basis).mediator_base, data)
        interval = "ols" if n >= FEW * (p + shape.shape[1]) else "double_selection"
    if interval == "ols":
        found = ols(basis=basis, level=level)(None, data)
    elif interval == "double_selection":
        found = double_selection(basis=basis, level=level)(folds, data)
    else:
        found = _refit(data, details, basis, level)
    status = st.combine(found.status, details.adversarial.status)
    return dataclasses.replace(found, status=status, details=details)


def _refit(data: MediationData, details: GahmnDetails, basis: Any, level: float) -> Estimate:
    """Least squares on the mediators of the outcome generator, as if they had been known."""
    legs = legs_of(with_basis(rows_of(data), basis))
    support = jnp.mean(details.fitted.generators.mediator_support, axis=0) > 0.5
    fit = outcome_fit(legs, support, variance="path_sum")
    return answer(
        legs, fit, fit.beta, fit.beta_se, st.when(~support, st.NOT_SELECTED), selected=support,
        details=None, level=level, status=fit.status,
        method="normal, HC2, as if the selected set had been known",
    )  # fmt: skip


def _bootstrap(
    key: Key, data: MediationData, config: GahmnConfig, details: GahmnDetails,
    arms: tuple[float, float] | None, resamples: int, batch: int, level: float,
) -> Estimate:  # fmt: skip
    """The generators' effects with the spread of whole fits under multinomial weights."""
    n = data.exposure.shape[0]
    given = jnp.ones(n) if data.weights is None else jnp.asarray(data.weights)

    def one(k: Key) -> tuple[Array, Array, Array, Array]:
        draw, training = jax.random.split(k)
        rows = jax.random.categorical(draw, jnp.log(given), shape=(n,))
        counts = jnp.zeros(n, data.exposure.dtype).at[rows].add(1)
        again = _trained(
            training, dataclasses.replace(data, weights=counts), config, 1, "given", arms, 1
        )
        found = again.adversarial
        return found.effects.direct, found.effects.indirect, found.alpha, found.beta

    drawn = jax.lax.map(one, jax.random.split(key, resamples), batch_size=batch)
    direct, indirect, alpha, beta = (jnp.nanstd(x, axis=0, ddof=1) for x in drawn)
    total = jnp.nanstd(drawn[0] + drawn[1], ddof=1)
    found = details.adversarial
    errors = Effects(direct, indirect, total)
    half = normal_quantile(jnp.asarray((1 + level) / 2, direct.dtype))
    intervals = Effects(*(
        Interval(
            getattr(found.effects, part) - half * getattr(errors, part),
            getattr(found.effects, part) + half * getattr(errors, part),
            level, f"normal, {resamples} whole refits",
        )
        for part in ("direct", "indirect", "total")
    ))  # fmt: skip
    reason = st.when(~details.fitted.scale.valid, st.CONSTANT_MEDIATOR)
    table = mediator_effects(
        Leg(found.alpha, alpha, jnp.inf), Leg(found.beta, beta, jnp.inf), reason, level=level,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    return Estimate(found.effects, errors, intervals, table, found.selected, found.status, details)


def _check(
    interval: str, nuisance: str, penalty: str, n_seeds: int, holdout: float, resamples: int,
    batch: int,
) -> None:  # fmt: skip
    for name, value, allowed in (
        ("interval", interval, get_args(IntervalKind)),
        ("nuisance", nuisance, get_args(Nuisance)),
        ("penalty", penalty, ("given", "path")),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, not {value!r}")
    if n_seeds < 1 or batch < 1:
        raise ValueError("n_seeds and batch must be at least 1")
    if not 0 <= holdout <= 0.9:
        raise ValueError(f"holdout is a share of the rows in [0, 0.9], not {holdout}")
    if resamples < 2:
        raise ValueError(f"resamples must be at least 2, not {resamples}")
