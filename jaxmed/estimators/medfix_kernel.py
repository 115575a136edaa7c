"""Cross-validated (adaptive) elastic nets of MedFix, from the moments of the folds alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxmed import status as st
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.sparse.descent import descend
from jaxmed.sparse.homotopy import gram_path, search
from jaxmed.sparse.path import largest_penalty
from jaxmed.sparse.penalties import L1
from jaxmed.sparse.quadratic import GramQuadratic
from jaxmed.sparse.release.gcdnet import gcdnet_path
from jaxmed.typing import Array, pytree, static

GCDNET_TOLERANCE = 1e-8  # of squared changes


@pytree
class NetSettings:
    """How a path is solved."""

    num_penalties: int = static(default=100)
    release: bool = static(default=False)  # gcdnet's half steps and stop rule, else exact paths
    patience: int = static(default=20)  # exact paths end so many penalties after the least loss


@pytree
class NetFit:
    """An elastic net at the penalty of least cross-validated error."""

    coefficients: Array  # [p] on the columns given
    penalties: Array  # [L] lambda1, decreasing
    loss: Array  # [L] mean squared error over the held-out rows
    chosen: Array  # [] position of the largest penalty of least loss
    penalty: Array  # [] lambda1 there
    ridge: Array  # [] lambda2
    violation: Array  # [] optimality violation relative to the largest penalty
    status: Array  # []


@pytree
class _Scaled:
    """Columns centred and of unit variance (divisor n), as gcdnet standardises."""

    gram: Array  # [p, p]
    score: Array  # [p]
    scale: Array  # [p]
    mean: Array  # [p+1] of columns and outcome


def _scaled(moments: Array) -> _Scaled:
    total = moments[0, 0]
    mean = moments[0, 1:] / total
    centred = moments[1:, 1:] / total - mean[:, None] * mean[None, :]
    variance = jnp.diagonal(centred)[:-1]
    # The columns have variance 1 over all rows: what is left of a constant one is rounding.
    scale = jnp.where(variance > 1e3 * jnp.finfo(moments.dtype).eps, sqrt(variance), 0)
    inverse = divide(1.0, scale)
    inner = centred[:-1, :-1] * inverse[:, None] * inverse[None, :]
    return _Scaled(inner, centred[:-1, -1] * inverse, scale, mean)


def cross_validated_net(
    held: Array, factors: Array, ridge: Array, count: Array, settings: NetSettings
) -> NetFit:
    """Path on all rows, the same penalties in every training set, and the best of them.

    Args:
      held: moments of the folds [K, p+2, p+2] of [1, columns, outcome], all with weights that
        sum to 1 over the folds.
      factors: penalty factors [p]; infinite leaves a column out.
      ridge: lambda2.
      count: number of rows: the path is shorter where there are more columns than rows.
      settings: of the solver.
    """
    total = jnp.sum(held, axis=0)
    whole = _scaled(total)
    usable = (whole.scale > 0) & jnp.isfinite(factors)
    factors = jnp.where(usable, factors, jnp.inf)
    largest = largest_penalty(whole.score, factors)
    largest = jnp.maximum(largest, jnp.finfo(largest.dtype).tiny ** 0.5)
    ratio = jnp.where(count >= jnp.sum(usable, dtype=count.dtype), 1e-4, 1e-2).astype(largest.dtype)
    steps = jnp.linspace(0.0, 1.0, settings.num_penalties, dtype=largest.dtype)
    penalties = largest * ratio**steps

    follow = _released if settings.release else _followed
    loss, b_of, code = follow(total, held, whole, penalties, factors, ridge, settings)
    chosen = jnp.argmin(jnp.where(jnp.isfinite(loss), loss, jnp.inf))
    b = b_of(chosen)
    # lambda2 is a ridge of the standardised columns.
    inner = whole.gram + ridge * jnp.diag(usable.astype(b.dtype))
    inner = jnp.where(usable[:, None] & usable[None, :], inner, 0)
    limits = penalties[chosen] * jnp.where(usable, factors, 0)
    score = jnp.where(usable, whole.score, 0)
    quadratic = GramQuadratic(inner)
    eps = 64 * jnp.finfo(b.dtype).eps
    tight = largest * jnp.max(jnp.where(jnp.isfinite(factors), factors, 0))
    tight = jnp.maximum(1e-12, eps).astype(b.dtype) * jnp.minimum(tight, jnp.max(jnp.abs(score)))
    state = descend(
        quadratic,
        L1(limits),
        b,
        quadratic.residual_at(score, b),
        tolerance=jnp.where(settings.release, jnp.inf, tight),
        max_rounds=200,
    )
    missed = st.when((not settings.release) & ~(state.violation <= tight), st.NOT_CONVERGED)
    return NetFit(
        divide(state.coefficients, whole.scale),
        penalties,
        loss,
        chosen,
        penalties[chosen],
        jnp.asarray(ridge, b.dtype),
        divide(state.violation, jnp.max(jnp.abs(score))),
        st.combine(code, missed),
    )


_Chosen = Callable[[Array], Array]  # position of a penalty -> coefficients on all rows, [p]


def _held_out(training: _Scaled, coefficients: Array, out: Array) -> Array:
    """Sum of squared errors [...] of coefficients [..., p] on standardised training columns."""
    b = divide(coefficients, training.scale)
    intercept = training.mean[-1] - matmul(b, training.mean[:-1])
    one = jnp.ones_like(b[..., :1])
    contrast = jnp.concatenate([-intercept[..., None], -b, one], axis=-1)
    return jnp.sum(matmul(contrast, out) * contrast, axis=-1)


def _released(
    total: Array,
    held: Array,
    whole: _Scaled,
    penalties: Array,
    factors: Array,
    ridge: Array,
    settings: NetSettings,
) -> tuple[Array, _Chosen, Array]:
    """Whole paths by the release's descents: loss [L], coefficients, status."""

    def path(scaled: _Scaled) -> tuple[Array, Array]:
        fit = gcdnet_path(
            scaled.gram,
            scaled.score,
            penalties,
            factors,
            ridge,
            tolerance=GCDNET_TOLERANCE,
        )
        return fit.coefficients, jnp.max(fit.status)

    def fold(out: Array) -> tuple[Array, Array]:
        training = _scaled(total - out)
        coefficients, code = path(training)
        return _held_out(training, coefficients, out), code

    # One fold after the other: descents of different length, side by side, wait for the longest.
    losses, codes = jax.lax.map(fold, held)
    coefficients, code = path(whole)
    code = st.combine(code, jnp.max(codes))
    return jnp.sum(losses, axis=0), lambda chosen: coefficients[chosen], code


def _followed(
    total: Array,
    held: Array,
    whole: _Scaled,
    penalties: Array,
    factors: Array,
    ridge: Array,
    settings: NetSettings,
) -> tuple[Array, _Chosen, Array]:
    """Exact paths of all folds side by side until the loss has passed its minimum."""
    # b_j = c_j / factor_j turns the penalty into a plain one.
    unit = jnp.where(jnp.isfinite(factors), 1 / factors, 0)

    def plain(scaled: _Scaled) -> tuple[Array, Array]:
        inner = scaled.gram + ridge * jnp.diag((scaled.scale > 0).astype(ridge.dtype))
        return inner * unit[:, None] * unit[None, :], scaled.score * unit

    training = jax.lax.map(lambda out: _scaled(total - out), held)
    grams, scores = jax.lax.map(plain, training)

    def loss(coefficients: Array, explained: Array) -> Array:
        del explained
        return jnp.sum(jax.vmap(_held_out)(training, coefficients * unit[None, :], held))

    found = search(grams, scores, penalties, loss, settings.patience)
    path = gram_path(*plain(whole), penalties, last=found.best)
    code = st.combine(found.status, path.status[found.best])
    return found.criterion, lambda chosen: path.coefficients[chosen] * unit, code
