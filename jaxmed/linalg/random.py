"""Fast chi-square variates: Marsaglia and Tsang's method over blocks that stay in cache."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxmed.budget import check_at_least, check_fits
from jaxmed.keys import as_key
from jaxmed.typing import Array, ArrayLike, Key

__all__ = ["chi_square"]

_BLOCK = 8192  # lanes drawn at once: a few such arrays stay in the second-level cache
_ROWS = 32  # a block is [32, 256]; every repair round redoes one lane in each of 256 columns


def chi_square(
    key: Key, df: ArrayLike, shape: tuple[int, ...], dtype: jax.typing.DTypeLike = float
) -> Array:
    """Chi-square variates; the key is consumed.

    With d = a - 1/3, a = df/2, t = x / (3 sqrt d) and x standard normal, d (1+t)^3 is accepted as
    a gamma(a) variate with probability exp(3 d g(t)), g(t) = log(1+t) - t + t^2/2 - t^3/3
    (Marsaglia and Tsang's condition with its cancelling terms removed). Because
    1 - exp(3 d g) <= bound = 3 d t^4 / (4 min(1, 1+t)), a uniform above the bound accepts without
    a logarithm; only a fraction of about 1/(18 df) of the lanes is left. Those are decided with
    the conditional probability given what is known, and drawn again where rejected, one lane
    per column of the block in each round. For df < 2, gamma(a) = gamma(a+1) U^(1/a).

    The acceptance uniforms have 32 bits (24 in float32): an acceptance probability is off by at
    most 2^-31 (2^-23), so the density by less than 1.1 times that, relatively.

    Args:
      key: PRNG key.
      df: degrees of freedom >= 0, scalar or broadcastable to `shape`; may be traced.
        0 gives exactly 0; negative, NaN or infinite values give NaN.
      shape: shape of the result.
      dtype: float32 or float64.

    Returns:
      Array of `shape`. One scalar `df` is faster than an array of them.

    Source: Marsaglia and Tsang (2000), ACM Transactions on Mathematical Software 26, 363-372.
    """
    key = as_key(key)
    dtype = jnp.zeros((), dtype).dtype
    df = jnp.asarray(df, dtype)
    for length in shape:
        check_at_least("shape", length, 0)
    size = math.prod(shape)
    check_fits("the number of draws", size, dtype.itemsize)
    if df.ndim:
        df = jnp.broadcast_to(df, shape).reshape(-1)
    if size <= _BLOCK:
        return _block(key, df, size).reshape(shape)
    blocks = -(-size // _BLOCK)
    keys = jax.random.split(key, blocks)
    if df.ndim:
        padded = jnp.pad(df, (0, blocks * _BLOCK - size)).reshape(blocks, _BLOCK)
        draws = lax.map(lambda args: _block(args[0], args[1], _BLOCK), (keys, padded))
    else:
        draws = lax.map(lambda block_key: _block(block_key, df, _BLOCK), keys)
    return draws.reshape(-1)[:size].reshape(shape)


def _block(key: Key, df: Array, size: int) -> Array:
    """`size` variates at once; df is a scalar or [size]."""
    usable = (df > 0) & jnp.isfinite(df)
    half = jnp.where(usable, df, jnp.full_like(df, 100)) / 2
    key_first, key_repair, key_power = jax.random.split(key, 3)
    below_one = half < 1
    shape_parameter = jnp.where(below_one, half + 1, half)
    gamma = _gamma_from_one(key_first, key_repair, shape_parameter, size)

    def boost(gamma: Array) -> Array:
        uniform = _uniform(jax.random.bits(key_power, (size,), jnp.uint32), gamma.dtype)
        return jnp.where(below_one, gamma * jnp.exp(jnp.log(uniform) / half), gamma)

    gamma: Array = lax.cond(jnp.any(below_one & usable), boost, lambda gamma: gamma, gamma)
    return jnp.where(usable, 2 * gamma, jnp.where(df == 0, 0, jnp.nan))


def _gamma_from_one(key_first: Key, key_repair: Key, shape_parameter: Array, size: int) -> Array:
    """`size` gamma variates with shape parameter >= 1, scalar or [size]."""
    rows = _ROWS if size >= 8 * _ROWS else 1
    columns = -(-size // rows)
    if shape_parameter.ndim:
        shape_parameter = jnp.pad(shape_parameter, (0, rows * columns - size), constant_values=1)
        shape_parameter = shape_parameter.reshape(rows, columns)
    d = shape_parameter - 1 / 3
    scale = 1 / (3 * jnp.sqrt(d))
    words = 2 if d.dtype == jnp.float32 else 3
    first = jax.random.bits(key_first, (words, rows, columns), jnp.uint32)
    t, undecided = _propose(first, scale, d)
    row = lax.broadcasted_iota(jnp.int32, (rows, columns), 0)

    def repair(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        """Decide the first undecided lane of every column; a rejected one gets a new proposal."""
        trial, t, undecided = state
        chosen = row == jnp.min(jnp.where(undecided, row, rows), axis=0, keepdims=True)

        def pick(values: Array) -> Array:
            if not values.ndim:
                return values
            return jnp.sum(jnp.where(chosen, values, jnp.zeros_like(values)), axis=0)

        key = jax.random.fold_in(key_repair, trial)
        bits = jax.random.bits(key, (1 + words, columns), jnp.uint32)
        chosen_d = pick(d)
        accepted = _accepted_late(pick(t), chosen_d, _uniform(bits[0], d.dtype))
        new_t, new_undecided = _propose(bits[1:], pick(scale), chosen_d)
        accepted, new_t, new_undecided = (v[None, :] for v in (accepted, new_t, new_undecided))
        t = jnp.where(chosen & ~accepted, new_t, t)
        undecided = undecided & ~(chosen & (accepted | ~new_undecided))
        return trial + 1, t, undecided

    start = (jnp.int32(0), t, undecided)
    t = lax.while_loop(lambda state: jnp.any(state[2]), repair, start)[1]
    return (d * (1 + t) * (1 + t) * (1 + t)).reshape(-1)[:size]


def _propose(bits: Array, scale: Array, d: Array) -> tuple[Array, Array]:
    """Proposals t, and whether the short comparison leaves them undecided.

    One array of random words serves the uniform (first word) and the normal (the others): every
    further generator call costs compile time.
    """
    dtype = scale.dtype
    centred = 2 * _uniform(bits[1], dtype) - 1
    if len(bits) == 3:  # float64: 53 of 64 bits
        centred = centred + bits[2].astype(dtype) * 2.0**-63 - 2.0**-32
    limit = 1 - float(jnp.finfo(dtype).epsneg)
    normal = math.sqrt(2.0) * lax.erf_inv(jnp.clip(centred, -limit, limit))
    t = scale * normal
    return t, _uniform(bits[0], dtype) <= _bound(t, d)


def _uniform(bits: Array, dtype: jax.typing.DTypeLike) -> Array:
    """Uniform on (0, 1], from 32 bits in either precision."""
    return (bits.astype(dtype) + jnp.asarray(0.5, dtype)) * jnp.asarray(2.0**-32, dtype)


def _bound(t: Array, d: Array) -> Array:
    """Upper bound of the probability 1 - exp(3 d g(t)) that t is rejected; inf at t <= -1."""
    inside = t > -1
    room = jnp.where(inside, jnp.minimum(1 + t, 1), jnp.ones_like(t))
    square = t * t
    return jnp.where(inside, 0.75 * d * square * square / room, jnp.inf)


def _accepted_late(t: Array, d: Array, uniform: Array) -> Array:
    """Exact decision about a proposal that the short comparison left undecided.

    Its conditional probability of rejection is (1 - exp(3 d g(t))) / min(1, bound).
    """
    inside = t > -1
    t = jnp.where(inside, t, jnp.zeros_like(t))
    direct = jnp.log1p(t) - t + t * t / 2 - t * t * t / 3
    series = jnp.zeros_like(t)
    for order in range(12, 3, -1):  # g(t) = -t^4/4 + t^5/5 - ..., where `direct` cancels
        series = series * t + (-1.0) ** (order + 1) / order
    g = jnp.where(jnp.abs(t) < 0.1, series * t**4, direct)
    rejection = -jnp.expm1(3 * d * g)
    return inside & (uniform * jnp.minimum(_bound(t, d), 1) > rejection)
