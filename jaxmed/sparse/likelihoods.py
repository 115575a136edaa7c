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
VOID = -1e30  # logarithm of no weight: finite, so that differences of two are numbers


class Likelihood(Protocol):
    """What proximal Newton asks of the data."""

    @property
    def renew_every(self) -> int:
        """Newton steps at one penalty before the curvature is renewed."""
        ...

    @property
    def is_diagonal(self) -> bool:
        """Whether H is a diagonal, given by `curvature`; else `images` gives its products."""
        ...

    def loss(self, eta: Array) -> Array:
        """Minus the mean log likelihood, scalar, up to a constant."""
        ...

    def residual(self, eta: Array) -> Array:
        """Minus the gradient of the loss, [n]."""
        ...


class Diagonal(Likelihood, Protocol):
    """Rows that are independent of each other."""

    def curvature(self, eta: Array) -> Array:
        """Diagonal of H, [n] >= 0."""
        ...


class Joint(Likelihood, Protocol):
    """Rows that share terms."""

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
        """See `Diagonal`."""
        pi = jax.nn.sigmoid(eta)
        return self.weights * jnp.maximum(pi * (1 - pi), self.least)


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
        """See `Diagonal`."""
        return self.weights * self._mean(eta)


@pytree
class _RiskSets:
    """Sums over the rows that are at risk at the time of each row, in logarithms."""

    log_risk: Array  # [n] log of v exp(eta)
    log_sum: Array  # [n] of the risk set
    tied: Array  # [n] share of the group's events in it
    log_term: Array  # [n] of what an event's eta is compared with


@pytree
class Cox:
    """Cox's partial likelihood of rows in order of decreasing time; see `cox`.

    An event of the group of its time has the term
    eta - log(sum over the risk set - k / d times the sum over the d events of the group), of
    weight c, k = 0, 1, ... its place among them with Efron's ties and 0 with Breslow's.
    All sums are kept as logarithms and weighted means: hazards may differ by any factor.
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

    def _of_group(self, values: Array) -> Array:
        """Sums of values [..., n] over the events of every row's time."""
        own = jnp.where(self.event, values, 0)
        return jnp.zeros_like(own).at[..., self.first].add(own)[..., self.first]

    def _risk_sets(self, eta: Array) -> _RiskSets:
        log_risk = jnp.where(self.weights > 0, eta + _log(self.weights), VOID)
        log_sum = jax.lax.cumlogsumexp(log_risk)[self.last]
        tied = self._of_group(jnp.exp(log_risk - log_sum))
        return _RiskSets(log_risk, log_sum, tied, log_sum + jnp.log1p(-self.share * tied))

    def loss(self, eta: Array) -> Array:
        """See `Likelihood`."""
        own = self.term * self._risk_sets(eta).log_term - self.weights * eta
        return jnp.sum(jnp.where(self.event, own, 0))

    def _pulled(self, sets: _RiskSets, values: Array) -> Array:
        """Of values [k, n] of the events: what every row's share in their risk sets makes of them.

        Row i has the sum over the events r that it was at risk for of c_r v_i exp(eta_i) / D_r
        times the value of r, less k / d of it where i is one of the events of the group of r.
        """
        rates = jnp.where(self.event, _log(self.term) - sets.log_term, VOID)
        log_sums, means = _running(rates[None, :], values, reverse=True)
        whole = jnp.exp(sets.log_risk + log_sums[0, self.first])[None, :] * means[:, self.first]
        part = self.share * self.term * jnp.exp(sets.log_sum - sets.log_term)
        of_events = self._of_group(part[None, :] * values)
        own = jnp.exp(sets.log_risk - sets.log_sum)[None, :] * of_events
        return whole - jnp.where(self.event[None, :], own, 0)

    def residual(self, eta: Array) -> Array:
        """See `Likelihood`."""
        hazard = self._pulled(self._risk_sets(eta), jnp.ones_like(eta)[None, :])[0]
        return jnp.where(self.event, self.weights, 0) - hazard

    def images(self, eta: Array, columns: Array) -> Array:
        """See `Joint`."""
        sets = self._risk_sets(eta)
        _, running = _running(sets.log_risk[None, :], columns)
        share = jnp.exp(sets.log_risk - sets.log_sum)
        of_events = self._of_group(share[None, :] * columns)
        less = running[:, self.last] - self.share[None, :] * of_events
        means = less / (1 - self.share * sets.tied)[None, :]
        own = self._pulled(sets, jnp.ones_like(eta)[None, :])
        return columns * own - self._pulled(sets, means)


def _log(values: Array) -> Array:
    """Logarithm of positive values; 0 where they are not, to be masked."""
    return jnp.log(jnp.where(values > 0, values, 1))


def _running(log_weights: Array, values: Array, *, reverse: bool = False) -> tuple[Array, Array]:
    """Logarithms [1, n] of the running sums of weights, and weighted means [k, n] of values."""

    def combined(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
        total = jnp.logaddexp(first[0], second[0])
        a, b = jnp.exp(first[0] - total), jnp.exp(second[0] - total)
        return total, a * first[1] + b * second[1]

    return jax.lax.associative_scan(combined, (log_weights, values), reverse=reverse, axis=1)


def cox(time: Array, event: Array, weights: Array, ties: Ties = "efron") -> tuple[Cox, Array]:
    """Cox's partial likelihood and the order [n] in which it wants the rows.

    Args:
      time: [n] of event or censoring.
      event: [n] 1 or True for an event, 0 for censoring; who is censored at the time of an event
        was at risk.
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
    died = event[order].astype(bool) & (weights > 0)
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
