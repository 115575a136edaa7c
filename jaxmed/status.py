"""Status codes and notes: numerical trouble, and what qualifies a number, under jit and vmap.

A status is an int32. Codes are ordered by severity, so that several are combined by their maximum
(`combine`), over steps of one computation as well as over a batch. Codes below
`FIRST_FATAL` qualify a number that exists; from `FIRST_FATAL` on the number is NaN.

Notes are bits of a uint32 beside the status (`Note`), combined by OR (`combine_notes`): what
qualifies an answer without being trouble, so that nothing hides it. `describe` has the sentences
of both.
"""

import enum

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

OK = 0
# The number exists; the code says how to read it.
NOT_ADDITIVE = 8
LOG_ODDS = 9
WEIGHTED = 10
RESTRICTED = 11
ILL_CONDITIONED = 12
VARIANCE_FALLBACK = 13
ZERO_RESIDUAL = 14
NULL_PATH = 15
NOT_CONVERGED = 16
EMPTY_SELECTION = 17
SMALL_SAMPLE = 18
INFEASIBLE = 19
CRITIC_FLAT = 20
CRITIC_WON = 21
NOISE_COLLAPSE = 22
DIVERGED = 23
# The number does not exist and is NaN.
FIRST_FATAL = 30
NOT_ESTIMATED = 30
NOT_APPLICABLE = 31
NOT_IN_DUAL = 32
NEEDS_ROWS = 33
TOO_FEW_ROWS = 34
NOT_SCREENED = 35
NOT_SELECTED = 36
EXTRAPOLATED = 37
DEGENERATE_EXPOSURE = 40
CONSTANT_MEDIATOR = 41
DUPLICATE_MEDIATOR = 42
RANK_DEFICIENT = 43
SEPARATED = 44
REFERENCE_STOPS = 45
CONSTANT_OUTCOME = 49
NONFINITE = 50
OUT_OF_RANGE = 51

MESSAGES: dict[int, str] = {
    OK: "ok",
    WEIGHTED: "case weights are not constant: p-values and the exact law are approximate",
    RESTRICTED: "p >= n-1-q: the optimum is taken within the row space of the mediators "
    "(the unrestricted supremum is infinite) and depends on their scale",
    ILL_CONDITIONED: "the Gram matrix is too ill-conditioned for this precision: use "
    'route="qr", float64, or drop nearly collinear mediators',
    VARIANCE_FALLBACK: "the leave-one-out variance was not usable, HC3 was used instead",
    ZERO_RESIDUAL: "the outcome is an exact linear function of exposure, mediators and "
    "covariates: there is no residual variance to test against",
    NULL_PATH: "a path vector is exactly zero: the statistic is set to 0 and the p-value to 1",
    NOT_CONVERGED: "the iteration stopped at its limit before it converged",
    EMPTY_SELECTION: "no mediator was selected",
    SMALL_SAMPLE: "too few tests or rows for the estimated null proportions, or for trained "
    "generators, to be trusted",
    INFEASIBLE: "a constraint is not met to the stated tolerance",
    CRITIC_FLAT: "adversarial training: the critic saw no difference in the last half of the steps "
    "while a mediator clearly depends on the exposure: the generator's effects are not to be used; "
    "choose the penalty by held-out rows (tuning='path')",
    CRITIC_WON: "adversarial training: the critic won and the exposure effects stayed 0 while a "
    "mediator clearly depends on the exposure: the generator's effects are not to be used",
    NOISE_COLLAPSE: "adversarial training: the generator's noise has less than a quarter of the "
    "residual variance: its draws are no conditional distribution",
    DIVERGED: "adversarial training ended in NaN or infinite values: the generator has no effects",
    NOT_ADDITIVE: "direct and indirect effect of this method do not add up to the total effect of "
    "least squares: details.gap (`gap` in tables) is the difference",
    LOG_ODDS: "effects are log odds ratios: odds do not collapse, so that direct and indirect "
    "effect do not add up to the total",
    NOT_ESTIMATED: "this method does not estimate this quantity",
    NOT_APPLICABLE: "not defined for these dimensions (a single mediator has no angle to test)",
    NOT_IN_DUAL: "needs a residual sum of squares, and with p >= n-2-q mediators there is none",
    NEEDS_ROWS: "needs the rows of the data, not only their moments",
    TOO_FEW_ROWS: "too few rows for the number of mediators and covariates",
    NOT_SCREENED: "the mediator was left out by the screening step and has no coefficient of the "
    "outcome model",
    NOT_SELECTED: "the mediator was not selected and has no coefficient of the outcome model",
    EXTRAPOLATED: "the mediators are so correlated that an effect summed over all of them would be "
    "extrapolated from the rows that there are (ratio of 2 or more)",
    DEGENERATE_EXPOSURE: "the exposure is constant, or an exact linear function of the covariates",
    CONSTANT_MEDIATOR: "the mediator is constant, or an exact linear function of exposure and "
    "covariates",
    DUPLICATE_MEDIATOR: "the mediator duplicates an earlier column",
    RANK_DEFICIENT: "the columns of the model are linearly dependent, and what is asked for is not "
    "determined by their span: drop the dependent columns",
    SEPARATED: "the outcome (binary, counts or times) is separated by the columns of the model: "
    "there is no finite estimate",
    REFERENCE_STOPS: 'with compat="r": the released package stops with an error on these data',
    CONSTANT_OUTCOME: "the outcome is constant, or an exact linear function of the covariates: "
    "there is no effect to estimate",
    OUT_OF_RANGE: "squares of the exposure or of the outcome leave the range of this precision: "
    "multiply the column by a power of ten, or use float64",
    NONFINITE: "the data contain NaN or infinite values",
}


