"""Value of a rule that assigns the exposure."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.data import validation
from jaxmed.data.mediation_data import MediationData, weights_of
from jaxmed.door import at_the_door
from jaxmed.estimands.disparity import check_two_values
from jaxmed.estimands.generated import generated_mean, over_seeds
from jaxmed.estimands.generator import Generator, Trainable, generators_of
from jaxmed.estimands.structural import check_options, mean_of, settled
from jaxmed.estimands.terms import Terms, terms_of
from jaxmed.estimators.parts.arms import Arms, arms_of
from jaxmed.estimators.parts.basis import Basis, with_basis
from jaxmed.estimators.parts.logistic_refit import logistic_refit
from jaxmed.estimators.parts.rows import Rows, rows_of
from jaxmed.keys import as_key
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.sparse.folds import assign_folds
from jaxmed.typing import Array, ArrayLike, Key, pytree

__all__ = ["PolicyValue", "policy_value"]

Rule = Callable[[Array], ArrayLike] | ArrayLike
Probability = Callable[[Array], ArrayLike] | ArrayLike | None
RARE = 0.01  # estimated probabilities stay this far from 0 and 1


@pytree
class PolicyValue:
    """Mean outcomes under a rule and beside it, in units of the outcome.

    `values` has "rule" V(pi), "observed" E[Y], "gain" V(pi) - E[Y], "all" and "none" treated.
    """

    values: Terms
    generated: Array | None  # [] V(pi) by the generators
    probability: Array  # [n] of the treatment, held-out where estimated
    effective_rows: Array  # [] (sum of ratios)^2 / sum of their squares
    status: Array  # [] of the values
    generator_status: Array | None  # [] of the training; it qualifies `generated` only


def policy_value(
    key: Key,
    data: MediationData,
    rule: Rule,
    *,
    probability: Probability = None,
    folds: int = 5,
    generator: Generator | Trainable | None = None,
    seeds: int = 1,
    draws: int = 50,
    basis: Basis = "splines_all_products",
    level: float = 0.95,
) -> PolicyValue:
    """V(pi) = E[Y(pi(X), M(pi(X)))]: the mean outcome if everybody were treated by the rule.

    The mediators follow the treatment that the rule gives. The estimate is the mean of

        mu_pi(X) + [pi T / e(X) + (1 - pi)(1 - T) / (1 - e(X))] (Y - mu_T(X)),

    mu_t a regression of the outcome on the basis, the treatment and its products with the
    covariates, and e the probability of the treatment. It is consistent if either is right, and
    efficient if both are; no model of the mediators is in it, so that it needs none of the
    generators' assumptions, and cannot gain from them. The regime: no unmeasured confounding
    given X, and overlap (`probability`).

    Args:
      key: consumed (folds, training, draws).
      data: exposure with two values; the larger one is "treated".
      rule: function of the covariates [n, q], or values [n]: 1 treats, 0 does not, between is the
        probability of treatment. It must not have been learned from these outcomes.
      probability: of the treatment, where it is known by design: a number, values [n] or a
        function of the covariates. None models it: logistic on the basis with a weak prior,
        kept .01 off 0 and 1.
      folds: nuisances are predicted for rows that they have not seen; 1 for in-sample nuisances.
      generator: draws beside the estimates, as in `disparity`; None for none.
      seeds: trainings, where there is something to train.
      draws: of mediators and outcome for each individual.
      basis: of the covariates.
      level: of the intervals.
    Returns:
      PolicyValue.
    Raises:
      ValueError: a rule or probability of another shape or outside its range, folds below 1, an
        exposure with other than two values, an unknown option.
    Source: Robins, Rotnitzky and Zhao (1994); cross-fitting after Chernozhukov et al. (2018).
    """
    key = as_key(key)
    check_options("auto", basis, level)
    check_count("folds", folds)
    check_count("draws", draws)
    check_two_values(data)
    covariates = jnp.asarray(data.covariates)
    treat = _each(rule, covariates, "rule", closed=True)
    known = None if probability is None else _each(probability, covariates, "probability")
    splitting, training, drawing = jax.random.split(key, 3)
    own = None if generator is None else generators_of(training, data, generator, seeds)
    values, chance, effective, status, arms = _estimates(
        splitting, *settled(data, basis), covariates, treat, known, folds, level
    )
    drawn = None
    if own is not None:

        def quantity(k: Key, one: Generator) -> Array:
            coin = jax.random.uniform(jax.random.fold_in(k, 0), treat.shape, treat.dtype) < treat
            exposure = jnp.where(coin, arms.treated, arms.control)
            return generated_mean(k, one, covariates, weights_of(data), exposure, draws=draws)

        drawn = over_seeds(drawing, own, quantity, covariates.dtype)
    return PolicyValue(
        values, drawn, chance, effective, status, None if own is None else own.status
    )


@at_the_door("basis", "folds", "level")
def _estimates(
    key: Key,
    data: MediationData,
    basis: Basis,
    covariates: Array,
    treat: Array,
    known: Array | None,
    folds: int,
    level: float,
) -> tuple[Terms, Array, Array, Array, Arms]:
    """Values, probability of treatment, effective rows, a status, and the two exposures."""
    rows = with_basis(rows_of(data), basis)
    w, arms = rows.weights, arms_of(rows.exposure, rows.weights)
    treated = (rows.exposure == arms.treated).astype(rows.outcome.dtype)
    none, every, chance, code = _nuisances(key, rows, covariates, treated, known, folds)
    values, ratio = _aipw(rows, treated, treat, none, every, chance)
    return (
        terms_of(values, level, "normal, doubly robust"),
        chance,
        divide(jnp.sum(w * ratio) ** 2, jnp.sum(w * ratio**2)),
        st.combine(rows.status, code),
        arms,
    )


def _each(given: Rule, covariates: Array, name: str, closed: bool = False) -> Array:
    """Values [n] in [0, 1], or in (0, 1)."""
    made = given(covariates) if callable(given) else given
    n = covariates.shape[0]
    traced = validation.is_traced(*jax.tree.leaves(made))
    xp: Any = jnp if traced else np
    values = xp.asarray(made, covariates.dtype)
    if values.ndim and values.shape != (n,):
        raise ValueError(f"{name} must give one value for each of {n} rows, not {values.shape}")
    if not traced:
        inside = (values >= 0) & (values <= 1) if closed else (values > 0) & (values < 1)
        if not np.all(inside):
            limits = "[0, 1]" if closed else "(0, 1)"
            raise ValueError(f"{name} must lie in {limits} for every row")
    return xp.broadcast_to(values, (n,))


def _nuisances(
    key: Key, rows: Rows, covariates: Array, treated: Array, known: Array | None, folds: int
) -> tuple[Array, Array, Array, Array]:
    """mu_0, mu_1 and e [n] at rows that were not fitted (but for one fold), and a status."""
    n, r = rows.outcome_base.shape
    w, base, y = rows.weights, rows.outcome_base, rows.outcome
    moved = jnp.concatenate([jnp.ones_like(y)[:, None], covariates], axis=1)
    design = jnp.concatenate([base, treated[:, None] * moved], axis=1)
    fold = assign_folds(key, n, folds)

    def fit(number: Array) -> tuple[Array, Array, Array, Array]:
        seen = w * ((fold != number) | (folds == 1)).astype(w.dtype)
        found = _coefficients(design, seen, y)
        none = matmul(base, found[:r])
        every = none + matmul(moved, found[r:])
        if known is not None:
            return none, every, known, jnp.int32(st.OK)
        chance, code = _logistic(base, treated, seen)
        return none, every, chance, code

    found = jax.lax.map(fit, jnp.arange(folds, dtype=fold.dtype))
    none, every, chance = (each[fold, jnp.arange(n)] for each in found[:3])
    if known is None:
        chance = jnp.clip(chance, RARE, 1 - RARE)
    return none, every, chance, jnp.max(found[3])


def _logistic(base: Array, treated: Array, weights: Array) -> tuple[Array, Array]:
    """Probability of treatment [n] and a status; finite also where the arms are separated.

    Every column but the intercept has a log-F(2, 2) prior on its log odds at its largest value,
    as one more row of either arm: spline columns that end in a few rows would otherwise make
    probabilities of 0 and 1 of them, and the ratios of the value explode.
    Source: Greenland and Mansournia (2015), priors by data augmentation.
    """
    r = base.shape[1]
    prior = jnp.diag(jnp.max(jnp.abs(base), axis=0))[1:]
    columns = jnp.concatenate([base, prior, prior])
    ones = jnp.ones(r - 1, base.dtype)
    outcome = jnp.concatenate([treated, ones, 0 * ones])
    model = logistic_refit(
        columns, jnp.ones(r, bool), outcome, jnp.concatenate([weights, ones, ones])
    )
    return jax.nn.sigmoid(matmul(base, model.coefficients)), model.status


def _coefficients(base: Array, weights: Array, column: Array) -> Array:
    """Weighted least squares of a column on the base [n, r], dependent columns shared out."""
    size = sqrt(matmul(weights, base * base))
    scaled = divide(base, size)
    moved = (scaled * weights[:, None]).T
    inverse = jnp.linalg.pinv(matmul(moved, scaled), hermitian=True)
    found = matmul(inverse, matmul(moved, column))
    # Once more for what the normal equations lose to rounding.
    found = found + matmul(inverse, matmul(moved, column - matmul(scaled, found)))
    return divide(found, size)


def _aipw(
    rows: Rows, treated: Array, treat: Array, none: Array, every: Array, chance: Array
) -> tuple[dict[str, tuple[Array, Array]], Array]:
    """Every value with its influence, and the rule's ratios [n]."""
    y, w = rows.outcome, rows.weights
    left = y - jnp.where(treated == 1, every, none)

    def ratio(rule: Array) -> Array:
        return rule * treated / chance + (1 - rule) * (1 - treated) / (1 - chance)

    def value(rule: Array) -> tuple[Array, Array]:
        return mean_of(w, rule * every + (1 - rule) * none + ratio(rule) * left)

    own, seen = value(treat), mean_of(w, y)
    ones = jnp.ones_like(treat)
    return {
        "rule": own,
        "observed": seen,
        "gain": (own[0] - seen[0], own[1] - seen[1]),
        "all": value(ones),
        "none": value(0 * ones),
    }, ratio(treat)
