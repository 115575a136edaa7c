"""One object for one configuration, so that what was compiled for it is found again.

`jax.jit` knows a function by its identity: an estimator made anew by an equal call of its factory
would be compiled anew. Programs of earlier processes are found by the factory and its arguments.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from jaxmed.program_key import made_by

__all__ = ["kept"]

KEPT = 128  # configurations of one factory; the one not asked for longest leaves
Made = TypeVar("Made")


def kept(factory: Callable[..., Made]) -> Callable[..., Made]:
    """A pure factory that returns the same object to equal calls.

    Calls whose arguments have no hash (arrays as folds or penalties) make a new object each time.
    """

    @functools.lru_cache(KEPT, typed=True)
    def remember(*args: Any, **kwargs: Any) -> Made:
        made = factory(*args, **kwargs)
        made_by(made, factory, args, kwargs)
        return made

    @functools.wraps(factory)
    def make(*args: Any, **kwargs: Any) -> Made:
        known = _has_hash((*args, *kwargs.values()))
        return remember(*args, **kwargs) if known else factory(*args, **kwargs)

    return make


def _has_hash(values: tuple[Any, ...]) -> bool:
    try:
        hash(values)
    except TypeError:  # of the one value that has none: no type says so for what it holds
        return False
    return True
