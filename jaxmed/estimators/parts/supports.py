"""Which mediators predict the outcome given the exposure, and which predict the exposure."""

from collections.abc import Callable
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.estimators.parts.legs import Legs
from jaxmed.estimators.parts.partially_linear import exposure_given_outcome_base
from jaxmed.linalg.products import gram, matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.sparse.folds import fold_moments
from jaxmed.sparse.homotopy import (
    GramPath,
    Search,
    default_grid,
    gram_path,
    held_out_loss,
    search,
)
from jaxmed.sparse.row_homotopy import row_path, row_problem, row_search
from jaxmed.typing import Array, pytree

Rule = Literal["cv", "zz"]


def check_rule(rule: str) -> None:
    """Raises ValueError for an unknown rule."""
    if rule not in get_args(Rule):
        raise ValueError(f"rule must be one of {get_args(Rule)}, not {rule!r}")


@pytree
class Moments:
    """Mean products of mediators (given basis and exposure, over their sd given the basis).

    Every leaf may have a leading axis of folds; the sum over folds is the whole sample.
    """

    noise: Array  # [p, p] of the mediators
    exposure: Array  # [p] mediators and exposure, 0 in the whole sample
    outcome: Array  # [p] mediators and outcome
    exposure_square: Array  # []
    outcome_square: Array  # []
    share: Array  # [] of the case weights

    def with_exposure(self, alpha: Array) -> tuple[Array, Array]:
        """Gram matrix of the mediators given the basis alone, and their products with it."""
        alpha = alpha[(None,) * (self.noise.ndim - 2)]
        outer = alpha[..., :, None] * self.exposure[..., None, :]
        square = self.exposure_square[..., None, None]
        both = alpha[..., :, None] * alpha[..., None, :]
        inner = self.noise + outer + jnp.swapaxes(outer, -1, -2) + square * both
        return inner, self.exposure + self.exposure_square[..., None] * alpha


@pytree
class Standardised:
    """Mediators as the lassos see them."""

    rows: Array  # [n, p + 2] root-weighted mediators, exposure and outcome
    alpha: Array  # [p] of the standardised mediators
    scale: Array  # [p] sd of the mediators given the basis, 0 for constant ones
    share: Array  # [n] case weights over their sum


def standardised(legs: Legs) -> Standardised:
    """Mediators given basis and exposure over their sd given the basis; constant ones are 0."""
    share = legs.rows.weights / legs.rows.count
    t = exposure_given_outcome_base(legs)
    alpha = jnp.where(legs.constant, 0, legs.outcome_alpha)
    noise = matmul(share, legs.mediators**2)
    size = jnp.where(legs.constant, 0, sqrt(noise + jnp.sum(share * t * t) * alpha**2))
    columns = jnp.concatenate(
        [divide(legs.mediators, size), t[:, None], legs.outcome[:, None]], axis=1
    )
    return Standardised(jnp.sqrt(share)[:, None] * columns, divide(alpha, size), size, share)


def moments(data: Standardised) -> Moments:
    """Of the whole sample."""
    return _split(gram(data.rows), jnp.sum(data.share))


def moments_of_folds(data: Standardised, folds: Array, num_folds: int) -> Moments:
    """Of each fold; leaves [K, ...]."""
    sizes = jnp.zeros(num_folds, data.share.dtype).at[folds].add(data.share)
    return _split(fold_moments(data.rows, folds, num_folds), sizes)


def _split(products: Array, share: Array) -> Moments:
    p = products.shape[-1] - 2
    return Moments(
        products[..., :p, :p],
        products[..., :p, p],
        products[..., :p, p + 1],
        products[..., p, p],
        products[..., p + 1, p + 1],
        share,
    )


@pytree
class Support:
    """A selected set and how it came about."""

    selected: Array  # [p] bool
    penalties: Array  # [L]
    criterion: Array  # [L] what the rule minimises; infinite where the search had ended
    position: Array  # [] of the chosen penalty
    violation: Array  # [] of the optimality conditions, relative to the largest penalty
    status: Array  # []


def outcome_support(
    whole: Moments, count: Array, free: Array, *, num_penalties: int, ratio: float, patience: int
) -> Support:
    """Mediators that predict the outcome given exposure and basis: lasso, support by BIC.

    Args:
      whole: moments of the sample.
      count: rows n.
      free: unpenalised columns: basis and exposure.
      num_penalties: of the grid.
      ratio: smallest over largest penalty.
      patience: see `search`.
    Source: n log(RSS / n) + |S| (log n + log p), RSS of least squares on the support; supports
      that leave less than 2 degrees of freedom are not considered.
    """
    p = whole.outcome.shape[0]
    penalties = default_grid(whole.outcome, num_penalties, ratio)
    bic = _bic(count, free, p, whole.outcome_square)
    found = search(whole.noise[None], whole.outcome[None], penalties, bic, patience)
    return _of_outcome(found, penalties)


def outcome_support_by_rows(
    ready: Standardised,
    count: Array,
    free: Array,
    *,
    num_penalties: int,
    ratio: float,
    patience: int,
) -> Support:
    """`outcome_support` without products of all mediators, for more of them than rows."""
    p = ready.alpha.shape[0]
    columns, outcome = ready.rows[:, :p], ready.rows[:, p + 1]
    problem = row_problem(columns, outcome, jnp.ones_like(outcome))
    penalties = default_grid(problem.score, num_penalties, ratio)
    bic = _bic(count, free, p, jnp.sum(outcome * outcome))
    one = jax.tree.map(lambda leaf: leaf[None], problem)
    return _of_outcome(row_search(columns, one, penalties, bic, patience), penalties)


