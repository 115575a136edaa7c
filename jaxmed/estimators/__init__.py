"""Estimators: configuration in, `(key, data) -> Estimate` out; all safe under jit and vmap."""

from jaxmed.estimators.composites import from_composite, maxcor, maxie, reg_exposure, reg_outcome
from jaxmed.estimators.directions import directions
from jaxmed.estimators.estimate import Effects, Estimate, MediatorEffects
from jaxmed.estimators.from_weights import WeightDetails, from_weights
from jaxmed.estimators.guo import guo
from jaxmed.estimators.hima import hima
from jaxmed.estimators.numerical import numerical
from jaxmed.estimators.penalised import lasso_exposure, lasso_outcome

__all__ = [
    "Effects",
    "Estimate",
    "MediatorEffects",
    "WeightDetails",
    "directions",
    "from_composite",
    "from_weights",
    "guo",
    "hima",
    "lasso_exposure",
    "lasso_outcome",
    "maxcor",
    "maxie",
    "numerical",
    "reg_exposure",
    "reg_outcome",
]
