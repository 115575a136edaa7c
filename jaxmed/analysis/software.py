"""Versions and device behind a result."""

import platform
import sys

import jax
import jaxlib.version
import numpy as np

from jaxmed.version import __version__


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
