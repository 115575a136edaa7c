"""The residual variance that three tests share, and what it says about the outcome path."""

from typing import Any, Protocol

import jax.numpy as jnp

from jaxmed import status
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.estimators.parts.exact import no_residual
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array

__all__ = ["HasQuadratics", "cotangent_variance", "null_path", "residual_variance", "without_rows"]


class HasQuadratics(Protocol):
    """What every test reads: `geometry.Paths`, or `PathQuadratics` itself."""

    @property
    def quadratics(self) -> PathQuadratics:
        """The four quadratics of the paths."""
        ...


def without_rows(paths: HasQuadratics, data: Any) -> int | None:
    """Why a variance from the rows cannot be had, as a status; None where it can.

    OK in the dual, where `residual_variance` says NOT_IN_DUAL as with a variance from the paths.
    """
    if getattr(paths, "regime", "primal") == "dual":
        return status.OK
    return status.NEEDS_ROWS if data is None else None


def residual_variance(quadratics: PathQuadratics) -> tuple[Array, Array]:
    """s2 (outcome units squared) and a status; NaN where no test may use it.

    NOT_IN_DUAL where p >= m leaves no residual degrees of freedom; ZERO_RESIDUAL where the
    outcome is fitted exactly (`estimators.parts.exact.no_residual`).
    """
    q = quadratics
    scale = q.outcome_outcome + q.residual_ss
    missing = jnp.isnan(q.residual_ss) | (q.residual_df <= q.dimension)
    zero = ~missing & no_residual(q.residual_ss, scale)
    code = status.combine(
        q.status,
        status.when(missing & ~status.is_fatal(q.status), status.NOT_IN_DUAL),
        status.when(zero, status.ZERO_RESIDUAL),
    )
    usable = ~missing & ~zero & ~status.is_fatal(q.status)
    return jnp.where(usable, q.residual_variance, jnp.nan), code


def null_path(quadratics: PathQuadratics) -> Array:
    """True where a path is exactly zero and a test of it has statistic 0 and p-value 1.

    Not where exposure and covariates fit the outcome exactly: no error is left to test against.
    """
    q = quadratics
    zero = (q.exposure_exposure == 0) | (q.outcome_outcome == 0)
    return zero & (q.status != status.ZERO_RESIDUAL)


def cotangent_variance(quadratics: PathQuadratics, variance: Array) -> Array:
    """Factor v of the null variance of T = sqrt(p-1) cot(angle) when the exposure path is null.

    v = ((1-k) r + k) / (r + k) with k = p/m and r = b'Omega b / sigma^2 estimated by
    max(0, (q_YY - p s2) / m) / s2; 1 when the outcome path is null too, 1 - k when it is strong.
    Asymptotic (p/n fixed); composite mediator specification, section 5a.
    """
    q = quadratics
    share = divide(q.dimension, q.residual_df)
    explained = jnp.maximum(0, q.outcome_outcome - q.dimension * variance)
    strength = divide(explained, q.residual_df * variance)
    return divide((1 - share) * strength + share, strength + share, jnp.nan)
