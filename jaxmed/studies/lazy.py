"""Studies by name, of which the module is imported when one is asked for."""

import importlib
from collections.abc import Iterator, Mapping

from jaxmed.studies.study import Study

__all__ = ["LazyStudies"]


class LazyStudies(Mapping[str, Study]):
    """The studies of one package."""

    def __init__(self, package: str, places: Mapping[str, tuple[str, str]]) -> None:
        """Package and, by the name of a study, (module in the package, variable in it)."""
        self._places = {
            name: (f"{package}.{module}", variable) for name, (module, variable) in places.items()
        }

    @staticmethod
    def together(*parts: "LazyStudies") -> "LazyStudies":
        """The studies of several packages in order."""
        whole = LazyStudies("", {})
        for part in parts:
            whole._places |= part._places
        return whole

    def __getitem__(self, name: str) -> Study:
        """The study; its module is imported now."""
        module, variable = self._places[name]
        return getattr(importlib.import_module(module), variable)

    def __contains__(self, name: object) -> bool:
        """Whether there is a study of the name; imports nothing."""
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._places)

    def __len__(self) -> int:
        """Number of studies."""
        return len(self._places)
