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
    """What the partial likelihood makes of a predictor, hazards over the largest one."""

    top: Array  # [] log of the largest hazard v exp(eta)
    risk: Array  # [n] hazards
    term: Array  # [n] what an event's hazard is compared with; 0 where it is below any number
    rate: Array  # [n] weight of an event over its term, 0 elsewhere


@pytree
class Cox:
    """Cox's partial likelihood of rows in order of decreasing time; see `cox`.

    An event of the group of its time has the term
    eta - log(sum over the risk set - k / d times the sum over the d events of the group), of
    weight c, k = 0, 1, ... its place among them with Efron's ties and 0 with Breslow's.
    Hazards may differ by a factor of e^700 in float64, of e^80 in float32: sums run from the late
    rows to the early ones or back, whichever adds the small ones first. Beyond, the loss is
    infinite.
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
        return _group_sums(jnp.where(_of_rank(self.event, values), values, 0), self.first)

    def _risk_sets(self, eta: Array) -> _RiskSets:
        present = self.weights > 0
        log_risk = eta + jnp.log(jnp.where(present, self.weights, 1))
        top = jnp.max(jnp.where(present, log_risk, -jnp.inf))
        risk = jnp.where(present, jnp.exp(jnp.where(present, log_risk - top, 0)), 0)
        term = jnp.cumsum(risk)[self.last] - self.share * self._of_group(risk)
        rate = jnp.where(self.event, divide(self.term, term), 0)
        return _RiskSets(top, risk, term, rate)

    def loss(self, eta: Array) -> Array:
        """See `Likelihood`."""
        sets = self._risk_sets(eta)
        known = sets.term > 0
        logs = jnp.where(known, jnp.log(jnp.where(known, sets.term, 1)), jnp.inf)
        own = self.term * (logs + sets.top) - self.weights * eta
        return jnp.sum(jnp.where(self.event, own, 0))

    def _pulled(self, risk: Array, values: Array) -> Array:
        """Of values [..., n] of the events: their sums over those that every row was at risk for.

        Row i has risk_i times the sum of the values of its events, less k / d of those of its own
        group where it is one of them.
        """
        after = jax.lax.cumsum(values, axis=values.ndim - 1, reverse=True)[..., self.first]
        own = jnp.where(
            _of_rank(self.event, values), self._of_group(_of_rank(self.share, values) * values), 0
        )
        return risk * (after - own)

    def residual(self, eta: Array) -> Array:
        """See `Likelihood`."""
        sets = self._risk_sets(eta)
        return jnp.where(self.event, self.weights, 0) - self._pulled(sets.risk, sets.rate)

    def images(self, eta: Array, columns: Array) -> Array:
        """See `Joint`."""
        sets = self._risk_sets(eta)
        risk, share = sets.risk[None, :], self.share[None, :]
        weighted = risk * columns
        sums = jnp.cumsum(weighted, axis=1)[:, self.last] - share * self._of_group(weighted)
        means = divide(sums, sets.term[None, :])
        own = self._pulled(sets.risk, sets.rate)[None, :]
        return columns * own - self._pulled(risk, sets.rate[None, :] * means)


def _group_sums(values: Array, first: Array) -> Array:
    """Of values [..., n]: sums over the rows of every row's group, named by its first row."""
    return jnp.zeros_like(values).at[..., first].add(values)[..., first]


def _of_rank(row: Array, like: Array) -> Array:
    """A row [n] with as many axes as another array."""
    return row[(None,) * (like.ndim - 1)]


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

    count = _group_sums(died.astype(weights.dtype), first)
    if ties == "breslow":
        zero = jnp.zeros_like(weights)
        return Cox(weights, died, zero, jnp.where(died, weights, 0), first, last), order
    numbered = jnp.cumsum(died)
    before = jnp.where(first > 0, numbered[first - 1], 0)
    rank = (numbered - before - 1).astype(weights.dtype)
    share = jnp.where(died, divide(rank, count), 0)
    mean = divide(_group_sums(jnp.where(died, weights, 0), first), count)
    return Cox(weights, died, share, jnp.where(died, mean, 0), first, last), order
