"""Numbers for people: significant digits, p-values without false zeros, a dash for none."""

import math
import re
from collections.abc import Sequence
from typing import Any

from jaxmed.vocabulary import UNSAFE

MISSING = "\N{EN DASH}"
DIGITS = 3  # significant: a standard error is rarely known better than to one part in a hundred
# Below this a p-value is given as a bound: nobody needs its digits, and tails are approximate.
SMALL_P = 1e-10
# Joiners and marks of direction, letters that are blank, tags; controls and halves of pairs, too.
_HIDDEN = re.compile(
    f"{UNSAFE}|[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e0fff]"
)


def finite(value: Any) -> bool:
    """True for a number that exists: not None, not NaN, not infinite."""
    return isinstance(value, int | float) and math.isfinite(value)


def number(value: Any, digits: int = DIGITS) -> str:
    """A number with `digits` significant digits; a dash where it does not exist.

    Args:
      value: a number, NaN or None.
      digits: significant digits; integers below a million are written out.
    """
    if not finite(value):
        return MISSING
    if value == 0:
        return "0"
    if isinstance(value, int) and abs(value) < 10**6:
        return str(value)
    magnitude = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if magnitude < -4 or magnitude > 5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.{max(digits - 1 - magnitude, 0)}f}"


def p_value(value: Any) -> str:
    """A p-value alone: "0.013", "2.4e-7", "< 1e-35"; never "0"."""
    if not finite(value):
        return MISSING
    if value <= 0:
        return "< 1e-300"
    if value < SMALL_P:
        return f"< 1e{math.floor(math.log10(value)) + 1}"
    if value >= 0.995:
        return "1"
    # Two digits, but never 0.050 for a value that is on one side of it.
    return number(float(value), 3 if abs(value - 0.05) < 0.005 else 2)


def p_statement(value: Any, symbol: str = "p") -> str:
    """A p-value as a clause: "p = 0.013", "p < 1e-35"; a dash where there is none."""
    text = p_value(value)
    if text == MISSING:
        return f"{symbol} {MISSING}"
    return f"{symbol} {text}" if text.startswith("<") else f"{symbol} = {text}"


def interval(lower: Any, upper: Any) -> str:
    """Limits in brackets, or one dash where either limit does not exist."""
    if not (finite(lower) and finite(upper)):
        return MISSING
    return f"[{number(lower)}, {number(upper)}]"


def percent(value: Any) -> str:
    """A share as a percentage with three digits where it has decimals: 0.95 -> "95%"."""
    if not finite(value):
        return MISSING
    share = 100 * value
    if abs(share) >= 10**6:
        return f"{number(float(share))}%"
    return f"{share:.0f}%" if abs(share) >= 100 else f"{share:.3g}%"


def share(value: Any) -> str:
    """A share that is known by its interval, in whole percents: "83%", below a tenth "4.2%"."""
    if not finite(value):
        return MISSING
    return percent(value) if abs(value) >= 0.995 or abs(value) < 0.0995 else f"{100 * value:.0f}%"


def quantity(value: Any, unit: str = "") -> str:
    """A number with its unit; no unit after a dash."""
    text = number(value)
    return text if text == MISSING or not unit else f"{text} {unit}"


def degrees_of_freedom(value: Any) -> str:
    """Degrees of freedom, given as a number or as a list of numbers (an F test has two)."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(degrees_of_freedom(item) for item in value)
    if isinstance(value, str):
        return value
    return f"{value:.6g}" if finite(value) else MISSING


def count(number_of: int, noun: str) -> str:
    """A count with its noun: "1 mediator", "517 mediators"."""
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {noun}s"


def names(values: Sequence[str], limit: int = 6) -> str:
    """A short list: the first `limit` names and how many more there are."""
    shown = ", ".join(values[:limit])
    more = len(values) - limit
    return f"{shown} and {more} more" if more > 0 else shown


def visible(text: str, keep: str = "") -> str:
    """Text as it can be shown: characters without a picture are escaped, as Python does.

    A name may hold anything. A terminal obeys control characters, XML forbids them, marks of
    direction turn what follows around, and half of a surrogate pair cannot be written at all.

    Args:
      text: of the data.
      keep: characters that are left as they are.
    """
    return _HIDDEN.sub(
        lambda found: (
            found[0] if found[0] in keep else found[0].encode("unicode_escape").decode("ascii")
        ),
        text,
    )


def short_words(text: str, width: int = 100) -> str:
    """Words of more letters than a line holds, which no line break can help, cut in the middle."""
    return re.sub(rf"\S{{{width + 1},}}", lambda word: shorten(word[0], width), text)


def shorten(text: str, width: int) -> str:
    """Text in one line, cut to `width` characters in the middle, where names differ least.

    Blanks alone stand in quotes, and characters without a picture are escaped: a name is seen.
    """
    text = visible(" ".join(text.split("\n")))
    if text.isspace():
        text = f"'{text}'"
    if len(text) <= width:
        return text
    head = width // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def typographic(text: str) -> str:
    """Hyphens that stand for a minus sign become one; for figures and HTML."""
    return text.replace("-", "\N{MINUS SIGN}")


def typographic_numbers(text: str) -> str:
    """Minus signs of numbers inside sentences; "p = 0.01" stays on one line."""
    text = re.sub(
        r"\b([pq]) ([=<\N{EN DASH}]) ?", "\\1\N{NO-BREAK SPACE}\\2\N{NO-BREAK SPACE}", text
    )
    return re.sub(r"(?<![\w.])-(?=\d)|(?<=\de)-(?=\d)", "\N{MINUS SIGN}", text)
