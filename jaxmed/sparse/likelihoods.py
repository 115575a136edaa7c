"""Likelihoods of a linear predictor eta [n]: binomial, Poisson and Cox's partial likelihood.

Each gives minus the mean log likelihood (case weights that sum to 1), minus its gradient, and its
curvature H: as a diagonal, or as its product with columns.
"""

from typing import Literal, Protocol, get_args

import jax
import jax.numpy as jnp

from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree, static

# pi (1 - pi) below this is a point that no longer informs the fit, but must not divide by zero.
LEAST_WEIGHT = 1e-5
Ties = Literal["efron", "breslow"]


class Likelihood(Protocol):
    """What proximal Newton asks of the data."""

    @property
    def renew_every(self) -> int:
        """Newton steps at one penalty before the curvature is renewed."""
        ...

    @property
    def is_diagonal(self) -> bool:
        """Whether `curvature` gives the whole of H."""
        ...

    def loss(self, eta: Array) -> Array:
        """Minus the mean log likelihood, scalar, up to a constant."""
        ...

    def residual(self, eta: Array) -> Array:
        """Minus the gradient of the loss, [n]."""
        ...

    def curvature(self, eta: Array) -> Array:
        """Diagonal of H, [n], where `is_diagonal`."""
        ...

    def images(self, eta: Array, columns: Array) -> Array:
        """H x for every row x of columns [p, n]."""
        ...


@pytree
class Binomial:
    """Logistic regression of a 0/1 outcome."""

    outcome: Array  # [n] in {0, 1}
    weights: Array  # [n] v, sums to 1; 0 leaves a row out
    least: float = static(default=LEAST_WEIGHT)  # of pi (1 - pi)

    @property
    def renew_every(self) -> int:
        """An older curvature is an upper bound more often than not: weights shrink along a path."""
        return 4

    @property
    def is_diagonal(self) -> bool:
        """True."""
        return True

    def loss(self, eta: Array) -> Array:
        """See `Likelihood`."""
        return jnp.sum(self.weights * (jax.nn.softplus(eta) - self.outcome * eta))

    def residual(self, eta: Array) -> Array:
        """See `Likelihood`."""
        return self.weights * (self.outcome - jax.nn.sigmoid(eta))

    def curvature(self, eta: Array) -> Array:
        """See `Likelihood`."""
        pi = jax.nn.sigmoid(eta)
        return self.weights * jnp.maximum(pi * (1 - pi), self.least)

    def images(self, eta: Array, columns: Array) -> Array:
        """See `Likelihood`."""
        return columns * self.curvature(eta)


@pytree
class Poisson:
    """Log-linear regression of counts with an offset, the log of the exposure time."""

    outcome: Array  # [n] >= 0
    weights: Array  # [n] v, sums to 1; 0 leaves a row out
    offset: Array  # [n]

    @property
    def renew_every(self) -> int:
        """Curvature grows as fast as the mean."""
        return 1

    @property
    def is_diagonal(self) -> bool:
        """True."""
        return True

    def _mean(self, eta: Array) -> Array:
        return jnp.exp(eta + self.offset)

    def loss(self, eta: Array) -> Array:
        """See `Likelihood`."""
        return jnp.sum(self.weights * (self._mean(eta) - self.outcome * eta))

    def residual(self, eta: Array) -> Array:
        """See `Likelihood`."""
        return self.weights * (self.outcome - self._mean(eta))

    def curvature(self, eta: Array) -> Array:
        """See `Likelihood`."""
        return self.weights * self._mean(eta)

    def images(self, eta: Array, columns: Array) -> Array:
        """See `Likelihood`."""
        return columns * self.curvature(eta)


