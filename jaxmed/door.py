"""Public functions as one program each: jit where a user calls them, nothing inside a program.

A formula called on arrays runs as dozens of small programs, each of which is compiled first. The
pure functions of `jaxmed.__all__`, or the part of them that follows the decisions on concrete
numbers, are compiled as a whole instead. Under jit, vmap or grad they are the plain functions.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxmed.compile import quick_jit
from jaxmed.configuration import key_of

__all__ = ["at_the_door"]

P = ParamSpec("P")
R = TypeVar("R")


def at_the_door(
    *static: str, optimised: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that compiles a pure function where it is called on concrete arguments.

    Args:
      static: names of arguments that are configuration: each value has a program of its own, see
        `configuration.key_of`.
      optimised: True for programs whose own loops are long, see `compile.quick_jit`.

    Returns:
      The decorator. `__wrapped__` of what it makes is the plain function, which is called where an
      argument is traced. Where configuration is none that stays what it is (a user's callable may
      not be the one that a program was compiled for), the program is compiled in each call.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        program = quick_jit(function, static, optimised=optimised)
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if _is_traced((args, kwargs)):
                return function(*args, **kwargs)
            given = signature.bind(*args, **kwargs).arguments
            settings = {name: given.pop(name) for name in static if name in given}
            if all(key_of(value) for value in settings.values()):
                return program(*args, **kwargs)
            own = functools.partial(function, **settings)
            return quick_jit(own, optimised=optimised)(**given)

        return call

    return decorate


def _is_traced(arguments: Any) -> bool:
    """Whether a call with these arguments is part of a program that is being traced."""
    # What is made inside jit is traced even where it depends on no argument.
    leaves = (*jax.tree.leaves(arguments), jnp.zeros(()))
    return any(isinstance(leaf, Tracer) for leaf in leaves)
