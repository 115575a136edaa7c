"""The basis of the covariates inside an estimator."""

from dataclasses import replace
from typing import Literal

import jax.numpy as jnp

from jaxmed.data import basis_columns
from jaxmed.data.basis_columns import BasisFunction, blocks
from jaxmed.data.covariate_basis import covariate_basis
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.spline_columns import default_splines, spline_basis
from jaxmed.data.validation import is_traced
from jaxmed.estimators.parts.rows import Rows
from jaxmed.typing import Array
from jaxmed.vocabulary import BASES

__all__ = [
    "Basis",
    "BasisFunction",
    "check_basis",
    "default_splines",
    "spline_basis",
    "with_basis",
]

Basis = Literal["given"] | basis_columns.Basis
_NAMED = ("given", *BASES)


def check_basis(basis: Basis) -> None:
    """Raises ValueError for anything but a named basis and a function."""
    if basis not in _NAMED and not callable(basis):
        names = ", ".join(f'"{name}"' for name in _NAMED)
        raise ValueError(
            f"basis must be {names} or a function (covariates, weights) -> [n, r], not {basis!r}"
        )


def with_basis(rows: Rows, basis: Basis) -> Rows:
    """The rows with [1, basis of the covariates] as the base of either model.

    Args:
      rows: of one data set; the bases are [1, covariates].
      basis: "given" and "linear" change nothing. The other names are those of
        `jaxmed.covariate_basis` and span the same columns, under jit and vmap too; columns that do
        not apply are 0, and projections leave them out. Factors are not known here: with
        "products", 0/1 columns of one factor are multiplied, to no effect. A function makes the
        columns of the covariates [n, q_m] of the mediator models, and of the q_y of the outcome
        model where these differ. "auto" is for concrete data.
    Returns:
      Rows. Degrees of freedom count the rank of the base, not its columns.
    Raises:
      ValueError: an unknown basis, "auto" on traced data, or a function whose result is not
        [n, r].
    """
    check_basis(basis)
    if basis in ("given", "linear"):
        return rows
    mediator = _base(rows, rows.mediator_base, basis)
    outcome = mediator if rows.same_base else _base(rows, rows.outcome_base, basis)
    return replace(rows, mediator_base=mediator, outcome_base=outcome)


def _base(rows: Rows, base: Array, basis: Basis) -> Array:
    covariates = base[:, 1:]
    if basis == "auto":
        columns = _chosen(rows, covariates)
    elif basis == "splines_all_products":
        columns = default_splines(covariates, rows.weights)
    elif callable(basis):
        columns = jnp.asarray(basis(covariates, rows.weights), base.dtype)
    else:
        made = blocks(jnp, covariates, rows.weights, basis)  # pyright: ignore[reportArgumentType]
        columns = jnp.concatenate([block.columns for block in made], axis=1)
    if columns.ndim != 2 or columns.shape[0] != base.shape[0]:
        raise ValueError(
            f"the basis function must return [n, r] with n = {base.shape[0]}, not {columns.shape}"
        )
    return jnp.concatenate([base[:, :1], columns], axis=1)


def _chosen(rows: Rows, covariates: Array) -> Array:
    """The columns that "auto" takes, by looking at the numbers."""
    if is_traced(covariates, rows.weights):
        raise ValueError(
            'basis="auto" looks at the numbers, which traced data do not have: call '
            'jaxmed.covariate_basis(data) before jit and give its data with basis="given", or '
            'name one such as basis="splines"'
        )
    data = MediationData(rows.exposure, rows.mediators, rows.outcome, covariates, rows.weights)
    return jnp.asarray(covariate_basis(data, "auto").columns, covariates.dtype)
