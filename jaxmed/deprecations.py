"""Names that have moved: one dated table for the whole library, and the warning that it gives.

A module whose names have moved takes its `__getattr__` from `moved`; a function whose options have
other names is decorated with `renamed`, a configuration with `renamed_fields`; an option of the
command line is added again with `jaxmed.cli.parsers.arguments.OldName`. docs/deprecations.md shows
the table.
"""

import datetime
import functools
import importlib
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

__all__ = [
    "ENTRIES",
    "Deprecation",
    "moved",
    "old_modules",
    "renamed",
    "renamed_fields",
    "warn",
]

Kind = Literal["name", "module", "option", "call", "flag"]
F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


@dataclass(frozen=True)
class Deprecation:
    """One old name and what to write instead.

    Attributes:
      kind: "name" in a module, "module", "option" of a function or of a configuration, "call" of
        what is no function any more, or "flag" of a command.
      old: dotted path from `jaxmed` on; of an option, "jaxmed.f(old)", of a flag, as it is typed.
      new: the same of what takes its place.
      since: version that warns first.
      until: version without the old name.
      day: that version is not made before this day.
      note: what else is different; empty where nothing is.
      target: dotted path of what an old "name" gives, where that is not the new one.
    """

    kind: Kind
    old: str
    new: str
    since: str
    until: str
    day: datetime.date
    note: str = ""
    target: str = ""

    @property
    def message(self) -> str:
        """The text of the warning."""
        other = f"; {self.note}" if self.note else ""
        return (
            f"{self.old} is now {self.new}{other}. The old {self.kind} goes with version "
            f"{self.until}, not before {self.day.isoformat()}"
        )


_SUMMER = datetime.date(2027, 6, 1)
_DEFAULT = "its generator is None by default: nothing is trained unless asked for"
_FUNCTIONS = ("chain", "disparity", "policy_value", "shift_value")
_CLASSES = (
    "Chain",
    "Disparity",
    "GeneratedDisparity",
    "PolicyValue",
    "ShiftValue",
    "Term",
    "Terms",
)
_MODULES = ("chain", "disparity", "policy", "shift", "structural", "terms")


def _of_estimands(kind: Kind, name: str, note: str = "") -> Deprecation:
    old, new = f"jaxmed.gahmn.{name}", f"jaxmed.estimands.{name}"
    return Deprecation(kind, old, new, "0.1", "0.2", _SUMMER, note)


def _of_option(function: str, old: str, new: str, note: str = "") -> Deprecation:
    path = f"jaxmed.{function}"
    return Deprecation("option", f"{path}({old})", f"{path}({new})", "0.1", "0.2", _SUMMER, note)


def _of_flag(command: str, old: str, new: str, note: str = "") -> Deprecation:
    """Of one command; `new` is a flag of it, or a command with its flag."""
    path = f"jaxmed {command}"
    new = f"{path} {new}" if new.startswith("-") else f"jaxmed {new}"
    return Deprecation("flag", f"{path} {old}", new, "0.1", "0.2", _SUMMER, note)


_WITH_SIGNIFICANCE = ("ehima", "hdma", "hima", "hima2", "meddic")
_RELEASED = ("ehima", "hima", "hima2")
ENTRIES: tuple[Deprecation, ...] = (
    *(_of_estimands("name", name, _DEFAULT) for name in _FUNCTIONS),
    *(_of_estimands("name", name) for name in _CLASSES),
    *(_of_estimands("module", name) for name in _MODULES),
    # `alpha` is the effect of the exposure on a mediator, `penalty` a kind of penalty.
    *(_of_option(f"estimators.{name}", "alpha", "significance") for name in _WITH_SIGNIFICANCE),
    *(_of_option(f"estimators.{name}", "scale", "standardise") for name in _RELEASED),
    _of_option("estimators.double_selection", "penalty", "rule"),
    _of_option("gahmn.gahmn", "penalty", "tuning"),
    _of_option("gahmn.BlockConfig", "penalty", "lam"),
    _of_option("analysis.generative.generative", "penalty", "tuning"),
    _of_flag("mediate", "--penalty", "generative --tuning"),
    # One call for rows, streams and moments, and one registry of methods.
    _of_option(
        "mediate", "method", "composites", 'name estimators by effects=; "gahmn" is generative'
    ),
    _of_option("mediate", "standardise_mediators", "standardise"),
    *(
        Deprecation(
            "name",
            f"jaxmed.{name}",
            "jaxmed.mediate",
            "0.1",
            "0.2",
            _SUMMER,
            target=f"jaxmed.analysis.old_calls.{name}",
        )
        for name in ("mediate_moments", "mediate_stream")
    ),
    *(
        Deprecation(
            "call",
            f"jaxmed.MediationResult.{name}()",
            f"jaxmed.MediationResult.{name}",
            "0.1",
            "0.2",
            _SUMMER,
            "a table, not a function",
        )
        for name in ("effects", "tests")
    ),
    _of_flag("site mediate", "--method", "--composites"),
    _of_flag("mediate", "--method", "--composites", "estimators are named by --effects"),
    *(
        _of_flag("mediate", f"--{flag}", f"generative --{flag}")
        for flag in ("mode", "noise", "steps", "trainings", "tuning")
    ),
    *(_of_option(name, "standardise_mediators", "standardise") for name in ("compare", "evaluate")),
)


