"""What a bootstrap repeats: an estimator, a method by its name, or a function of the data."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.configuration import name_of
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.by_name import estimator_of
from jaxmed.registry import METHODS, check_methods
from jaxmed.sweeps.resampling import Numbers, Statistic, effects_of
from jaxmed.sweeps.task import STATUS
from jaxmed.typing import Array, Estimator, Key

__all__ = ["OfData", "Repeated", "repeated"]

# A function of the data: a scalar, or scalars by name.
OfData = Callable[[MediationData], Array | Mapping[str, Array]]
ACCEPTED = (
    "a bootstrap repeats an estimator (key, data) -> Estimate, a method by its name, or a function "
    "of the data alone that returns numbers"
)


@dataclasses.dataclass(frozen=True)
class Repeated:
    """What is repeated, as an estimator, and what is read of it.

    Attributes:
      estimator: (key, data) -> Estimate, or Numbers of a function of the data.
      statistic: what is read of that.
      described: for the settings: kind and name, and the statistic's name.
    """

    estimator: Any
    statistic: Statistic
    described: dict[str, str]

    @property
    def needs_rank(self) -> bool:
        """False for a function of the data, of which nothing is known."""
        return not isinstance(self.estimator, _Function)


def repeated(
    data: MediationData, asked: str | Estimator | OfData, statistic: Statistic | None
) -> Repeated:
    """What is asked for in one form.

    Args:
      data: concrete; a method by name is made for it, its covariates taken as they are.
      asked: a name, an estimator, or a function of the data (one argument without a default).
      statistic: of an Estimate; its effects if None.

    Raises:
      ValueError: anything else, an unknown name, a factory instead of what it makes, or a
        statistic of a function of the data.
    """
    read = {"statistic": "effects" if statistic is None else name_of(statistic)}
    if isinstance(asked, str):
        check_methods([asked])
        made = estimator_of(METHODS[asked], data)
        return Repeated(made, statistic or effects_of, {"kind": "method", "name": asked, **read})
    if not callable(asked):
        raise ValueError(f"{ACCEPTED}; not {type(asked).__name__}")
    arguments = _arguments(asked)
    if arguments == 0:
        raise ValueError(
            f"{ACCEPTED}; {name_of(asked)} takes none of these: is it a factory to call?"
        )
    if arguments != 1:
        described = {"kind": "estimator", "name": name_of(asked), **read}
        return Repeated(asked, statistic or effects_of, described)
    if statistic is not None:
        raise ValueError(
            f"{name_of(asked)} is a function of the data, whose numbers are the measures: "
            "statistic= reads an Estimate"
        )
    described = {"kind": "function of the data", "name": name_of(asked)}
    return Repeated(_Function(asked), _values_of, described)


@dataclasses.dataclass(frozen=True)
class _Function:
    """A function of the data in the form of an estimator."""

    function: Any

    def __call__(self, key: Key | None, data: MediationData) -> Numbers:
        del key
        found = self.function(data)
        if not isinstance(found, Mapping):
            found = {"value": found}
        if STATUS in found:
            raise ValueError(f"a function of the data cannot name a number {STATUS!r}")
        try:
            values = {name: jnp.asarray(value) for name, value in found.items()}
        except TypeError as error:
            raise ValueError(f"{ACCEPTED}; {name_of(self.function)}: {error}") from error
        return Numbers(values, jnp.int32(st.OK))


def _values_of(found: Numbers) -> Mapping[str, Array]:
    return found.values


def _arguments(asked: Callable[..., Any]) -> int:
    """Positional arguments without a default; 2, an estimator's, where that cannot be known."""
    try:
        parameters = inspect.signature(asked).parameters.values()
    except (TypeError, ValueError):  # some compiled callables have none
        return 2
    kinds = {p.kind for p in parameters}
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 2
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters)