def _bic(count: Array, free: Array, p: int, square: Array) -> Callable[[Array, Array], Array]:
    def bic(b: Array, explained: Array) -> Array:
        size = jnp.sum(b[0] != 0, dtype=b.dtype)
        left = jnp.maximum(square - explained[0], jnp.finfo(b.dtype).tiny)
        value = count * jnp.log(left) + size * (jnp.log(count) + jnp.log(jnp.asarray(p, b.dtype)))
        return jnp.where(count - free - size < 2, jnp.inf, value)

    return bic


def _of_outcome(found: Search, penalties: Array) -> Support:
    selected = found.coefficients[found.best, 0] != 0
    return Support(selected, penalties, found.criterion, found.best, found.violation, found.status)


def exposure_support(
    whole: Moments,
    folds: Moments,
    alpha: Array,
    *,
    rule: str,
    inflation: float,
    num_penalties: int,
    ratio: float,
    patience: int,
) -> Support:
    """Mediators that predict the exposure given the basis: lasso at the CV minimum, or beyond it.

    Args:
      whole: moments of the sample.
      folds: moments of the folds; training moments are differences.
      alpha: [p] of the standardised mediators.
      rule: "cv" for the minimum of the cross-validated loss, "zz" for the smallest penalty at
        which the variance factor |w|^2 / (w't)^2 of the residual w is at most `inflation` times
        that at the minimum.
      inflation: of "zz".
      num_penalties: of the grid.
      ratio: smallest over largest penalty.
      patience: see `search`.
    """
    inner, score = whole.with_exposure(alpha)
    penalties = default_grid(score, num_penalties, ratio)
    held, held_score = folds.with_exposure(alpha)
    rest = 1 - folds.share

    def loss(b: Array, _: Array) -> Array:
        return jnp.sum(
            jnp.stack(
                [
                    held_out_loss(b[k], held[k], held_score[k], folds.exposure_square[k])
                    for k in range(rest.shape[0])
                ]
            )
        )

    trained = search(
        divide(inner[None] - held, rest[:, None, None]),
        divide(score[None] - held_score, rest[:, None]),
        penalties,
        loss,
        patience,
    )
    last = trained.best if rule == "cv" else num_penalties - 1
    path = gram_path(inner, score, penalties, last)
    square = held_out_loss(path.coefficients, inner, score, whole.exposure_square)
    along = whole.exposure_square - matmul(path.coefficients, score)
    return _of_exposure(trained, path, square, along, rule, inflation)


def exposure_support_by_rows(
    ready: Standardised,
    folds: Array,
    num_folds: int,
    *,
    rule: str,
    inflation: float,
    num_penalties: int,
    ratio: float,
    patience: int,
) -> Support:
    """`exposure_support` without products of all mediators, for more of them than rows.

    Args:
      ready: rows.
      folds: fold of every row [n].
      num_folds: K.
      rule: as `exposure_support`, like the rest.
      inflation: of "zz".
      num_penalties: of the grid.
      ratio: smallest over largest penalty.
      patience: see `search`.
    """
    p = ready.alpha.shape[0]
    exposure = ready.rows[:, p]
    columns = ready.rows[:, :p] + exposure[:, None] * ready.alpha[None, :]
    held = folds[None, :] == jnp.arange(num_folds, dtype=folds.dtype)[:, None]
    rest = 1 - jnp.sum(jnp.where(held, ready.share, 0), axis=1)
    roots = jnp.where(held, 0, 1 / sqrt(rest)[:, None]).astype(columns.dtype)
    whole = row_problem(columns, exposure, jnp.ones_like(exposure))
    penalties = default_grid(whole.score, num_penalties, ratio)

    def loss(b: Array, _: Array) -> Array:
        errors = exposure[None, :] - matmul(b, columns.T)
        return jnp.sum(jnp.where(held, errors * errors, 0))

    parts = jax.vmap(lambda root: row_problem(columns, exposure, root))(roots)
    trained = row_search(columns, parts, penalties, loss, patience)
    last = trained.best if rule == "cv" else num_penalties - 1
    path = row_path(columns, whole, penalties, last)
    errors = exposure[None, :] - matmul(path.coefficients, columns.T)
    square, along = jnp.sum(errors * errors, axis=1), matmul(errors, exposure)
    return _of_exposure(trained, path, square, along, rule, inflation)


def _of_exposure(
    trained: Search, path: GramPath, square: Array, along: Array, rule: str, inflation: float
) -> Support:
    """The position of a rule on a path.

    Args:
      trained: cross-validation.
      path: of all rows.
      square: [L] |w|^2 of the residual w of the exposure.
      along: [L] w't.
      rule: "cv" or "zz".
      inflation: of "zz".
    """
    position = trained.best
    if rule == "zz":
        factor = divide(square, along**2, jnp.inf)
        allowed = factor <= inflation * factor[position]
        position = jnp.max(jnp.where(allowed, jnp.arange(len(square)), position))
    violation = jnp.maximum(trained.violation, jnp.max(path.violation))
    code = st.combine(trained.status, jnp.max(path.status))
    return Support(
        path.coefficients[position] != 0,
        path.penalties,
        trained.criterion,
        position,
        violation,
        code,
    )
