"""The composites by numerical optimisation: the oracle and the timing peer of the closed forms."""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.budget import check_at_least, check_count, check_fits
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.from_weights import from_weights
from jaxmed.estimators.parts.kept import kept
from jaxmed.geometry.paths import Paths
from jaxmed.linalg.lbfgs import Minimum, minimise
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, Estimator, Key

BYTES_A_WEIGHT = 128  # of a start: the point, its gradient and the memory of L-BFGS


@kept
def numerical(
    *,
    objective: Literal["indirect", "index"] = "indirect",
    sign: int = 1,
    restarts: int = 10,
    max_iterations: int = 500,
    route: str = "auto",
    level: float = 0.95,
) -> Estimator:
    """Multi-start L-BFGS on the indirect effect (as MaxIE) or the mediation index (as MaxCor).

    Args:
      objective: "indirect" or "index".
      sign: +1 for the largest, -1 for the most negative value.
      restarts: random starts in whitened coordinates; the estimator needs a key.
      max_iterations: budget of each descent.
      route: of the paths, see `geometry.paths`.
      level: of the interval of the total effect.
    Returns:
      Estimator; `details.rule` is the optimiser's Minimum. NaN with NOT_IN_DUAL in the dual.
    Raises:
      ValueError: unknown objective, sign other than +1 or -1, restarts < 1.
    Source: He (2026) section 7.1, Table 2; gradients by automatic differentiation.
    """
    if objective not in ("indirect", "index"):
        raise ValueError(f'objective must be "indirect" or "index", not {objective!r}')
    if sign not in (1, -1):
        raise ValueError(f"sign must be +1 or -1, not {sign}")
    check_count("restarts", restarts)
    check_at_least("max_iterations", max_iterations, 1)

    def rule(
        key: Key | None, data: MediationData, result: Paths
    ) -> tuple[Array, Array, Minimum | None]:
        p = data.mediators.shape[1]
        if result.regime == "dual":
            return jnp.zeros(p, data.mediators.dtype), jnp.int32(st.NOT_IN_DUAL), None
        if key is None:
            raise ValueError("the numerical optimiser draws its start points: pass a key")
        function = _indirect(result) if objective == "indirect" else _index(result)
        check_fits("restarts", restarts, BYTES_A_WEIGHT * p)
        starts = jax.random.normal(key, (restarts, p), data.mediators.dtype)
        minimum = minimise(lambda u: -sign * function(u), starts, max_iterations=max_iterations)
        frame = result.frame
        weights = frame.weights(minimum.point[:, None])[:, 0]  # type: ignore[union-attr]
        # On paths that do not exist the reason is theirs, not the optimiser's NaN.
        code = jnp.where(st.is_fatal(result.status), st.OK, minimum.status)
        return weights, code, minimum

    return from_weights(rule, route=route, level=level)


def _indirect(paths: Paths):  # noqa: ANN202
    """Indirect effect of the composite with coordinates u, up to a positive constant."""
    a = divide(paths.exposure_path, paths.exposure_norm)
    y = divide(paths.outcome_path, paths.outcome_norm)

    def value(u: Array) -> Array:
        return divide(jnp.dot(a, u) * jnp.dot(y, u), jnp.dot(u, u))

    return value


def _index(paths: Paths):  # noqa: ANN202
    """Mediation index of the composite with coordinates u, up to a positive constant."""
    a = divide(paths.exposure_path, sqrt(paths.exposure_ss))
    y = divide(paths.outcome_path, paths.outcome_norm)

    def value(u: Array) -> Array:
        square = jnp.dot(u, u)
        along = jnp.dot(a, u)
        return divide(along * jnp.dot(y, u), sqrt(square * (square + along**2)))

    return value
