"""Named estimates with their joint covariance, so that any contrast of them has an interval."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from jaxmed.data.mediation_data import MediationData
from jaxmed.distributions.tails import normal_quantile
from jaxmed.door import at_the_door
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import sqrt
from jaxmed.typing import Array, Interval, pytree, static

__all__ = ["Term", "Terms", "mediator_positions", "terms_of"]

SHOWN = 20  # names in a message


@pytree
class Term:
    """One estimate; scalars."""

    estimate: Array
    standard_error: Array
    interval: Interval


@pytree
class Terms:
    """K estimates on one scale."""

    estimate: Array  # [K]
    covariance: Array  # [K, K] of the sampling errors
    names: tuple[str, ...] = static()
    level: float = static(default=0.95)
    method: str = static(default="")

    @property
    def standard_error(self) -> Array:
        """[K]."""
        return _errors(self.covariance)

    @property
    def interval(self) -> Interval:
        """Normal intervals [K] about the estimates."""
        return _interval(self.estimate, self.standard_error, self.level, self.method)

    def __getitem__(self, name: str) -> Term:
        """One of them.

        Raises:
          ValueError: an unknown name, with what there is.
        """
        return self.contrast({name: 1.0})

    def contrast(self, weights: Mapping[str, float]) -> Term:
        """The sum of weight times estimate, with the standard error of that sum.

        Args:
          weights: by name; the others have weight 0.
        Raises:
          ValueError: an unknown name, with what there is.
        """
        unknown = [name for name in weights if name not in self.names]
        if unknown:
            raise ValueError(f"there is no {unknown[0]!r}; there are: {', '.join(self.names)}")
        every = tuple(weights.get(name, 0.0) for name in self.names)
        return _contrast(self.estimate, self.covariance, every, self.level, self.method)

    def rows(self) -> list[dict[str, float | str]]:
        """A tidy table of concrete values: one row for each."""
        interval = self.interval
        columns = (self.estimate, self.standard_error, interval.lower, interval.upper)
        numbers = np.stack([np.asarray(column) for column in columns], axis=1).tolist()
        keys = ("estimate", "standard_error", "lower", "upper")
        return [
            {"name": name, **dict(zip(keys, values, strict=True))}
            for name, values in zip(self.names, numbers, strict=True)
        ]


@at_the_door()
def _errors(covariance: Array) -> Array:
    return sqrt(jnp.diagonal(covariance))


@at_the_door("level", "method")
def _contrast(
    estimate: Array, covariance: Array, weights: tuple[float, ...], level: float, method: str
) -> Term:
    w = jnp.asarray(weights, estimate.dtype)
    error = sqrt(matmul(w, matmul(covariance, w)))
    value = matmul(w, estimate)
    return Term(value, error, _interval(value, error, level, method))


@at_the_door("level", "method")
def _interval(value: Array, error: Array, level: float, method: str) -> Interval:
    half = normal_quantile(jnp.asarray((1 + level) / 2, error.dtype)) * error
    return Interval(value - half, value + half, level, method)


def terms_of(found: Mapping[str, tuple[Array, Array]], level: float, method: str) -> Terms:
    """Estimates with the covariance of their influence.

    Args:
      found: by name (estimate [], influence [n]); the sum of squares of an influence is the
        variance of its estimate.
      level: of the intervals.
      method: their name.
    """
    influence = jnp.stack([each for _, each in found.values()])
    estimate = jnp.stack([value for value, _ in found.values()])
    return Terms(estimate, matmul(influence, influence.T), tuple(found), level, method)


def mediator_positions(data: MediationData, wanted: Sequence[str | int]) -> tuple[int, ...]:
    """Positions of mediators given by names or positions, in the given order.

    Raises:
      ValueError: none, a string in place of a sequence, one named twice, or a name or position
        that the data do not have, with what there is.
    """
    if isinstance(wanted, str):
        raise ValueError(f"mediators are a sequence of names, not the string {wanted!r}")
    p, names = data.mediators.shape[1], data.names.mediators
    found = []
    for name in wanted:
        if isinstance(name, str):
            position = names.index(name) if name in names else -1
        else:
            position = int(name)
        if not 0 <= position < p:
            there = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
            raise ValueError(
                f"there is no mediator {name!r}; mediators are: {there or f'{p} without names'}"
            )
        if position in found:
            raise ValueError(f"mediator {name!r} is named twice")
        found.append(position)
    if not found:
        raise ValueError("a set of mediators must have at least one")
    return tuple(found)
