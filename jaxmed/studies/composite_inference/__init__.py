"""Inference for composite mediators: what the tests of the total and the intervals do at every law.

Size of the tests and coverage of the intervals from the exact law, and from rows where the law does
not hold. The numbers of docs/methods.md and docs/intervals.md are these studies' output.
"""

from jaxmed.studies.lazy import LazyStudies

__all__ = ["STUDIES"]

_PLACES = {
    "composite-inference/size": ("size", "STUDY"),
    "composite-inference/rows": ("rows", "STUDY"),
    "composite-inference/coverage": ("coverage", "STUDY"),
}

STUDIES = LazyStudies(__name__, _PLACES)
