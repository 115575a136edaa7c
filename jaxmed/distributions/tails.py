"""Tail probabilities and quantiles: arrays in, arrays out, safe under jit and vmap."""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy import special

from jaxmed.distributions.incomplete_beta import incomplete_beta
from jaxmed.typing import Array, ArrayLike

__all__ = [
    "f_quantile",
    "f_upper",
    "noncentral_t_cdf",
    "noncentral_t_upper",
    "normal_quantile",
    "normal_two_sided",
    "t_quantile",
    "t_tails",
    "t_two_sided",
    "t_upper",
]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)


def t_two_sided(statistic: ArrayLike, df: ArrayLike) -> Array:
    """P(|T| >= |statistic|) for Student's t; relative accuracy holds far into the tail.

    Args:
      statistic: any shape; NaN gives NaN.
      df: degrees of freedom > 0, broadcast against `statistic`; otherwise NaN.
    """
    statistic, df = _promote(statistic, df)
    inside = df > 0
    df = jnp.where(inside, df, jnp.ones_like(df))
    x = 1 / (1 + statistic * statistic / df)
    p = incomplete_beta(df / 2, jnp.full_like(x, 0.5), x)
    return jnp.where(inside, p, jnp.nan)


def t_upper(statistic: ArrayLike, df: ArrayLike) -> Array:
    """P(T >= statistic) for Student's t."""
    statistic, df = _promote(statistic, df)
    return t_tails(statistic, df)[1]


def t_tails(statistic: ArrayLike, df: ArrayLike) -> tuple[Array, Array, Array]:
    """(P(|T| >= |statistic|), P(T >= statistic), P(T <= statistic)) from one evaluation."""
    statistic, df = _promote(statistic, df)
    both = t_two_sided(statistic, df)
    near, far = both / 2, 1 - both / 2
    below = statistic < 0
    return both, jnp.where(below, far, near), jnp.where(below, near, far)


def f_upper(statistic: ArrayLike, df1: ArrayLike, df2: ArrayLike) -> Array:
    """P(F >= statistic) for the F distribution with df1 and df2 degrees of freedom.

    Degrees of freedom that are not positive give NaN; a negative statistic gives 1.
    """
    statistic, df1, df2 = _promote(statistic, df1, df2)
    inside = (df1 > 0) & (df2 > 0)
    df1 = jnp.where(inside, df1, jnp.ones_like(df1))
    df2 = jnp.where(inside, df2, jnp.ones_like(df2))
    x = 1 / (1 + jnp.maximum(statistic, 0) * (df1 / df2))
    return jnp.where(inside, incomplete_beta(df2 / 2, df1 / 2, x), jnp.nan)


def f_quantile(probability: ArrayLike, df1: ArrayLike, df2: ArrayLike) -> Array:
    """Quantile of the F distribution for probabilities in (0, 1), by bisection of log F."""
    probability, df1, df2 = _promote(probability, df1, df2)
    valid = (probability > 0) & (probability < 1) & (df1 > 0) & (df2 > 0)
    width = 0.98 * np.log(float(jnp.finfo(probability.dtype).max))

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        above = f_upper(jnp.exp(middle), df1, df2) > 1 - probability
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    start = (jnp.full_like(probability, -width), jnp.full_like(probability, width))
    low, high = lax.fori_loop(0, jnp.finfo(probability.dtype).nmant + 12, halve, start)
    return jnp.where(valid, jnp.exp((low + high) / 2), jnp.nan)


def normal_two_sided(statistic: ArrayLike) -> Array:
    """P(|Z| >= |statistic|) for a standard normal; accurate far into the tail."""
    statistic = jnp.asarray(statistic)
    return special.erfc(jnp.abs(statistic) * np.sqrt(0.5).astype(statistic.dtype))


def normal_quantile(probability: ArrayLike) -> Array:
    """The standard normal quantile; 0 gives -inf and 1 gives inf."""
    return special.ndtri(jnp.asarray(probability))


