"""One object for one configuration, so that what was compiled for it is found again.

`jax.jit` knows a function by its identity: an estimator made anew by an equal call of its factory
would be compiled anew. Programs of earlier processes are found by the factory and its arguments.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from jaxmed.configuration import key_of, made_by

__all__ = ["kept"]

KEPT = 128  # configurations of one factory; the one not asked for longest leaves
Made = TypeVar("Made", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class _Call:
    """Arguments of a factory; equal where their configuration is."""

    key: tuple[Any, ...]
    arguments: inspect.BoundArguments = dataclasses.field(compare=False)


def kept(factory: Callable[..., Made]) -> Callable[..., Made]:
    """A pure factory that returns the same function to calls of one configuration.

    By position or by name, given or left at its default, an argument is the same. Calls with
    arguments that are no configuration (arrays as folds, a user's function or estimator, see
    `configuration.key_of`) make a new function each time, and nothing of theirs is kept: at most
    `KEPT` functions of a factory, with what was compiled for them, and configuration.
    """
    signature = inspect.signature(factory)

    @functools.lru_cache(KEPT)
    def remember(call: _Call) -> Made:
        made = factory(*call.arguments.args, **call.arguments.kwargs)
        made_by(made, factory, call.arguments.args, call.arguments.kwargs)
        return made

    @functools.wraps(factory)
    def make(*args: Any, **kwargs: Any) -> Made:
        try:
            arguments = signature.bind(*args, **kwargs)
        except TypeError:
            return factory(*args, **kwargs)  # whose refusal names it
        arguments.apply_defaults()
        key = key_of(tuple(arguments.arguments.values()))
        return factory(*args, **kwargs) if key is None else remember(_Call(key, arguments))

    return make
