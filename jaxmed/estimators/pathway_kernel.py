"""Rows, path and stability of the pathway lasso, before an estimate is made of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.estimators.parts.legs import Legs
from jaxmed.estimators.parts.rows import Rows
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide
from jaxmed.sparse.pathway import PathwayMoments, PathwayPenalty, PathwaySolution
from jaxmed.sparse.pathway_path import descend
from jaxmed.statistics.base_span import mean_and_sd, project_out
from jaxmed.typing import Array, Key, pytree


def pathway_grid() -> tuple[float, ...]:
    """The 50 penalties of the release, increasing: 1e-5 to 1e4, densest between 1e-3 and 1."""
    stretches = ((-5, -3, 10, True), (-3, 0, 26, False), (0, 2, 11, False), (2, 4, 6, False))
    parts = [np.logspace(a, b, k)[0 if first else 1 :] for a, b, k, first in stretches]
    return tuple(float(x) for x in np.concatenate(parts))


@pytree
class PathwayPath:
    """Shrunken effects along the penalties; leaves [L, ...], original units."""

    penalties: Array  # [L] lambda, increasing
    alpha: Array  # [L, p] exposure -> mediator
    beta: Array  # [L, p] mediator -> outcome
    direct: Array  # [L]
    indirect: Array  # [L] sum of alpha beta
    num_selected: Array  # [L] mediators with alpha beta != 0
    objective: Array  # [L] standardised, less |M|^2 / 2n + |Y|^2 / 2n
    violation: Array  # [L] optimality violation, relative; NaN for the ADMM
    iterations: Array  # [L] of the ADMM, or rounds of the descent
    status: Array  # [L] NOT_CONVERGED where the budget ran out


@pytree
class StandardisedRows:
    """Residual rows of either model scaled to standard deviation 1 (n - 1)."""

    exposure: Array  # [n] mediator models
    mediators: Array  # [n, p] mediator models
    design: Array  # [n, 1+p] exposure and mediators of the outcome model
    outcome: Array  # [n]
    weights: Array  # [n]
    to_alpha: Array  # [p] original over standardised units
    to_beta: Array  # [1+p] direct effect first


def standardise(rows: Rows, legs: Legs) -> StandardisedRows:
    """Residuals on the covariates of either model, scaled; constant mediators become 0."""
    w = rows.weights
    columns = jnp.concatenate(
        [rows.exposure[:, None], rows.mediators, rows.outcome[:, None]], axis=1
    )
    still = jnp.concatenate([jnp.zeros(1, bool), legs.constant, jnp.zeros(1, bool)])

    def scaled(base: Array) -> tuple[Array, Array]:
        rest = jnp.where(still, 0, project_out(base, w, columns))
        _, sd = mean_and_sd(w, rest)
        return divide(rest, sd), sd

    first, sd_m = scaled(rows.mediator_base)
    second, sd_y = (first, sd_m) if rows.same_base else scaled(rows.outcome_base)
    return StandardisedRows(
        first[:, 0],
        first[:, 1:-1],
        second[:, :-1],
        second[:, -1],
        w,
        divide(sd_m[1:-1], sd_m[0]),
        divide(sd_y[-1], sd_y[:-1]),
    )


def moments_of(rows: StandardisedRows, weights: Array) -> PathwayMoments:
    """Moments of the standardised rows under other case weights (a half split's)."""
    count = jnp.sum(weights)
    v = weights / count
    root = jnp.sqrt(v)[:, None]
    t, x = rows.exposure, root * rows.design
    return PathwayMoments(
        jnp.sum(v * t * t),
        matmul(v * t, rows.mediators),
        gram(x),
        matmul(root[:, 0] * rows.outcome, x),
        x if x.shape[1] > x.shape[0] else None,
    )


def original_units(
    scaled: StandardisedRows,
    solution: PathwaySolution,
    violation: Array,
    objective: Array,
    grid: np.ndarray,
) -> PathwayPath:
    """The path with effects per unit of exposure and mediator."""
    alpha = solution.a * scaled.to_alpha[None, :]
    slopes = solution.d * scaled.to_beta[None, :]
    product = alpha * slopes[:, 1:]
    return PathwayPath(
        jnp.asarray(grid, alpha.dtype),
        alpha,
        slopes[:, 1:],
        slopes[:, 0],
        jnp.sum(product, axis=1),
        jnp.sum(product != 0, axis=1),
        objective,
        violation,
        solution.iterations,
        solution.status,
    )


def first_halves(key: Key | None, halves: Any, splits: int, n: int) -> Array:
    """[splits, n] true for the first half; as given, or n // 2 rows drawn at random.

    Raises:
      ValueError: halves of another shape, or neither halves nor a key.
    """
    if halves is not None:
        first = jnp.asarray(halves).astype(bool)
        if first.ndim != 2 or first.shape[1] != n:
            raise ValueError(f"halves must be [splits, n] with n = {n}, not {first.shape}")
        return first
    if key is None:
        raise ValueError("half splits are drawn at random: pass a key, halves, or selection='none'")
    draw = jax.vmap(lambda k: jax.random.permutation(k, jnp.arange(n) < n // 2))
    return draw(jax.random.split(key, splits))


def kappa(first: Array, second: Array) -> Array:
    """Cohen's kappa of two sets [p]; -1 where both are empty or both hold everything."""
    p = first.shape[0]
    x, y, both = jnp.sum(first), jnp.sum(second), jnp.sum(first & second)
    agree = (p - x - y + 2 * both) / p
    chance = (x * y + (p - x) * (p - y)) / (p * p)
    trivial = ((x == 0) & (y == 0)) | ((x == p) & (y == p))
    return jnp.where(trivial, -1.0, divide(agree - chance, 1 - chance, -1.0))


def agreement(sets: Array) -> Array:
    """Mean kappa of first and second halves [2 S, p]."""
    half = sets.shape[0] // 2
    return jnp.mean(jax.vmap(kappa)(sets[:half], sets[half:]))


def exact_stability(
    halves: PathwayMoments,
    penalties: PathwayPenalty,
    *,
    threshold: float,
    tolerance: float,
    max_rounds: int,
    accepted: float,
    patience: int,
) -> tuple[Array, Array]:
    """Mean kappa [L] between the halves of each split, and a status.

    Args:
      halves: moments of first halves, then of second ones; leaves [2 S, ...].
      penalties: leaves [L], largest first.
      threshold: of |a b| on standardised columns.
      tolerance: of the minimisers.
      max_rounds: budget of each.
      accepted: share of the best stability that a choice must have.
      patience: the paths end after so many penalties without an acceptable one, which saves the
        dense end; not reached is NaN.
    """
    count, length = halves.score.shape[0], penalties.product.shape[0]
    dtype = halves.score.dtype

    def body(carry: tuple) -> tuple:
        at, good_at, stability, starts, code = carry
        penalty = jax.tree.map(lambda leaf: leaf[at], penalties)

        def one(item: tuple[PathwayMoments, Array]) -> tuple[Array, Array, Array]:
            found, _ = descend(
                item[0], penalty, item[1], tolerance=tolerance, max_rounds=max_rounds
            )
            return found.d, jnp.abs(found.a * found.d[1:]) > threshold, found.status

        starts, sets, codes = jax.lax.map(one, (halves, starts))
        stability = stability.at[at].set(agreement(sets).astype(dtype))
        best = jnp.nanmax(stability)
        good = (stability[at] >= accepted * best) | (best <= 0)
        return (
            at + 1,
            jnp.where(good, at, good_at),
            stability,
            starts,
            st.combine(code, codes.max()),
        )

    zero = jnp.zeros((), jnp.int32)
    begin = jnp.zeros((count, halves.score.shape[1]), dtype)
    start = (zero, zero, jnp.full(length, jnp.nan, dtype), begin, zero)
    _, _, stability, _, code = jax.lax.while_loop(
        lambda carry: (carry[0] < length) & (carry[0] - carry[1] <= patience), body, start
    )
    return stability, code
