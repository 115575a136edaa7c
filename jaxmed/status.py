"""Status codes: numerical trouble as an int32 that survives jit and vmap.

Codes are ordered by severity, so that several are combined by their maximum
(`combine`), over steps of one computation as well as over a batch. Codes below
`FIRST_FATAL` qualify a number that exists; from `FIRST_FATAL` on the number is NaN.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

OK = 0
# The number exists; the code says how to read it.
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
DEGENERATE_EXPOSURE = 40
CONSTANT_MEDIATOR = 41
DUPLICATE_MEDIATOR = 42
RANK_DEFICIENT = 43
SEPARATED = 44
REFERENCE_STOPS = 45
NONFINITE = 50

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
    "choose the penalty by held-out rows (penalty='path')",
    CRITIC_WON: "adversarial training: the critic won and the exposure effects stayed 0 while a "
    "mediator clearly depends on the exposure: the generator's effects are not to be used",
    NOISE_COLLAPSE: "adversarial training: the generator's noise has less than a quarter of the "
    "residual variance: its draws are no conditional distribution",
    DIVERGED: "adversarial training ended in NaN or infinite values: the generator has no effects",
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
    DEGENERATE_EXPOSURE: "the exposure is constant, or an exact linear function of the covariates",
    CONSTANT_MEDIATOR: "the mediator is constant, or an exact linear function of the covariates",
    DUPLICATE_MEDIATOR: "the mediator duplicates an earlier column",
    RANK_DEFICIENT: "mediators (with covariates and exposure) are linearly dependent: drop the "
    "dependent columns",
    SEPARATED: "the binary outcome is separated by the columns of the model: there is no finite "
    "estimate",
    REFERENCE_STOPS: 'with compat="r": the released package stops with an error on these data',
    NONFINITE: "the data contain NaN or infinite values",
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


def name(code: ArrayLike) -> str:
    """The constant's name of one concrete code, e.g. ``"NOT_IN_DUAL"``."""
    return NAMES[int(np.asarray(code))]


def message(code: ArrayLike) -> str:
    """One sentence for one concrete code."""
    return MESSAGES[int(np.asarray(code))]
