"""Aliases and small types that every layer shares."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar, dataclass_transform

import jax
from jax import Array
from jax.typing import ArrayLike

__all__ = [
    "Array",
    "ArrayLike",
    "Counted",
    "Device",
    "Estimator",
    "Interval",
    "Key",
    "Regime",
    "pytree",
    "static",
]

Key = Array
Device = Any  # jax.Device, which type checkers take for a variable
Counted = Callable[[int, int], None]  # progress of a long reading: (done, of how many)
Regime = Literal["primal", "dual"]
T = TypeVar("T")


def static(**kwargs: Any) -> Any:
    """A dataclass field that is compile-time configuration, not an array."""
    return dataclasses.field(metadata={"static": True}, **kwargs)


@dataclass_transform(frozen_default=True, field_specifiers=(static, dataclasses.field))
def pytree(cls: type[T]) -> type[T]:
    """Frozen dataclass, registered with JAX; `static()` fields are metadata."""
    return jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True)(cls))


@pytree
class Interval:
    """A confidence interval; NaN limits where it does not exist."""

    lower: Array  # [...]
    upper: Array  # [...]
    level: float = static(default=0.95)
    method: str = static(default="")


class Estimator(Protocol):
    """`(key, data) -> Estimate`; deterministic estimators accept `key=None`."""

    def __call__(self, key: Key | None, data: Any) -> Any:
        """Fit one data set."""
        ...


Reducer = Callable[[Any, Any], Any]
