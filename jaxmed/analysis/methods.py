"""Methods by name, as the command line and `mediate` know them."""

from collections.abc import Callable

import numpy as np

from jaxmed import estimators
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.penalised import Family
from jaxmed.typing import ArrayLike, Estimator

# Methods that draw random numbers or iterate, run one by one.
OPEN: dict[str, Callable[[MediationData, str], Estimator]] = {
    "directions": lambda data, route: estimators.directions(route=route),
    "numerical": lambda data, route: estimators.numerical(route=route),
    "lasso_exposure": lambda data, route: estimators.lasso_exposure(
        family=family_of(data.exposure), route=route
    ),
    "lasso_outcome": lambda data, route: estimators.lasso_outcome(
        family=family_of(data.outcome), route=route
    ),
}


def family_of(response: ArrayLike) -> Family:
    """Binomial for a response of zeros and ones, gaussian for any other."""
    return "binomial" if np.isin(np.asarray(response), (0, 1)).all() else "gaussian"
