"""Whether a value can be that of an option, by the annotation of the factory's argument.

A text in the place of a number would be found inside a program, in words that name neither.
"""

import numbers
import types
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

__all__ = ["fits", "kinds"]

_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    type(None): "None",
}


def fits(value: Any, hint: Any) -> bool:
    """False for what the annotation rules out; True where it says nothing that is checked here."""
    if get_origin(hint) in (Union, types.UnionType):
        return any(fits(value, one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(hint))
    if hint is None or hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if hint in (int, float):
        kind = numbers.Integral if hint is int else numbers.Real
        return isinstance(value, kind) and not isinstance(value, bool)
    return isinstance(value, str) if hint is str else True


def kinds(hint: Any) -> str:
    """The annotation in words: "a whole number or None"."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(kinds(one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    return _NAMES.get(hint, getattr(hint, "__name__", str(hint)))
