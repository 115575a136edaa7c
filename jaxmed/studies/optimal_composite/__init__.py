"""He (2026), "Learning the Optimal Composite Mediator": its tables, figures and application.

Every study puts ours beside the printed numbers, where the paper prints any and our copy of it
is legible, and says what these have wrong.
"""

from jaxmed.studies.lazy import LazyStudies

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


STUDIES = LazyStudies(__name__, _PLACES)
