"""Documents of plain Python values, which is what files and reports take."""

from typing import Any

import jax
import numpy as np

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """A document with Python scalars instead of arrays, and lists instead of tuples."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return np.asarray(value).item()
    return value
