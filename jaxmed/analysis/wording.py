"""Sentences that go with every number: what it estimates or tests, in which units, and when."""

from typing import Any

from jaxmed.status import NAMES, NO_NOTES, describe, notes_of
from jaxmed.typing import ArrayLike

# quantity -> (label, estimand)
EFFECTS = {
    "total_effect": ("Total effect", "effect of one unit of exposure on the outcome"),
    "direct_effect": (
        "Direct effect",
        "effect of one unit of exposure on the outcome at fixed mediators",
    ),
    "total_indirect": (
        "Total indirect effect",
        "effect through all mediators jointly; upward + downward part where these exist",
    ),
    "proportion_mediated": (
        "Proportion mediated",
        "total indirect effect / total effect, with Fieller's interval",
    ),
    "concordant": (
        "Upward part",
        "largest indirect effect that any composite has in the population (alpha beta > 0; the "
        "paper's concordant part)",
    ),
    "suppression": (
        "Downward part",
        "most negative indirect effect that any composite has in the population (alpha beta < 0; "
        "the paper's suppression part)",
    ),
    "cross_fitted": (
        "Cross-fitted upward part",
        "indirect effect, on rows not used for learning, of the upward MaxIE composites learned "
        "on the other folds",
    ),
    "cross_fitted_suppression": (
        "Cross-fitted downward part",
        "indirect effect, on rows not used for learning, of the downward MaxIE composites learned "
        "on the other folds",
    ),
}

# test -> (label, null hypothesis, when exact)
TESTS = {
    "total": (
        "Total indirect test",
        "the total indirect effect is zero, whatever the two paths are",
        "size .046 to .054 for 10 and more mediators, .033 to .053 for 2 and 3; Gaussian "
        "mediators and errors of equal variances; p-value by draws of the exact law at the "
        "estimated strengths",
    ),
    "total_robust": (
        "Total indirect test, robust",
        "the total indirect effect is zero; the spread of mediators and errors may depend on "
        "anything",
        "approximate: size .04 to .07 where variances are unequal (n = 200, p = 20)",
    ),
    "cosine": (
        "Cosine test",
        "the two paths are not aligned (total indirect effect zero); blind to paths that are both "
        "active but cancel",
        "exact when the outcome path is null and errors are Gaussian; conservative when the "
        "exposure path is null",
    ),
    "corrected_cosine": (
        "Corrected cosine test",
        "as the cosine test, with the variance corrected for a null exposure path",
        "approximate; for p/n up to 1/2 and n - p of at least 50",
    ),
    "joint": (
        "Joint test",
        "one of the two paths is null (one-path nulls only)",
        "exact when the outcome path is null; size at most .054 when the exposure path is; up to "
        ".16 where both paths are active and cancel, where the test of the total indirect effect "
        "holds; assumes equal error variances",
    ),
    "intersection_union": (
        "Intersection-union test",
        "no composite mediator exists: the exposure moves no mediator, or no mediator moves the "
        "outcome",
        "exact for Gaussian errors of equal variances when one path is null, conservative when "
        "both are; too often where the mediators' spread depends on the exposure",
    ),
    "dual_total": (
        "Random-effects test of the total",
        "the effects on the outcome do not follow the effects of the exposure",
        "approximate: the larger of a REML and a permutation p-value; needs effects of different "
        "mediators to be unrelated (effects of one sign on correlated mediators reject without a "
        "net effect)",
    ),
    "permutation": (
        "Permutation of the exposure",
        "the two paths are not aligned",
        "approximate: needs the exposure exchangeable given the mediators when its path is null",
    ),
}

# direction of a composite -> word of its label
DIRECTIONS = {"concordant": "upward", "suppression": "downward", "": ""}


def status_fields(code: int, notes: ArrayLike = NO_NOTES) -> dict[str, Any]:
    """What a record says of one status and its notes (concrete): names, and sentences in words.

    Returns:
      status: name of the code; notes: names of the notes; reason: the sentences of both, trouble
      first, empty for OK without notes.
    """
    return {
        "status": NAMES[code],
        "notes": [str(note.name) for note in notes_of(notes)],
        "reason": "; ".join(describe(code, notes)),
    }
