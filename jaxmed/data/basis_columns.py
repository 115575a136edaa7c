"""Columns of the named covariate bases, written once for NumPy (the host) and JAX (in a program).

Every column that a rung could have has a place, known from the number of covariates; a column that
does not apply (the square of a 0/1 covariate, a product within one factor) is 0, so that shapes do
not depend on values. Projections and ranks leave such columns out.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from jaxmed.typing import Array
from jaxmed.vocabulary import Rung

__all__ = [
    "Basis",
    "BasisFunction",
    "Block",
    "blocks",
    "standardised",
    "weighted_quantiles",
]

# (covariates [n, q], weights [n]) -> [n, r], without intercept.
BasisFunction = Callable[[Array, Array], Array]
Basis = Literal["auto", "splines_all_products"] | Rung | BasisFunction
_PRODUCTS = ("second_degree", "splines", "products")
_CUBIC = ("splines", "additive")
SQUARE_FROM = 7  # distinct values of a covariate that gets a square
CUBIC_FROM = 11  # and cubic splines
QUARTILES = (0.25, 0.5, 0.75)


@dataclasses.dataclass(frozen=True)
class Block:
    """Columns of one kind: "linear", "square", "product", "cube", "beyond 1" to "beyond 3"."""

    kind: str
    sources: tuple[tuple[int, ...], ...]  # of every column, positions of the covariates behind it
    columns: Any  # [n, k]; mean 0 and unit mean square under the weights but for "linear"


def blocks(
    xp: Any,
    covariates: Any,
    weights: Any,
    rung: Rung,
    groups: Sequence[Sequence[int]] = (),
) -> Iterator[Block]:
    """Columns of a rung in the order of the ladder, block by block and made when asked for.

    Powers of one covariate are made orthogonal to those before, from the standardised covariate,
    which float32 needs: their span is that of x, x^2, x^3 and (x - quartile)^3 where positive.

    Args:
      xp: numpy or jax.numpy.
      covariates: [n, q].
      weights: case weights [n] >= 0, which count rows.
      rung: of the basis. "additive" is "splines" without products; "products" is "second_degree"
        with the products of a continuous covariate and a 0/1 one, and of two 0/1 covariates.
      groups: positions of the 0/1 columns that belong to one factor; never multiplied with each
        other.
    """
    q = covariates.shape[1]
    alone = tuple((j,) for j in range(q))
    yield Block("linear", alone, covariates)
    if rung == "linear" or q == 0:
        return
    distinct = _distinct(xp, covariates, weights)
    factor_of = {j: i for i, group in enumerate(groups) for j in group}
    own = xp.asarray([j not in factor_of for j in range(q)])
    present = (weights > 0)[:, None]
    largest = xp.max(xp.where(present, xp.abs(covariates), 0), axis=0)
    # Squares of 1e160 are no numbers: the largest value is 1 before any.
    unit = standardised(xp, covariates / xp.where(largest > 0, largest, 1), weights)
    powers = [unit, unit**2]
    if rung in _CUBIC:
        at = weighted_quantiles(xp, unit, weights, xp.asarray(QUARTILES, unit.dtype))
        powers += [unit**3, *(xp.maximum(unit - knot, 0) ** 3 for knot in at)]
    powers = _orthogonal(xp, powers, weights)
    yield Block("square", alone, xp.where(own & (distinct >= SQUARE_FROM), powers[1], 0))
    continuous = own & (distinct > 2)
    for j in range(q - 1) if rung in _PRODUCTS else ():
        others = range(j + 1, q)
        apart = [factor_of.get(j, -1) != factor_of.get(k, -2) for k in others]
        allowed = xp.asarray(apart) if rung == "products" else continuous[j] & continuous[j + 1 :]
        product = standardised(xp, unit[:, j : j + 1] * unit[:, j + 1 :], weights)
        yield Block("product", tuple((j, k) for k in others), xp.where(allowed, product, 0))
    for number, column in enumerate(powers[2:]):
        kind = f"beyond {number}" if number else "cube"
        yield Block(kind, alone, xp.where(own & (distinct >= CUBIC_FROM), column, 0))


def weighted_quantiles(xp: Any, columns: Any, weights: Any, probabilities: Any) -> Any:
    """Quantiles [k, q] of columns [n, q]; those of copied rows where weights are counts.

    Source: linear interpolation of order statistics, type 7 of Hyndman and Fan (1996).
    """
    order = xp.argsort(columns, axis=0)
    ranked = xp.take_along_axis(columns, order, axis=0)
    reached = xp.cumsum(weights[order], axis=0)
    position = (xp.sum(weights) - 1) * probabilities
    whole = xp.floor(position)

    def value(rank: Any) -> Any:
        below = xp.sum(reached[:, None, :] <= rank[None, :, None], axis=0)
        return xp.take_along_axis(ranked, xp.minimum(below, ranked.shape[0] - 1), axis=0)

    share = (position - whole)[:, None]
    return (1 - share) * value(whole) + share * value(whole + 1)


def standardised(xp: Any, columns: Any, weights: Any) -> Any:
    """Mean 0 and mean square 1 under the weights; columns [n, k], constant ones 0."""
    centred = columns - _mean(xp, weights, columns)
    size = xp.sqrt(_mean(xp, weights, centred**2))
    raw = xp.sqrt(_mean(xp, weights, columns**2))
    return _over(xp, centred, size, size > 32 * xp.finfo(columns.dtype).eps * raw)


def _orthogonal(xp: Any, columns: Sequence[Any], weights: Any) -> list[Any]:
    """Columns [n, q] of mean square 1, each orthogonal to those before it and to the intercept.

    A covariate of few values has dependent powers: what is left of these is rounding, and is 0.
    """
    done: list[Any] = []
    for column in columns:
        raw = xp.sqrt(_mean(xp, weights, column**2))
        left = column - _mean(xp, weights, column)
        for _ in range(2):  # what the first pass leaves by rounding goes in the second
            for before in done:
                left = left - before * _mean(xp, weights, before * left)
        size = xp.sqrt(_mean(xp, weights, left**2))
        done.append(_over(xp, left, size, size > 1e3 * xp.finfo(column.dtype).eps * raw))
    return done


def _distinct(xp: Any, columns: Any, weights: Any) -> Any:
    """Number of different values [q] in the rows with weight."""
    present = (weights > 0)[:, None]
    low = xp.min(xp.where(present, columns, xp.inf), axis=0)
    ranked = xp.sort(xp.where(present, columns, low), axis=0)
    return 1 + xp.sum(ranked[1:] > ranked[:-1], axis=0)


def _mean(xp: Any, weights: Any, columns: Any) -> Any:
    # A sum of products, not a matrix product: no accelerator shortens its factors.
    return xp.sum(weights[:, None] * columns, axis=0) / xp.sum(weights)


def _over(xp: Any, columns: Any, size: Any, there: Any) -> Any:
    """Columns over size where `there`, else 0."""
    return xp.where(there, columns / xp.where(there, size, 1), 0)
