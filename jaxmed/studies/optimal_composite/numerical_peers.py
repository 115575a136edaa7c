"""The optimisers of Table 2 that a user would write: raw weights, gradients by differences."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.linalg.lbfgs import Minimum, minimise
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.typing import Array, Key, pytree

__all__ = [
    "RESTARTS",
    "Objective",
    "RawMoments",
    "difference_gradient",
    "raw_moments",
    "raw_objective",
    "search_by_differences",
    "search_by_scipy",
]

Objective = Literal["indirect", "index"]

RESTARTS = 10
STEP = 1e-8  # of the forward differences, SciPy's default for L-BFGS-B
TOLERANCE = 1e-4  # of the gradient, relative to the start: differences carry it no further


@pytree
class RawMoments:
    """What both objectives are made of, in the units of the data."""

    exposure: Array  # [p] s = X'A
    outcome: Array  # [p] gamma = X'Y given the exposure
    gram: Array  # [p, p] X'X
    residual_gram: Array  # [p, p] S = X'X given the exposure
    exposure_ss: Array  # [] A'A
    outcome_ss: Array  # [] Y'Y


def raw_moments(moments: CrossMoments) -> RawMoments:
    """From the co-moments of exposure, outcome and mediators (no covariates), in that order."""
    comoment = jnp.asarray(moments.comoment)
    tau, cross, outcome_ss = comoment[0, 0], comoment[0, 1], comoment[1, 1]
    s, gram = comoment[0, 2:], comoment[2:, 2:]
    gamma = comoment[1, 2:] - s * divide(cross, tau)
    return RawMoments(s, gamma, gram, gram - jnp.outer(s, divide(s, tau)), tau, outcome_ss)


def raw_objective(moments: RawMoments, objective: Objective) -> Callable[[Array], Array]:
    """Indirect effect, or mediation index, of raw weights [p]; O(p^2) a call."""

    def value(w: Array) -> Array:
        inner = jnp.dot(w, matmul(moments.residual_gram, w))
        top = jnp.dot(w, moments.exposure) * jnp.dot(w, moments.outcome)
        if objective == "indirect":
            return divide(top, moments.exposure_ss * inner)
        outer = jnp.dot(w, matmul(moments.gram, w))
        return divide(top, sqrt(inner * outer * moments.exposure_ss * moments.outcome_ss))

    return value


def difference_gradient(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The same function, whose gradient is taken by forward differences, p further calls."""

    @jax.custom_vjp
    def value(x: Array) -> Array:
        return function(x)

    def forward(x: Array) -> tuple[Array, tuple[Array, Array]]:
        here = function(x)
        return here, (x, here)

    def backward(saved: tuple[Array, Array], cotangent: Array) -> tuple[Array]:
        x, here = saved
        steps = STEP * jnp.eye(x.shape[0], dtype=x.dtype)
        there = jax.vmap(lambda step: function(x + step))(steps)
        return (cotangent * (there - here) / STEP,)

    value.defvjp(forward, backward)
    return value


def search_by_differences(
    key: Key, moments: RawMoments, objective: Objective, max_iterations: int = 200
) -> Minimum:
    """L-BFGS on the raw weights from 10 random starts, gradients by differences.

    The gradient never falls below the error of its differences, so that a descent ends where the
    value stalls, with status NOT_CONVERGED.
    """
    loss = raw_objective(moments, objective)
    starts = jax.random.normal(key, (RESTARTS, moments.exposure.shape[0]), moments.exposure.dtype)
    return minimise(
        difference_gradient(lambda w: -loss(w)),
        starts,
        tolerance=TOLERANCE,
        max_iterations=max_iterations,
    )


def search_by_scipy(rows: tuple[Any, Any, Any], objective: Objective, seed: int) -> float:
    """Best value of SciPy's L-BFGS-B from exposure, mediators and outcome; SciPy is optional.

    Raises:
      ImportError: SciPy is not installed.
    """
    from scipy.optimize import minimize  # pyright: ignore[reportMissingImports]

    a, x, y = (np.asarray(v) - np.mean(v, axis=0) for v in rows)
    tau, gram, s = a @ a, x.T @ x, x.T @ a
    gamma = x.T @ (y - a * ((a @ y) / tau))
    residual, size = gram - np.outer(s, s / tau), np.sqrt(tau * (y @ y))

    def loss(w: np.ndarray) -> float:
        inner, top = w @ residual @ w, (w @ s) * (w @ gamma)
        if objective == "indirect":
            return -top / (tau * inner)
        return -top / np.sqrt(inner * (w @ gram @ w)) / size

    rng = np.random.default_rng(seed)
    options = {"maxiter": 500, "maxfun": 10**6}
    ends = (
        minimize(loss, rng.normal(size=len(s)), method="L-BFGS-B", options=options)
        for _ in range(RESTARTS)
    )
    return max(-end.fun for end in ends)
