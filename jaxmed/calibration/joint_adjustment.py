"""Adjustments of joint significance by name: some need the larger p-value only, some both."""

from typing import Literal, get_args

import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.calibration.adjust import benjamini_hochberg, bonferroni
from jaxmed.calibration.dact import dact
from jaxmed.calibration.hdmt import hdmt
from jaxmed.typing import Array

Adjust = Literal["none", "bonferroni", "bh", "hdmt", "dact"]


def check_adjust(adjust: str) -> None:
    """Raises ValueError for an unknown adjustment."""
    if adjust not in get_args(Adjust):
        raise ValueError(f"adjust must be one of {get_args(Adjust)}, not {adjust!r}")


def adjusted(adjust: str, alpha_p: Array, beta_p: Array, p_value: Array) -> tuple[Array, Array]:
    """Adjusted joint p-values [m], NaN where not tested, and a status.

    Args:
      adjust: "none", "bonferroni" and "bh" work on p_value; "hdmt" is the false discovery rate
        of the mixture null and "dact" Benjamini-Hochberg of its calibrated p-value, both over the
        tests that have alpha_p and beta_p.
      alpha_p: [m] exposure -> mediator.
      beta_p: [m] mediator -> outcome.
      p_value: [m] joint.
    Returns:
      Adjusted p-values and OK, SMALL_SAMPLE (too few tests to calibrate) or NOT_CONVERGED ("dact"
      found nothing to calibrate against and is Benjamini-Hochberg of p_value, or see `dact`).
    """
    if adjust == "hdmt":
        mixture = hdmt(alpha_p, beta_p)
        return mixture.fdr, jnp.where(st.is_fatal(mixture.status), st.OK, mixture.status)
    if adjust == "dact":
        calibrated = dact(alpha_p, beta_p)
        lost = st.is_fatal(calibrated.status)
        values = jnp.where(lost, benjamini_hochberg(p_value), calibrated.p_adjusted)
        return values, jnp.where(lost, st.NOT_CONVERGED, calibrated.status)
    plain = {"none": lambda p: p, "bonferroni": bonferroni, "bh": benjamini_hochberg}
    return plain[adjust](p_value), jnp.asarray(st.OK, jnp.int32)
