"""Warnings that name the line of the user, however deep in an analysis they arise."""

import sys
import warnings

__all__ = ["warn_user"]

# Frames that are not the user's: of the library, and of the context managers that it runs in.
_INSIDE = ("jaxmed", "contextlib", "functools")


def warn_user(sentence: str) -> None:
    """Warns of the line that called the library."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(sentence, stacklevel=level)


def _is_inside(module: str) -> bool:
    return module.partition(".")[0] in _INSIDE