def warn(kind: Kind, old: str, *, stacklevel: int = 2) -> Deprecation:
    """Warns of the use of an old name, and gives its entry.

    Args:
      kind: of the entry.
      old: as in the table.
      stacklevel: of the line to be named, counted as by `warnings.warn` in the caller.
    """
    (entry,) = (entry for entry in ENTRIES if (entry.kind, entry.old) == (kind, old))
    # Python shows a DeprecationWarning to who writes code, a FutureWarning to who types a command.
    category = FutureWarning if kind == "flag" else DeprecationWarning
    warnings.warn(entry.message, category, stacklevel=stacklevel + 1)
    return entry


def renamed(function: str, **names: str) -> Callable[[F], F]:
    """A decorator of a function whose options have other names: the old ones warn and work.

    Args:
      function: dotted path, as in the table.
      names: old=new.
    """

    def decorate(plain: F) -> F:
        @functools.wraps(plain)
        def call(*args: Any, **kwargs: Any) -> Any:
            for old in names.keys() & kwargs.keys():
                warn("option", f"{function}({old})", stacklevel=2)
                if names[old] in kwargs:
                    raise ValueError(f"{old} is the old name of {names[old]}: give one of the two")
                kwargs[names[old]] = kwargs.pop(old)
            return plain(*args, **kwargs)

        return cast(F, call)

    return decorate


def renamed_fields(path: str, **names: str) -> Callable[[C], C]:
    """A decorator of a dataclass whose fields have other names: the old ones are given and read.

    Args:
      path: dotted path of the class, as in the table.
      names: old=new.
    """

    def decorate(plain: C) -> C:
        make = plain.__init__

        @functools.wraps(make)
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            for old in names.keys() & kwargs.keys():
                warn("option", f"{path}({old})", stacklevel=_of_the_user())
                # Both are there in `dataclasses.replace(block, old=1)`: the new one as it was.
                kwargs[names[old]] = kwargs.pop(old)
            make(self, *args, **kwargs)

        def state(self: Any, fields: dict[str, Any]) -> None:  # of a pickle made before
            self.__dict__.update({names.get(name, name): value for name, value in fields.items()})

        def reader(old: str) -> Any:
            def read(self: Any) -> Any:
                warn("option", f"{path}({old})", stacklevel=2)
                return getattr(self, names[old])

            return property(read)

        plain.__init__ = init
        plain.__setstate__ = state  # pyright: ignore[reportAttributeAccessIssue]
        for old in names:
            setattr(plain, old, reader(old))
        return plain

    return decorate


def _of_the_user() -> int:
    """The `stacklevel` of the line that calls the caller of this, frames of `replace` left out."""
    level, frame = 2, sys._getframe(2)
    while frame.f_back is not None and frame.f_globals["__name__"] in ("dataclasses", "copy"):
        level, frame = level + 1, frame.f_back
    return level


def moved(package: str, *, stacklevel: int = 2) -> Callable[[str], Any]:
    """`__getattr__` of a module (PEP 562) that finds the names which have left it.

    Args:
      package: its `__name__`.
      stacklevel: of the line to be named, counted in the caller: one more for every function
        between it and what this gives.
    """
    names = {entry.old for entry in ENTRIES if entry.kind == "name"}

    def find(name: str) -> Any:
        if f"{package}.{name}" not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        entry = warn("name", f"{package}.{name}", stacklevel=stacklevel)
        return _object(entry.target or entry.new)

    return find


def old_modules(package: str) -> None:
    """Lets the modules that have left a package be imported from there.

    They need no files, and must not have any: importing a file `disparity.py` would put the module
    in the place of the function `disparity` of the package.

    Args:
      package: its `__name__`.
    """
    for entry in ENTRIES:
        if entry.kind == "module" and entry.old.rpartition(".")[0] == package:
            sys.modules[entry.old] = _OldModule(entry)


class _OldModule(types.ModuleType):
    """Stands under the old path of a module, and hands on the names of the new one."""

    def __init__(self, entry: Deprecation) -> None:
        super().__init__(entry.old, entry.message)
        self.__spec__ = importlib.machinery.ModuleSpec(entry.old, None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":  # what Python asks every module for
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        entry = warn("module", self.__name__, stacklevel=2)
        return getattr(importlib.import_module(entry.new), name)


def _object(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
