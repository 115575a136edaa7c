"""What a record says where the mediators have one dimension: one effect, no parts, no angle."""

import math
from typing import Any

import numpy as np

from jaxmed.analysis.data_units import Analysis
from jaxmed.analysis.fit import Fit
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.status import FIRST_FATAL

__all__ = ["existing_composites", "is_single", "single_effect", "single_test"]

_ESTIMANDS = {
    "total_indirect": "alpha * beta of the mediator, with its interval in the table of mediators",
    "concordant": "max(alpha * beta, 0) of the only composite, the mediator itself",
    "suppression": "min(alpha * beta, 0) of the only composite, the mediator itself",
}
_EXACT = {
    **dict.fromkeys(
        ("total", "joint"),
        "exact for Gaussian errors when one path is null, conservative when both are: the "
        "mediator's joint significance; assumes equal error variances",
    ),
    "total_robust": "approximate: the mediator's joint significance with errors of both "
    "coefficients from the rows",
}


def is_single(fit: Fit) -> bool:
    """True where the primal's mediators have one dimension, be it of several columns."""
    paths = fit.paths
    identified = paths.regime == "primal" and int(paths.status) < FIRST_FATAL
    return bool(identified) and int(paths.quadratics.dimension) == 1


def existing_composites(analysis: Analysis) -> dict[tuple[str, str], CompositeMediator]:
    """The composites without those of a direction that does not exist.

    In one dimension every composite is the mediator, concordant or suppression by the sign of its
    effect; what closed forms find in the other direction is rounding.
    """
    fit, composites = analysis.fit, analysis.composites
    if not is_single(fit):
        return composites
    negative = float(np.asarray(fit.paths.quadratics.exposure_outcome)) < 0
    other = "concordant" if negative else "suppression"
    return {name: found for name, found in composites.items() if name[1] != other}


def single_effect(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the effects with what it is for a single mediator, which no weights flatter."""
    estimand = _ESTIMANDS.get(entry["quantity"], entry["estimand"])
    return entry | {"estimand": estimand, "naive": math.nan}


def single_test(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the tests with when it is exact for a single mediator."""
    return entry | {"exact": _EXACT.get(entry["test"], entry["exact"])}
