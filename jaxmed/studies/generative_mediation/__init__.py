"""Zhang et al. (2026), "GAHMN: A Generative Approach for High-Dimensional Mediation Analysis".

Its comparison of methods on one simulated data set, repeated over many with sampling errors.
"""

from jaxmed.studies.lazy import LazyStudies

__all__ = ["STUDIES"]

# Name of a study -> module here and the variable in it.
_PLACES = {
    "generative-mediation/table-1": ("table_1", "STUDY"),
    "generative-mediation/selection": ("selection", "STUDY"),
}

STUDIES = LazyStudies(__name__, _PLACES)
