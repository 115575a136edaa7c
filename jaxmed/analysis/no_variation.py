"""The door for exposures and outcomes of which the covariates leave nothing, by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmed.data.covariate_basis import CovariateBasis
from jaxmed.data.independent_columns import KEPT, LEFT, explained_by
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import (
    ROUNDING_SPREAD,
    InvalidDataError,
    constant_exposure,
    constant_outcome,
)
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.moment_columns import ROUNDINGS, column_statistics

__all__ = ["check_basis_leaves", "check_covariates_leave", "check_moments_leave"]

SHOWN = 8
_CONSTANT = {"exposure": constant_exposure, "outcome": constant_outcome}


def check_basis_leaves(chosen: CovariateBasis, linear: CovariateBasis) -> None:
    """Refuses data whose exposure or outcome is an exact function of the basis, by name.

    Args:
      chosen: what the models have in place of the covariates; of rows that all have weight.
      linear: the basis "linear" of the same data.
    Raises:
      InvalidDataError: nothing is left; the covariates are named, and for what linear covariates
        leave something of, basis="linear" as the remedy.
    """
    for role in ("exposure", "outcome"):
        sources = _explained(chosen.data, chosen.names, role)
        if sources is None:
            continue
        by_linear = _explained(linear.data, linear.names, role) if linear is not chosen else sources
        name = getattr(chosen.data.names, role)
        if by_linear is not None:
            raise _refused(role, name, by_linear)
        raise InvalidDataError(
            f"the {role} {name!r} has no variation left given {_listed(sources)}: it is an exact "
            f"function of what the basis {chosen.basis} makes of the covariates, so that there is "
            'no effect to estimate; linear covariates leave some: choose basis="linear"'
        )


def check_covariates_leave(data: MediationData, codes: np.ndarray) -> None:
    """The same for covariates as they are, of rows whose mediators are not at hand.

    Args:
      data: host arrays; mediators are not looked at.
      codes: [q] of its covariates, see `data.independent_columns`.
    Raises:
      InvalidDataError: nothing is left of exposure or outcome.
    """
    names = tuple(n for n, code in zip(data.names.covariates, codes, strict=True) if code == KEPT)
    columns = np.asarray(data.covariates)[:, codes == KEPT]
    used = None if data.weights is None else np.asarray(data.weights) > 0
    if len(names) + 2 > (len(data.exposure) if used is None else used.sum()):
        return  # nothing can be left: too few rows, which has its own refusal
    for role in ("exposure", "outcome"):
        column = np.asarray(getattr(data, role))
        found = explained_by(column, columns, used, columns.dtype)
        if found is not None:
            raise _refused(role, getattr(data.names, role), [names[j] for j in found])


def check_moments_leave(moments: CrossMoments, codes: np.ndarray, dtype: Any = None) -> None:
    """The same from moments alone, up to what sums of squares can tell.

    Moments with noise pass: of an exact function noise leaves something, above or below zero.

    Args:
      moments: concrete, with complete names.
      codes: [q] of the covariates, see `statistics.moment_columns.covariate_codes`.
      dtype: of the rows behind them; the moments' if None.
    Raises:
      InvalidDataError: exposure or outcome is constant, or nothing is left of it.
    """
    q, names = moments.num_covariates, moments.names
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
            raise _refused(role, name, [names.covariates[j] for j in found])


def _explained(data: MediationData, names: Sequence[str], role: str) -> list[str] | None:
    columns = np.asarray(data.covariates)
    found = explained_by(np.asarray(getattr(data, role)), columns, None, columns.dtype)
    return None if found is None else [names[j] for j in found]


def _refused(role: str, name: str, sources: Sequence[str]) -> InvalidDataError:
    one = len(sources) == 1
    it, leave = ("it", "this covariate") if one else ("them", "at least one of these covariates")
    return InvalidDataError(
        f"the {role} {name!r} has no variation left given {_listed(sources)}: it is an exact "
        f"linear function of {it} on the rows used, so that there is no effect to estimate; leave "
        f"{leave} out, or choose another {role}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
