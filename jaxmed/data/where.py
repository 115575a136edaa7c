"""A language for choosing rows, ``COL OP VALUE and ...``: parsed, never evaluated.

Operators are == != < <= > >= and ``in (a, b, c)`` (or ``in [a, b, c]``). Columns are bare words, or
in backticks or quotes; values are numbers, quoted strings, true, false, or bare words, which are
strings. A quote inside quotes is doubled. A missing value satisfies no condition, not even !=.
Values are compared in the column's own type: "1", 1.0 and true are 1 to a column of numbers, a date
is written 2020-01-31.
"""

import dataclasses
import operator
import re
from collections.abc import Callable
from typing import NoReturn

import numpy as np

from jaxmed.data.columns import Column, Factor, missing
from jaxmed.data.text import LOGICAL, NUMBER, iso_date

Value = float | str | bool

SHOWN = 5
COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.:/%-]))
    | (?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<backtick>`(?:[^`]|``)+`)
    | (?P<operator>==|!=|<=|>=|<|>)
    | (?P<punctuation>[(),\[\]])
    | (?P<word>\w(?:[\w.:/%-]*[\w%])?)
    )""",
    re.VERBOSE,
)


class WhereError(ValueError):
    """A where expression cannot be parsed or does not fit its columns."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """One comparison of a column with a value, or with a tuple of values for ``in``."""

    column: str
    operator: str
    value: Value | tuple[Value, ...]
    position: int = 0  # of the column in the text, from 0


@dataclasses.dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


def parse(text: str) -> tuple[Condition, ...]:
    """The conditions of a where expression, all of which must hold.

    Raises:
      WhereError: with the position of what was not understood.
    """
    if not isinstance(text, str):
        raise WhereError(f"where is a text such as 'age < 80', not {text!r}")
    return _Parser(text).conditions()


def mask(conditions: tuple[Condition, ...], read: Callable[[str], Column]) -> np.ndarray:
    """True for the rows [n] that satisfy every condition.

    Args:
      conditions: as from `parse`, at least one.
      read: a column by name.

    Raises:
      WhereError: a value that the column cannot hold, or strings compared by order.
    """
    return np.logical_and.reduce([_holds(c, read(c.column)) for c in conditions])


class Literal(float):
    """A number, or true and false as 1 and 0, that remembers how it was written."""

    text: str

    def __new__(cls, value: float, text: str) -> "Literal":
        """The number, and its text."""
        made = super().__new__(cls, value)
        made.text = text
        return made


def is_level(column: Column, level: object) -> np.ndarray:
    """True for the rows [n] that hold a level, compared in the column's own type.

    "1", 1, 1.0 and "TRUE" are the same to a column of numbers; a level that the column cannot hold
    is held by no row.
    """
    if isinstance(column, Factor):
        place = level_place(column, level)
        return np.zeros(column.codes.shape[0], bool) if place is None else column.codes == place
    try:
        value = _as_date(level) if column.dtype.kind == "M" else _as_number(level)
    except (ValueError, TypeError):
        return np.zeros(column.shape[0], bool)
    return (
        np.asarray(column == np.asarray(value).astype(column.dtype, copy=False))
        if (column.dtype.kind in "fM")
        else np.asarray(column == value)
    )


def level_place(column: Factor, level: object) -> int | None:
    """The level of a category that a value names: by its text, else by its number or truth."""
    text = level.text if isinstance(level, Literal) else level
    if isinstance(text, str) and text.strip() in column.levels:
        return column.levels.index(text.strip())
    try:
        number = _as_number(level)
    except (ValueError, TypeError):
        return None
    alike = [j for j, name in enumerate(column.levels) if _same_number(name, number)]
    return alike[0] if len(alike) == 1 else None


def _same_number(text: str, number: float) -> bool:
    try:
        return _as_number(text) == number
    except ValueError:
        return False


def _as_number(value: object) -> float:
    """A value as a column of numbers holds it.

    Raises:
      ValueError, TypeError: it cannot.
    """
    if not isinstance(value, str):
        return float(value)  # pyright: ignore[reportArgumentType]
    text = value.strip()
    if text in LOGICAL:
        return LOGICAL[text]
    if NUMBER.fullmatch(text) is None:
        raise ValueError(f"{value!r} is no number")
    return float(text)


def _as_date(value: object) -> np.datetime64:
    if isinstance(value, Literal):
        raise ValueError(f"{value.text} is no date: 2020-01-31")
    return iso_date(value) if isinstance(value, str) else np.datetime64(value, "us")  # pyright: ignore[reportArgumentType, reportCallIssue]


def unknown_levels(conditions: tuple[Condition, ...], read: Callable[[str], Column]) -> list[str]:
    """Sentences on levels that a condition names and its category does not have."""
    found = []
    for condition in conditions:
        column = read(condition.column)
        if not isinstance(column, Factor) or condition.operator not in ("==", "!=", "in"):
            continue
        given = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        for value in given:
            if level_place(column, value) is None:
                shown = value.text if isinstance(value, Literal) else value
                levels = ", ".join(map(repr, column.levels[:SHOWN]))
                more = ", ..." if len(column.levels) > SHOWN else ""
                found.append(
                    f"where: {condition.column!r} has no level {shown!r}; levels are {levels}{more}"
                )
    return found


def _holds(condition: Condition, column: Column) -> np.ndarray:
    if isinstance(column, Factor):
        return _holds_factor(condition, column)
    given = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    dates = column.dtype.kind == "M"
    try:
        values = [_as_date(v) if dates else _as_number(v) for v in given]
    except (ValueError, TypeError) as error:
        kind = "dates, as 2020-01-31" if dates else "numeric"
        shown = ", ".join(repr(v.text if isinstance(v, Literal) else v) for v in given)
        raise WhereError(
            f"where: {condition.column!r} is {kind} and cannot be compared with {shown}"
        ) from error
    # In the column's own precision: .1 is .1 to float32 too.
    wanted = np.asarray(values, column.dtype if column.dtype.kind in "fM" else float)
    if condition.operator == "in":
        return np.isin(column, wanted)
    return COMPARISONS[condition.operator](column, wanted[0]) & ~missing(column)


def _holds_factor(condition: Condition, column: Factor) -> np.ndarray:
    if condition.operator not in ("==", "!=", "in"):
        raise WhereError(
            f"where: {condition.column!r} is categorical: use ==, != or in, "
            f"not {condition.operator}"
        )
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    wanted = [place for value in values if (place := level_place(column, value)) is not None]
    found = np.isin(column.codes, wanted)
    return ~found & (column.codes >= 0) if condition.operator == "!=" else found


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str):
        self.text = text
        self.tokens = self._tokens()
        self.at = 0

    def conditions(self) -> tuple[Condition, ...]:
        found = [self._condition()]
        while self._peek().kind != "end":
            token = self._next()
            if token.kind != "word" or token.text.lower() != "and":
                self._fail(token, "'and' or the end")
            found.append(self._condition())
        return tuple(found)

    def _condition(self) -> Condition:
        name = self._next()
        if name.kind not in ("word", "quoted", "backtick"):
            self._fail(name, "a column name")
        sign = self._next()
        if sign.kind == "word" and sign.text.lower() == "in":
            return Condition(name.text, "in", self._list(), name.position)
        if sign.kind != "operator":
            self._fail(sign, "one of == != < <= > >= in")
        return Condition(name.text, sign.text, self._value(), name.position)

    def _list(self) -> tuple[Value, ...]:
        opening = self._next()
        if opening.text not in ("(", "[") or opening.kind != "punctuation":
            self._fail(opening, "'(' after in")
        closing = ")" if opening.text == "(" else "]"
        values = [self._value()]
        while True:
            token = self._next()
            if token.kind == "punctuation" and token.text == closing:
                return tuple(values)
            if token.kind != "punctuation" or token.text != ",":
                self._fail(token, f"',' or {closing!r}")
            values.append(self._value())

    def _value(self) -> Value:
        token = self._next()
        if token.kind == "number":
            return Literal(float(token.text), token.text)
        word = token.text.lower() if token.kind == "word" else ""
        if word in ("true", "false"):
            return Literal(word == "true", token.text)
        if token.kind not in ("word", "quoted") or word in ("and", "in"):
            self._fail(token, "a number, a quoted string or a word")
        return token.text

    def _tokens(self) -> list[_Token]:
        tokens, at, end = [], 0, len(self.text.rstrip())
        while at < end:
            match = TOKEN.match(self.text, at)
            if match is None or match.lastgroup is None:
                at += len(self.text[at:]) - len(self.text[at:].lstrip())
                raise WhereError(self._message(at, "a column, an operator or a value"))
            kind, text = match.lastgroup, match[match.lastgroup]
            if kind in ("quoted", "backtick"):
                text = text[1:-1].replace(text[0] * 2, text[0])
            tokens.append(_Token(kind, text, match.start(kind)))
            at = match.end()
        return [*tokens, _Token("end", "the end", end)]

    def _peek(self) -> _Token:
        return self.tokens[self.at]

    def _next(self) -> _Token:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def _fail(self, token: _Token, expected: str) -> NoReturn:
        raise WhereError(self._message(token.position, expected))

    def _message(self, position: int, expected: str) -> str:
        return (
            f"where: expected {expected} at character {position + 1}:\n"
            f"  {self.text}\n  {' ' * position}^"
        )
