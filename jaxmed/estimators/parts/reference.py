"""The two readings of a method: as it should be, and as a released package computes it."""

from typing import get_args

from jaxmed import status as st
from jaxmed.data.validation import is_traced
from jaxmed.typing import Array, ArrayLike
from jaxmed.vocabulary import Compat


class ReferenceWouldStop(RuntimeError):
    """With compat="r": the released package stops with an error on these data."""


def check_compat(compat: str) -> None:
    """Raises ValueError for anything but "correct" and "r"."""
    if compat not in get_args(Compat):
        raise ValueError(f'compat must be "correct" or "r", not {compat!r}')


def stops(condition: ArrayLike, reason: str) -> Array:
    """REFERENCE_STOPS where the condition holds, as a status code.

    Raises:
      ReferenceWouldStop: the condition is concrete and true. Under jit and vmap only the status
        can tell.
    """
    if not is_traced(condition) and bool(condition):
        raise ReferenceWouldStop(reason)
    return st.when(condition, st.REFERENCE_STOPS)