class Note(enum.IntFlag):
    """Bits of `notes`, a uint32 beside a status. A stored bit never changes its meaning."""

    SPAN_ONLY = 1 << 0
    NO_STANDARD_ERRORS = 1 << 1
    BASIS_MATTERS = 1 << 2
    WEIGHTED = 1 << 3
    RESTRICTED = 1 << 4
    LOG_ODDS = 1 << 5
    NO_PARTS = 1 << 6
    WEAK_TOTAL = 1 << 7
    CLUSTERED = 1 << 8
    POOLED = 1 << 9
    WEAK_EXPOSURE_PATH = 1 << 10
    NEGATIVE_HAZARD = 1 << 11
    SCREEN_ONLY = 1 << 12
    CONFOUNDED_SCREEN = 1 << 13
    APPROXIMATE = 1 << 14
    SEPARATED_PENALISED = 1 << 15
    FEW_CLUSTERS = 1 << 16
    EM_MOMENTS = 1 << 17
    WEAK_CALIBRATION = 1 << 18


NO_NOTES = np.uint32(0)
# A sentence of every note, also of those that nothing sets yet.
NOTES: dict[Note, str] = {
    Note.SPAN_ONLY: "mediators are linearly dependent given exposure and covariates: joint effects "
    "and tests are those of their span, which does not depend on the columns chosen; weights and "
    "coefficients of single mediators in the joint model are not unique (weights: smallest norm "
    "in standardised mediators)",
    Note.NO_STANDARD_ERRORS: "one or more of the effects have no standard error (weights that "
    "were optimised or selected on the same rows, a sum over no mediator, or none known)",
    Note.BASIS_MATTERS: "a richer basis of the covariates moves the effects",
    Note.WEIGHTED: MESSAGES[WEIGHTED],
    Note.RESTRICTED: MESSAGES[RESTRICTED],
    Note.LOG_ODDS: MESSAGES[LOG_ODDS],
    Note.NO_PARTS: "a single mediator has no upward and downward part: one of them is the "
    "indirect effect and the other is 0",
    Note.WEAK_TOTAL: "the total effect is not clearly away from zero (three standard errors): "
    "shares of it say little",
    Note.CLUSTERED: "rows come in clusters: standard errors allow for it, and tests that take rows "
    "for independent are approximate",
    Note.POOLED: "the numbers are pooled over several completed copies of the data, and their "
    "errors hold the spread between them",
    Note.WEAK_EXPOSURE_PATH: "the exposure path is not clear of noise: the robustness value is a "
    "guess at its upper end",
    Note.NEGATIVE_HAZARD: "more than 1 % of the rows have a fitted hazard below zero",
    Note.SCREEN_ONLY: "a number of the screening, to rank by: the model of the effects has not "
    "been fitted",
    Note.CONFOUNDED_SCREEN: "another selection is made where the other exposures are adjusted for",
    Note.APPROXIMATE: "the exposure is not binary: alpha times beta is the natural indirect effect "
    "as far as the mean of the composite is linear in it",
    Note.SEPARATED_PENALISED: "the binary outcome is separated by the columns of the model: the "
    "estimate exists by its penalty only (firth=True)",
    Note.FEW_CLUSTERS: "the exposure varies between few clusters only, too few for so many "
    "mediators and covariates: take fewer, or double selection on cluster means",
    Note.EM_MOMENTS: "missing values were filled in as moments (EM): errors as if nothing were "
    "missing are too small, and p-values are withheld",
    Note.WEAK_CALIBRATION: "the composite hardly depends on the exposure (t of 5 or less): it is "
    "not given in units of the exposure",
}
NAMES: dict[int, str] = {
    value: name
    for name, value in list(globals().items())
    if name.isupper() and isinstance(value, int) and name != "FIRST_FATAL"
}


def combine(*codes: ArrayLike) -> Array:
    """The most severe of several codes, elementwise, as int32."""
    result = jnp.asarray(codes[0], jnp.int32)
    for code in codes[1:]:
        result = jnp.maximum(result, jnp.asarray(code, jnp.int32))
    return result


def when(condition: ArrayLike, code: int) -> Array:
    """`code` where the condition holds and OK elsewhere, as int32."""
    return jnp.where(condition, jnp.int32(code), jnp.int32(OK))


def is_fatal(code: ArrayLike) -> Array:
    """True where the code says that the number does not exist."""
    return jnp.asarray(code) >= FIRST_FATAL


def combine_notes(*notes: ArrayLike) -> Array:
    """All the bits of several notes, elementwise, as uint32."""
    result = jnp.asarray(notes[0], jnp.uint32)
    for more in notes[1:]:
        result = result | jnp.asarray(more, jnp.uint32)
    return result


def note_when(condition: ArrayLike, note: Note) -> Array:
    """The note's bit where the condition holds and none elsewhere, as uint32."""
    return jnp.where(condition, jnp.uint32(note.value), jnp.uint32(0))


def notes_of(notes: ArrayLike) -> list[Note]:
    """The notes of one concrete bit set, lowest bit first."""
    found = int(np.asarray(notes))
    return [note for note in Note if found & note.value]


def describe(code: ArrayLike, notes: ArrayLike = NO_NOTES) -> list[str]:
    """Sentences of one concrete status and its notes, trouble first; none for OK without notes."""
    trouble = int(np.asarray(code))
    sentences = [] if trouble == OK else [MESSAGES[trouble]]
    sentences += [NOTES[note] for note in notes_of(notes)]
    return list(dict.fromkeys(sentences))


def name(code: ArrayLike) -> str:
    """The constant's name of one concrete code, e.g. ``"NOT_IN_DUAL"``."""
    return NAMES[int(np.asarray(code))]


def message(code: ArrayLike) -> str:
    """One sentence for one concrete code."""
    return MESSAGES[int(np.asarray(code))]