@pytree
class Cox:
    """Cox's partial likelihood of rows in order of decreasing time; see `cox`.

    An event of the group of its time has the term
    eta - log(sum over the risk set - k / d times the sum over the d events of the group), of
    weight c, k = 0, 1, ... its place among them with Efron's ties and 0 with Breslow's.
    """

    weights: Array  # [n] v, sums to 1
    event: Array  # [n] bool, of positive weight
    share: Array  # [n] k / d, 0 where no event
    term: Array  # [n] c: the mean weight of the group's events (Efron), the row's own (Breslow)
    first: Array  # [n] int, position of the first row of the same time
    last: Array  # [n] int, of the last

    @property
    def renew_every(self) -> int:
        """The risk sets' weights move with every step."""
        return 1

    @property
    def is_diagonal(self) -> bool:
        """False."""
        return False

    def _risk(self, values: Array) -> Array:
        """Of values [..., n]: sums over every row's risk set less share of those of its events."""
        sums: Array = jnp.cumsum(values, axis=-1)[..., self.last]
        died = jnp.cumsum(jnp.where(self.event, values, 0), axis=-1)
        before: Array = jnp.where(self.first > 0, died[..., self.first - 1], 0)
        own: Array = died[..., self.last] - before
        return sums - self.share * own

    def _back(self, terms: Array) -> Array:
        """The transpose: of terms [..., n] of the events, what every row has of them."""
        total = jnp.sum(terms, axis=-1, keepdims=True)
        reached = jnp.cumsum(terms, axis=-1)
        earlier = jnp.where(self.first > 0, reached[..., self.first - 1], 0)
        shared = jnp.cumsum(self.share * terms, axis=-1)
        before = jnp.where(self.first > 0, shared[..., self.first - 1], 0)
        own = jnp.where(self.event, shared[..., self.last] - before, 0)
        return total - earlier - own

    def _hazards(self, eta: Array) -> tuple[Array, Array, Array]:
        """V exp(eta - top) [n], the denominators [n] of the events' terms, and top []."""
        top = jnp.max(jnp.where(self.weights > 0, eta, -jnp.inf))
        risk = self.weights * jnp.exp(jnp.where(self.weights > 0, eta - top, 0))
        return risk, jnp.where(self.event, self._risk(risk), 1), top

    def loss(self, eta: Array) -> Array:
        """See `Likelihood`."""
        _, sums, top = self._hazards(eta)
        own = jnp.where(self.event, self.weights * (eta - top), 0)
        return jnp.sum(jnp.where(self.event, self.term * jnp.log(sums), 0)) - jnp.sum(own)

    def residual(self, eta: Array) -> Array:
        """See `Likelihood`."""
        risk, sums, _ = self._hazards(eta)
        rates = jnp.where(self.event, self.term / sums, 0)
        return jnp.where(self.event, self.weights, 0) - risk * self._back(rates)

    def curvature(self, eta: Array) -> Array:
        """An upper bound of H by a diagonal."""
        risk, sums, _ = self._hazards(eta)
        return risk * self._back(jnp.where(self.event, self.term / sums, 0))

    def images(self, eta: Array, columns: Array) -> Array:
        """See `Likelihood`."""
        risk, sums, _ = self._hazards(eta)
        rates = jnp.where(self.event, self.term / sums, 0)
        means = divide(self._risk(risk * columns), sums)
        return risk * (columns * self._back(rates) - self._back(rates * means))


def cox(time: Array, event: Array, weights: Array, ties: Ties = "efron") -> tuple[Cox, Array]:
    """Cox's partial likelihood and the order [n] in which it wants the rows.

    Args:
      time: [n] of event or censoring.
      event: [n] 1 for an event, 0 for censoring; who is censored at the time of an event was at
        risk.
      weights: case weights [n], summing to 1.
      ties: "efron" or "breslow".
    Raises:
      ValueError: unknown ties.
    Source: Cox (1972); Efron (1977) with the mean weight of tied events, as survival's coxph.
    """
    if ties not in get_args(Ties):
        raise ValueError(f"ties must be one of {get_args(Ties)}, not {ties!r}")
    n = time.shape[0]
    order = jnp.argsort(-time, stable=True)
    time, weights = time[order], weights[order]
    died = (event[order] > 0) & (weights > 0)
    place = jnp.arange(n)
    new = jnp.concatenate([jnp.ones(1, bool), time[1:] != time[:-1]])
    first = jax.lax.cummax(jnp.where(new, place, 0))
    ends = jnp.concatenate([new[1:], jnp.ones(1, bool)])
    last = jax.lax.cummin(jnp.where(ends, place, n - 1), reverse=True)

    def of_group(values: Array) -> Array:
        sums = jnp.cumsum(values)
        return sums[last] - jnp.where(first > 0, sums[first - 1], 0)

    count = of_group(died.astype(weights.dtype))
    if ties == "breslow":
        zero = jnp.zeros_like(weights)
        return Cox(weights, died, zero, jnp.where(died, weights, 0), first, last), order
    numbered = jnp.cumsum(died)
    before = jnp.where(first > 0, numbered[first - 1], 0)
    rank = (numbered - before - 1).astype(weights.dtype)
    share = jnp.where(died, divide(rank, count), 0)
    mean = divide(of_group(jnp.where(died, weights, 0)), count)
    return Cox(weights, died, share, jnp.where(died, mean, 0), first, last), order
