"""`--options METHOD.OPTION=VALUE`: options of single methods, as Python has them."""

import argparse
import ast
import re
from collections.abc import Sequence
from typing import Any

__all__ = ["method_options", "options_argument"]

WORDS = {"true": True, "false": False}  # `none` is a text: a value that options have
FORM = re.compile(r"([A-Za-z_]\w*)\.([A-Za-z_]\w*)=(.*)", re.DOTALL)


def options_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the option to a command that takes methods."""
    parser.add_argument(
        "--options",
        nargs="+",
        action="extend",
        default=[],
        metavar="METHOD.OPTION=VALUE",
        help="of one method, as in hdma.n_include=60 (a number, true, false, None, a text, or a "
        "comma list of these); several with blanks between",
    )


def method_options(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{"hdma": {"n_include": 60}} of ["hdma.n_include=60"].

    Raises:
      ValueError: another form, or one option twice.
    """
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        match = FORM.fullmatch(text)
        if match is None:
            raise ValueError(
                f"--options takes METHOD.OPTION=VALUE, as in hdma.n_include=60, not {text!r}"
            )
        method, option, value = match.groups()
        given = found.setdefault(method, {})
        if option in given:
            raise ValueError(f"--options {method}.{option} is given twice")
        given[option] = _value(value)
    return found


def _value(text: str) -> Any:
    """A number, a truth value, None, a text, or the tuple of a comma list."""
    try:
        return ast.literal_eval(text.strip())  # numbers, quoted texts, (1, 2) and 1,2
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1:
        return WORDS.get(parts[0].lower(), parts[0])
    return tuple(_value(part) for part in parts if part)
