"""No import leads into a run directory, whatever it is called and wherever Python looks.

Python takes a folder on its path for a package of its name: a run directory called `jinja2` would
be imported from the folder that it lies in. To leave that folder out would lose what else is in
it, a checkout of jaxmed or modules of a study, so every import is looked at instead.

Workers are started with this file, before anything else of jaxmed or of its libraries is imported;
therefore it needs the standard library alone.
"""

import json
import os
import runpy
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

__all__ = ["KeepOut", "is_inside", "import_paths", "keep_out", "worker_command"]


class KeepOut:
    """A finder before all others that finds what they do, unless it lies in a run directory."""

    def __init__(self) -> None:
        """Of no directory yet."""
        self.directories: list[Path] = []  # some may not exist yet

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As of every finder.

        Raises:
          ModuleNotFoundError: it is only in the directory, where others would find it after us.
        """
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            found = finder.find_spec(name, path, target)
            if found is not None:
                return self._elsewhere(name, path, target) if self._holds(found) else found
        return None

    def _elsewhere(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec:
        """What is behind the directory on the path."""
        places = [
            place
            for place in (sys.path if path is None else path)
            if not self._holds(PathFinder.find_spec(name, [place]))
        ]
        found = PathFinder.find_spec(name, places, target)
        if found is None:
            raise ModuleNotFoundError(
                f"{name} is only inside the run directory, from which nothing is imported",
                name=name,
            )
        return found

    def _holds(self, found: ModuleSpec | None) -> bool:
        if found is None:
            return False
        places = [*(found.submodule_search_locations or ())]
        if found.has_location and found.origin is not None:  # else it is "built-in" or "frozen"
            places.append(found.origin)
        return any(is_inside(Path(p), d) for p in places for d in self.directories)


def is_inside(path: Path, directory: Path) -> bool:
    """Whether a path is the directory or leads into it, all links followed."""
    there = _facts(directory)
    if there is None:
        return False
    real = path.resolve()
    found = map(_facts, (real, *real.parents))
    return any(one is not None and os.path.samestat(one, there) for one in found)


def _facts(path: Path) -> os.stat_result | None:
    """None where there is nothing, or nothing that we may look at."""
    try:
        return os.stat(path)
    except OSError:
        return None


def keep_out(directory: str | Path) -> None:
    """From now on this process imports nothing from inside a directory, which may not exist yet."""
    guard = next((one for one in sys.meta_path if isinstance(one, KeepOut)), None)
    if guard is None:
        guard = KeepOut()
        sys.meta_path.insert(0, guard)
    place = Path(directory).absolute()
    if place not in guard.directories:
        guard.directories.append(place)
    sys.path[:] = import_paths(place)


def import_paths(directory: str | Path) -> list[str]:
    """Where this process imports from, the run directory apart."""
    # The empty one is the folder we are in; what is no path belongs to a finder.
    paths = [os.path.abspath(path) if Path(path).exists() else path for path in sys.path]
    return [path for path in paths if not is_inside(Path(path), Path(directory))]


def worker_command(directory: Path, arguments: Iterable[str]) -> list[str]:
    """The command `jaxmed` in a process that imports nothing from inside a directory.

    Start it without PYTHONPATH: before any code of ours Python itself looks there for modules,
    `sitecustomize` among them. What this process has on its path is in the command.

    Args:
      directory: of the run.
      arguments: of `jaxmed`.
    """
    paths = json.dumps(import_paths(directory))
    # -P: else Python would look first where this file lies.
    return [sys.executable, "-P", __file__, str(directory), paths, *arguments]


def _main() -> None:
    directory, paths, *arguments = sys.argv[1:]
    sys.path[:] = json.loads(paths)
    keep_out(directory)
    sys.argv[:] = ["jaxmed", *arguments]
    runpy.run_module("jaxmed", run_name="__main__")


if __name__ == "__main__":
    _main()
