"""Moments of exposures and outcomes of which the covariates leave nothing, by name."""

from typing import Any

import numpy as np

from jaxmed.data.independent_columns import KEPT, LEFT
from jaxmed.data.mediation_data import complete_names
from jaxmed.data.no_variation import no_variation
from jaxmed.data.validation import ROUNDING_SPREAD, constant_exposure, constant_outcome
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.moment_columns import ROUNDINGS, column_statistics, covariate_codes

__all__ = ["check_moments_leave"]

_CONSTANT = {"exposure": constant_exposure, "outcome": constant_outcome}


def check_moments_leave(
    moments: CrossMoments, codes: np.ndarray | None = None, dtype: Any = None
) -> None:
    """Refuses exposures and outcomes that covariates determine, as far as sums of squares tell.

    Moments with noise pass: of an exact function noise leaves something, above or below zero.

    Args:
      moments: concrete.
      codes: [q] of the covariates, see `covariate_codes`, where they are known.
      dtype: of the rows behind them; the moments' if None.
    Raises:
      InvalidDataError: exposure or outcome is constant, or nothing is left of it.
    """
    q = moments.num_covariates
    names = complete_names(moments.names, moments.num_mediators, q)
    codes = covariate_codes(moments, dtype) if codes is None else codes
    products = np.asarray(moments.comoment, np.float64)[: q + 2, : q + 2]
    if not np.isfinite(products).all():
        return  # a status tells
    rounding = ROUNDING_SPREAD[np.dtype(moments.comoment.dtype if dtype is None else dtype)]
    least = max((LEFT * rounding) ** 2, ROUNDINGS * float(np.finfo(moments.comoment.dtype).eps))
    mean, sd = (values[: q + 2] for values in column_statistics(moments))
    size = np.sqrt(np.where(sd > 0, np.diagonal(products), 1))
    correlation = products / size / size[:, None]
    kept = np.flatnonzero(codes == KEPT)
    inverse = np.linalg.pinv(correlation[np.ix_(kept, kept)], hermitian=True)
    for position, role in ((q, "exposure"), (q + 1, "outcome")):
        name = getattr(names, role)
        if products[position, position] >= 0 and sd[position] <= rounding * abs(mean[position]):
            raise _CONSTANT[role](name, float(mean[position]))
        slopes = inverse @ correlation[kept, position]
        left = correlation[position, position] - correlation[position, kept] @ slopes
        if abs(left) <= least:
            error = np.sqrt(least * np.abs(np.diagonal(inverse)))
            found = kept[np.abs(slopes) > error]
            raise no_variation(role, name, [names.covariates[j] for j in found])
