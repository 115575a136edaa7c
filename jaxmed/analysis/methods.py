"""Methods by name, as the command line and `mediate` know them."""

import difflib
from collections.abc import Callable

import numpy as np

from jaxmed import estimators
from jaxmed.analysis.fit import CLOSED_FORMS
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.penalised import Family
from jaxmed.typing import ArrayLike, Estimator

CLOSED = tuple(dict.fromkeys(method for method, _ in CLOSED_FORMS))
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
METHODS = (*CLOSED, *OPEN)


def family_of(response: ArrayLike) -> Family:
    """Binomial for a response of zeros and ones, gaussian for any other."""
    return "binomial" if np.isin(np.asarray(response), (0, 1)).all() else "gaussian"


def check_methods(methods: tuple[str, ...]) -> None:
    """Raises ValueError for an empty list or an unknown name, with where that name lives."""
    unknown = [m for m in methods if m not in METHODS]
    if not unknown and methods:
        return
    from jaxmed.analysis.field_methods import FIELD_METHODS  # built on this module

    elsewhere = [name for name in unknown if name in FIELD_METHODS]
    hint = f"; {', '.join(elsewhere)}: see compare" if elsewhere else ""
    near = difflib.get_close_matches(unknown[0], METHODS, n=2) if unknown and not elsewhere else []
    hint += f"; did you mean {', '.join(near)}?" if near else ""
    raise ValueError(
        f"there is no method {', '.join(map(repr, unknown)) or 'named'}: composites are "
        f'{", ".join(METHODS)}; "effects" and "gahmn" stand alone in mediate{hint}'
    )
