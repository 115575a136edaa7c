"""Identifiers of persons in one form, so that the same person is seen in two files."""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from jaxmed.federated.rules import ReleaseRefused

__all__ = ["persons_of", "row_labels"]

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d{1,3})?")
_MISSING = ("None", "nan", "<NA>", "NaT")  # of Python, NumPy and pandas


def row_labels(values: Any) -> list[str]:
    """Identifiers in one form: case, width, blanks, leading zeros and ".0" make no difference.

    Args:
      values: identifiers of n rows, texts or numbers; one that is there several times is one
        person with several rows.
    Returns:
      n texts; a text of this form stays as it is.
    Raises:
      ReleaseRefused: a missing identifier, or two that differ only in how they are written.
    """
    first: dict[str, str] = {}
    forms: dict[str, str] = {}
    labels = []
    for raw in _texts(values):
        if raw not in forms:
            forms[raw] = _normal(raw)
        label = forms[raw]
        if not label:
            raise ReleaseRefused("a row has no identifier: fill the column in, or leave it out")
        if first.setdefault(label, raw) != raw:
            raise ReleaseRefused(
                f"the identifiers {ascii(first[label])} and {ascii(raw)} differ only in how they "
                "are written: write those of one person the same way, or make those of two persons "
                "differ"
            )
        labels.append(label)
    return labels


def persons_of(labels: Sequence[str]) -> np.ndarray:
    """Which person each row is of.

    Args:
      labels: identifiers of n rows, as for `row_labels`.
    Returns:
      int [n], 0 to P - 1 for the P persons in the order of their first rows.
    Raises:
      ReleaseRefused: as `row_labels`.
    """
    place: dict[str, int] = {}
    return np.asarray([place.setdefault(name, len(place)) for name in row_labels(labels)], int)


def _texts(values: Any) -> list[str]:
    """Numbers as texts that do not depend on their type; "" where missing."""
    return [_text(value) for value in np.asarray(values).tolist()]


def _text(value: Any) -> str:
    if not isinstance(value, str) and str(value) in _MISSING:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _normal(text: str) -> str:
    if not text.isascii():
        # Zero-width spaces, joiners, marks of direction and of byte order are not seen.
        text = "".join(c for c in text if unicodedata.category(c) != "Cf")
        text = unicodedata.normalize("NFKC", text).casefold()
        # Folding can undo a composition, composing can make a letter that folds.
        text = unicodedata.normalize("NFKC", text)
    text = " ".join(text.casefold().split())
    return _plain_number(text) if _NUMBER.fullmatch(text) else text


def _plain_number(text: str) -> str:
    """All digits without an exponent, as a spreadsheet may have taken them away or added them."""
    digits = format(Decimal(text), "f")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if digits == "-0" else digits
