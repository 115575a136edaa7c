"""Title and caption of every figure: what is drawn and how to read it."""

from jaxmed.reports import access
from jaxmed.reports.record import Record

# figure -> (title, caption)
CAPTIONS: dict[str, tuple[str, str]] = {
    "path_plane": (
        "The two paths and the composites between them",
        "Every composite is a direction. The exposure path is the direction that the exposure "
        "moves most, the outcome path the one that moves the outcome most; both are drawn with "
        "length 1. A lobe is as long as the indirect effect of the composite in that direction. "
        "Blue lobes hold composites through which more exposure goes with a higher outcome "
        "(concordant), orange ones those with a lower outcome (suppression); their "
        "tips are the two MaxIE composites. At 90 "
        "degrees the lobes are equal and the total indirect effect is zero, however strong the "
        "paths are. Below 90 degrees the concordant part wins, above it the suppression part.",
    ),
    "decomposition": (
        "Where the total effect goes",
        "The total effect is the direct effect plus the total indirect effect, which is the "
        "concordant part (at least zero) plus the suppression part (at most zero). Filled "
        "markers are estimates with their interval. Hollow markers are in-sample values of "
        "weights chosen to be extreme on these rows, so they lie too far out. The cross-fitted "
        "effect is the concordant composite's effect on rows that did not choose its weights.",
    ),
    "alpha_beta": (
        "Every mediator, one at a time",
        "Each point is one mediator: across, how the exposure moves it; up, how it goes with "
        "the outcome at the same exposure. In blue quadrants the product of the two is "
        "positive (concordant), in orange ones negative (suppression). "
        "Colour marks a q-value on both paths "
        "(Benjamini-Hochberg). A cloud that fills blue and orange quadrants alike shows paths "
        "that offset each other.",
    ),
    "top_weights": (
        "The heaviest weights",
        "Weights per standard deviation of the mediator, the largest first. A weight depends on "
        "the other mediators in the composite: of two correlated mediators either may carry it, "
        "and its colour (what the mediator does alone) may disagree with the composite. Do not "
        "read a weight as the effect of one mediator.",
    ),
    "scores": (
        "The composite as one variable",
        "Left, the composite against the exposure; right, the outcome against the composite, "
        "both at the same exposure. The product of the two slopes is the indirect effect in "
        "sample. The weights were chosen on the rows shown, so the fit looks better than on new "
        "rows. Look for outliers and bends that a straight line misses.",
    ),
}

_DUAL = {
    "path_plane": " With more mediators than residual degrees of freedom, the plane lies in the "
    "row space of the mediators and depends on their scale.",
    "decomposition": " Here the mediators leave no residual variance, so the parts have no "
    "debiased estimate and no interval: in-sample values are shown for orientation only, and the "
    "cross-fitted effect is the honest number.",
    "scores": " With more mediators than rows the in-sample fit is bound to look good.",
}


_SINGLE = {
    "decomposition": "The total effect is the direct effect plus the indirect effect through the "
    "mediator, each with its interval. With a single mediator there is nothing to take apart "
    "further.",
    "scores": "Left, the mediator against the exposure; right, the outcome against the mediator at "
    "the same exposure. The product of the two slopes is the indirect effect. Look for outliers "
    "and bends that a straight line misses.",
}


def caption(record: Record, name: str) -> str:
    """Caption of one figure for one record; empty for a figure that is not ours."""
    text = CAPTIONS.get(name, ("", ""))[1]
    if access.is_single(record):
        return _SINGLE.get(name, text)
    return text + (_DUAL.get(name, "") if access.is_dual(record) else "")
