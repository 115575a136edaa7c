"""The regularised incomplete beta function, accurate for large parameters in both precisions.

`jax.scipy.special.betainc` takes differences of log-gammas: with some thousand degrees of freedom a
float32 p-value keeps two or three digits. Here the front factor is a series that cancels nothing.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxmed.typing import Array

# The fraction converges in O(sqrt(max(a, b))) terms: enough for 10^7 degrees of freedom.
MAX_TERMS = 20_000
# Stirling's series (DLMF 5.11.1), full float64 accuracy from z = 10.
SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
SERIES_FROM = 10


@jax.custom_jvp
def incomplete_beta(a: Array, b: Array, x: Array) -> Array:
    """I_x(a, b) for a, b > 0 and x in [0, 1], arrays of one shape and dtype.

    Relative accuracy holds for tiny values, so that it serves for far tails. NaN for a
    parameter outside its range. Differentiable in x; the derivatives in a and b are taken as zero.

    Source: continued fraction of DLMF 8.17.22, evaluated by the modified Lentz method.
    """
    valid = (a > 0) & (b > 0) & (x >= 0) & (x <= 1)
    a, b = (jnp.where(valid, v, jnp.ones_like(v)) for v in (a, b))
    inside = valid & (x > 0) & (x < 1)
    x_inside = jnp.where(inside, x, jnp.full_like(x, 0.5))
    # The fraction converges fast below the mean of the distribution; above it the other tail does.
    swap = x_inside > (a + 1) / (a + b + 2)
    first, second = jnp.where(swap, b, a), jnp.where(swap, a, b)
    y = jnp.where(swap, 1 - x_inside, x_inside)
    tail = jnp.exp(_log_front(first, second, y)) * _fraction(first, second, y) / first
    value = jnp.where(swap, 1 - tail, tail)
    value = jnp.where(inside, value, jnp.where(x > 0, 1.0, 0.0).astype(value.dtype))
    return jnp.where(valid, value, jnp.nan)


@incomplete_beta.defjvp
def _derivative(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    a, b, x = primals
    inside = (x > 0) & (x < 1)
    y = jnp.where(inside, x, jnp.full_like(x, 0.5))
    density = jnp.exp(_log_front(a, b, y)) / (y * (1 - y))
    return incomplete_beta(a, b, x), jnp.where(inside, density, 0.0) * tangents[2]


def _log_front(a: Array, b: Array, x: Array) -> Array:
    """Log of x^a (1-x)^b / B(a, b), without the cancellation of large log-gammas.

    With s = a + b and Stirling's remainder c(z) = log gamma(z) - (z - 1/2) log z + z - log(2 pi)/2
    it is
    a log(x s/a) + b log((1-x) s/b) + log(ab/(2 pi s))/2 + c(s) - c(a) - c(b).
    """
    s = a + b
    near = x * s - a  # zero at the mean, where both logarithms vanish and log1p keeps their digits
    whole, one, other = _stirling_remainder(jnp.stack([s, a, b]))
    shift = jnp.stack([near / a, -near / b])
    ratio = jnp.stack([x * s / a, (1 - x) * s / b])
    close = jnp.abs(shift) < 0.5
    logs = jnp.where(close, jnp.log1p(jnp.where(close, shift, 0.0)), jnp.log(ratio))
    return a * logs[0] + b * logs[1] + 0.5 * jnp.log(a / s * b / (2 * jnp.pi)) + whole - one - other


def _stirling_remainder(z: Array) -> Array:
    """C(z) for z > 0: the asymptotic series from 10 on, ten steps of the recurrence below."""
    small = z < SERIES_FROM
    shifted = jnp.where(small, z + SERIES_FROM, z)
    square = 1 / (shifted * shifted)
    series = jnp.zeros_like(z)
    for coefficient in reversed(SERIES):
        series = series * square + coefficient
    series = series / shifted
    safe = jnp.where(small, z, jnp.ones_like(z))
    product = safe
    for k in range(1, SERIES_FROM):
        product = product * (safe + k)
    up = safe + SERIES_FROM
    below = (up - 0.5) * jnp.log(up) - (safe - 0.5) * jnp.log(safe) - SERIES_FROM - jnp.log(product)
    return jnp.where(small, series + below, series)


def _fraction(a: Array, b: Array, x: Array) -> Array:
    """1/(1 + d1/(1 + d2/(1 + ...))) with the d's of DLMF 8.17.22; [..] like x."""
    eps = jnp.finfo(x.dtype).eps
    tiny = jnp.finfo(x.dtype).tiny / eps

    def away(v: Array) -> Array:
        return jnp.where(jnp.abs(v) < tiny, tiny, v)

    def term(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        k, value, numerator, denominator = state
        m = jnp.floor((k + 1) / 2)
        even = (k % 2) == 0
        d = jnp.where(even, m * (b - m) * x, -(a + m - 1) * (a + b + m - 1) * x)
        d = d / jnp.where(even, (a + 2 * m - 1) * (a + 2 * m), (a + 2 * m - 2) * (a + 2 * m - 1))
        denominator = 1 / away(1 + d * denominator)
        numerator = away(1 + d / numerator)
        return k + 1, value * (numerator * denominator), numerator, denominator

    def going(state: tuple[Array, Array, Array, Array]) -> Array:
        k, _, numerator, denominator = state
        change = jnp.abs(numerator * denominator - 1)
        return (k < MAX_TERMS) & jnp.any(change > 4 * eps)

    one = jnp.ones_like(x)
    start = (jnp.ones((), x.dtype), one, one, jnp.zeros_like(x))
    # One term before the first check: the start values would pass for convergence.
    return 1 / lax.while_loop(going, term, term(start))[1]
