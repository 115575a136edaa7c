"""Rows of one data set as the field's methods need them: two sets of covariates, case weights.

Case weights count rows: a row of weight 2 is two equal rows, and n is the sum of the weights. So a
resample with replacement is the same data under other weights.
"""

from collections.abc import Sequence

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData, weights_of
from jaxmed.typing import Array, pytree, static

# Names or positions of covariates; None for all of them.
Columns = Sequence[str | int] | None


@pytree
class Rows:
    """One data set; every base starts with the intercept.

    `exposure` [n], `mediators` [n, p] and `outcome` [n] are those of the data, in their units and
    not yet given anything. `mediator_base` [n, 1+q_m] and `outcome_base` [n, 1+q_y] are the
    intercept and the covariates of either model, which may depend on each other. `weights` [n]
    count rows; they are ones where the data have none. `same_base` is known while tracing: both
    models were given the same covariates.
    """

    exposure: Array  # [n]
    mediators: Array  # [n, p]
    outcome: Array  # [n]
    mediator_base: Array  # [n, 1+q_m] intercept and covariates of the mediator models
    outcome_base: Array  # [n, 1+q_y] intercept and covariates of the outcome model
    weights: Array  # [n] >= 0
    same_base: bool = static(default=True)

    @property
    def count(self) -> Array:
        """Number of rows n: the sum of the case weights."""
        return jnp.sum(self.weights)

    @property
    def status(self) -> Array:
        """NONFINITE where any number is NaN or infinite."""
        parts = (self.exposure, self.mediators, self.outcome, self.outcome_base, self.weights)
        total = sum(jnp.sum(part) for part in (*parts, self.mediator_base))
        return st.when(~jnp.isfinite(total), st.NONFINITE)


def rows_of(
    data: MediationData, covariates_mediator: Columns = None, covariates_outcome: Columns = None
) -> Rows:
    """Rows of the data with the covariates of either model.

    Args:
      data: rows.
      covariates_mediator: of exposure -> mediator models; all covariates if None.
      covariates_outcome: of the outcome model; all covariates if None.
    Raises:
      ValueError: a covariate that the data do not have.
    """
    exposure, weights = jnp.asarray(data.exposure), weights_of(data)
    first, second = (
        covariate_positions(data, wanted) for wanted in (covariates_mediator, covariates_outcome)
    )
    ones = jnp.ones_like(exposure)[:, None]
    mediator_base, outcome_base = (
        jnp.concatenate([ones, jnp.asarray(data.covariates)[:, list(where)]], axis=1)
        for where in (first, second)
    )
    mediators, outcome = jnp.asarray(data.mediators), jnp.asarray(data.outcome)
    same = first == second
    return Rows(exposure, mediators, outcome, mediator_base, outcome_base, weights, same)


def covariate_positions(data: MediationData, wanted: Columns) -> tuple[int, ...]:
    """Positions of the wanted covariates, in the order of the data.

    Raises:
      ValueError: a name or position that the data do not have, with what there is.
    """
    q = data.covariates.shape[1]
    if wanted is None:
        return tuple(range(q))
    if isinstance(wanted, str):
        raise ValueError(f"covariates are a sequence of names, not the string {wanted!r}")
    names = data.names.covariates
    found = []
    for name in wanted:
        position = name if isinstance(name, int) else names.index(name) if name in names else -1
        if not 0 <= position < q:
            there = ", ".join(names) or f"{q} without names"
            raise ValueError(f"there is no covariate {name!r}; covariates are: {there}")
        found.append(position)
    return tuple(sorted(set(found)))
