"""Optional libraries: asked for where they are needed, named where they are missing."""

import importlib
from pathlib import Path
from typing import Any

from jaxmed.data.validation import InvalidDataError, ShapeError

__all__ = ["library", "parsed"]


def library(name: str, extra: str, suffix: str) -> Any:
    """An optional library; ImportError with the extra that brings it where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f'reading {suffix} needs {name}: pip install "jaxmed[{extra}]"'
        ) from error


def parsed(path: Path, parse: Any) -> Any:
    """The result of a parser; whatever it raises on a damaged file becomes InvalidDataError.

    Parsers of foreign formats raise errors of many types, their own and KeyError, AttributeError,
    OverflowError alike, so that no list of them is complete.
    """
    try:
        return parse()
    except (MemoryError, PermissionError, ImportError, InvalidDataError, ShapeError):
        raise
    except Exception as error:
        raise InvalidDataError(
            f"{path.name}: cannot be read ({type(error).__name__}: {error})"
        ) from error
    except BaseException as error:  # a panic of a library in Rust is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise InvalidDataError(f"{path.name}: cannot be read ({error})") from error