def t_quantile(probability: ArrayLike, df: ArrayLike) -> Array:
    """Quantile of Student's t, by bisection on asinh(t / sqrt(df)) of the smaller tail.

    Args:
      probability: in [0, 1], any shape; outside gives NaN.
      df: degrees of freedom > 0, broadcast against `probability`.
    """
    probability, df = _promote(probability, df)
    tail = jnp.minimum(probability, 1 - probability)
    valid = (tail > 0) & (df > 0)
    tail = jnp.where(valid, tail, jnp.full_like(tail, 0.5))
    scale = jnp.sqrt(jnp.where(valid, df, jnp.ones_like(df)))
    safe_df = jnp.where(valid, df, jnp.ones_like(df))
    # sinh(width) is the largest ratio whose square does not overflow.
    width = 0.49 * np.log(float(jnp.finfo(tail.dtype).max))
    low = jnp.zeros_like(tail)
    high = jnp.full_like(tail, width)

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        above = t_upper(scale * jnp.sinh(middle), safe_df) > tail
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    low, high = lax.fori_loop(0, jnp.finfo(tail.dtype).nmant + 12, halve, (low, high))
    magnitude = scale * jnp.sinh((low + high) / 2)
    quantile = jnp.where(probability < 0.5, -magnitude, magnitude)
    quantile = jnp.where(probability == 0.5, jnp.zeros_like(quantile), quantile)
    ends = jnp.where(probability == 0, -jnp.inf, jnp.where(probability == 1, jnp.inf, jnp.nan))
    return jnp.where(valid, quantile, jnp.where(df > 0, ends, jnp.nan))


def noncentral_t_cdf(statistic: ArrayLike, df: ArrayLike, noncentrality: ArrayLike) -> Array:
    """P(T <= statistic) for (Z + noncentrality) / sqrt(chi2_df / df).

    Gauss-Legendre quadrature over s = sqrt(chi2_df / df), in three panels around the step of
    Phi(statistic s - noncentrality); absolute error about 1e-10 in float64 for df >= 2.
    """
    return _noncentral_t(statistic, df, noncentrality, sign=1)


def noncentral_t_upper(statistic: ArrayLike, df: ArrayLike, noncentrality: ArrayLike) -> Array:
    """P(T >= statistic) for the noncentral t; see `noncentral_t_cdf`."""
    return _noncentral_t(statistic, df, noncentrality, sign=-1)


def _noncentral_t(
    statistic: ArrayLike, df: ArrayLike, noncentrality: ArrayLike, sign: int
) -> Array:
    t, df, delta = (v[..., None] for v in _promote(statistic, df, noncentrality))
    spread = 12 / jnp.sqrt(2 * df)
    low, high = jnp.maximum(0, 1 - spread), 1 + spread
    flat = jnp.abs(t) < 1e-3  # the step is then wider than the range: any split will do
    slope = jnp.where(flat, jnp.full_like(t, 1e-3), t)
    step = delta / slope
    width = 8 / jnp.abs(slope)
    edges = [
        low,
        jnp.clip(step - width, low, high),
        jnp.clip(step + width, low, high),
        high,
    ]
    log_constant = np.log(2.0) + (df / 2) * jnp.log(df / 2) - special.gammaln(df / 2)
    total = jnp.zeros_like(t[..., 0])
    nodes = jnp.asarray(_NODES, t.dtype).reshape((1,) * total.ndim + (-1,))
    weights = jnp.asarray(_WEIGHTS, t.dtype).reshape(nodes.shape)
    for left, right in zip(edges[:-1], edges[1:], strict=True):
        s = left + (right - left) * (nodes + 1) / 2
        positive = jnp.maximum(s, jnp.finfo(t.dtype).tiny)
        log_density = log_constant + (df - 1) * jnp.log(positive) - df * s * s / 2
        values = jnp.exp(log_density) * special.ndtr(sign * (t * s - delta))
        total += jnp.sum(values * weights, axis=-1) * (right - left)[..., 0] / 2
    return jnp.clip(total, 0, 1)


def _promote(*values: ArrayLike) -> list[Array]:
    """Common floating dtype and shape."""
    arrays = [jnp.asarray(value) for value in values]
    dtype = jnp.result_type(*(a for a in arrays if jnp.issubdtype(a.dtype, jnp.floating)), 1.0)
    return list(jnp.broadcast_arrays(*(a.astype(dtype) for a in arrays)))
