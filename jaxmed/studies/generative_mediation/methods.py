"""The methods that the study compares; a further one is a further line."""

from collections.abc import Mapping

import jax.numpy as jnp

from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.double_selection import double_selection
from jaxmed.estimators.estimate import Estimate
from jaxmed.estimators.guo import guo
from jaxmed.estimators.hima import hima
from jaxmed.estimators.ols import ols
from jaxmed.estimators.oracle import oracle_estimate
from jaxmed.estimators.parts.basis import Basis, spline_basis
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.estimators.plsem import plsem
from jaxmed.simulate.partially_linear import PartiallyLinear, known_basis
from jaxmed.typing import Array, Estimator, Key, pytree

__all__ = ["METHODS", "ORACLE", "PRINTED_AS", "Problem", "method"]


@pytree
class Problem:
    """One data set and the model that it comes from."""

    data: MediationData
    model: PartiallyLinear


# Mediators that affect the outcome in one of the settings.
_CANDIDATES = (2, 3, 4, 5, 6)


def _oracle(basis: Basis) -> Estimator:
    """Least squares that knows which mediators affect the outcome."""

    def estimate(key: Key | None, data: Problem) -> Estimate:
        del key
        index = jnp.asarray(_CANDIDATES)
        inside = data.model.beta[index] != 0
        return oracle_estimate(rows_of(data.data), index, inside, basis)

    return estimate


def _plsem_splines(covariates: Array, weights: Array) -> Array:
    """The basis of PLSEM with tensor terms at 800 rows."""
    return spline_basis(covariates, weights, knots=4, kind="bspline")


def method(estimator: Estimator) -> Estimator:
    """An estimator of the data alone."""
    return lambda key, data: estimator(key, data.data)


ORACLE = "oracle, spline g"
METHODS: Mapping[str, Estimator] = {
    "oracle, g known": _oracle(known_basis),
    ORACLE: _oracle(_plsem_splines),
    "PLSEM, tensor terms": method(plsem(tensor=True)),
    "PLSEM, additive": method(plsem(tensor=False)),
    "Guo": method(guo()),
    "HIMA": method(hima()),
    "HIMA, as released": method(hima(compat="r")),
    "OLS, all mediators": method(ols(basis="splines_all_products")),
    "double selection": method(double_selection(basis="splines_all_products", nodewise=False)),
    "double selection, zz": method(
        double_selection(basis="splines_all_products", rule="zz", nodewise=False)
    ),
}
# Our method -> the printed one that it is shown beside.
PRINTED_AS: Mapping[str, str] = {
    "PLSEM, tensor terms": "PLSEM",
    "PLSEM, additive": "PLSEM",
    "Guo": "Guo",
    "HIMA": "HIMA",
    "HIMA, as released": "HIMA",
}
