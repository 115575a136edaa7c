"""Data of known truth: structural equation models to draw from."""

from jaxmed.simulate.covariance import ar1_factor, equicorrelated_factor
from jaxmed.simulate.linear_sem import (
    LinearSem,
    Truth,
    law_of,
    linear_sem,
    sample,
    sample_moments,
    truth,
    whitened,
)

__all__ = [
    "LinearSem",
    "Truth",
    "ar1_factor",
    "equicorrelated_factor",
    "law_of",
    "linear_sem",
    "sample",
    "sample_moments",
    "truth",
    "whitened",
]
