"""Title and caption of every figure: what is drawn and how to read it."""

from jaxmed.reports import access
from jaxmed.reports.checks import overlap_kind
from jaxmed.reports.decomposition import bridge_parts
from jaxmed.reports.direction import DIRECTIONS, cross_fitted
from jaxmed.reports.record import Record
from jaxmed.reports.shares import on_log_odds

# figure -> (title, caption)
CAPTIONS: dict[str, tuple[str, str]] = {
    "decomposition": (
        "Where the total effect goes",
        "One row for every effect and estimator: the filled marker is the estimate, the line its "
        "interval; an effect without an estimate has no row. Compare the direct and the total "
        "indirect effect with the total: what runs past the mediators, and what runs through them.",
    ),
    "path_plane": (
        "The two paths and the composites between them",
        "Every composite is a direction. The exposure path is the direction that the exposure "
        "moves most, the outcome path the one that moves the outcome most; both are drawn with "
        "length 1. A lobe is as long as the indirect effect of the composite in that direction. "
        "Blue lobes hold upward composites, through which more exposure goes with a higher "
        "outcome (the paper's concordant), orange ones downward composites, with a lower outcome "
        "(the paper's suppression); their tips are the two MaxIE composites, on the bisectors of "
        "the paths. At 90 degrees the lobes are equal and the total indirect effect is zero, "
        "however strong the paths are. "
        "Below 90 degrees the upward part is larger, above it the downward part.",
    ),
    "alpha_beta": (
        "Every mediator, one at a time",
        "Each point is one mediator: across, how the exposure moves it; up, how it goes with "
        "the outcome at the same exposure. In blue quadrants the product of the two is "
        "positive (upward), in orange ones negative (downward). "
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
    "checks": (
        "Residual and overlap checks",
        "Left, what is left of the outcome against what exposure and covariates fit of it; the "
        "orange line joins the mean residuals of groups of rows and should stay near 0: a bend "
        "says that a straight line is the wrong model, a fan that variances are unequal. Right, "
        "{overlap}",
    ),
}

_OVERLAP = {
    "predicted": "the exposure against what the covariates predict of it: at every prediction the "
    "exposure should vary; where it does not, the effect rests on the linear model.",
    "groups": "what the covariates predict of the exposure, in both groups: where only one group "
    "has rows, the effect rests on the linear model.",
    "alone": "the distribution of the exposure: far rows carry much of the estimates.",
}

_PARTS = (
    " The total indirect effect of least squares is the upward part (at least zero) plus the "
    "downward part (at most zero); with or against the total says which of them has the sign of "
    "the total effect. Hollow markers are in-sample values of weights chosen to be extreme on "
    "these rows, so they lie too far out."
)
_LOG_ODDS = " Effects on the log-odds scale have no row: they are no length on this axis."
_CROSS_FITTED = (
    " Cross-fitted parts are effects of composites on rows that did not choose their weights."
)
_BRIDGE = " Below, the estimates of least squares from zero to the total effect."

_DUAL = {
    "path_plane": " With more mediators than residual degrees of freedom, the plane lies in the "
    "row space of the mediators and depends on their scale.",
    "scores": " With more mediators than rows the in-sample fit is bound to look good.",
}


_SINGLE = {
    "scores": "Left, the mediator against the exposure; right, the outcome against the mediator at "
    "the same exposure. The product of the two slopes is the indirect effect. Look for outliers "
    "and bends that a straight line misses.",
}


def caption(record: Record, name: str) -> str:
    """Caption of one figure for one record; empty for a figure that is not ours."""
    text = CAPTIONS.get(name, ("", ""))[1]
    if name == "decomposition":
        return text + _decomposition(record)
    if name == "checks":
        return text.format(overlap=_OVERLAP[overlap_kind(record)])
    if access.is_single(record):
        return _SINGLE.get(name, text)
    return text + (_DUAL.get(name, "") if access.is_dual(record) else "")


def _decomposition(record: Record) -> str:
    """What the rows are that this record has."""
    parts = any(access.exists(access.effect(record, direction)) for direction in DIRECTIONS)
    text = _PARTS if parts and not access.is_single(record) else ""
    if any(cross_fitted(record, direction) for direction in DIRECTIONS):
        text += _CROSS_FITTED
    if any(on_log_odds(record.document, entry) for entry in record.document["effects"]):
        text += _LOG_ODDS
    return text + (_BRIDGE if bridge_parts(record) else "")
