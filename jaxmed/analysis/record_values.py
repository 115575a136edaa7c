"""What every document holds alike: plain Python values, and the versions and device behind them."""

import platform
import sys
from typing import Any

import jax
import jaxlib.version
import numpy as np

from jaxmed.version import __version__

__all__ = ["plain", "software"]


def plain(value: Any) -> Any:
    """A document with Python scalars instead of arrays, and lists instead of tuples."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return np.asarray(value).item()
    return value


def software(precision: str) -> dict[str, str]:
    """The `software` block of a record; `precision` is the dtype of its numbers."""
    return {
        "jaxmed": __version__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
        "numpy": np.__version__,
        "platform": sys.platform,
        "device": jax.devices()[0].device_kind,
        "precision": precision,
    }
