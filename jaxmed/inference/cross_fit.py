"""Effect of a learned composite on rows that did not learn it."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.geometry.paths import Paths, dual_paths, primal, regime_of
from jaxmed.inference.rows import weighted_first
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, norm, sqrt
from jaxmed.statistics.dual_stats import dual_statistics
from jaxmed.typing import Array, Interval, Key, pytree, static

DRAWS = 4000
# Held-out rows beyond the covariates that a fold needs for its two regressions.
MIN_FOLD_ROWS = 5

Composite = Callable[[Paths], CompositeMediator]


@pytree
class CrossFit:
    """Held-out effect of composites learned on the other folds."""

    indirect: Array  # [] mean over folds of alpha_f beta_f, outcome per unit of exposure
    standard_error: Array  # []
    interval: Interval
    fold_exposure_effect: Array  # [K] alpha_f: sd of the training composite per unit of exposure
    fold_outcome_effect: Array  # [K] beta_f
    status: Array  # int32
    notes: Array | np.uint32 = st.NO_NOTES  # uint32 bits, see `status.Note`
    folds: int = static(default=5)


def cross_fitted_effect(
    key: Key,
    data: MediationData,
    *,
    composite: Composite = maxie,
    folds: int = 5,
    route: str = "auto",
    level: float = 0.95,
) -> CrossFit:
    """Indirect effect of a composite, estimated on rows that its weights have not seen.

    Weights are learned on K-1 folds; on the remaining fold alpha_f and beta_f are ordinary
    regressions of and on the composite score. The estimate is the mean of the K products.

    Args:
      key: consumed (row order and interval draws).
      data: rows; both regimes. Rows of weight zero are in no held-out set and without influence
        on the weights. They count in the array length that decides between primal and dual: where
        a training part is primal with them only, the answer is NaN with TOO_FEW_ROWS.
      composite: from paths to weights, for instance `maxie` or a partial of `maxcor`.
      folds: K >= 2; a fold must hold at least q + 5 rows, of non-zero weight (else NaN with
        TOO_FEW_ROWS).
      route: of the training parts' paths, see `geometry.paths`; "auto" is "gram" here.
      level: of the interval.
    Returns:
      CrossFit. The target is the mean population effect of the K learned composites, which is
      below that of the full-data weights (they learn from more rows) and far below the in-sample
      effect. The interval draws the 2K coefficients from independent t distributions.
    Raises:
      ValueError: folds < 2 or folds too small.
    Source: sample splitting; unbiased for its target under the linear model, interval approximate
      (conservative where both effects are null).
    """
    return cross_fitted_effects(key, data, (composite,), folds=folds, route=route, level=level)[0]


def cross_fitted_effects(
    key: Key,
    data: MediationData,
    composites: Sequence[Composite],
    *,
    folds: int = 5,
    route: str = "auto",
    level: float = 0.95,
) -> list[CrossFit]:
    """`cross_fitted_effect` of several composites from the same folds and one fit per fold."""
    n, p = data.mediators.shape
    q = data.covariates.shape[1]
    held = -(-n // folds) if folds >= 2 else n
    if folds < 2 or n // folds < q + MIN_FOLD_ROWS:
        raise ValueError(
            f"{folds} folds of {n} rows: need at least 2 folds of at least {q + MIN_FOLD_ROWS} "
            f"rows each ({q} covariates); use fewer folds"
        )
    order_key, draw_key = jax.random.split(key)
    order = weighted_first(jax.random.permutation(order_key, n), data.weights)
    count = n if data.weights is None else jnp.sum(jnp.asarray(data.weights) > 0)
    train, test, present = _fold_rows(order, count, folds, held)
    learn = _learner(composites, regime_of(n - held, p, q), route)

    def one(rows: tuple[Array, Array, Array]) -> tuple[Array, ...]:
        weights, status = learn(_take(data, rows[0], None))
        held_out = _take(data, rows[1], rows[2])
        return jax.vmap(lambda w, code: _evaluate(held_out, w, code))(weights, status)

    alpha, alpha_se, beta, beta_se, status = jax.lax.map(one, (train, test, present))
    df = jnp.sum(present, axis=1).astype(alpha.dtype) - 2 - q
    results = []
    for i in range(len(composites)):
        coefficients = (alpha[:, i], alpha_se[:, i], beta[:, i], beta_se[:, i])
        interval, error = _interval(draw_key, *coefficients, df, level)
        effect = jnp.mean(alpha[:, i] * beta[:, i])
        results.append(
            CrossFit(
                effect, error, interval, alpha[:, i], beta[:, i], jnp.max(status[:, i]), folds=folds
            )
        )
    return results


def _fold_rows(
    order: Array, count: int | Array, folds: int, held: int
) -> tuple[Array, Array, Array]:
    """Row indices of every fold's training set [K, n-held] and test set [K, held] with its mask.

    The first `count` rows of `order`, those with weight, are held out once each. Sizes differ by
    one when K does not divide count: test sets are padded, and training sets give up the last
    rows of `order`, so that all folds share one compiled program.
    """
    n = order.shape[0]
    edges = count * jnp.arange(folds + 1)[:, None] // folds
    start, stop = edges[:-1], edges[1:]
    test = start + jnp.arange(held)
    train = jnp.arange(n - held)
    train = jnp.where(train < start, train, train + stop - start)
    return order[train], order[jnp.minimum(test, n - 1)], test < stop


def _take(data: MediationData, rows: Array, present: Array | None) -> MediationData:
    def take(x: Array) -> Array:
        return jnp.asarray(x)[rows]

    weights = None if data.weights is None else take(data.weights)
    if present is not None:
        mask = present.astype(jnp.asarray(data.exposure).dtype)
        weights = mask if weights is None else mask * weights
    return MediationData(
        take(data.exposure),
        take(data.mediators),
        take(data.outcome),
        take(data.covariates),
        weights,
    )


def _learner(
    composites: Sequence[Composite], regime: str, route: str
) -> Callable[[MediationData], tuple[Array, Array]]:
    """Function from training rows to weights [c, p] and status [c] of the c composites."""

    def learn(train: MediationData) -> tuple[Array, Array]:
        paths = (
            primal(train, route)[1] if regime == "primal" else dual_paths(dual_statistics(train))
        )
        learned = [composite(paths) for composite in composites]
        return jnp.stack([c.weights for c in learned]), jnp.stack([c.status for c in learned])

    return learn


def _evaluate(held: MediationData, weights: Array, status: Array) -> tuple[Array, ...]:
    """(alpha, its se, beta, its se, status) of the learned score on held-out rows."""
    score = matmul(held.mediators, weights)
    single = MediationData(
        held.exposure, score[:, None], held.outcome, held.covariates, held.weights
    )
    result = primal(single, "gram")[1]
    quadratics, m = result.quadratics, result.quadratics.residual_df
    # With one mediator S = L^2, and weights w = S^-1 s = alpha tau / S.
    s_over_root = result.exposure_path[0]
    root = divide(1.0, divide(result.exposure_weights[0], s_over_root))
    alpha = divide(s_over_root * root, result.exposure_ss)
    alpha = jnp.where(m < MIN_FOLD_ROWS - 2, jnp.nan, alpha)
    beta = divide(result.outcome_path[0], root)
    alpha_se = divide(jnp.abs(root), sqrt(m * result.exposure_ss))
    beta_se = divide(sqrt(quadratics.residual_ss / (m - 1)), jnp.abs(root))
    # A fold whose held-out part is degenerate has no number; one lost fold loses the estimate.
    lost = st.combine(status, st.when(st.is_fatal(result.status), st.TOO_FEW_ROWS))
    return (
        alpha,
        alpha_se,
        beta,
        beta_se,
        st.combine(lost, st.when(jnp.isnan(alpha), st.TOO_FEW_ROWS)),
    )


def _interval(
    key: Key, alpha: Array, alpha_se: Array, beta: Array, beta_se: Array, df: Array, level: float
) -> tuple[Interval, Array]:
    """Percentiles of the mean of K products, each factor drawn from its t distribution."""
    first, second = jax.random.split(key)
    shape = (DRAWS, alpha.shape[0])
    a = alpha + alpha_se * _student(first, df, shape)
    b = beta + beta_se * _student(second, df - 1, shape)
    draws = jnp.mean(a * b, axis=1)
    tails = jnp.asarray([(1 - level) / 2, (1 + level) / 2], alpha.dtype)
    lower, upper = jnp.quantile(draws, tails)
    variance = (alpha * beta_se) ** 2 + (beta * alpha_se) ** 2 + (alpha_se * beta_se) ** 2
    error = norm(jnp.sqrt(variance)) / alpha.shape[0]
    return Interval(lower, upper, level, "cross-fit, product of t"), error


def _student(key: Key, df: Array, shape: tuple[int, ...]) -> Array:
    """Approximate t variates as a transform of normal ones, within 0.5% for 3 or more df.

    A gamma sampler would be exact and take longer to compile than the rest of the cross-fit.
    Source: Gaver and Kafadar (1984), The American Statistician 38.
    """
    normal = jax.random.normal(key, shape, df.dtype)
    rate = (df - 1.5) / (df - 1) ** 2
    return jnp.sign(normal) * jnp.sqrt(df * jnp.expm1(normal**2 * rate))
