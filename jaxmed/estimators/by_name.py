"""The estimator that a name of the registry stands for, made for one data set."""

import inspect
from typing import Any

from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.penalised import family_of
from jaxmed.registry import Method
from jaxmed.typing import Estimator

__all__ = ["estimator_of"]


def estimator_of(method: Method, data: MediationData | None = None, **wanted: Any) -> Estimator:
    """The method on data whose covariates are the columns of their basis.

    Args:
      method: of the registry; its settings hold unless `wanted` has others.
      data: concrete: a 0/1 column may ask for a binomial model; None for none.
      wanted: options; those that the method does not have are left out.

    Raises:
      ValueError: what the factory refuses.
    """
    factory = method.factory()
    known = inspect.signature(factory).parameters
    family = {}
    if data is not None and method.family is not None:
        family = {"family": family_of(getattr(data, method.family))}
    asked = {name: value for name, value in {"basis": "given", **wanted}.items() if name in known}
    return factory(**dict(method.settings) | family | asked)
