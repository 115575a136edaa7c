"""Paths of logistic regression under lasso, MCP and SCAD, by Newton steps on Gram matrices.

The penalty is rescaled adaptively: at a solution  v_j b_j = T(score_j + v_j b_j; lambda factor_j)
with T the threshold of a column of unit curvature and v_j = sum_i w_i x_ij^2 / n the curvature of
the log likelihood there. Without the rescaling a logistic coefficient (v <= 1/4) under MCP with
gamma = 3 has no convex problem even alone.
"""

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.concave_penalty import ConcavePenalty
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.typing import Array, pytree

LEAST_WEIGHT = 1e-4  # of pi (1 - pi): rows beyond are certain and must not divide by zero
MAX_NEWTON = 300
FULL_STEPS = 12  # then steps halve after every such number, to leave a cycle
MAX_SWEEPS = 200


@pytree
class LogisticPath:
    """Solutions along a grid."""

    penalties: Array  # [L]
    coefficients: Array  # [L, d]
    deviance: Array  # [L] -2 log likelihood
    bic: Array  # [L] inf where not solved
    index: Array  # [] of the least BIC
    violation: Array  # [L] breach of the fixed point, units of the penalty
    status: Array  # [] NOT_CONVERGED at the chosen penalty

    @property
    def chosen(self) -> Array:
        """Coefficients of least BIC, [d]."""
        return self.coefficients[self.index]


@pytree
class _State:
    b: Array
    moved: Array
    steps: Array


def _moments(columns: Array, outcome: Array, share: Array, b: Array) -> tuple[Array, Array]:
    """X'WX/n [d, d] and score X'(y - pi)/n [d]; columns [d, n], share = weights / n."""
    pi = jax.nn.sigmoid(matmul(b, columns))
    w = share * jnp.maximum(pi * (1 - pi), LEAST_WEIGHT)
    return matmul(columns * w, columns.T), matmul(columns, share * (outcome - pi))


def _inner(
    gram: Array, score: Array, b: Array, level: Array, penalty: ConcavePenalty, target: Array
) -> Array:
    """Coordinate descent on one quadratic; the new coefficients."""
    curvature = jnp.diagonal(gram)

    def update(j: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        b, score, largest = carry
        new = divide(penalty.threshold(score[j] + curvature[j] * b[j], level[j]), curvature[j])
        change = new - b[j]
        score = score - change * gram[j]
        return b.at[j].set(new), score, jnp.maximum(largest, jnp.abs(change) * curvature[j])

    def sweep(
        carry: tuple[Array, Array, Array, Array],
    ) -> tuple[Array, Array, Array, Array]:
        b, score, _, count = carry
        zero = jnp.zeros((), b.dtype)
        b, score, largest = jax.lax.fori_loop(0, b.size, update, (b, score, zero))
        return b, score, largest, count + 1

    start = (b, score, jnp.full((), jnp.inf, b.dtype), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(lambda c: (c[2] > target) & (c[3] < MAX_SWEEPS), sweep, start)[0]


def logistic_concave_path(
    columns: Array,
    outcome: Array,
    weights: Array,
    factors: Array,
    penalty: ConcavePenalty,
    *,
    count: int = 100,
    ratio: float = 1e-3,
    tolerance: float = 1e-9,
    patience: int = 0,
) -> LogisticPath:
    """Path and its choice by BIC = deviance + (k + 1) log n, k the non-zero coefficients.

    Args:
      columns: [d, n], of mean square about 1; include a row of ones with factor 0.
      outcome: [n] in {0, 1}.
      weights: case weights [n] that sum to n.
      factors: [d] penalty factors; 0 leaves a column free.
      penalty: see `concave_penalty`.
      count: of penalties.
      ratio: smallest over largest.
      tolerance: of the fixed point, relative to the largest penalty.
      patience: the path ends after this many penalties without a better BIC; 0: never.
    Source: Breheny and Huang (2011), adaptive rescaling; specification B1.
    """
    n = jnp.sum(weights)
    share = weights / n
    d = columns.shape[0]
    zeros = jnp.zeros(d, columns.dtype)
    free = (factors == 0) & (jnp.max(jnp.abs(columns), axis=1) > 0)
    eps = float(jnp.finfo(columns.dtype).eps)

    def solve(b: Array, level: Array, target: Array) -> tuple[Array, Array]:
        def newton(state: _State) -> _State:
            gram, score = _moments(columns, outcome, share, state.b)
            new = _inner(gram, score, state.b, level, penalty, target * 0.1)
            moved = jnp.max(jnp.abs(new - state.b) * jnp.diagonal(gram))
            # Rescaling moves the pieces of the penalty with the solution: full steps can cycle.
            halvings = jnp.minimum(state.steps // FULL_STEPS, 4)
            length = 0.5 ** halvings.astype(b.dtype)
            mixed = state.b + length * (new - state.b)
            return _State(jnp.where(new == 0, 0, mixed), moved, state.steps + 1)

        start = _State(b, jnp.full((), jnp.inf, b.dtype), jnp.zeros((), jnp.int32))
        end = jax.lax.while_loop(
            lambda s: (s.moved > target) & (s.steps < MAX_NEWTON), newton, start
        )
        return end.b, breach(end.b, level)

    def breach(b: Array, level: Array) -> Array:
        gram, score = _moments(columns, outcome, share, b)
        v = jnp.diagonal(gram)
        return jnp.max(jnp.abs(v * b - penalty.threshold(score + v * b, level)))

    null = jnp.where(free, 0, jnp.inf)
    rough = jnp.full((), max(tolerance, 40 * eps), columns.dtype)
    base, _ = solve(zeros, null, rough)
    _, score = _moments(columns, outcome, share, base)
    largest = jnp.max(divide(jnp.abs(score), factors))
    tiny = jnp.finfo(columns.dtype).tiny ** 0.5
    exponents = jnp.linspace(0, 1, count, dtype=columns.dtype)
    penalties = jnp.maximum(largest, tiny) * ratio**exponents
    target = jnp.maximum(rough * largest, 4 * eps)

    def body(carry: tuple) -> tuple:
        position, b, best, path, bic, deviance, violation = carry
        b, left = solve(b, penalties[position] * factors, target)
        eta = matmul(b, columns)
        dev = 2 * jnp.sum(weights * (jax.nn.softplus(eta) - outcome * eta))
        value = dev + (jnp.sum(b != 0).astype(b.dtype) + 1) * jnp.log(n)
        best = jnp.where(value < bic[best], position, best)
        return (
            position + 1,
            b,
            best,
            path.at[position].set(b),
            bic.at[position].set(value),
            deviance.at[position].set(dev),
            violation.at[position].set(left),
        )

    def going(carry: tuple) -> Array:
        more = carry[0] < count
        return more & (carry[0] - carry[2] <= patience) if patience else more

    zero = jnp.zeros((), jnp.int32)
    blank = jnp.zeros(count, columns.dtype)
    start = (
        zero,
        base,
        zero,
        jnp.zeros((count, d), columns.dtype),
        blank + jnp.inf,
        blank,
        blank,
    )
    _, _, best, path, bic, deviance, violation = jax.lax.while_loop(going, body, start)
    code = st.when(~(violation[best] <= 10 * target), st.NOT_CONVERGED)
    return LogisticPath(penalties, path, deviance, bic, best, violation, code)
