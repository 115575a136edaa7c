"""Spline bases of the covariates, so that confounding need not be linear."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Literal, get_args

import jax.numpy as jnp

from jaxmed.estimators.parts.rows import Rows
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array

Kind = Literal["truncated", "bspline"]
# (covariates [n, q], weights [n]) -> [n, r], without intercept.
BasisFunction = Callable[[Array, Array], Array]
Basis = Literal["linear", "splines"] | BasisFunction
DEGREE = 3


def check_basis(basis: Basis) -> None:
    """Raises ValueError for anything but "linear", "splines" and a function."""
    if basis not in ("linear", "splines") and not callable(basis):
        raise ValueError(
            'basis must be "linear", "splines" or a function (covariates, weights) -> [n, r], '
            f"not {basis!r}"
        )


def with_basis(rows: Rows, basis: Basis) -> Rows:
    """The rows with [1, basis of the covariates] as the base of either model.

    Args:
      rows: of one data set; the bases are [1, covariates].
      basis: "linear" changes nothing; "splines" is `spline_basis` with three knots and products of
        two covariates, as B-splines; a function makes the columns of the covariates [n, q_m] of
        the mediator models, and of the q_y of the outcome model where these differ.
    Returns:
      Rows. Degrees of freedom count the columns of the base, dependent ones included, so that
      they do not depend on the data: with discrete covariates intervals err on the wide side.
    Raises:
      ValueError: an unknown basis, or a function whose result is not [n, r].
    """
    check_basis(basis)
    if basis == "linear":
        return rows
    make = default_splines if basis == "splines" else basis
    mediator = _base(rows.mediator_base, rows.weights, make)
    outcome = mediator if rows.same_base else _base(rows.outcome_base, rows.weights, make)
    return replace(rows, mediator_base=mediator, outcome_base=outcome)


def default_splines(covariates: Array, weights: Array) -> Array:
    """`spline_basis` with knots at the quartiles and products of two covariates."""
    return spline_basis(covariates, weights, kind="bspline")


def _base(base: Array, weights: Array, make: BasisFunction) -> Array:
    columns = jnp.asarray(make(base[:, 1:], weights), base.dtype)
    if columns.ndim != 2 or columns.shape[0] != base.shape[0]:
        raise ValueError(
            f"the basis function must return [n, r] with n = {base.shape[0]}, not {columns.shape}"
        )
    return jnp.concatenate([base[:, :1], columns], axis=1)


def spline_basis(
    covariates: Array,
    weights: Array,
    *,
    knots: int = 3,
    tensor: bool | Literal["full"] = True,
    kind: Kind = "truncated",
) -> Array:
    """Cubic splines of every covariate, without intercept, for projections.

    Both kinds span the same splines where no two knots coincide; B-splines are the better
    conditioned, which float32 needs. Columns have weighted mean 0 and unit standard deviation. A
    covariate of at most two values enters linearly, its other columns are 0; other discrete
    covariates give dependent columns, which `project_out` leaves out.

    Args:
      covariates: [n, q]; q = 0 gives [n, 0].
      weights: case weights [n].
      knots: interior knots of each covariate, at its weighted quantiles 1/(knots + 1), ...
      tensor: True for the q (q - 1) / 2 products of two covariates, "full" for all products of
        spline columns of two covariates, (knots + 3)^2 each pair.
      kind: "truncated" powers or "bspline".
    Returns:
      [n, q (knots + 3) + products]. NaN throughout if a covariate is not finite.
    Raises:
      ValueError: an unknown kind, or less than 0 knots.
    Source: specification of the intervals, section 1 (three knots, products of two).
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind must be one of {get_args(Kind)}, not {kind!r}")
    if tensor not in (True, False, "full"):
        raise ValueError(f'tensor must be True, False or "full", not {tensor!r}')
    if knots < 0:
        raise ValueError(f"knots must be 0 or more, not {knots}")
    covariates, weights = jnp.asarray(covariates), jnp.asarray(weights)
    n, q = covariates.shape
    if q == 0:
        return jnp.zeros((n, 0), covariates.dtype)
    x = _standardised(covariates, weights)
    present = (weights > 0)[:, None]
    low = jnp.min(jnp.where(present, x, jnp.inf), axis=0)
    high = jnp.max(jnp.where(present, x, -jnp.inf), axis=0)
    inner = jnp.arange(1, knots + 1, dtype=x.dtype) / (knots + 1)
    at = weighted_quantiles(x, weights, inner)
    marginal = _truncated(x, at) if kind == "truncated" else _bsplines(x, at, low, high)
    two_values = jnp.all(~present | (x == low) | (x == high), axis=0)
    linear = jnp.zeros_like(marginal).at[:, :, 0].set(x)
    marginal = _standardised(jnp.where(two_values[:, None], linear, marginal), weights)
    columns = [marginal.reshape(n, -1)]
    for j, k in combinations(range(q), 2) if tensor else ():
        first, second = (x[:, i, None] if tensor is True else marginal[:, i] for i in (j, k))
        product = (first[:, :, None] * second[:, None, :]).reshape(n, -1)
        columns.append(_standardised(product, weights))
    finite = jnp.isfinite(jnp.sum(covariates))
    return jnp.where(finite, jnp.concatenate(columns, axis=1), jnp.nan)


