"""The composites of one method: closed forms of a fit, or an estimator's that needs the rows."""

import dataclasses
from collections.abc import Callable

import jax

from jaxmed.analysis.fit import LARGE_FROM, Fit, closed_composites
from jaxmed.compile import quick_jit
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.estimators.parts.kept import kept
from jaxmed.estimators.penalised import family_of
from jaxmed.geometry.composite import CompositeMediator
from jaxmed.registry import CLOSED, METHODS
from jaxmed.typing import Estimator, Key

__all__ = ["composites_of_method"]


def composites_of_method(
    name: str, result: Fit, data: MediationData, key: Key, position: int
) -> dict[tuple[str, str], CompositeMediator]:
    """The composites of one method, keyed by (method, direction); "" where it has one.

    Args:
      name: of a composite of the registry.
      result: the fit of the data, with its closed forms.
      data: concrete.
      key: of all methods of the call.
      position: among them, which makes the key of this one.
    """
    if name in CLOSED:
        return closed_composites(result, name)
    data = dataclasses.replace(data, names=Names())  # names are static: new ones recompile
    estimator = _open_estimator(name, data, result.paths.route)
    program = _program(estimator, data.mediators.shape[1] >= LARGE_FROM)
    return {(name, ""): program(jax.random.fold_in(key, position), data)}


def _open_estimator(name: str, data: MediationData, route: str) -> Estimator:
    """An estimator of a composite that draws random numbers or iterates, by the paths' route."""
    method = METHODS[name]
    given = {} if method.family is None else {"family": family_of(getattr(data, method.family))}
    return method.factory()(route=route, **given)


@kept
def _program(estimator: Estimator, large: bool) -> Callable[..., CompositeMediator]:
    """The composite alone: what else the estimate holds is known, and is not compiled."""
    return quick_jit(lambda key, data: estimator(key, data).details.composite, optimised=large)
