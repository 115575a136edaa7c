"""The linear structural equation model, in both orders of exposure and mediators.

"mediators_first" is the simulation model of He (2026), eq. (30): A = X alpha + exposure_sd e.
"exposure_first" is the causal one: X = alpha A + noise. Either is Gaussian and either implies the
other; what they share is the law of the two paths (`distributions.exact_law`).
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.budget import check_count
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.data.validation import is_traced
from jaxmed.distributions.exact_law import Law, law_from_causal, law_from_sem
from jaxmed.keys import as_key
from jaxmed.linalg.products import matmul, row_gram
from jaxmed.linalg.triangular import solve_lower
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.typing import Array, ArrayLike, Key, pytree, static

__all__ = [
    "LinearSem",
    "Truth",
    "law_of",
    "linear_sem",
    "sample",
    "sample_moments",
    "truth",
    "whitened",
]

Order = Literal["mediators_first", "exposure_first"]


@pytree
class LinearSem:
    """Parameters of the model; `linear_sem` makes one.

    mediators_first: X = L z, A = X alpha + exposure_sd e, Y = X beta + direct A + outcome_sd u.
    exposure_first:  A = exposure_sd e, X = alpha A + L z, Y as above.
    Covariates C [n, q] are standard normal and add C @ covariate_effects to [A, X, Y].
    """

    alpha: Array  # [p]
    beta: Array  # [p] outcome units per mediator unit
    direct: Array  # [] outcome units per exposure unit
    exposure_sd: Array  # [] given the mediators (mediators_first) or all of it (exposure_first)
    outcome_sd: Array  # [] given exposure and mediators
    lower: Array | None  # [p, p] Cholesky factor L of the mediators' covariance; None: identity
    covariate_effects: Array | None  # [q, 2 + p] on exposure, outcome, mediators; None: q = 0
    order: Order = static(default="mediators_first")

    @property
    def num_mediators(self) -> int:
        """P, from the shape."""
        return self.alpha.shape[-1]

    @property
    def num_covariates(self) -> int:
        """Q, from the shape."""
        return 0 if self.covariate_effects is None else self.covariate_effects.shape[0]


@pytree
class Truth:
    """Population effects of one unit of exposure, in outcome units."""

    direct: Array
    total_indirect: Array  # a'b, through all mediators jointly
    concordant: Array  # >= 0: of the population's MaxIE composite
    suppression: Array  # <= 0; concordant + suppression = total_indirect
    cosine: Array  # of the angle between the population's paths

    @property
    def total(self) -> Array:
        """Direct and total indirect effect together."""
        return self.direct + self.total_indirect


def linear_sem(
    alpha: ArrayLike,
    beta: ArrayLike,
    *,
    direct: ArrayLike = 0.0,
    exposure_sd: ArrayLike = 1.0,
    outcome_sd: ArrayLike = 1.0,
    lower: Array | None = None,
    covariate_effects: Array | None = None,
    order: Order = "mediators_first",
) -> LinearSem:
    """A checked LinearSem of one float dtype.

    Raises:
      ValueError: shapes that do not agree, an unknown order, or a concrete `lower` with an entry
        above its diagonal (a covariance, say).
    """
    if order not in ("mediators_first", "exposure_first"):
        raise ValueError(f'order is "mediators_first" or "exposure_first", not {order!r}')
    alpha, beta = jnp.asarray(alpha), jnp.asarray(beta)
    p = alpha.shape[-1]
    if beta.shape[-1] != p:
        raise ValueError(f"alpha has {p} mediators and beta {beta.shape[-1]}")
    if lower is not None and lower.shape[-2:] != (p, p):
        raise ValueError(f"lower must be [{p}, {p}], not {lower.shape}")
    if lower is not None and not is_traced(lower) and np.triu(np.asarray(lower), 1).any():
        raise ValueError(
            "lower must be lower triangular, a Cholesky factor: of a covariance, pass "
            "jnp.linalg.cholesky(covariance)"
        )
    if covariate_effects is not None and covariate_effects.shape[-1] != p + 2:
        raise ValueError(
            "covariate_effects has a column for the exposure, the outcome and each of the "
            f"{p} mediators: [q, {p + 2}], not {covariate_effects.shape}"
        )
    dtype = jnp.result_type(alpha, beta, *([] if lower is None else [lower]), float(0))

    def cast(value: ArrayLike) -> Array:
        return jnp.asarray(value, dtype)

    return LinearSem(
        cast(alpha),
        cast(beta),
        cast(direct),
        cast(exposure_sd),
        cast(outcome_sd),
        None if lower is None else cast(lower),
        None if covariate_effects is None else cast(covariate_effects),
        order,
    )


def sample(key: Key, model: LinearSem, num_rows: int) -> MediationData:
    """One data set of independent rows; the key is consumed.

    Args:
      key: PRNG key.
      model: one model (batch models by vmap).
      num_rows: n, static.

    Returns:
      MediationData of the model's dtype.
    """
    key = as_key(key)
    covariates, exposure, outcome, mediators = _mix(model, _draw(key, model, num_rows))
    return MediationData(exposure, mediators.T, outcome, covariates.T, None, Names())


def sample_moments(key: Key, model: LinearSem, num_rows: int) -> CrossMoments:
    """The moments of the data set that `sample` draws from the same key, without making it.

    The rows are drawn and multiplied; what the model does to them is linear and is done to the
    moments of the draws, d x d numbers instead of n x d. One pass suffices because the draws have
    mean zero. For studies of what needs only moments (the primal).
    """
    key = as_key(key)
    draws = _draw(key, model, num_rows)
    mean = jnp.mean(draws, axis=1)
    centred = row_gram(draws) - num_rows * jnp.outer(mean, mean)
    half = jnp.concatenate(_mix(model, centred, stacked=True))
    comoment = jnp.concatenate(_mix(model, half.T, stacked=True))
    count = jnp.asarray(num_rows, draws.dtype)
    names = Names()
    mixed_mean = jnp.concatenate(_mix(model, mean[:, None], stacked=True))[:, 0]
    q = model.num_covariates
    return CrossMoments(count, count, count, mixed_mean, comoment, q, names)


def _draw(key: Key, model: LinearSem, num_rows: int) -> Array:
    """Standard normals [q + 2 + p, n]: covariates, exposure noise, outcome noise, mediators.

    Rows of this array are the columns of the data: a long last axis is drawn twice as fast.
    """
    size = model.num_covariates + 2 + model.num_mediators
    check_count("num_rows", num_rows, 1, size * model.alpha.dtype.itemsize)
    return jax.random.normal(key, (size, num_rows), model.alpha.dtype)


def _mix(
    model: LinearSem, draws: Array, stacked: bool = False
) -> tuple[Array, Array, Array, Array]:
    """The model's linear map of [covariates, noises, mediators] [q + 2 + p, k].

    Returns:
      covariates [q, k], exposure, outcome ([k], or [1, k] if `stacked`) and mediators [p, k].
    """
    q = model.num_covariates
    c, exposure_noise, outcome_noise, x = draws[:q], draws[q], draws[q + 1], draws[q + 2 :]
    exposure_noise = model.exposure_sd * exposure_noise
    if model.lower is not None:
        x = matmul(model.lower, x)
    if model.order == "mediators_first":
        exposure = matmul(model.alpha, x) + exposure_noise
    else:
        exposure = exposure_noise
        x = x + model.alpha[:, None] * exposure
    outcome = matmul(model.beta, x) + model.direct * exposure + model.outcome_sd * outcome_noise
    if model.covariate_effects is not None:
        shift = matmul(model.covariate_effects.T, c)
        exposure, outcome, x = exposure + shift[0], outcome + shift[1], x + shift[2:]
    if stacked:
        exposure, outcome = exposure[None], outcome[None]
    return c, exposure, outcome, x


def whitened(model: LinearSem) -> LinearSem:
    """The model of L^-1 X: independent mediators, the same law of the paths.

    Angles, tests and optimal effects of the primal do not change under a linear map of the
    mediators, and drawing L^-1 X saves the product with L in every replicate. Weights and
    single-mediator effects do change, and so does everything in the dual.
    """
    if model.lower is None:
        return model
    alpha = (
        matmul(model.alpha, model.lower)
        if model.order == "mediators_first"
        else solve_lower(model.lower, model.alpha)
    )
    effects = model.covariate_effects
    if effects is not None:
        effects = jnp.concatenate(
            [effects[:, :2], solve_lower(model.lower, effects[:, 2:].T).T], axis=1
        )
    return LinearSem(
        alpha,
        matmul(model.beta, model.lower),
        model.direct,
        model.exposure_sd,
        model.outcome_sd,
        None,
        effects,
        model.order,
    )


def law_of(model: LinearSem, num_rows: ArrayLike) -> Law:
    """The exact law of the path quadratics of `num_rows` rows of the model.

    Exact for p <= n-2-q; the direct effect and the covariates' effects do not enter.
    """
    p = model.num_mediators
    identity = jnp.eye(p, dtype=model.alpha.dtype)
    white = whitened(model)
    make = law_from_sem if model.order == "mediators_first" else law_from_causal
    return make(
        white.alpha,
        white.beta,
        identity,
        num_rows=num_rows,
        exposure_sd=model.exposure_sd,
        outcome_sd=model.outcome_sd,
        num_covariates=model.num_covariates,
    )


def truth(model: LinearSem) -> Truth:
    """Population effects of the model, in the causal order exposure -> mediators -> outcome.

    The law of (A, X, Y) is the same in both orders; alpha and beta are coefficients of
    regressions, the path a is Cov(X, A) / Var(A).
    """
    law = law_of(model, 3)
    concordant, suppression = law.maximal_indirect
    return Truth(model.direct, law.total_indirect, concordant, suppression, law.alignment)