def weighted_quantiles(columns: Array, weights: Array, probabilities: Array) -> Array:
    """Quantiles [k, q] of columns [n, q]; those of copied rows where weights are counts.

    Source: linear interpolation of order statistics, type 7 of Hyndman and Fan (1996).
    """
    order = jnp.argsort(columns, axis=0)
    ranked = jnp.take_along_axis(columns, order, axis=0)
    reached = jnp.cumsum(weights[order], axis=0)
    position = (jnp.sum(weights) - 1) * probabilities
    whole = jnp.floor(position)

    def value(rank: Array) -> Array:
        below = jnp.sum(reached[:, None, :] <= rank[None, :, None], axis=0)
        return jnp.take_along_axis(ranked, jnp.minimum(below, ranked.shape[0] - 1), axis=0)

    share = (position - whole)[:, None]
    return (1 - share) * value(whole) + share * value(whole + 1)


def _standardised(columns: Array, weights: Array) -> Array:
    """Mean 0 and mean square 1 under the weights; columns [n, ...], constant ones 0."""
    flat = columns.reshape(columns.shape[0], -1)
    count = jnp.sum(weights)
    centred = flat - matmul(weights, flat) / count
    size = sqrt(matmul(weights, centred * centred) / count)
    raw = sqrt(matmul(weights, flat * flat) / count)
    constant = size <= 32 * jnp.finfo(flat.dtype).eps * raw
    return divide(centred, jnp.where(constant, 0, size)).reshape(columns.shape)


def _truncated(x: Array, knots: Array) -> Array:
    """x, x^2, x^3 and (x - knot)^3 where positive: [n, q, 3 + k] of x [n, q], knots [k, q]."""
    powers = [x, x**2, x**3]
    beyond = [jnp.maximum(x - knot, 0) ** 3 for knot in knots]
    return jnp.stack([*powers, *beyond], axis=-1)


def _bsplines(x: Array, knots: Array, low: Array, high: Array) -> Array:
    """All cubic B-splines but the first, [n, q, 3 + k]; 0 outside [low, high].

    Source: the recursion of Cox and de Boor, 0 / 0 = 0.
    """
    ends = [jnp.broadcast_to(end, (DEGREE + 1, *end.shape)) for end in (low, high)]
    t = jnp.concatenate([ends[0], knots, ends[1]], axis=0).T  # [q, k + 8]
    at = x[:, :, None]
    last = (at == high[:, None]) & (t[:, 1:] == high[:, None]) & (t[:, :-1] < t[:, 1:])
    basis = (((at >= t[:, :-1]) & (at < t[:, 1:])) | last).astype(x.dtype)
    for degree in range(1, DEGREE + 1):
        rising = divide(at - t[:, : -degree - 1], t[:, degree:-1] - t[:, : -degree - 1])
        falling = divide(t[:, degree + 1 :] - at, t[:, degree + 1 :] - t[:, 1:-degree])
        basis = rising * basis[:, :, :-1] + falling * basis[:, :, 1:]
    return basis[:, :, 1:]
