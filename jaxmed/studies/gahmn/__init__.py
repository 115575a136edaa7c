"""GAHMN in the tables of Zhang et al. (2026), with sampling errors and beside an oracle."""

from jaxmed.studies.lazy import LazyStudies

__all__ = ["STUDIES"]

# Name of a study -> module here and the variable in it.
_PLACES = {
    "gahmn/table-1": ("simulation", "TABLE_1"),
    "gahmn/table-2": ("simulation", "TABLE_2"),
    "gahmn/table-3": ("table_3", "TABLE_3"),
    "gahmn/ablation": ("ablation", "ABLATION"),
}

STUDIES = LazyStudies(__name__, _PLACES)
