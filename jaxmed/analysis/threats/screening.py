"""Mediators that were chosen in the rows that are analysed: asked for, and what hints at it."""

import math

from jaxmed.analysis.threats.estimates import Crossed, Estimates
from jaxmed.analysis.threats.threat import Threat, percent
from jaxmed.vocabulary import Screened

__all__ = ["FALSE_SHARES", "crossfit_above_total", "screened_by"]

# Share of data sets without any mediation in which a MaxIE composite of the screened mediators held
# up on rows that it had not learned from: least and most over three cells of 5 folds and 10 splits,
# `python -m benchmarks threats`. It is 0 in each where nothing was screened.
FALSE_SHARES = {"exposure": (0.017, 0.033), "outcome": (0.01, 0.57), "both": (0.633, 1.0)}
WORDS = {
    "exposure": "the exposure",
    "outcome": "the outcome",
    "both": "both exposure and outcome",
}
HALVES = "learn on one half of the rows which mediators to keep, and analyse the other half"


def screened_by(screened: Screened) -> list[Threat]:
    """What is known of how the mediators were chosen; nothing measures it."""
    if screened == "no":
        return []
    if screened == "unknown":
        sentence = (
            "Were these mediators chosen by their association with exposure or outcome in these "
            "rows? Then no test, interval or cross-fit here is valid."
        )
        remedy = f"Say how they were chosen (screened=, --screened). If they were: {HALVES}."
        return [Threat("SCREENED_UNKNOWN", "note", None, None, sentence, remedy)]
    least, most = (percent(share) for share in FALSE_SHARES[screened])
    sentence = (
        f"The mediators were chosen by their association with {WORDS[screened]} in these rows: "
        "tests, intervals and cross-fits do not know of that. In simulations without any "
        f"mediation a composite of mediators chosen so held up out of sample in {least} to {most} "
        "of the data sets, and in none where nothing was chosen."
    )
    return [Threat("SCREENED_UNKNOWN", "warn", None, None, sentence, f"{HALVES.capitalize()}.")]


def crossfit_above_total(found: Estimates) -> list[Threat]:
    """A composite that carries more than the total effect, with no opposing direct effect.

    Few false alarms and low power: without it nothing is proved. Needs a direct effect.
    """
    crossed = [("upward", found.upward), ("downward", found.downward)]
    above = [(name, one) for name, one in crossed if _is_above(one, found)]
    if not above:
        return []
    name, one = max(above, key=lambda pair: abs(pair[1].estimate))
    sentence = (
        f"The cross-fitted {name} composite carries more ({one.estimate:.3g}) than the total "
        f"effect ({found.total:.3g}), and the direct effect ({found.direct:.3g}) has the same "
        "sign. That needs an opposing path, or screening with the outcome."
    )
    remedy = f"If the mediators were screened in these rows: {HALVES}."
    return [
        Threat(
            "CROSSFIT_ABOVE_TOTAL", "warn", abs(one.estimate), abs(found.total), sentence, remedy
        )
    ]


def _is_above(one: Crossed, found: Estimates) -> bool:
    numbers = (one.estimate, one.lower, one.upper, found.total, found.direct)
    if not all(map(math.isfinite, numbers)):
        return False
    away = one.lower > 0 or one.upper < 0
    return away and abs(one.estimate) > abs(found.total) and one.estimate * found.direct > 0
