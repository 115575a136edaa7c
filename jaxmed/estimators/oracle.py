"""The oracle: least squares that is told which mediators matter. A yardstick for studies."""

from collections.abc import Sequence

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.parts.basis import Basis, check_basis, with_basis
from jaxmed.estimators.parts.given_support import (
    Variance,
    check_support_variance,
    estimate_given_support,
)
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.rows import Columns, Rows, rows_of
from jaxmed.estimators.parts.units import in_safe_units
from jaxmed.typing import Array, Estimator, Key


@in_safe_units
def oracle(
    support: Sequence[int],
    basis: Basis = "given",
    *,
    variance: Variance = "sandwich",
    covariates_mediator: Columns = None,
    covariates_outcome: Columns = None,
    level: float = 0.95,
) -> Estimator:
    """Least squares of the outcome on exposure, basis and the mediators that truly affect it.

    No method that has to select can be expected to do better, and intervals clearly narrower than
    these are no confidence intervals.

    Args:
      support: positions of the mediators with an effect on the outcome.
      basis: of the covariates; the true curves as a function make the full oracle.
      variance: "sandwich" or "classical".
      covariates_mediator: of the mediator models; all if None.
      covariates_outcome: of the outcome model; all if None.
      level: of the intervals.
    Returns:
      Deterministic Estimator; `details` is None. An empty support gives an indirect effect of 0.
    Raises:
      ValueError: no such mediator, or an argument outside its range.
    """
    check_basis(basis)
    check_support_variance(variance)
    positions = tuple(sorted({int(position) for position in support}))
    if positions and positions[0] < 0:
        raise ValueError(f"support must hold positions from 0 on, not {positions}")
    # An empty model still needs one place, which stays unselected.
    index, inside = jnp.asarray(positions or (0,)), bool(positions)

    def estimate(key: Key | None, data: MediationData) -> Estimate:
        del key
        p = data.mediators.shape[1]
        if positions and positions[-1] >= p:
            raise ValueError(f"support must hold positions from 0 to {p - 1}, not {positions}")
        rows = rows_of(data, covariates_mediator, covariates_outcome)
        chosen = jnp.full(index.shape, inside)
        return oracle_estimate(rows, index, chosen, basis, variance=variance, level=level)

    return estimate


def oracle_estimate(
    rows: Rows,
    index: Array,
    inside: Array,
    basis: Basis,
    *,
    variance: Variance = "sandwich",
    level: float = 0.95,
) -> Estimate:
    """The oracle's estimate where which of the candidates matter is a traced number.

    Args:
      rows: of one data set.
      index: candidates [d].
      inside: [d] bool, those that affect the outcome.
      basis: of the covariates.
      variance: "sandwich" or "classical".
      level: of the intervals.
    """
    return estimate_given_support(
        legs_of(with_basis(rows, basis)),
        index,
        inside,
        variance=variance,
        adjust="none",
        level=level,
        method=f"{variance}, support known",
        status=jnp.asarray(st.OK),
        details=None,
    )
