"""What every report says of its data: the covariates, the linear answer, the table, its files."""

from collections.abc import Mapping
from typing import Any

__all__ = ["data_paragraph", "design_lines", "file_facts"]


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


def file_facts(data: Mapping[str, Any]) -> dict[str, str]:
    """Heading -> file and SHA-256 of its bytes, for the settings of a page."""
    files = data.get("files")
    if not files:
        return {"data files": "none recorded: the data came from memory, or from sites"}
    several = len(files) > 1
    return {
        f"data file {i}" if several else "data file": f"{one['file']}, SHA-256 {one['sha256']}"
        for i, one in enumerate(files, start=1)
    }
