"""Logistic regression of a binary outcome on a selected set of columns."""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree

MAX_STEPS = 50
CERTAIN = 30.0  # a linear predictor beyond this is a probability of 0 or 1 for every purpose


@pytree
class LogisticRefit:
    """Maximum likelihood on the columns in the model."""

    coefficients: Array  # [d] log odds per unit; 0 outside the model
    covariance: Array  # [d, d] inverse information; 0 outside the model
    status: Array  # [] SEPARATED where there is no finite maximum


def logistic_refit(columns: Array, held: Array, outcome: Array, weights: Array) -> LogisticRefit:
    """Newton's method with step halving on the columns that are held.

    Args:
      columns: [n, d], an intercept among them.
      held: [d] bool, columns of the model.
      outcome: [n], 0 or 1.
      weights: case weights [n] >= 0.
    Returns:
      LogisticRefit; SEPARATED (NaN) where the predictor runs away or no maximum is found.
    Source: McCullagh and Nelder (1989), Fisher scoring with the canonical link.
    """
    size = jnp.sqrt(matmul(weights, columns * columns) / jnp.sum(weights))
    x = divide(columns, size) * held.astype(columns.dtype)[None]
    d = x.shape[1]
    identity = jnp.eye(d, dtype=x.dtype)
    inside = held & (size > 0)
    both = inside[:, None] & inside[None, :]
    eps = jnp.finfo(x.dtype).eps

    def loss(b: Array) -> Array:
        eta = matmul(x, b)
        return jnp.sum(weights * (jax.nn.softplus(eta) - outcome * eta))

    def information(b: Array) -> Array:
        pi = jax.nn.sigmoid(matmul(x, b))
        raw = matmul((x * (weights * pi * (1 - pi))[:, None]).T, x)
        return jnp.where(both, raw, identity)

    def step(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        b, _, count = carry
        pi = jax.nn.sigmoid(matmul(x, b))
        score = matmul(x.T, weights * (outcome - pi))
        move = inside.astype(x.dtype) * jnp.linalg.solve(information(b), score)
        before = loss(b)
        (scale,) = jax.lax.while_loop(
            lambda t: ~(loss(b + t[0] * move) <= before * (1 + 8 * eps)) & (t[0] > 1e-6),
            lambda t: (t[0] / 2,),
            (jnp.ones((), x.dtype),),
        )
        return b + scale * move, jnp.max(jnp.abs(move)), count + 1

    infinite = jnp.full((), jnp.inf, x.dtype)
    start = (jnp.zeros(d, x.dtype), infinite, jnp.zeros((), jnp.int32))
    state = jax.lax.while_loop(
        lambda c: (c[1] > 1e3 * eps) & (c[2] < MAX_STEPS) & (jnp.max(jnp.abs(c[0])) < 1e4),
        step,
        start,
    )
    b, moved = state[0], state[1]
    eta = jnp.max(jnp.where(weights > 0, jnp.abs(matmul(x, b)), 0))
    failed = ~(moved <= 1e-3) | ~(eta < CERTAIN)
    covariance = both.astype(x.dtype) * jnp.linalg.inv(information(b))
    nan = jnp.where(failed, jnp.nan, 0).astype(x.dtype)
    return LogisticRefit(
        divide(b, size) + nan,
        divide(divide(covariance, size[:, None]), size) + nan,
        st.when(failed, st.SEPARATED),
    )
