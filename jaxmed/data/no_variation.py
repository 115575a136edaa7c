"""The door for exposures and outcomes of which the covariates leave nothing, by name."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxmed.data.covariate_basis import CovariateBasis
from jaxmed.data.independent_columns import KEPT, explained_by
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import InvalidDataError

__all__ = ["check_basis_leaves", "check_covariates_leave", "no_variation"]

SHOWN = 8
_ROLES = ("exposure", "outcome")


def check_basis_leaves(chosen: CovariateBasis, linear: CovariateBasis) -> None:
    """Refuses data whose exposure or outcome is an exact function of the basis, by name.

    Args:
      chosen: what the models have in place of the covariates; of rows that all have weight.
      linear: the basis "linear" of the same data.
    Raises:
      InvalidDataError: nothing is left; the covariates are named, and for what linear covariates
        leave something of, basis="linear" as the remedy.
    """
    found = _explained(chosen.data, chosen.names)
    if all(sources is None for sources in found.values()):
        return
    by_linear = found if linear is chosen else _explained(linear.data, linear.names)
    for role, sources in found.items():
        if sources is None:
            continue
        name, plain = getattr(chosen.data.names, role), by_linear[role]
        if plain is not None:
            raise no_variation(role, name, plain)
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
    names = [n for n, code in zip(data.names.covariates, codes, strict=True) if code == KEPT]
    used = None if data.weights is None else np.asarray(data.weights) > 0
    if len(names) + 2 > (len(data.exposure) if used is None else used.sum()):
        return  # nothing can be left: too few rows, which has its own refusal
    kept = dataclasses.replace(data, covariates=np.asarray(data.covariates)[:, codes == KEPT])  # pyright: ignore[reportArgumentType]
    for role, sources in _explained(kept, names, used).items():
        if sources is not None:
            raise no_variation(role, getattr(data.names, role), sources)


def _explained(
    data: MediationData, names: Sequence[str], used: np.ndarray | None = None
) -> dict[str, list[str] | None]:
    """For exposure and outcome the names of the covariates that determine it, or None."""
    columns = np.asarray(data.covariates)
    targets = np.column_stack([np.asarray(getattr(data, role)) for role in _ROLES])
    found = explained_by(targets, columns, used, columns.dtype)
    named: dict[str, list[str] | None] = {}
    for role, where in zip(_ROLES, found, strict=True):
        named[role] = None if where is None else [names[int(j)] for j in where]
    return named


def no_variation(role: str, name: str, sources: Sequence[str]) -> InvalidDataError:
    """The refusal of a column that covariates determine.

    Args:
      role: "exposure" or "outcome".
      name: of the column.
      sources: names of the covariates; none where it is constant.
    """
    if not sources:
        return InvalidDataError(
            f"the {role} {name!r} is constant on the rows used: there is no effect to estimate"
        )
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
