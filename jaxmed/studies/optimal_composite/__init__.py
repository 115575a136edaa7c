"""He (2026), "Learning the Optimal Composite Mediator": its tables, figures and application.

Every study puts ours beside the printed numbers, where the paper prints any and our copy of it
is legible, and says what these have wrong.
"""

import importlib
from collections.abc import Iterator, Mapping

from jaxmed.studies.study import Study

__all__ = ["STUDIES"]

# Name of a study -> module here and the variable in it.
_PLACES = {
    "optimal-composite/table-1": ("table_1", "STUDY"),
    "optimal-composite/table-s2": ("table_1", "TABLE_S2"),
    "optimal-composite/table-2": ("table_2", "STUDY"),
    "optimal-composite/table-3": ("table_3", "STUDY"),
    "optimal-composite/figure-1": ("figure_1", "STUDY"),
    "optimal-composite/figure-2": ("figure_2", "STUDY"),
    "optimal-composite/figure-3": ("figure_3", "STUDY"),
    "optimal-composite/application": ("application", "APPLICATION"),
    "optimal-composite/biobank": ("application", "BIOBANK"),
}


class _Lazy(Mapping[str, Study]):
    """Studies by name; the module of one is imported when it is asked for."""

    def __getitem__(self, name: str) -> Study:
        module, variable = _PLACES[name]
        return getattr(importlib.import_module(f"{__name__}.{module}"), variable)

    def __contains__(self, name: object) -> bool:
        return name in _PLACES

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


STUDIES: Mapping[str, Study] = _Lazy()
