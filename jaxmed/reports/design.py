"""What every summary says of its data: the covariates, the linear answer, and the table."""

from collections.abc import Mapping
from typing import Any

__all__ = ["data_paragraph", "design_lines"]


def design_lines(document: Mapping[str, Any]) -> list[str]:
    """The covariates in one line and, where the basis is richer, the effects under linear ones.

    Empty for documents of before the basis was recorded.
    """
    design = document.get("design")
    if not design:
        return []
    linear = design["linear"]
    return [design["sentence"], *([linear["sentence"]] if linear else [])]


def data_paragraph(document: Mapping[str, Any]) -> list[str]:
    """What became of the table before it was analysed, in one sentence; empty where unknown."""
    lines = document["data"].get("lines")
    return [f"Data: {'; '.join(lines)}."] if lines else []
