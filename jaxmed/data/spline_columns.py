"""Spline bases of the covariates with products of all pairs: what `splines_all_products` is."""

from itertools import combinations
from typing import Literal, get_args

import jax.numpy as jnp

from jaxmed.data.basis_columns import weighted_quantiles
from jaxmed.door import at_the_door
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array

__all__ = ["default_splines", "spline_basis"]

Kind = Literal["truncated", "bspline"]
DEGREE = 3


def default_splines(covariates: Array, weights: Array) -> Array:
    """`spline_basis` with knots at the quartiles and products of two covariates."""
    return spline_basis(covariates, weights, kind="bspline")


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
    return _spline_columns(covariates, weights, knots, tensor, kind)


@at_the_door("knots", "tensor", "kind")
def _spline_columns(
    covariates: Array, weights: Array, knots: int, tensor: bool | Literal["full"], kind: Kind
) -> Array:
    """What `spline_basis` returns for at least one covariate."""
    n, q = covariates.shape
    x = _standardised(covariates, weights)
    present = (weights > 0)[:, None]
    low = jnp.min(jnp.where(present, x, jnp.inf), axis=0)
    high = jnp.max(jnp.where(present, x, -jnp.inf), axis=0)
    inner = jnp.arange(1, knots + 1, dtype=x.dtype) / (knots + 1)
    at = weighted_quantiles(jnp, x, weights, inner)
    marginal = _truncated(x, at) if kind == "truncated" else _bsplines(x, at, low, high)
    two_values = jnp.all(~present | (x == low[None, :]) | (x == high[None, :]), axis=0)
    linear = jnp.zeros_like(marginal).at[:, :, 0].set(x)
    marginal = _standardised(jnp.where(two_values[:, None], linear, marginal), weights)
    columns = [marginal.reshape(n, -1)]
    for j, k in combinations(range(q), 2) if tensor else ():
        first, second = (x[:, i, None] if tensor is True else marginal[:, i] for i in (j, k))
        product = (first[:, :, None] * second[:, None, :]).reshape(n, -1)
        columns.append(_standardised(product, weights))
    finite = jnp.isfinite(jnp.sum(covariates))
    return jnp.where(finite, jnp.concatenate(columns, axis=1), jnp.nan)


def _standardised(columns: Array, weights: Array) -> Array:
    """Mean 0 and mean square 1 under the weights; columns [n, ...], constant ones 0."""
    flat = columns.reshape(columns.shape[0], -1)
    count = jnp.sum(weights)
    centred = flat - matmul(weights, flat)[None, :] / count
    size = sqrt(matmul(weights, centred * centred) / count)
    raw = sqrt(matmul(weights, flat * flat) / count)
    constant = size <= 32 * jnp.finfo(flat.dtype).eps * raw
    return divide(centred, jnp.where(constant, 0, size)).reshape(columns.shape)


def _truncated(x: Array, knots: Array) -> Array:
    """x, x^2, x^3 and (x - knot)^3 where positive: [n, q, 3 + k] of x [n, q], knots [k, q]."""
    powers = [x, x**2, x**3]
    beyond = [jnp.maximum(x - knot[None, :], 0) ** 3 for knot in knots]
    return jnp.stack([*powers, *beyond], axis=-1)


def _bsplines(x: Array, knots: Array, low: Array, high: Array) -> Array:
    """All cubic B-splines but the first, [n, q, 3 + k]; 0 outside [low, high].

    Source: the recursion of Cox and de Boor, 0 / 0 = 0.
    """
    ends = [jnp.broadcast_to(end, (DEGREE + 1, *end.shape)) for end in (low, high)]
    t = jnp.concatenate([ends[0], knots, ends[1]], axis=0).T[None]  # [1, q, k + 8]
    at = x[:, :, None]
    end = high[None, :, None]
    last = (at == end) & (t[..., 1:] == end) & (t[..., :-1] < t[..., 1:])
    basis = (((at >= t[..., :-1]) & (at < t[..., 1:])) | last).astype(x.dtype)
    for degree in range(1, DEGREE + 1):
        rising = divide(at - t[..., : -degree - 1], t[..., degree:-1] - t[..., : -degree - 1])
        falling = divide(t[..., degree + 1 :] - at, t[..., degree + 1 :] - t[..., 1:-degree])
        basis = rising * basis[:, :, :-1] + falling * basis[:, :, 1:]
    return basis[:, :, 1:]
