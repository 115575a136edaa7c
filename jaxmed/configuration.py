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

__all__ = ["is_ours", "key_of", "made_by", "name_of", "origin_of"]

_ATOMS = (type(None), bool, int, float, complex, str, bytes, np.dtype)
_SCALARS = (np.number, np.bool_, np.str_, enum.Enum)
Origin = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
# Not attributes: a decorator would copy them to a function that does something else.
_ORIGINS: "weakref.WeakKeyDictionary[Callable[..., Any], Origin]" = weakref.WeakKeyDictionary()


def made_by(
    made: Any, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Notes that a pure factory of the library makes this function of this configuration.

    The function is configuration from then on, and named by its origin.
    """
    if isinstance(made, types.FunctionType):
        _ORIGINS[made] = (factory, args, kwargs)


def origin_of(function: Callable[..., Any]) -> Origin | None:
    """Factory and arguments of a function of `made_by`; None for any other one."""
    return _ORIGINS.get(function)


def name_of(value: Any) -> str:
    """A callable in a message or a table: by the factory that made it, itself, or its class."""
    origin = origin_of(value) if isinstance(value, types.FunctionType) else None
    return getattr(value if origin is None else origin[0], "__name__", type(value).__name__)


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
        return (value,) if value in _ORIGINS or _is_named(value) else None
    if type(value) is tuple:
        parts = [key_of(part) for part in value]
    elif _is_frozen_and_ours(value):
        parts = [key_of(getattr(value, field.name)) for field in dataclasses.fields(value)]
    else:
        return None
    return None if None in parts else (type(value), *parts)


def is_ours(named: Any) -> bool:
    """Whether a class or function is one of a module of the library that is imported."""
    module = getattr(named, "__module__", None) or ""
    return module in sys.modules and module.partition(".")[0] == __name__.partition(".")[0]


def _is_named(function: types.FunctionType) -> bool:
    """Whether a module of the library has this function under its name."""
    found: Any = sys.modules.get(function.__module__)
    return is_ours(function) and getattr(found, function.__qualname__, None) is function


def _is_frozen_and_ours(value: Any) -> bool:
    kind = type(value)
    return is_ours(kind) and dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]
