"""Names of a package whose modules are imported when a name is asked for (PEP 562)."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["lazily"]


def lazily(
    package: str,
    places: Mapping[str, Sequence[str]],
    old: Callable[[str], Any] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that imports nothing before it has to.

    Args:
      package: its `__name__`.
      places: by module, the names that the package takes from there. A module that lies in the
        package is an attribute without an entry.
      old: finds names that have left the package, or raises AttributeError.

    Returns:
      The two functions. A name that was asked for once is a plain attribute from then on.
    """
    place_of = {name: module for module, names in places.items() for name in names}

    def find(name: str) -> Any:
        if name in place_of:
            value = getattr(importlib.import_module(place_of[name]), name)
        elif name.startswith("_") or not name.isidentifier():  # no module of ours
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        else:
            try:
                value = _module(package, name)
            except AttributeError:
                if old is None:
                    raise
                return old(name)  # warns each time
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        known = vars(sys.modules[package])
        return sorted({*known, *place_of, *known.get("__all__", ())})

    return find, names


def _module(package: str, name: str) -> Any:
    """The module of that name in the package.

    Raises:
      AttributeError: there is none. An import that fails within it shows itself.
    """
    whole = f"{package}.{name}"
    try:
        return importlib.import_module(whole)
    except ModuleNotFoundError as error:
        if error.name != whole:
            raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}") from None
