"""What every summary begins with: the covariates, and the answer under linear ones."""

from collections.abc import Mapping
from typing import Any

__all__ = ["design_lines"]


def design_lines(document: Mapping[str, Any]) -> list[str]:
    """The covariates in one line and, where the basis is richer, the effects under linear ones.

    Empty for documents of before the basis was recorded.
    """
    design = document.get("design")
    if not design:
        return []
    linear = design["linear"]
    return [design["sentence"], *([linear["sentence"]] if linear else [])]
