"""Messages in the words of the command line: `nan_policy="drop"` is `--nan-policy drop` there."""

import re
import shlex
import sys
from collections.abc import Callable

__all__ = ["at_the_terminal", "message_of"]

# Settings of Python that have an option under another name; others have their own.
OTHER_NAMES = {
    "method": "method",
    "key": "seed",
    "n_seeds": "trainings",
    "block_bytes": "block",
}
LISTS = ("na", "factor", "levels")
SETTING = re.compile(
    r"\b([a-z][a-z_]*)=(\"[^\"]*\"|'[^']*'|\([a-z, ]+\)|[\w.]+(?:\([^)]*\))?|[A-Z]+)"
)
LEADING = re.compile(r"^([a-z_]+)(?= (?:must|is|are|has)\b)")
FULL = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory", "bad_alloc")  # as XLA says it
PHRASES = {
    ", or compare each with the first by levels_from_frame": "",
    'enable float64 with jax.config.update("jax_enable_x64", True)': "use --precision float64",
    'jax.config.update("jax_enable_x64", True)': "--precision float64",
    "trust=True": "--trust",
}


def at_the_terminal(text: str, known: Callable[[str], bool]) -> str:
    """A sentence of the library as the command line says it.

    Args:
      text: with settings written as Python does, name=value.
      known: True for the name of an option (underscores for dashes) of the command that runs.
    """
    for phrase, other in PHRASES.items():
        text = text.replace(phrase, other)

    def option(match: re.Match[str]) -> str:
        name = OTHER_NAMES.get(match[1], match[1])
        if not known(name):
            return match[0]
        value = match[2]
        if value[0] in "\"'":
            value = value[1:-1]
            if name in LISTS and len(value) > 1 and "," in value:  # as in a csv
                value = '"' + value.replace('"', '""') + '"'
            value = shlex.quote(value)
        elif value[0] == "(":
            value = value[1:-1].replace(", ", ",").upper()
        return f"--{name.replace('_', '-')} {value}"

    text = SETTING.sub(option, text)

    def leading(match: re.Match[str]) -> str:
        name = OTHER_NAMES.get(match[1], match[1])
        return f"--{name.replace('_', '-')}" if known(name) else match[0]

    return LEADING.sub(leading, text)


def message_of(error: BaseException) -> tuple[str, int]:
    """What went wrong in a sentence, and the exit status: 2 for the caller's error, 1 for ours."""
    if isinstance(error, MemoryError) or _is_device_full(error):
        return f"out of memory{_detail(error)}: fewer resamples or columns, or a larger machine", 2
    if isinstance(error, OverflowError):
        return f"a number is too large{_detail(error)}", 2
    if _is_of_xla(error):
        return f"a compiled program failed{_detail(error)}; --traceback shows where", 1
    if isinstance(error, RecursionError):
        return f"something nests too deeply{_detail(error)}; --traceback shows where", 1
    if isinstance(error, KeyError) and error.args:  # str(KeyError) quotes its message
        return str(error.args[0]), 2
    if isinstance(error, ValueError | TypeError | ImportError | OSError | KeyError):
        return str(error), 2
    return (
        f"{type(error).__name__}: {_first_line(error)}. This is a fault of jaxmed; please report "
        "it with what --traceback shows",
        1,
    )


def _is_device_full(error: BaseException) -> bool:
    text = str(error)
    return _is_of_xla(error) and any(mark in text for mark in FULL)


def _is_of_xla(error: BaseException) -> bool:
    """An error of a compiled program; where JAX was not imported there is none."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(error, jax.errors.JaxRuntimeError)


def _detail(error: BaseException) -> str:
    """The first line of a message, where there is one, in parentheses."""
    line = _first_line(error)
    return f" ({line})" if line else ""


def _first_line(error: BaseException) -> str:
    """XLA goes on with pages of its program."""
    return str(error).strip().partition("\n")[0].rstrip(" .")
