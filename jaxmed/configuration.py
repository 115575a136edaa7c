"""What is configuration: values that stay what they are, by which a program is found again.

A user's object may change between two calls, read a global, or call itself equal to another one: a
program that was compiled for it is not known to be its program in the next call.
"""

import dataclasses
import enum
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["key_of", "own"]

_ATOMS = (type(None), bool, int, float, complex, str, bytes, np.dtype)
_SCALARS = (np.number, np.bool_, np.str_, enum.Enum)
_OWN: "weakref.WeakSet[Callable[..., Any]]" = weakref.WeakSet()


def own(function: Callable[..., Any]) -> None:
    """Marks a function that the library made from configuration alone as configuration itself."""
    _OWN.add(function)


def key_of(value: Any) -> tuple[Any, ...] | None:
    """A key that values of one configuration share, and None for what is no configuration.

    Args:
      value: configuration are None, numbers, strings, members of enumerations, the library's own
        functions and frozen dataclasses, and tuples of all these. Equal numbers of other types are
        other configurations.
    """
    if type(value) in _ATOMS or isinstance(value, _SCALARS):
        return (type(value), value)
    if isinstance(value, types.FunctionType):
        return (value,) if value in _OWN or _is_ours(value) else None
    if type(value) is tuple:
        parts = [key_of(part) for part in value]
    elif _is_frozen_and_ours(value):
        parts = [key_of(getattr(value, field.name)) for field in dataclasses.fields(value)]
    else:
        return None
    return None if None in parts else (type(value), *parts)


def _is_ours(function: types.FunctionType) -> bool:
    """Whether a module of the library has this function under its name."""
    found: Any = sys.modules.get(function.__module__)
    if function.__module__.partition(".")[0] != __name__.partition(".")[0]:
        return False
    return getattr(found, function.__qualname__, None) is function


def _is_frozen_and_ours(value: Any) -> bool:
    kind = type(value)
    if kind.__module__.partition(".")[0] != __name__.partition(".")[0]:
        return False
    return dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]
